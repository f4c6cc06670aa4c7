// Streams between subnets as certified bytes: the leaves /streams/<subnet>/header and messages/<index> of the state
// tree. Packed CBOR, fields by number as in the replica's canonical state, reject signals as distances from the end
// downward. One value has one encoding; what another subnet certified is bounded and checked against that.
import { CborError, type CborInput, type CborMap, type CborValue, decodeCbor, encodeCbor } from "./cbor.ts";
import { RejectCode } from "./errors.ts";
import { type PrincipalId, principalFromBytes, principalToBytes } from "./ids.ts";
import { MAX_STREAM_SIGNALS } from "./limits.ts";
import type { Request, Response, ResponsePayload } from "./messages.ts";
import { compareBytes } from "./request-id.ts";
import type { Refund, RejectReason, RejectSignal, StreamHeader, StreamMessage } from "./streams.ts";
import type { Cycles } from "./units.ts";

/** In the order of their numbers on the wire. */
const REASONS: readonly RejectReason[] = [
  "canister_migrating",
  "canister_not_found",
  "canister_stopped",
  "canister_stopping",
  "queue_full",
  "out_of_memory",
  "unknown",
];

const HEADER = { begin: 0, end: 1, signalsEnd: 2, flags: 4, rejectSignals: 5 } as const;
const MESSAGE = { request: 0, response: 1, refund: 2 } as const;
/** The replica's numbers 3 (an older payment) and 7 (figures about the call tree) are left out; 9 is ours. */
const REQUEST = {
  ...{ receiver: 0, sender: 1, callbackId: 2, methodName: 4, arg: 5, payment: 6 },
  ...{ deadlineSeconds: 8, senderVersion: 9 },
} as const;
const RESPONSE = { originator: 0, respondent: 1, callbackId: 2, payload: 4, refund: 5, deadlineSeconds: 6 } as const;
const PAYLOAD = { data: 0, reject: 1 } as const;
const REJECT = { code: 0, message: 1 } as const;
const REFUND = { receiver: 0, cycles: 1 } as const;

const HEADER_LIMITS = { maxDepth: 3, maxItems: MAX_STREAM_SIGNALS + 64 };
const MESSAGE_LIMITS = { maxDepth: 4, maxItems: 64 };

export function encodeStreamHeader(header: StreamHeader): Uint8Array {
  const fields = new Map<number, CborInput>([
    [HEADER.begin, header.begin],
    [HEADER.end, header.end],
    [HEADER.signalsEnd, header.signalsEnd],
  ]);
  if (header.flags !== 0) fields.set(HEADER.flags, header.flags);
  if (header.rejectSignals.length > 0) fields.set(HEADER.rejectSignals, deltasOf(header));
  return encodeCbor(fields);
}

/** Throws CborError for everything that `encodeStreamHeader` does not make. */
export function decodeStreamHeader(bytes: Uint8Array): StreamHeader {
  const map = mapOf(decodeCbor(bytes, HEADER_LIMITS));
  const signalsEnd = integer(map, HEADER.signalsEnd);
  if (map.has(HEADER.flags)) fail("stream header with flags that nobody knows");
  const header: StreamHeader = {
    begin: integer(map, HEADER.begin),
    end: integer(map, HEADER.end),
    signalsEnd,
    rejectSignals: map.has(HEADER.rejectSignals) ? signalsOf(mapAt(map, HEADER.rejectSignals), signalsEnd) : [],
    flags: 0,
  };
  return canonical(header, encodeStreamHeader, bytes);
}

/** For each reason the distances of its signals: the last one from the end, each other one from the next. */
function deltasOf({ rejectSignals, signalsEnd }: StreamHeader): Map<number, number[]> {
  const deltas = new Map<number, number[]>();
  REASONS.forEach((reason, number) => {
    const indices = rejectSignals.filter((signal) => signal.reason === reason).map(({ index }) => index);
    if (indices.length === 0) return;
    deltas.set(
      number,
      indices.map((index, i) => (indices[i + 1] ?? signalsEnd) - index),
    );
  });
  return deltas;
}

function signalsOf(map: CborMap, signalsEnd: number): RejectSignal[] {
  const signals: RejectSignal[] = [];
  for (const [number, reason] of REASONS.entries()) {
    const deltas = map.get(number) ?? [];
    if (!Array.isArray(deltas)) return fail("reject signals that are no list");
    let index = signalsEnd;
    for (const delta of deltas.toReversed()) {
      if (typeof delta !== "number" || delta < 1 || delta > index) return fail("reject signal out of range");
      index -= delta;
      signals.push({ reason, index });
    }
  }
  signals.sort((a, b) => a.index - b.index);
  if (signals.some(({ index }, i) => signals[i + 1]?.index === index)) fail("two reject signals for one message");
  return signals;
}

export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  switch (message.kind) {
    case "request":
      return encodeCbor(new Map([[MESSAGE.request, requestFields(message)]]));
    case "response":
      return encodeCbor(new Map([[MESSAGE.response, responseFields(message)]]));
    case "refund":
      return encodeCbor(new Map([[MESSAGE.refund, refundFields(message)]]));
  }
}

/** Throws CborError for everything that `encodeStreamMessage` does not make. */
export function decodeStreamMessage(bytes: Uint8Array): StreamMessage {
  const map = mapOf(decodeCbor(bytes, MESSAGE_LIMITS));
  return canonical(messageOf(map), encodeStreamMessage, bytes);
}

function messageOf(map: CborMap): StreamMessage {
  if (map.has(MESSAGE.request)) return requestOf(mapAt(map, MESSAGE.request));
  if (map.has(MESSAGE.response)) return responseOf(mapAt(map, MESSAGE.response));
  return refundOf(mapAt(map, MESSAGE.refund));
}

