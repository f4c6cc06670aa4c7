// Slices of other subnets' streams in the blocks of many nodes: fetched ahead, never waited for, cut to what a block can
// take, continued by the next block before the first is executed. Consensus and chain-key facts, sections 16.4 and 16.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dealThresholdKey, selfAuthenticatingId, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { nodeEntropy, sha256 } from "@atoll/host-node";
import {
  type CertifiedState,
  certifiedSlice,
  headerPath,
  messagesPath,
  type SliceQuestion,
  SliceServer,
  verifySlice,
} from "@atoll/replica";
import { applyChanges, EMPTY_TREE, indexLabel } from "@atoll/state";
import {
  type CanisterId,
  decodeCertificate,
  encodeStreamHeader,
  encodeStreamMessage,
  MAX_CERTIFIED_SLICE_BYTES,
  type NetworkTopology,
  type PrincipalId,
  type StreamHeader,
  type StreamMessage,
  type SubnetRecord,
} from "@atoll/types";
import fc from "fast-check";
import { certifiedState } from "../../src/certified-tree.ts";
import { decodePayload, EMPTY_PAYLOAD, encodePayload } from "../../src/consensus/payload-codec.ts";
import { cutSlice } from "../../src/xnet/cut-slice.ts";
import { build, crypto, makeNodes, node, OWN, pastOf, SECOND, type TestNodes, verdict } from "./payload-nodes.ts";

const dealt = dealThresholdKey(1, 1, nodeEntropy, crypto.bls);
const ownKey = dealt.shares[0]?.secret as Uint8Array;
const publicKey = subnetKeyToDer(dealt.publicKey);
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
function stateOf(header: Partial<StreamHeader>, { bytes = 10, key = ownKey, to = OWN } = {}) {
  const full: StreamHeader = { begin: 0, end: 0, signalsEnd: 0, rejectSignals: [], flags: 0, ...header };
  const changes = [
    { path: [new TextEncoder().encode("time")], value: Uint8Array.of(1) },
    { path: headerPath(to), value: encodeStreamHeader(full) },
  ];
  for (let index = full.begin; index < full.end; index++) {
    const value = encodeStreamMessage(messageAt(index, bytes));
    changes.push({ path: [...messagesPath(to), indexLabel(index)], value });
  }
  const sign = (root: Uint8Array): Uint8Array => signStateRoot(root, key, crypto.bls);
  return certifiedState(
    { height: 1, time: 1n, tree: applyChanges(EMPTY_TREE, changes) },
    sign,
    () => undefined,
    sha256,
  );
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function fetched(test: TestNodes, by = 0): Promise<void> {
  node(test, by).payloads.step();
  await settled();
}

/** What a node of the other subnet answers. */
type Answer = (question: SliceQuestion) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** `refused`: counts the answers that were no good. */
function nodesWith(answer: Answer, refused: () => void = () => undefined): TestNodes {
  const slice = async (_source: PrincipalId, question: SliceQuestion) => {
    const bytes = await answer(question);
    return bytes && { bytes, refuse: refused };
  };
  return makeNodes(4, { peers: { slice }, topology: TOPOLOGY });
}

/** From a node that answers at once, and truly. */
const from = (state: CertifiedState) => (question: SliceQuestion) => {
  const after = (_: number, callback: () => void) => {
    callback();
    return () => undefined;
  };
  return new SliceServer(() => state, { after }).answer(OWN, question);
};

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
  const state = stateOf({ begin: 3, end: 40 }, { bytes: 200 });
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
    const state = stateOf({ end: 60 }, { bytes: 100_000 });
    const nodes = nodesWith(from(state));
    await fetched(nodes);
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
    const nodes = nodesWith(from(state));
    await fetched(nodes);
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
    const nodes = nodesWith(from(state));
    const streams = [{ subnet: OTHER, begin: 0, end: 9, signalsEnd: 0 }];
    nodes.executed({ streams });
    await fetched(nodes);
    const { batch, payload } = build(nodes);
    assert.equal(payload.slices.length, 1);
    assert.equal(verdict(nodes, batch), "valid");
    assert.equal(build(nodes, { height: 2, past: [pastOf(1, batch)] }).payload.slices.length, 0);
  });

  test("are refused when a slice is not what was certified, or from no subnet of the network", async () => {
    const state = stateOf({ end: 5 });
    const nodes = nodesWith(from(state));
    await fetched(nodes);
    const [slice] = build(nodes).payload.slices;
    assert.ok(slice !== undefined);
    assert.equal(verdict(nodes, { slices: [slice] }), "valid");
    for (let at = 0; at < slice.certified.length; at += 29) {
      const certified = slice.certified.slice();
      certified.set([(certified[at] as number) ^ 1], at);
      assert.notEqual(verdict(nodes, { slices: [{ ...slice, certified }] }), "valid", `byte ${at}`);
    }
    const stranger = { ...slice, source: `${"0d".repeat(28)}02` as PrincipalId };
    assert.equal(verdict(nodes, { slices: [stranger] }), "invalid");
    assert.equal(verdict(nodes, { slices: [{ ...slice, source: OWN }] }), "invalid");
    assert.equal(verdict(makeNodes(), { slices: [slice] }), "invalid", "there is one subnet alone");
  });
});

