// The registry of a run: versions go to f + 1 nodes and no more, later to those who could not take them, and the disk keeps them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeCrypto } from "@atoll/host-node";
import { lightWorld } from "../src/crypto-world.ts";
import { EventLog } from "../src/event-log.ts";
import { drawPlan, Scheduler, SECOND } from "../src/index.ts";
import { seededRandom } from "../src/random.ts";
import { SimDisk } from "../src/sim-disk.ts";
import { type RecordTaker, SimRegistry } from "../src/sim-registry.ts";
import { makeSubnet } from "../src/sim-subnet.ts";
import { settle } from "./settle.ts";

test("f + 1 nodes get a version from the operator, however long it takes, and others from them", async () => {
  const crypto = await createNodeCrypto();
  const random = seededRandom("registry");
  const world = lightWorld(crypto, random.stream("world"));
  const { firstRecord } = makeSubnet(drawPlan("registry", { members: 7 }), { world, crypto, random });
  const scheduler = new Scheduler(new EventLog(), settle);
  const disks = firstRecord.nodes.map((_, i) => new SimDisk(random.stream(`disk ${i}`)));
  let isThere = false;
  const takers = (): RecordTaker[] =>
    nodes.map((node, index) => ({ index, takeRecord: (signed) => isThere && node.add(signed).kind !== "refused" }));
  const registry = new SimRegistry(firstRecord, { scheduler, random, crypto, takers, checkNode: world.checkNode });
  const nodes = disks.map((disk) => registry.open(disk.folder("registry"), () => 0n));
  registry.publish({ protocolVersion: "atoll-2" });
  registry.publish({ protocolVersion: "atoll-3" });
  const versions = (): number[] => nodes.map((node) => node.latestVersion()).sort();
  assert.deepEqual(versions(), [1, 1, 1, 1, 1, 1, 1]);
  isThere = true;
  await scheduler.run(3 * SECOND);
  const knowing = nodes.filter((node) => node.latestVersion() > 1);
  assert.equal(nodes.filter((node) => node.signedRecord(2) !== undefined).length, 3);
  const [one, other] = [knowing[0], nodes.find((node) => node.latestVersion() === 1)];
  assert.equal(other?.takeAnswer(one?.answer(other.question()) ?? new Uint8Array()).kind, "added");
  const again = registry.open((disks[nodes.indexOf(other as never)] as SimDisk).folder("registry"), () => 0n);
  assert.equal(again.latestVersion(), one?.latestVersion());
});
