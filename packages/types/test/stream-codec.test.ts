// Streams as another subnet certified them: exact round trips, one encoding for one value, and nothing else gets in.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CborError, decodeCbor, encodeCbor } from "../src/cbor.ts";
import { type PrincipalId, toHex } from "../src/ids.ts";
import type { ResponsePayload } from "../src/messages.ts";
import {
  decodeStreamHeader,
  decodeStreamMessage,
  encodeStreamHeader,
  encodeStreamMessage,
} from "../src/stream-codec.ts";
import type { RejectReason, StreamHeader, StreamMessage } from "../src/streams.ts";

/** Plain objects, as decoding gives them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as unknown as fc.Arbitrary<T>;
const principal = fc.uint8Array({ maxLength: 29 }).map((bytes) => toHex(bytes) as PrincipalId);
const cycles = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const number = fc.maxSafeNat();
const deadlineSeconds = fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 32 - 1 }));
const text = fc.string({ unit: "grapheme" });
const bytes = fc.uint8Array({ maxLength: 300 });
const payload: fc.Arbitrary<ResponsePayload> = fc.oneof(
  record({ kind: fc.constant("reply" as const), data: bytes }),
  record({ kind: fc.constant("reject" as const), code: fc.constantFrom(1, 2, 3, 4, 5, 6), message: text }),
);
const message: fc.Arbitrary<StreamMessage> = fc.oneof(
  record({
    ...{ kind: fc.constant("request" as const), sender: principal, receiver: principal, callbackId: number },
    ...{ payment: cycles, methodName: text, arg: bytes, deadlineSeconds, senderVersion: number },
  }),
  record({
    ...{ kind: fc.constant("response" as const), originator: principal, respondent: principal, callbackId: number },
    ...{ refund: cycles, payload, deadlineSeconds },
  }),
  record({ kind: fc.constant("refund" as const), receiver: principal, cycles }),
);
const REASONS: readonly RejectReason[] = [
  ...(["canister_migrating", "canister_not_found", "canister_stopped", "canister_stopping"] as const),
  ...(["queue_full", "out_of_memory", "unknown"] as const),
];
const header: fc.Arbitrary<StreamHeader> = record({
  ...{ begin: number, end: number, signalsEnd: fc.nat() },
  signals: fc.uniqueArray(fc.tuple(fc.nat(), fc.constantFrom(...REASONS)), { selector: ([index]) => index }),
}).map(({ signals, ...rest }) => {
  const below = signals.filter(([index]) => index < rest.signalsEnd).sort(([a], [b]) => a - b);
  return { ...rest, flags: 0, rejectSignals: below.map(([index, reason]) => ({ reason, index })) };
});

describe("round trips", () => {
  test("of messages", () => {
    fc.assert(fc.property(message, (each) => assert.deepEqual(decodeStreamMessage(encodeStreamMessage(each)), each)));
  });

  test("of headers", () => {
    fc.assert(fc.property(header, (each) => assert.deepEqual(decodeStreamHeader(encodeStreamHeader(each)), each)));
  });
});

test("the numbers of the fields are those of the replica", () => {
  const rejectSignals = [
    { reason: "canister_not_found", index: 4 },
    { reason: "queue_full", index: 6 },
    { reason: "canister_not_found", index: 9 },
  ] as const;
  const encoded = encodeStreamHeader({ begin: 1, end: 3, signalsEnd: 10, rejectSignals, flags: 0 });
  // {0: 1, 1: 3, 2: 10, 5: {1: [5, 1], 4: [4]}}
  assert.equal(toHex(encoded), "a4000101030" + "20a05a2018205010481" + "04");
  const refund = encodeStreamMessage({ kind: "refund", receiver: "0102" as PrincipalId, cycles: (1n << 64n) + 5n });
  // {2: {0: h'0102', 1: {0: 5, 1: 1}}}
  assert.equal(toHex(refund), "a102a20042010201a200050101");
});

/** Throws CborError or gives a value whose encoding is what came in. */
function decodesExactly<T>(
  input: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
): boolean {
  try {
    assert.deepEqual(encode(decode(input)), input);
    return true;
  } catch (error) {
    assert.ok(error instanceof CborError, String(error));
    return false;
  }
}

