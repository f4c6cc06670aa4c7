// Slices of other subnets' streams in the blocks of many nodes: fetched ahead, never waited for, cut to what a block can
// take, continued by the next block before the first is executed. Consensus and chain-key facts, sections 16.4 and 16.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dealThresholdKey, selfAuthenticatingId, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { nodeEntropy, sha256 } from "@atoll/host-node";
import { certifiedSlice, headerPath, messagesPath, type SubnetPeers, verifySlice } from "@atoll/replica";
import { applyChanges, EMPTY_TREE, indexLabel } from "@atoll/state";
import {
  type CanisterId,
  decodeCertificate,
  encodeStreamHeader,
  encodeStreamMessage,
  type NetworkTopology,
  type PrincipalId,
  type StreamHeader,
  type StreamMessage,
  type SubnetRecord,
} from "@atoll/types";
import fc from "fast-check";
import { certifiedState } from "../../src/certified-tree.ts";
import { decodePayload } from "../../src/consensus/payload-codec.ts";
import { cutSlice } from "../../src/xnet/cut-slice.ts";
import { build, crypto, makeNodes, node, OWN, pastOf, SECOND, type TestNodes, verdict } from "./payload-nodes.ts";

const key = dealThresholdKey(1, 1, nodeEntropy, crypto.bls);
const publicKey = subnetKeyToDer(key.publicKey);
const OTHER = selfAuthenticatingId(publicKey, crypto.sha224);
const record = (subnetId: PrincipalId): SubnetRecord => {
  return { subnetId, type: "application", publicKey, canisterRanges: [] };
};
const TOPOLOGY: NetworkTopology = { version: 1, rootSubnetId: OWN, subnets: [record(OWN), record(OTHER)] };

const messageAt = (index: number, bytes: number): StreamMessage => ({
  ...({ kind: "request", sender: "01" as CanisterId, receiver: "02" as CanisterId, callbackId: index } as const),
  ...{ payment: 1n, methodName: "m", arg: new Uint8Array(bytes).fill(index), deadlineSeconds: 0, senderVersion: 1 },
});

/** What the other subnet certifies of its stream to us. */
function stateOf(header: Partial<StreamHeader>, bytes = 10) {
  const full: StreamHeader = { begin: 0, end: 0, signalsEnd: 0, rejectSignals: [], flags: 0, ...header };
  const changes = [
    { path: [new TextEncoder().encode("time")], value: Uint8Array.of(1) },
    { path: headerPath(OWN), value: encodeStreamHeader(full) },
  ];
  for (let index = full.begin; index < full.end; index++) {
    const value = encodeStreamMessage(messageAt(index, bytes));
    changes.push({ path: [...messagesPath(OWN), indexLabel(index)], value });
  }
  const sign = (root: Uint8Array): Uint8Array => signStateRoot(root, key.shares[0]?.secret as Uint8Array, crypto.bls);
  return certifiedState(
    { height: 1, time: 1n, tree: applyChanges(EMPTY_TREE, changes) },
    sign,
    () => undefined,
    sha256,
  );
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function fetched(test: TestNodes, news: { end: number; signalsEnd: number }, by = 0): Promise<void> {
  const { payloads } = node(test, by);
  payloads.streamMoved(OTHER, news);
  payloads.step();
  await settled();
}

function nodesWith(slice: SubnetPeers["slice"]): TestNodes {
  const nodes = makeNodes(4, { peers: { slice } });
  for (const { payloads } of nodes.nodes) payloads.setTopology(TOPOLOGY);
  return nodes;
}

const slicesOf = (batch: Uint8Array) => {
  return decodePayload(batch).slices.map(({ certified }) => {
    const certificate = decodeCertificate(certified);
    const check = { source: record(OTHER), own: OWN, crypto, expected: expectedFrom(undefined) };
    return { certificate, check, certified };
  });
};
const expectedFrom = (from: number | undefined) => {
  return { messageIndex: from ?? 0, signalIndex: 0, ownEnd: 100, messageLimit: 10_000 };
};

describe("a cut slice", () => {
  const state = stateOf({ begin: 3, end: 40 }, 200);
  const bytes = certifiedSlice(state, OWN, 5) as Uint8Array;
  const source = record(OTHER);
  const whole = verifySlice(bytes, { source, own: OWN, crypto, expected: expectedFrom(5) });
  assert.ok(whole.ok);
  const { slice } = whole;

  test("is what the other subnet certified, and has the messages that were asked for", () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 40 }), fc.nat(40), fc.nat(12_000), (from, messages, room) => {
        const limits = { from, messages, bytes: room };
        const cut = cutSlice({ certificate: decodeCertificate(bytes), slice }, OWN, limits, sha256);
        if (cut === undefined) return assert.ok(room < 600, `${room}`);
        assert.ok(cut.certified.length <= room);
        const expected = { ...expectedFrom(from), signalIndex: 0 };
        const result = verifySlice(cut.certified, { source, own: OWN, crypto, expected });
        if (cut.messages === 0) return assert.ok(!result.ok && result.reason === "it brings nothing new");
        assert.ok(result.ok);
        assert.deepEqual(result.slice.messages, slice.messages.slice(from - 5, from - 5 + cut.messages));
        // As many as have room, but for one perhaps.
        const all = Math.min(messages, 40 - from);
        return assert.ok(cut.messages === all || cut.certified.length > room * 0.6 - 700, `${cut.messages} of ${all}`);
      }),
      { numRuns: 60 },
    );
  });
});

