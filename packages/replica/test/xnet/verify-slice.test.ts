// Certified slices: what a node makes of its tree is what the other subnet takes, and nothing else is taken: neither what
// the sender did not certify nor what does not follow.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dealThresholdKey, selfAuthenticatingId, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import { applyChanges, EMPTY_TREE, indexLabel } from "@atoll/state";
import {
  type CanisterId,
  decodeCertificate,
  encodeCertificate,
  encodeStreamHeader,
  encodeStreamMessage,
  type Path,
  type PrincipalId,
  type RejectSignal,
  type StreamHeader,
  type StreamMessage,
  type SubnetRecord,
  type TreeChange,
} from "@atoll/types";
import fc from "fast-check";
import { certifiedState } from "../../src/certified-tree.ts";
import { certifiedSlice, headerPath, messagesPath, type SliceLimits } from "../../src/xnet/certified-slice.ts";
import { type SliceExpectations, sliceExpectations } from "../../src/xnet/expectations.ts";
import { verifySlice } from "../../src/xnet/verify-slice.ts";

const crypto = await createNodeCrypto();
const OWN = "0b".repeat(28).concat("02") as PrincipalId;

function newSource(): { record: SubnetRecord; secret: Uint8Array } {
  const key = dealThresholdKey(1, 1, nodeEntropy, crypto.bls);
  const publicKey = subnetKeyToDer(key.publicKey);
  const subnetId = selfAuthenticatingId(publicKey, crypto.sha224);
  const record: SubnetRecord = { subnetId, type: "application", publicKey, canisterRanges: [] };
  return { record, secret: key.shares[0]?.secret as Uint8Array };
}
const source = newSource();

const messageAt = (index: number, bytes = 10): StreamMessage => ({
  ...({ kind: "request", sender: "01" as CanisterId, receiver: "02" as CanisterId, callbackId: index } as const),
  ...{ payment: 1n, methodName: "m", arg: new Uint8Array(bytes).fill(index), deadlineSeconds: 0, senderVersion: 1 },
});

const HEADER: StreamHeader = { begin: 5, end: 12, signalsEnd: 3, rejectSignals: [], flags: 0 };
const EXPECTED: SliceExpectations = { messageIndex: 7, signalIndex: 2, ownEnd: 4, messageLimit: 10_000 };

/** The certified state of the other subnet, with that stream to us and other things around it. */
function stateWith(header: Partial<StreamHeader> = {}, bytes = 10, more: readonly TreeChange[] = []) {
  const full = { ...HEADER, ...header };
  const leaf = (path: Path, text: string): TreeChange => ({ path, value: new TextEncoder().encode(text) });
  const changes: TreeChange[] = [
    { path: [new TextEncoder().encode("time")], value: Uint8Array.of(1) },
    leaf([new TextEncoder().encode("canister"), Uint8Array.of(1)], "x"),
    leaf(headerPath("0a".repeat(29) as PrincipalId), "to somebody else"),
    { path: headerPath(OWN), value: encodeStreamHeader(full) },
    ...more,
  ];
  for (let index = full.begin; index < full.end; index++) {
    const value = encodeStreamMessage(messageAt(index, bytes));
    changes.push({ path: [...messagesPath(OWN), indexLabel(index)], value });
  }
  const tree = { height: 1, time: 1n, tree: applyChanges(EMPTY_TREE, changes) };
  return certifiedState(
    tree,
    (root) => signStateRoot(root, source.secret, crypto.bls),
    () => undefined,
    sha256,
  );
}

function sliceOf(header: Partial<StreamHeader> = {}, from = 7, limits: SliceLimits = {}): Uint8Array {
  return certifiedSlice(stateWith(header), OWN, from, limits) as Uint8Array;
}

const verify = (bytes: Uint8Array, expected: Partial<SliceExpectations> = {}, record = source.record) =>
  verifySlice(bytes, { source: record, own: OWN, expected: { ...EXPECTED, ...expected }, crypto });

function reasonOf(bytes: Uint8Array, expected: Partial<SliceExpectations> = {}, record = source.record): string {
  const result = verify(bytes, expected, record);
  return result.ok ? "ok" : result.reason;
}

