// The answer to a call of setup_initial_dkg: a Candid blob with CBOR in it, an array of the low transcript, the high transcript,
// the new subnet's id and its key in DER. The parts are those of the public network's answer; the encoding of the
// transcripts is this project's own, that of `DkgTranscript`. Whoever asked reads it here, too. Section 15.

import { equalBytes } from "@atoll/crypto/domain";
import { sha224 } from "@atoll/crypto/sha";
import { selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto/subnet-key";
import {
  CborError,
  decodeCbor,
  encodeCbor,
  type InitialDkgResponse,
  type PrincipalId,
  principalToBytes,
  RejectCode,
  toHex,
} from "@atoll/types";
import { decodeWire, encodeWire, WireError, WireReader, WireWriter } from "@atoll/types/wire";
import { type DkgTag, type DkgTranscript, dkgTranscript, type RemoteDkgResult } from "../dkg-types.ts";

/** One answer for each target; `results` are complete: of each target both keys, or that one could not be made. */
export function initialDkgResponses(results: readonly RemoteDkgResult[]): readonly InitialDkgResponse[] {
  const byTarget = new Map<string, RemoteDkgResult[]>();
  for (const result of results) {
    const name = toHex(result.dkgId.target ?? new Uint8Array());
    byTarget.set(name, [...(byTarget.get(name) ?? []), result]);
  }
  return [...byTarget.values()].flatMap((group) => {
    const target = group[0]?.dkgId.target;
    return target === undefined ? [] : [{ target, result: answerOf(group) }];
  });
}

function answerOf(group: readonly RemoteDkgResult[]): InitialDkgResponse["result"] {
  const keyOf = (tag: string) => group.find(({ dkgId }) => dkgId.tag === tag)?.transcript;
  const [low, high] = [keyOf("low"), keyOf("high")];
  if (low !== undefined && high !== undefined) return { kind: "reply", data: replyOf(low, high) };
  const message = group.map(({ failure }) => failure).join("");
  return { kind: "reject", code: RejectCode.CANISTER_REJECT, message };
}

/** The keys of a new subnet, and what it is called by. */
export interface InitialDkg {
  readonly low: DkgTranscript;
  readonly high: DkgTranscript;
  readonly subnetId: PrincipalId;
  /** DER. */
  readonly publicKey: Uint8Array;
}

/** Of the bytes that `setup_initial_dkg` replied; undefined: they are no such answer, or its parts are not of one subnet. */
export function decodeInitialDkgReply(reply: Uint8Array): InitialDkg | undefined {
  const parts = decoded(() => decodeCbor(contentOfBlob(reply)));
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [encodedLow, encodedHigh, id, publicKey] = parts;
  const low = transcriptIn(encodedLow, "low");
  const high = transcriptIn(encodedHigh, "high");
  if (low === undefined || high === undefined || !(id instanceof Uint8Array)) return undefined;
  const subnetId = subnetIdOf(high);
  const isOne =
    toHex(low.dkgId.target ?? NO_TARGET) === toHex(high.dkgId.target ?? NO_TARGET) &&
    equalBytes(id, principalToBytes(subnetId)) &&
    publicKey instanceof Uint8Array &&
    equalBytes(publicKey, keyOf(high));
  return isOne ? { low, high, subnetId, publicKey } : undefined;
}

/** The id of the subnet that has this high key. */
export function subnetIdOf(high: DkgTranscript): PrincipalId {
  return selfAuthenticatingId(keyOf(high), sha224);
}

const KEY_BYTES = 96;
const NO_TARGET = new Uint8Array();

/** DER. */
function keyOf(high: DkgTranscript): Uint8Array {
  return subnetKeyToDer(high.coefficients[0] ?? new Uint8Array());
}

function transcriptIn(encoded: unknown, tag: DkgTag): DkgTranscript | undefined {
  if (!(encoded instanceof Uint8Array)) return undefined;
  const transcript = decoded(() => decodeWire(dkgTranscript, encoded));
  const isKey = transcript?.dkgId.tag === tag && transcript.coefficients[0]?.length === KEY_BYTES;
  return isKey ? transcript : undefined;
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof WireError || error instanceof CborError) return undefined;
    throw error;
  }
}

function replyOf(low: DkgTranscript, high: DkgTranscript): Uint8Array {
  const key = keyOf(high);
  const transcripts = [low, high].map((transcript) => encodeWire(dkgTranscript, transcript));
  return candidBlob(encodeCbor([...transcripts, principalToBytes(subnetIdOf(high)), key]));
}

// "DIDL", a table with `vec nat8`, one argument of it.
const BLOB = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 1, 0x6d, 0x7b, 1, 0);

function candidBlob(content: Uint8Array): Uint8Array {
  const writer = new WireWriter();
  writer.raw(BLOB);
  writer.uint(content.length);
  writer.raw(content);
  return writer.take();
}

function contentOfBlob(candid: Uint8Array): Uint8Array {
  const reader = new WireReader(candid);
  if (!equalBytes(reader.raw(BLOB.length), BLOB)) throw new WireError("it is no blob");
  const length = reader.uint();
  if (length !== reader.left) throw new WireError("the blob has another length");
  return reader.raw(length);
}