describe("blocks with slices", () => {
  test("go on where the blocks before have left off, executed or not", async () => {
    const state = stateOf({ end: 60 }, 100_000);
    const nodes = nodesWith((_source, from, most) => certifiedSlice(state, OWN, from, { messages: most }));
    await fetched(nodes, { end: 60, signalsEnd: 0 });
    const past: ReturnType<typeof pastOf>[] = [];
    let next = 0;
    for (let height = 1; next < 60; height++) {
      const { batch } = build(nodes, { height, past });
      for (let by = 0; by < 4; by++) assert.equal(verdict(nodes, batch, { by, height, past }), "valid");
      for (const { certified, check } of slicesOf(batch)) {
        const result = verifySlice(certified, { ...check, expected: expectedFrom(next) });
        assert.ok(result.ok && result.slice.messages.length > 0);
        next += result.slice.messages.length;
      }
      past.push(pastOf(height, batch));
      assert.ok(height < 12, "it goes on");
      node(nodes).payloads.step();
      await settled();
    }
    assert.ok(past.length > 1, "it takes more than one block");
    assert.equal(verdict(nodes, past[0]?.batch as Uint8Array, { height: 20, past }), "invalid", "nothing comes twice");
    const skipped = past.slice(1).find(({ batch }) => batch.length > 0)?.batch as Uint8Array;
    assert.equal(verdict(nodes, skipped, { height: 1 }), "invalid", "and nothing is left out");
  });

  test("are judged by where streams stood at their certified height, by nodes that have executed further, too", async () => {
    const state = stateOf({ end: 5 });
    const nodes = nodesWith((_source, from) => certifiedSlice(state, OWN, from));
    await fetched(nodes, { end: 5, signalsEnd: 0 });
    const first = build(nodes, { height: 1 }).batch;
    const past = [pastOf(1, first)];
    node(nodes, 1).payloads.noteRound({
      ...{ height: 1, access: { canisters: [], requests: [] }, outcalls: { began: [], ended: [] } },
      streams: [{ subnet: OTHER, begin: 0, end: 0, signalsEnd: 5 }],
    });
    const second = build(nodes, { height: 2, past }).batch;
    assert.equal(verdict(nodes, second, { by: 1, height: 2, past }), "valid");
    assert.equal(verdict(nodes, first, { by: 1, height: 1 }), "valid");
    assert.equal(verdict(nodes, first, { by: 1, height: 2, context: { certifiedHeight: 1 } }), "invalid");
  });

  test("carry signals alone where there are no messages", async () => {
    const state = stateOf({ signalsEnd: 4 });
    const nodes = nodesWith((_source, from) => certifiedSlice(state, OWN, from));
    const streams = [{ subnet: OTHER, begin: 0, end: 9, signalsEnd: 0 }];
    nodes.executed({ streams });
    await fetched(nodes, { end: 0, signalsEnd: 4 });
    const { batch, payload } = build(nodes);
    assert.equal(payload.slices.length, 1);
    assert.equal(verdict(nodes, batch), "valid");
    assert.equal(build(nodes, { height: 2, past: [pastOf(1, batch)] }).payload.slices.length, 0);
  });

  test("are refused when a slice is not what was certified, and not yet judged when its subnet is not known", async () => {
    const state = stateOf({ end: 5 });
    const nodes = nodesWith((_source, from) => certifiedSlice(state, OWN, from));
    await fetched(nodes, { end: 5, signalsEnd: 0 });
    const [slice] = build(nodes).payload.slices;
    assert.ok(slice !== undefined);
    assert.equal(verdict(nodes, { slices: [slice] }), "valid");
    for (let at = 0; at < slice.certified.length; at += 29) {
      const certified = slice.certified.slice();
      certified.set([(certified[at] as number) ^ 1], at);
      assert.notEqual(verdict(nodes, { slices: [{ ...slice, certified }] }), "valid", `byte ${at}`);
    }
    const stranger = { ...slice, source: `${"0d".repeat(28)}02` as PrincipalId };
    assert.equal(verdict(nodes, { slices: [stranger] }), "later");
    assert.equal(verdict(nodes, { slices: [{ ...slice, source: OWN }] }), "invalid");
    assert.equal(verdict(makeNodes(), { slices: [slice] }), "later", "without a topology");
  });
});