describe("what is made is what is taken", () => {
  test("all messages from the expected one on", () => {
    const result = verify(sliceOf());
    assert.ok(result.ok);
    const messages = [7, 8, 9, 10, 11].map((index) => messageAt(index));
    assert.deepEqual(result.slice, { from: source.record.subnetId, header: HEADER, firstIndex: 7, messages });
  });

  test("as many as are asked for, or the header alone", () => {
    const some = verify(sliceOf({}, 7, { messages: 2 }));
    assert.ok(some.ok);
    assert.deepEqual(some.slice.messages.length, 2);
    const none = verify(sliceOf({}, 7, { messages: 0 }));
    assert.ok(none.ok);
    assert.deepEqual(none.slice.messages, []);
    const atEnd = verify(sliceOf({}, 12), { messageIndex: 12 });
    assert.ok(atEnd.ok);
  });

  test("as many as have room in so many bytes, and never more", () => {
    const state = stateWith({ begin: 0, end: 60 }, 100_000);
    let previous = 0;
    for (const bytes of [20_000, 200_000, 1_000_000, 4 * 1024 * 1024]) {
      const slice = certifiedSlice(state, OWN, 0, { bytes }) as Uint8Array;
      assert.ok(slice.length <= bytes, `${slice.length} of ${bytes}`);
      const result = verify(slice, { messageIndex: 0 });
      assert.ok(result.ok);
      const { length } = result.slice.messages;
      assert.equal(length, Math.floor((bytes - 16_384) / 100_100));
      assert.ok(length >= previous);
      previous = length;
    }
  });

  test("ten thousand messages", () => {
    const state = stateWith({ begin: 1, end: 10_001 });
    const result = verify(certifiedSlice(state, OWN, 1) as Uint8Array, { messageIndex: 1 });
    assert.ok(result.ok);
    assert.equal(result.slice.messages.length, 10_000);
  });

  test("nothing where there is no stream, or it does not reach", () => {
    assert.equal(certifiedSlice(stateWith(), "0c".repeat(29) as PrincipalId, 0), undefined);
    assert.equal(certifiedSlice(stateWith(), OWN, 4), undefined);
    assert.equal(certifiedSlice(stateWith(), OWN, 13), undefined);
    for (const from of [Number.NaN, 7.5, -1, Number.POSITIVE_INFINITY]) {
      assert.equal(certifiedSlice(stateWith(), OWN, from), undefined);
    }
  });
});

describe("what does not follow is not taken", () => {
  const refused = (
    what: string,
    reason: RegExp,
    bytes: () => Uint8Array,
    expected: Partial<SliceExpectations> = {},
  ) => {
    test(what, () => assert.match(reasonOf(bytes(), expected), reason));
  };
  const reject = (...indices: number[]): RejectSignal[] => indices.map((index) => ({ reason: "queue_full", index }));
  refused("messages that come too late", /begin at 8, where 7 is expected/, () => sliceOf({}, 8));
  refused("messages that were there already", /begin at 6, where 7 is expected/, () => sliceOf({}, 6));
  refused("a stream that has forgotten what is expected", /goes from 9 to 12/, () => sliceOf({ begin: 9 }, 9));
  refused("a stream that ends before", /goes from 5 to 6/, () => sliceOf({ end: 6 }, 6));
  refused("more messages than may come", /it has 5 messages, where 4 may/, () => sliceOf(), { messageLimit: 4 });
  refused("signals that go back", /signals end at 1,/, () => sliceOf({ signalsEnd: 1 }));
  refused("signals for what was not sent", /signals end at 5,/, () => sliceOf({ signalsEnd: 5 }));
  refused("nothing new", /nothing new/, () => sliceOf({ signalsEnd: 2 }, 7, { messages: 0 }));
  refused("a header that ends before it begins", /begins at 5 and ends at 4/, () => headerWith({ end: 4 }));
  const old = { signalsEnd: 20_000, rejectSignals: reject(9_999) };
  refused("reject signals that are too old", /too old/, () => sliceOf(old), { ownEnd: 30_000 });
  const far = { begin: 0, end: 20_000 };
  refused(
    "more messages than there can be signals",
    /no room among the signals/,
    () => sliceOf(far, 9_999, { messages: 2 }),
    {
      messageIndex: 9_999,
    },
  );

  test("reject signals that are just old enough", () => {
    const young = { signalsEnd: 20_000, rejectSignals: reject(10_000, 19_999) };
    assert.equal(reasonOf(sliceOf(young), { ownEnd: 30_000 }), "ok");
  });
});

/** A certified header that no honest subnet makes. */
function headerWith(header: Partial<StreamHeader>): Uint8Array {
  const change = { path: headerPath(OWN), value: encodeStreamHeader({ ...HEADER, ...header }) };
  return stateWith({}, 10, [change]).undelegated([headerPath(OWN)]);
}