describe("a hostile slice", () => {
  const honest = stateOf({ end: 5 });
  const good = certifiedSlice(honest, OWN, 0) as Uint8Array;
  const thirdKey = dealThresholdKey(1, 1, nodeEntropy, crypto.bls).shares[0]?.secret as Uint8Array;
  const altered = good.slice();
  altered.set([(altered.at(-1) as number) ^ 1], altered.length - 1);
  const hostile: Readonly<Record<string, Uint8Array>> = {
    "with a forged signature": altered,
    "that another subnet certified": certifiedSlice(stateOf({ end: 5 }, { key: thirdKey }), OWN, 0) as Uint8Array,
    "of a stream to another subnet": certifiedSlice(stateOf({ end: 5 }, { to: OTHER }), OTHER, 0) as Uint8Array,
    "with a gap before it": certifiedSlice(honest, OWN, 2) as Uint8Array,
    "that begins before what was asked for": certifiedSlice(stateOf({ begin: 3, end: 9 }), OWN, 3) as Uint8Array,
    "that brings nothing new": certifiedSlice(stateOf({}), OWN, 0) as Uint8Array,
    "of more than four megabytes": new Uint8Array(4 * 1024 * 1024 + 1),
    "of no meaning": Uint8Array.of(1, 2, 3),
  };
  for (const [what, certified] of Object.entries(hostile)) {
    test(`${what} is refused in blocks, and is not held when a node gives it`, async () => {
      let refusals = 0;
      const nodes = nodesWith(
        () => certified,
        () => void refusals++,
      );
      assert.equal(verdict(nodes, { slices: [{ source: OTHER, certified: good }] }), "valid");
      if (certified.length <= MAX_CERTIFIED_SLICE_BYTES) {
        assert.equal(verdict(nodes, { slices: [{ source: OTHER, certified }] }), "invalid");
      } else assert.throws(() => encodePayload({ ...EMPTY_PAYLOAD, slices: [{ source: OTHER, certified }] }));
      await fetched(nodes);
      assert.equal(build(nodes).payload.slices.length, 0);
      assert.match(node(nodes).logged.join("\n"), /could not be had/);
      assert.equal(refusals, 1, "the node is not asked first again");
    });
  }
});

describe("a slice that is held", () => {
  const streams = [{ subnet: OTHER, begin: 0, end: 9, signalsEnd: 0 }];
  const ROUND = { access: { canisters: [], requests: [] }, outcalls: { began: [], ended: [] } };

  test("waits while this node has not executed what it signals, and its block names no such height", async () => {
    const nodes = nodesWith(from(stateOf({ end: 2, signalsEnd: 4 })));
    await fetched(nodes);
    assert.equal(build(nodes).payload.slices.length, 0);
    node(nodes).payloads.noteRound({ ...ROUND, height: 1, streams });
    assert.equal(build(nodes, { height: 2 }).payload.slices.length, 0, "made on a height before");
    assert.equal(build(nodes, { height: 2, certifiedHeight: 1 }).payload.slices.length, 1);
    assert.deepEqual(node(nodes).logged, []);
  });

  test("gives way to a newer one when blocks of others have gone on with signals", async () => {
    let state = stateOf({ end: 2, signalsEnd: 3 });
    const nodes = nodesWith((question) => from(state)(question));
    nodes.executed({ streams });
    await fetched(nodes);
    state = stateOf({ end: 3, signalsEnd: 5 });
    await fetched(nodes, 1);
    const newer = certifiedSlice(state, OWN, 0, { messages: 1 }) as Uint8Array;
    const past = [pastOf(1, encodePayload({ ...EMPTY_PAYLOAD, slices: [{ source: OTHER, certified: newer }] }))];
    assert.equal(build(nodes, { height: 2, past }).payload.slices.length, 0, "its signals are older");
    nodes.now += SECOND;
    await fetched(nodes);
    const { batch, payload } = build(nodes, { height: 2, past });
    assert.equal(payload.slices.length, 1);
    assert.equal(verdict(nodes, batch, { height: 2, past }), "valid");
    assert.deepEqual(node(nodes).logged, []);
  });
});

