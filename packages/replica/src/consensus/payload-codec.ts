// What a block of a subnet of many nodes carries, as bytes that consensus passes on without looking: signed messages of
// users, certified slices of streams, agreed ends of HTTPS outcalls. One value has one encoding; a payload with nothing in it
// has no bytes at all. Figures about queries are not among it: no node can check another's, and to take the median of all
// they would have to be kept in the state until most nodes have told theirs. Section 8.1.
import { MAX_NODES, MAX_SIGNATURE_BYTES, type Share } from "@atoll/consensus";
import {
  MAX_CERTIFIED_SLICE_BYTES,
  MAX_INGRESS_BYTES_SYSTEM,
  MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK,
  MAX_OUTCALL_RESPONSES_PER_BLOCK,
  type PrincipalId,
  RejectCode,
  type ResponsePayload,
} from "@atoll/types";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  fixedBytes,
  list,
  principal,
  record,
  text,
  uint,
  union,
  WireError,
} from "@atoll/types/wire";

/** A certified slice as another subnet gave it out. */
export interface CarriedSlice {
  readonly source: PrincipalId;
  readonly certified: Uint8Array;
}

/** The answer to an outcall, and the nodes that have got the same: sorted by id. */
export interface AgreedOutcall {
  readonly outcall: number;
  readonly result: ResponsePayload;
  readonly shares: readonly Share[];
}

/** One node's share, with the hash of what it got. */
export interface DivergentShare extends Share {
  readonly hash: Uint8Array;
}

/** An outcall that so many nodes got different answers to that no agreement is possible; sorted by signer. */
export interface DivergentOutcall {
  readonly outcall: number;
  readonly shares: readonly DivergentShare[];
}

export interface BatchPayload {
  /** Envelopes as the clients signed them, in the order of induction. */
  readonly ingress: readonly Uint8Array[];
  /** Sorted by source, at most one of each. */
  readonly slices: readonly CarriedSlice[];
  /** Sorted by number. */
  readonly outcalls: readonly AgreedOutcall[];
  /** Sorted by number. */
  readonly divergent: readonly DivergentOutcall[];
}

export const EMPTY_PAYLOAD: BatchPayload = { ingress: [], slices: [], outcalls: [], divergent: [] };

/** Messages that a payload may have whatever the subnet's settings say. */
export const MAX_INGRESS_PER_PAYLOAD = 10_000;
const MAX_SLICES_PER_PAYLOAD = 1_000;

export function encodePayload(payload: BatchPayload): Uint8Array {
  const isEmpty = Object.values(payload).every((section: readonly unknown[]) => section.length === 0);
  return isEmpty ? new Uint8Array() : encodeWire(payloadCodec, payload);
}

/** Throws WireError for everything that `encodePayload` does not give. */
export function decodePayload(encoded: Uint8Array): BatchPayload {
  if (encoded.length === 0) return EMPTY_PAYLOAD;
  const payload = decodeWire(payloadCodec, encoded);
  if (Object.values(payload).every((section: readonly unknown[]) => section.length === 0)) {
    throw new WireError("an empty payload that has bytes");
  }
  return payload;
}

const rejectCode: Codec<RejectCode> = {
  write: (writer, value) => writer.uint(value),
  read(reader) {
    const code = reader.uint();
    const known = Object.values(RejectCode).find((each) => each === code);
    if (known === undefined) throw new WireError("an unknown reject code");
    return known;
  },
};

export const outcallResult: Codec<ResponsePayload> = union<ResponsePayload>({
  reply: record({ data: bytes(MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK) }),
  reject: record({ code: rejectCode, message: text(MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK) }),
});

const share = { signer: principal, signature: bytes(MAX_SIGNATURE_BYTES) };

/** A list whose items ascend by `key`, each once. */
function ascending<T>(item: Codec<T>, max: number, key: (value: T) => string | number): Codec<readonly T[]> {
  const plain = list(item, max);
  return {
    write: plain.write,
    read(reader) {
      const items = plain.read(reader);
      for (let i = 1; i < items.length; i++) {
        if (key(items[i - 1] as T) >= key(items[i] as T)) throw new WireError("items out of order");
      }
      return items;
    },
  };
}

const bySigner = ({ signer }: Share): string => signer;

const payloadCodec: Codec<BatchPayload> = record<BatchPayload>({
  ingress: list(bytes(MAX_INGRESS_BYTES_SYSTEM), MAX_INGRESS_PER_PAYLOAD),
  slices: ascending<CarriedSlice>(
    record({ source: principal, certified: bytes(MAX_CERTIFIED_SLICE_BYTES) }),
    MAX_SLICES_PER_PAYLOAD,
    ({ source }) => source,
  ),
  outcalls: ascending<AgreedOutcall>(
    record({ outcall: uint(), result: outcallResult, shares: ascending<Share>(record(share), MAX_NODES, bySigner) }),
    MAX_OUTCALL_RESPONSES_PER_BLOCK,
    ({ outcall }) => outcall,
  ),
  divergent: ascending<DivergentOutcall>(
    record({
      outcall: uint(),
      shares: ascending<DivergentShare>(record({ ...share, hash: fixedBytes(32) }), MAX_NODES, bySigner),
    }),
    MAX_OUTCALL_RESPONSES_PER_BLOCK,
    ({ outcall }) => outcall,
  ),
});