describe("what the subnet did not certify is not taken", () => {
  test("the key of another subnet", () => {
    const other = newSource().record;
    assert.equal(
      reasonOf(sliceOf(), {}, { ...source.record, publicKey: other.publicKey }),
      "failed to verify threshold signature",
    );
    assert.match(reasonOf(sliceOf(), {}, { ...source.record, publicKey: new Uint8Array(133) }), /malformed/);
  });

  test("a subnet's own slice, a stream to somebody else, a delegation", () => {
    assert.match(reasonOf(sliceOf(), {}, { ...source.record, subnetId: OWN }), /from itself/);
    const elsewhere = stateWith().undelegated([headerPath("0a".repeat(29) as PrincipalId)]);
    assert.match(reasonOf(elsewhere), /no header/);
    const plain = decodeCertificate(sliceOf());
    const delegation = { subnetId: Uint8Array.of(1), certificate: sliceOf() };
    assert.match(reasonOf(encodeCertificate({ ...plain, delegation })), /delegation/);
  });

  test("a gap, a leaf that is no message, a label that is no index", () => {
    const state = stateWith();
    const at = (index: number): Path => [...messagesPath(OWN), indexLabel(index)];
    assert.match(reasonOf(state.undelegated([headerPath(OWN), at(7), at(9)])), /do not follow each other/);
    const noMessage = stateWith({ end: 7 }, 10, [{ path: at(7), value: Uint8Array.of(1) }]);
    assert.match(reasonOf(noMessage.undelegated([headerPath(OWN), at(7)])), /cannot be decoded/);
    const label: Path = [...messagesPath(OWN), Uint8Array.of(1, 2)];
    const noIndex = stateWith({}, 10, [{ path: label, value: Uint8Array.of(1) }]);
    assert.match(reasonOf(noIndex.undelegated([headerPath(OWN), label])), /not in the form of a stream/);
    const beyond: Path = [...messagesPath(OWN), new Uint8Array(8).fill(255)];
    const out = stateWith({}, 10, [{ path: beyond, value: encodeStreamMessage(messageAt(1)) }]);
    assert.match(reasonOf(out.undelegated([headerPath(OWN), beyond])), /out of range/);
  });

  test("a message that the header does not have", () => {
    const path: Path = [...messagesPath(OWN), indexLabel(7)];
    const more = stateWith({ end: 7 }, 10, [{ path, value: encodeStreamMessage(messageAt(7)) }]);
    assert.match(reasonOf(more.undelegated([headerPath(OWN), path])), /up to 8, and the stream ends at 7/);
  });

  test("a slice that is too large, and one that is no certificate", () => {
    assert.match(reasonOf(new Uint8Array(5 * 1024 * 1024)), /too large/);
    assert.match(reasonOf(new Uint8Array(100_000).fill(0x81)), /cannot be decoded/);
    assert.match(reasonOf(new Uint8Array()), /cannot be decoded/);
  });

  test("a slice that was changed anywhere gives a reason, or the same slice", () => {
    const bytes = sliceOf();
    const right = verify(bytes);
    assert.ok(right.ok);
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(damage, (changes) => {
        const copy = bytes.slice();
        for (const [at, value] of changes) copy[at] = value;
        const result = verify(copy);
        if (result.ok) assert.deepEqual(result.slice, right.slice);
      }),
      { numRuns: 400 },
    );
  });
});

describe("what is expected", () => {
  const application = { own: "application", source: "system", ownIsRoot: false } as const;

  test("of a stream that was never used, and after some slices", () => {
    assert.deepEqual(sliceExpectations(application), {
      messageIndex: 0,
      signalIndex: 0,
      ownEnd: 0,
      messageLimit: 10_000,
    });
    const own = { begin: 3, end: 9, signalsEnd: 20 };
    assert.deepEqual(sliceExpectations(application, own), {
      messageIndex: 20,
      signalIndex: 3,
      ownEnd: 9,
      messageLimit: 10_000,
    });
    const slice = (count: number, signalsEnd: number) => ({
      ...{ from: source.record.subnetId, firstIndex: 20, header: { ...HEADER, signalsEnd } },
      messages: Array.from({ length: count }, (_, i) => messageAt(i)),
    });
    const past = [slice(2, 5), slice(0, 6)];
    assert.deepEqual(sliceExpectations(application, own, past), {
      messageIndex: 22,
      signalIndex: 6,
      ownEnd: 9,
      messageLimit: 10_000,
    });
  });

  test("of system subnets: no more than they have room to answer", () => {
    const own = { begin: 3, end: 63, signalsEnd: 0 };
    const limit = (types: Parameters<typeof sliceExpectations>[0]) => sliceExpectations(types, own).messageLimit;
    assert.equal(limit({ own: "system", source: "application", ownIsRoot: false }), 40);
    assert.equal(limit({ own: "system", source: "system", ownIsRoot: true }), 40);
    assert.equal(limit({ own: "system", source: "system", ownIsRoot: false }), 10_000);
    assert.equal(
      sliceExpectations({ own: "system", source: "application", ownIsRoot: true }, { ...own, end: 500 }).messageLimit,
      0,
    );
  });
});