describe("hostile bytes", () => {
  test("damage is noticed, or is another value in its one encoding", () => {
    const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const damaged = (encoded: Uint8Array, changes: [number, number][]): Uint8Array => {
      const copy = encoded.slice();
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy;
    };
    fc.assert(
      fc.property(message, header, damage, (one, other, changes) => {
        decodesExactly(damaged(encodeStreamMessage(one), changes), decodeStreamMessage, encodeStreamMessage);
        decodesExactly(damaged(encodeStreamHeader(other), changes), decodeStreamHeader, encodeStreamHeader);
      }),
      { numRuns: 1000 },
    );
  });

  test("arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (input) => {
        decodesExactly(input, decodeStreamMessage, encodeStreamMessage);
        decodesExactly(input, decodeStreamHeader, encodeStreamHeader);
      }),
      { numRuns: 1000 },
    );
  });

  const bad = (what: string, input: Uint8Array, decode: (bytes: Uint8Array) => unknown = decodeStreamHeader): void => {
    test(what, () => assert.throws(() => decode(input), CborError));
  };
  const fields = (entries: [number, unknown][]): Uint8Array => encodeCbor(new Map(entries) as never);
  const ends: [number, unknown][] = [[0, 1], [1, 3], [2, 10]]; // biome-ignore format: a table
  const signals = (lists: [number, number[]][]): Uint8Array => fields([...ends, [5, new Map(lists)]]);
  bad("an unknown field", fields([...ends, [7, 0]]));
  bad("the reserved field", fields([ends[0], ends[1], ends[2], [3, 0]] as [number, unknown][]));
  bad("flags", fields([...ends, [4, 1]]));
  bad("fields in another order", fields(ends.toReversed()));
  bad("a number in a longer form", Uint8Array.of(0xa3, 0, 0x18, 1, 1, 3, 2, 10));
  bad("an index beyond 2^53", fields([[0, 1n << 60n], ...ends.slice(1)]));
  bad("a signal at the end itself", signals([[1, [0]]]));
  bad("a signal below zero", signals([[1, [11]]]));
  bad("two signals for one message", signals([[1, [3]], [2, [3]]])); // biome-ignore format: a pair
  bad("an eighth reason", signals([[7, [3]]]));
  bad("an empty list of signals", signals([[1, []]]));
  bad("more signals than there can be", signals([[0, new Array(20_000).fill(1)]]));
  bad("nothing", new Uint8Array());
  bad("a self-described header", Uint8Array.of(0xd9, 0xd9, 0xf7, ...fields(ends)));
  bad("two kinds of message in one", merged(), decodeStreamMessage);
  bad("no kind of message", fields([]), decodeStreamMessage);
  const refund = (amount: unknown, id = new Uint8Array(2)): Uint8Array => {
    return encodeCbor(new Map([[2, new Map([[0, id], [1, amount]] as never)]]) as never); // biome-ignore format: a pair
  };
  bad("more cycles than there are", refund(new Map([[0, 1n << 64n]])), decodeStreamMessage);
  bad("an upper half that is zero", refund(new Map([[0, 5], [1, 0]])), decodeStreamMessage); // biome-ignore format: a pair
  bad("a principal of 30 bytes", refund(new Map([[0, 5]]), new Uint8Array(30)), decodeStreamMessage);
  bad("many small items", encodeCbor(new Array(100_000).fill(0)), decodeStreamMessage);
  bad("deep nesting", new Uint8Array(100_000).fill(0x81), decodeStreamMessage);
});

/** A request that is also a refund. */
function merged(): Uint8Array {
  const one = decodeCbor(encodeStreamMessage({ kind: "refund", receiver: "01" as PrincipalId, cycles: 1n }));
  const shared = { sender: "01" as PrincipalId, receiver: "02" as PrincipalId, callbackId: 1, payment: 0n } as const;
  const rest = { methodName: "m", arg: new Uint8Array(), deadlineSeconds: 0, senderVersion: 0 } as const;
  const other = decodeCbor(encodeStreamMessage({ kind: "request", ...shared, ...rest }));
  return encodeCbor(new Map([...(other as Map<number, unknown>), ...(one as Map<number, unknown>)]) as never);
}
