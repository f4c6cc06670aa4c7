// A subnet that upgrades, and a node of the version before that comes back: it says which version it needs and ends, when the
// subnet's key shows it that the others have gone on, and not for anything that somebody makes up.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { encodeArtifact, PoolStorage } from "@atoll/consensus";
import { sha256 } from "@atoll/host-node";
import { EnvironmentError, type PrincipalId } from "@atoll/types";
import { ManyNodes, type RunningNode } from "./many-nodes.ts";

const subnet = await ManyNodes.start(1);
after(() => subnet.stop());

async function until(what: string, isSo: () => boolean, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!isSo()) {
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s; ${subnet.problems.join("\n")}`);
    await setTimeout(20);
  }
}

function newestPackage({ poolStorage }: RunningNode) {
  const { artifacts } = new PoolStorage(poolStorage, sha256).open((all) => all);
  const packages = artifacts.flatMap(({ artifact }) => (artifact.kind === "catch-up-package" ? [artifact] : []));
  return packages.reduce((one, other) => (one.height > other.height ? one : other));
}

test("a node that the subnet has left behind ends, and names the version that it needs", async () => {
  const id = subnet.ids[0] as PrincipalId;
  const upgrade = { protocolVersion: "2" };
  const before = subnet.node(0);
  subnet.changeRegistry(upgrade);
  await until("a halt", () => before.replica.status().isHalted);
  assert.equal(before.replica.status().awaitedVersion, "2");
  const { catchUpHeight } = before.replica.status();
  before.kill();

  const upgraded = await subnet.startNode(id, upgrade);
  await until("a package of version 2", () => upgraded.replica.status().catchUpHeight > catchUpHeight);
  assert.equal(upgraded.replica.status().awaitedVersion, undefined);
  upgraded.kill();
  const cup = newestPackage(upgraded);
  assert.equal(cup.protocolVersion, "2");

  const { replica } = await subnet.startNode(id, { isEmpty: true });
  const peer = "aa02" as PrincipalId;
  const offer = (change: object) => {
    const bytes = encodeArtifact({ ...cup, ...change });
    return replica.peerHandler.receive(peer, replica.peerHandler.idOf(bytes), bytes);
  };
  for (const hostile of [{ signature: new Uint8Array(48) }, { signature: cup.beacon.signature }, { height: 9999 }])
    assert.equal(offer(hostile), "invalid");
  assert.equal(offer({ height: 0 }), "taken");
  assert.equal(offer({}), "taken");
  await until("blocks", () => replica.status().executedHeight > 3);
  assert.deepEqual(subnet.problems, [], "it goes on while it does not know the version of the registry");
  subnet.changeRegistry(upgrade);
  await until("its end", () => subnet.problems.length > 0);
  const [sentence = "", ...more] = subnet.problems.splice(0);
  assert.match(
    sentence,
    new RegExp(`^${EnvironmentError.name}: The subnet is at height ${cup.height} with version 2 `),
  );
  assert.match(sentence, /this program has version 1: install the program that has that version/);
  assert.deepEqual(more, []);
  const { notarizedHeight } = replica.status();
  await setTimeout(300);
  assert.equal(replica.status().notarizedHeight, notarizedHeight, "it takes no part any more");
});