describe("fetching", () => {
  test("that fails or never ends holds up no block, and is tried again later and later", async () => {
    const times: bigint[] = [];
    let answer: () => Promise<Uint8Array | undefined> = () => Promise.reject(new Error("cut"));
    const nodes = nodesWith(() => {
      times.push((nodes.now - start) / 1_000_000n);
      return answer();
    });
    const start = nodes.now;
    const { payloads } = node(nodes);
    const until = async (end: bigint): Promise<void> => {
      while (nodes.now < start + end) {
        const wake = payloads.step();
        await settled();
        assert.equal(build(nodes).batch.length, 0);
        const next = payloads.step();
        nodes.now = wake < next ? wake : next;
      }
    };
    await until(5n * SECOND);
    answer = () => new Promise(() => undefined);
    await until(60n * SECOND);
    const gaps = times.slice(1).map((time, i) => time - (times[i] as bigint));
    assert.deepEqual(gaps.slice(0, 5), [250n, 500n, 1000n, 2000n, 4000n]);
    assert.ok(gaps.length < 9 && gaps.slice(5).every((gap) => gap > 8000n), `${gaps}`);
    answer = () => from(stateOf({ end: 1 }))({ from: 0, most: 1, signals: 0 });
    for (let fetch = 0; fetch < 2; fetch++) {
      nodes.now += 20n * SECOND;
      await fetched(nodes);
    }
    assert.equal(build(nodes).payload.slices.length, 1);
  });

  test("goes on at once from the nodes that keep who asks waiting, and soon from those that do not", async () => {
    let asked = 0;
    let settle: (bytes: undefined) => void = () => undefined;
    const nodes = nodesWith(() => {
      asked++;
      return new Promise((resolve) => {
        settle = resolve;
      });
    });
    await fetched(nodes);
    nodes.now += 4n * SECOND;
    settle(undefined);
    await settled();
    await fetched(nodes);
    assert.equal(asked, 2);
    settle(undefined);
    await settled();
    await fetched(nodes);
    assert.equal(asked, 2);
    nodes.now += SECOND / 4n;
    await fetched(nodes);
    assert.equal(asked, 3);
    assert.deepEqual(node(nodes).logged, [], "nothing is wrong with a subnet that has nothing to say");
  });

  test("that nobody answers is given up after ten seconds, and begun again", async () => {
    let asked = 0;
    const nodes = nodesWith((question) => {
      asked++;
      return asked === 1 ? new Promise(() => undefined) : from(stateOf({ end: 1 }))(question);
    });
    await fetched(nodes);
    for (const [seconds, expected] of [
      [9n, 1],
      [1n, 1],
      [1n, 2],
    ] as const) {
      nodes.now += seconds * SECOND;
      await fetched(nodes);
      assert.equal(asked, expected);
    }
    assert.equal(build(nodes).payload.slices.length, 1);
  });
});

describe("a node that is asked for a slice", () => {
  test("keeps who asks waiting until it has certified something new, for four seconds, and not too many", async () => {
    let state = stateOf({});
    const timers = new Map<() => void, number>();
    const server = new SliceServer(() => state, {
      after(ms, callback) {
        timers.set(callback, ms);
        return () => void timers.delete(callback);
      },
    });
    const question = { from: 0, most: 10, signals: 0 };
    const waiting = server.answer(OWN, question);
    state = stateOf({ end: 1 });
    server.moved();
    assert.ok(((await waiting)?.length ?? 0) > 0);
    assert.equal(timers.size, 0, "nothing is left of who was answered");
    const later = server.answer(OWN, { ...question, from: 1 });
    assert.deepEqual([...timers.values()], [4_000]);
    for (const callback of timers.keys()) callback();
    assert.equal(await later, undefined);
    const ahead = server.answer(OWN, { ...question, signals: 7 });
    for (let i = 0; i < 600; i++) void server.answer(OWN, { ...question, from: 1 });
    assert.equal(timers.size, 512);
    for (const callback of timers.keys()) callback();
    assert.equal(await ahead, undefined, "who knows more signals than this node gets no older header");
  });
});