function requestFields(request: Request): Map<number, CborInput> {
  const fields = new Map<number, CborInput>([
    [REQUEST.receiver, principalToBytes(request.receiver)],
    [REQUEST.sender, principalToBytes(request.sender)],
    [REQUEST.callbackId, request.callbackId],
    [REQUEST.methodName, request.methodName],
    [REQUEST.arg, request.arg],
    [REQUEST.payment, cyclesFields(request.payment)],
  ]);
  if (request.deadlineSeconds !== 0) fields.set(REQUEST.deadlineSeconds, request.deadlineSeconds);
  return fields.set(REQUEST.senderVersion, request.senderVersion);
}

function requestOf(map: CborMap): Request {
  return {
    kind: "request",
    sender: principal(map, REQUEST.sender),
    receiver: principal(map, REQUEST.receiver),
    callbackId: integer(map, REQUEST.callbackId),
    payment: cyclesOf(mapAt(map, REQUEST.payment)),
    methodName: text(map, REQUEST.methodName),
    arg: bytesAt(map, REQUEST.arg),
    deadlineSeconds: deadline(map, REQUEST.deadlineSeconds),
    senderVersion: integer(map, REQUEST.senderVersion),
  };
}

function responseFields(response: Response): Map<number, CborInput> {
  const { payload } = response;
  const reject = (code: number, message: string): Map<number, CborInput> =>
    new Map<number, CborInput>([
      [REJECT.code, code],
      [REJECT.message, message],
    ]);
  const fields = new Map<number, CborInput>([
    [RESPONSE.originator, principalToBytes(response.originator)],
    [RESPONSE.respondent, principalToBytes(response.respondent)],
    [RESPONSE.callbackId, response.callbackId],
    [
      RESPONSE.payload,
      payload.kind === "reply"
        ? new Map([[PAYLOAD.data, payload.data]])
        : new Map([[PAYLOAD.reject, reject(payload.code, payload.message)]]),
    ],
    [RESPONSE.refund, cyclesFields(response.refund)],
  ]);
  if (response.deadlineSeconds !== 0) fields.set(RESPONSE.deadlineSeconds, response.deadlineSeconds);
  return fields;
}

function responseOf(map: CborMap): Response {
  return {
    kind: "response",
    originator: principal(map, RESPONSE.originator),
    respondent: principal(map, RESPONSE.respondent),
    callbackId: integer(map, RESPONSE.callbackId),
    refund: cyclesOf(mapAt(map, RESPONSE.refund)),
    payload: payloadOf(mapAt(map, RESPONSE.payload)),
    deadlineSeconds: deadline(map, RESPONSE.deadlineSeconds),
  };
}

function payloadOf(map: CborMap): ResponsePayload {
  if (map.has(PAYLOAD.data)) return { kind: "reply", data: bytesAt(map, PAYLOAD.data) };
  const reject = mapAt(map, PAYLOAD.reject);
  const code = integer(reject, REJECT.code);
  const known = Object.values(RejectCode).find((each) => each === code);
  return { kind: "reject", code: known ?? fail("unknown reject code"), message: text(reject, REJECT.message) };
}

function refundFields({ receiver, cycles }: Refund): Map<number, CborInput> {
  return new Map<number, CborInput>([
    [REFUND.receiver, principalToBytes(receiver)],
    [REFUND.cycles, cyclesFields(cycles)],
  ]);
}

function refundOf(map: CborMap): Refund {
  return { kind: "refund", receiver: principal(map, REFUND.receiver), cycles: cyclesOf(mapAt(map, REFUND.cycles)) };
}

const U64 = 1n << 64n;

/** The lower and, where there is one, the upper half of 128 bits. */
function cyclesFields(cycles: Cycles): Map<number, bigint> {
  const halves = new Map([[0, cycles % U64]]);
  return cycles < U64 ? halves : halves.set(1, cycles / U64);
}

function cyclesOf(map: CborMap): Cycles {
  const half = (number: number): bigint => {
    const value = map.get(number);
    if (typeof value !== "number" && typeof value !== "bigint") return fail("cycles that are no number");
    const big = BigInt(value);
    return big < 0n || big >= U64 ? fail("cycles out of range") : big;
  };
  return half(0) + (map.has(1) ? half(1) * U64 : 0n);
}

/** What was read must be what would be written: no unknown fields, no other order, no longer form. */
function canonical<T>(value: T, encode: (value: T) => Uint8Array, bytes: Uint8Array): T {
  return compareBytes(encode(value), bytes) === 0 ? value : fail("not the canonical encoding");
}

function fail(message: string): never {
  throw new CborError(message, 0);
}

function mapOf(value: CborValue | undefined): CborMap {
  return value instanceof Map ? value : fail("missing map");
}

const mapAt = (map: CborMap, number: number): CborMap => mapOf(map.get(number));

function integer(map: CborMap, number: number): number {
  const value = map.get(number);
  return typeof value === "number" && value >= 0 ? value : fail("missing number");
}

/** Absent for calls whose response must be delivered. */
function deadline(map: CborMap, number: number): number {
  const seconds = map.has(number) ? integer(map, number) : 0;
  return seconds < 2 ** 32 ? seconds : fail("deadline out of range");
}

function text(map: CborMap, number: number): string {
  const value = map.get(number);
  return typeof value === "string" ? value : fail("missing text");
}

function bytesAt(map: CborMap, number: number): Uint8Array {
  const value = map.get(number);
  return value instanceof Uint8Array ? value : fail("missing byte string");
}

function principal(map: CborMap, number: number): PrincipalId {
  const bytes = bytesAt(map, number);
  return bytes.length <= 29 ? principalFromBytes(bytes) : fail("principal of more than 29 bytes");
}
