// What a node hears of other subnets while it fetches a slice, or makes a block: nothing of it may be forgotten, or a
// stream would stand still until it moves again; nor is there more in a block than it has room for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dealThresholdKey, selfAuthenticatingId, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto, nodeClock, nodeEntropy, sha256 } from "@atoll/host-node";
import { InlineExecutor, makeSecrets, Replica, type SubnetPeers, soloReplicaOptions } from "@atoll/replica";
import { applyChanges, EMPTY_TREE, indexLabel } from "@atoll/state";
import {
  type CanisterId,
  encodeStreamHeader,
  encodeStreamMessage,
  type NetworkTopology,
  type PrincipalId,
  type StreamMessage,
  type SubnetRecord,
} from "@atoll/types";
import { certifiedState } from "../../src/certified-tree.ts";
import { certifiedSlice, headerPath, messagesPath } from "../../src/xnet/certified-slice.ts";
import { IncomingStreams } from "../../src/xnet/incoming-streams.ts";

const crypto = await createNodeCrypto();
const OWN = "0b".repeat(28).concat("02") as PrincipalId;
const OTHER = "0c".repeat(28).concat("02") as PrincipalId;
const ports = { crypto, log: { log: () => undefined } };
/** Certified slices of a stream to us with one large message, from subnets with keys of their own. */
function newSource(bytes: number): { record: SubnetRecord; slice: Uint8Array } {
  const key = dealThresholdKey(1, 1, nodeEntropy, crypto.bls);
  const publicKey = subnetKeyToDer(key.publicKey);
  const subnetId = selfAuthenticatingId(publicKey, crypto.sha224);
  const message: StreamMessage = {
    ...{ kind: "request", sender: "01" as CanisterId, receiver: "02" as CanisterId, callbackId: 0, payment: 0n },
    ...{ methodName: "m", arg: new Uint8Array(bytes), deadlineSeconds: 0, senderVersion: 1 },
  };
  const header = { begin: 0, end: 1, signalsEnd: 0, rejectSignals: [], flags: 0 };
  const changes = [
    { path: [new TextEncoder().encode("time")], value: Uint8Array.of(1) },
    { path: headerPath(OWN), value: encodeStreamHeader(header) },
    { path: [...messagesPath(OWN), indexLabel(0)], value: encodeStreamMessage(message) },
  ];
  const tree = { height: 1, time: 1n, tree: applyChanges(EMPTY_TREE, changes) };
  const sign = (root: Uint8Array) => signStateRoot(root, key.shares[0]?.secret as Uint8Array, crypto.bls);
  const slice = certifiedSlice(
    certifiedState(tree, sign, () => undefined, sha256),
    OWN,
    0,
  );
  const known: SubnetRecord = { subnetId, type: "application", publicKey, canisterRanges: [] };
  return { record: known, slice: slice as Uint8Array };
}
const record = (subnetId: PrincipalId): SubnetRecord => {
  return { subnetId, type: "application", publicKey: new Uint8Array(133), canisterRanges: [] };
};
const topologyOf = (version: number, own: PrincipalId): NetworkTopology => {
  return { version, rootSubnetId: own, subnets: [record(own), record(OTHER)] };
};

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const SECOND = 1_000_000_000n;

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
  assert.deepEqual(incoming.gather(0n), []);
  await settled();
  assert.equal(incoming.hasNews, true);
  assert.deepEqual(incoming.gather(0n), []);
  await settled();
  assert.equal(incoming.hasNews, false, "nobody has it: to be tried again when there is more");
});

test("a slice that comes late is in a later block, and nobody waits for it", async () => {
  const source = newSource(10);
  const from = source.record.subnetId;
  const answer = Promise.withResolvers<Uint8Array>();
  const incoming = new IncomingStreams(OWN, { slice: () => answer.promise }, ports);
  let isReady = false;
  incoming.onReady = () => {
    isReady = true;
  };
  incoming.setTopology({ version: 1, rootSubnetId: OWN, subnets: [record(OWN), source.record] });
  incoming.noteNews(from, { end: 1, signalsEnd: 0 });
  assert.deepEqual(incoming.gather(0n), []);
  assert.equal(incoming.hasNews, false, "it is on its way");
  answer.resolve(source.slice);
  await settled();
  assert.ok(isReady && incoming.hasNews);
  assert.deepEqual(
    incoming.gather(0n).map((each) => each.from),
    [from],
  );
});

test("a fetch that fails stops no block, and is tried again later and later until it succeeds", async () => {
  const source = newSource(10);
  const from = source.record.subnetId;
  const asked: bigint[] = [];
  let now = 0n;
  const slice: SubnetPeers["slice"] = () => {
    asked.push(now / 1_000_000n);
    if (asked.length === 2) throw new Error("the network is gone");
    return asked.length < 5 ? Promise.reject(new Error("the network is gone")) : source.slice;
  };
  const incoming = new IncomingStreams(OWN, { slice }, ports);
  incoming.setTopology({ version: 1, rootSubnetId: OWN, subnets: [record(OWN), source.record] });
  incoming.noteNews(from, { end: 1, signalsEnd: 0 });
  let taken = 0;
  for (; now < 10n * SECOND && taken === 0; now += SECOND / 4n) {
    taken += incoming.gather(now).length;
    await settled();
  }
  assert.deepEqual(asked, [0n, 250n, 750n, 1750n, 3750n]);
  assert.equal(taken, 1);
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

test("a block takes slices as far as it has room; who was left out is first in the next one", () => {
  const sources = Array.from({ length: 6 }, () => newSource(3_900_000));
  const slices = new Map(sources.map((each) => [each.record.subnetId, each.slice]));
  const incoming = new IncomingStreams(OWN, { slice: (source) => slices.get(source) }, ports);
  const subnets = [record(OWN), ...sources.map((each) => each.record)];
  incoming.setTopology({ version: 1, rootSubnetId: OWN, subnets });
  for (const source of slices.keys()) incoming.noteNews(source, { end: 1, signalsEnd: 0 });
  const first = incoming.gather(0n);
  assert.equal(first.length, 3);
  // Whoever came first goes on and on.
  const others = incoming.gather(0n).map(({ from }) => from);
  assert.equal(new Set([...first.map(({ from }) => from), ...others]).size, 6);
  for (const subnet of slices.keys()) incoming.noteOwn([{ subnet, begin: 0, end: 0, signalsEnd: 1 }]);
  assert.equal(incoming.hasNews, false);
});
