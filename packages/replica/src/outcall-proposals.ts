// What one node of a subnet proposes as the end of an HTTPS outcall, after what it got from outside, and what becomes of
// the proposals of all: n - f nodes that propose the same have agreed. Interface specification, "IC method http_request";
// checklist 4.6; consensus and chain-key facts, section 1.
import {
  encodeOutcallReply,
  outcallSizeError,
  type RoundEvent,
  transformCall,
  transformResult,
} from "@atoll/execution";
import {
  type CryptoPort,
  encodeState,
  MAX_OUTCALL_RESPONSE_BYTES,
  type OutcallAnswer,
  type OutcallReply,
  type OutcallRequest,
  RejectCode,
  type ResponsePayload,
  toHex,
} from "@atoll/types";
import type { Executor } from "./executor.ts";

export interface ProposalPorts {
  readonly crypto: Pick<CryptoPort, "sha256">;
  /** Transform functions run here, on the state that queries see. */
  readonly executor: Pick<Executor, "query">;
}

export interface OutcallProposal {
  /** SHA-256 of outcall and result, hex. */
  readonly hash: string;
  readonly result: ResponsePayload;
}

/** `onQueryEvents`: told what the canister prints in its transform function. */
export async function proposeOutcall(
  request: OutcallRequest,
  answer: OutcallAnswer,
  ports: ProposalPorts,
  onQueryEvents?: (events: readonly RoundEvent[]) => void,
): Promise<OutcallProposal> {
  const result = await processAnswer(request, wellFormed(answer), ports, onQueryEvents);
  return { hash: toHex(proposalHash(request.outcall, result, ports.crypto.sha256)), result };
}

/** What nodes that propose the same have in common: 32 bytes. */
export function proposalHash(outcall: number, result: ResponsePayload, sha256: CryptoPort["sha256"]): Uint8Array {
  return sha256(encodeState({ outcall, result }));
}

async function processAnswer(
  request: OutcallRequest,
  answer: OutcallAnswer,
  ports: ProposalPorts,
  onQueryEvents: ((events: readonly RoundEvent[]) => void) | undefined,
): Promise<ResponsePayload> {
  if (answer.kind === "reject") return answer;
  const tooLarge = outcallSizeError(answer.reply.headers, answer.reply.body.length);
  if (tooLarge !== undefined) return fatal(tooLarge);
  if (answer.reply.status < 0n) return fatal("Failed to parse adapter http response to 'http_response' candid");
  const { transform } = request;
  if (transform === undefined) return { kind: "reply", data: encodeOutcallReply(answer.reply) };
  const { events, ...outcome } = await ports.executor.query(transformCall(request, transform, answer.reply));
  if (events !== undefined) onQueryEvents?.(events);
  const result = transformResult(outcome);
  const most = request.maxResponseBytes ?? MAX_OUTCALL_RESPONSE_BYTES;
  const bytes = result.kind === "reply" ? result.data.length : encoder.encode(result.message).length;
  return bytes > most ? fatal(`Transformed http response exceeds limit: ${most}`) : result;
}

const encoder = new TextEncoder();

/** Half a character in a text cannot be stored or sent: it is replaced. */
export function wellFormed(answer: OutcallAnswer): OutcallAnswer {
  if (answer.kind === "reject") return { ...answer, message: answer.message.toWellFormed() };
  const headers = answer.reply.headers.map(({ name, value }: OutcallReply["headers"][number]) => ({
    name: name.toWellFormed(),
    value: value.toWellFormed(),
  }));
  return { kind: "reply", reply: { ...answer.reply, headers } };
}

function fatal(message: string): ResponsePayload {
  return { kind: "reject", code: RejectCode.SYS_FATAL, message };
}

/** What n-f nodes propose, of n of which f may be faulty; else how many proposed what. */
export function agreeOn(outcall: number, proposals: readonly OutcallProposal[]): ResponsePayload {
  const faulty = Math.floor((proposals.length - 1) / 3);
  const counts = countHashes(proposals.map(({ hash }) => hash));
  const agreed = proposals.find(({ hash }) => (counts.get(hash) ?? 0) >= proposals.length - faulty);
  return agreed === undefined ? disagreement(outcall, counts) : agreed.result;
}

export function countHashes(hashes: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const hash of hashes) counts.set(hash, (counts.get(hash) ?? 0) + 1);
  return counts;
}

/** The end of an outcall about which the nodes cannot agree; `counts`: how many propose the result of that hash. */
export function disagreement(outcall: number, counts: ReadonlyMap<string, number>): ResponsePayload {
  const hashes = [...counts]
    .sort(([hashA, a], [hashB, b]) => b - a || (hashA < hashB ? 1 : -1))
    .map(([hash, count]) => `[${hash}: ${count}]`);
  const details = `request_id: ${outcall}, hashes: ${hashes.join(", ")}`;
  return {
    kind: "reject",
    code: RejectCode.SYS_TRANSIENT,
    message: `No consensus could be reached. Replicas had different responses. Details: ${details}`,
  };
}
