// What a node hears of other subnets while it fetches a slice, or makes a block: nothing of it may be forgotten, or a
// stream would stand still until it moves again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeCrypto, nodeClock, nodeEntropy, sha256 } from "@atoll/host-node";
import { InlineExecutor, makeSecrets, Replica, type SubnetPeers, soloReplicaOptions } from "@atoll/replica";
import type { NetworkTopology, PrincipalId, SubnetRecord } from "@atoll/types";
import { IncomingStreams } from "../../src/xnet/incoming-streams.ts";

const crypto = await createNodeCrypto();
const OWN = "0b".repeat(28).concat("02") as PrincipalId;
const OTHER = "0c".repeat(28).concat("02") as PrincipalId;
const ports = { crypto, log: { log: () => undefined } };
const record = (subnetId: PrincipalId): SubnetRecord => {
  return { subnetId, type: "application", publicKey: new Uint8Array(133), canisterRanges: [] };
};
const topologyOf = (version: number, own: PrincipalId): NetworkTopology => {
  return { version, rootSubnetId: own, subnets: [record(own), record(OTHER)] };
};

test("news that come while a slice is fetched in vain are not forgotten with the old ones", async () => {
  let comes = true;
  const slice: SubnetPeers["slice"] = async (source) => {
    if (comes) incoming.noteNews(source, { end: 2, signalsEnd: 0 });
    comes = false;
    return undefined;
  };
  const incoming = new IncomingStreams(OWN, { slice }, ports);
  incoming.setTopology(topologyOf(1, OWN));
  incoming.noteNews(OTHER, { end: 1, signalsEnd: 0 });
  assert.deepEqual(await incoming.gather(), []);
  assert.equal(incoming.hasNews, true);
  assert.deepEqual(await incoming.gather(), []);
  assert.equal(incoming.hasNews, false, "nobody has it: to be tried again when there is more");
});

test("a topology that comes while slices are fetched is in their block, since they were checked by it", async () => {
  const solo = soloReplicaOptions(makeSecrets(nodeEntropy, crypto), crypto);
  const { config, rootKey } = solo;
  const peers: SubnetPeers = {
    slice: async () => {
      replica.setTopology(topologyOf(2, config.subnetId));
      return undefined;
    },
  };
  const executor = new InlineExecutor({ config, rootKey }, { crypto: { sha256 }, log: ports.log });
  const replica = new Replica({ ...solo, peers }, { ...ports, clock: nodeClock, entropy: nodeEntropy }, executor);
  await replica.start();
  replica.setTopology(topologyOf(1, config.subnetId));
  replica.streamMoved(OTHER, { end: 1, signalsEnd: 0 });
  await replica.makeBlock(nodeClock.now());
  assert.equal(executor.durable.machine.state.topology.version, 2);
  await replica.stop();
});
