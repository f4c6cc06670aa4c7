// The answer to a call of setup_initial_dkg: a Candid blob with CBOR in it, an array of the low transcript, the high transcript,
// the new subnet's id and its key in DER. The parts are those of the public network's answer; the encoding of the
// transcripts is this project's own, that of `DkgTranscript`. Section 15.
import { sha224 } from "@atoll/crypto/sha";
import { selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto/subnet-key";
import { encodeCbor, type InitialDkgResponse, principalToBytes, RejectCode, toHex } from "@atoll/types";
import { encodeWire, WireWriter } from "@atoll/types/wire";
import { type DkgTranscript, dkgTranscript, type RemoteDkgResult } from "../dkg-types.ts";

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

function replyOf(low: DkgTranscript, high: DkgTranscript): Uint8Array {
  const key = subnetKeyToDer(high.coefficients[0] ?? new Uint8Array());
  const transcripts = [low, high].map((transcript) => encodeWire(dkgTranscript, transcript));
  return candidBlob(encodeCbor([...transcripts, principalToBytes(selfAuthenticatingId(key, sha224)), key]));
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