describe("fetching", () => {
  test("that fails or never ends holds up no block, and is tried again later and later", async () => {
    const times: bigint[] = [];
    let answer: () => Uint8Array | undefined | Promise<Uint8Array | undefined> = () => Promise.reject(new Error("cut"));
    const nodes = nodesWith(() => {
      times.push((nodes.now - start) / 1_000_000n);
      return answer();
    });
    const start = nodes.now;
    const { payloads } = node(nodes);
    payloads.streamMoved(OTHER, { end: 1, signalsEnd: 0 });
    const until = async (end: bigint): Promise<void> => {
      while (nodes.now < start + end) {
        const wake = payloads.step();
        await settled();
        assert.equal(build(nodes).batch.length, 0);
        const next = payloads.step();
        nodes.now = wake < next ? wake : next;
      }
    };
    await until(3n * SECOND);
    answer = () => undefined;
    await until(6n * SECOND);
    answer = () => new Promise(() => undefined);
    await until(60n * SECOND);
    const gaps = times.slice(1).map((time, i) => time - (times[i] as bigint));
    assert.deepEqual(gaps.slice(0, 5), [250n, 500n, 1000n, 2000n, 4000n]);
    assert.ok(gaps.length < 9 && gaps.slice(5).every((gap) => gap > 4000n), `${gaps}`);
    answer = () => certifiedSlice(stateOf({ end: 1 }), OWN, 0);
    nodes.now += 100n * SECOND;
    payloads.step();
    await settled();
    nodes.now += 100n * SECOND;
    payloads.step();
    await settled();
    assert.equal(build(nodes).payload.slices.length, 1);
  });

  test("that nobody answers is given up after ten seconds, and begun again", async () => {
    let asked = 0;
    const nodes = nodesWith((_source, from) => {
      asked++;
      return asked === 1 ? new Promise(() => undefined) : certifiedSlice(stateOf({ end: 1 }), OWN, from);
    });
    await fetched(nodes, { end: 1, signalsEnd: 0 });
    for (const [seconds, expected] of [
      [9n, 1],
      [1n, 1],
      [1n, 2],
    ] as const) {
      nodes.now += seconds * SECOND;
      node(nodes).payloads.step();
      await settled();
      assert.equal(asked, expected);
    }
    assert.equal(build(nodes).payload.slices.length, 1);
  });

  test("a slice that was altered on its way is not held", async () => {
    const state = stateOf({ end: 2 });
    const nodes = nodesWith((_source, from) => {
      const bytes = certifiedSlice(state, OWN, from) as Uint8Array;
      bytes.set([(bytes.at(-1) as number) ^ 1], bytes.length - 1);
      return bytes;
    });
    await fetched(nodes, { end: 2, signalsEnd: 0 });
    assert.equal(build(nodes).payload.slices.length, 0);
    assert.match(node(nodes).logged.join("\n"), /could not be had/);
  });

  test("news that come while a slice is fetched are not forgotten with the old ones", async () => {
    let end = 1;
    const nodes = nodesWith(async (_source, from) => {
      const bytes = certifiedSlice(stateOf({ end }), OWN, from);
      if (end === 1) node(nodes).payloads.streamMoved(OTHER, { end: 3, signalsEnd: 0 });
      end = 3;
      return bytes;
    });
    await fetched(nodes, { end: 1, signalsEnd: 0 });
    const first = build(nodes).batch;
    const past = [pastOf(1, first)];
    assert.equal(build(nodes, { height: 2, past }).payload.slices.length, 0);
    node(nodes).payloads.step();
    await settled();
    assert.equal(build(nodes, { height: 2, past }).payload.slices.length, 1);
  });
});
