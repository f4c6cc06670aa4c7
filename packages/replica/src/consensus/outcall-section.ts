// The ends of HTTPS outcalls in a payload: an answer with the shares of n - f nodes, or the proof that no answer can get
// so many any more. Outcalls that nobody answers in time end by themselves. Sections 1 and 9.
import { faultsTolerated } from "@atoll/consensus";
import {
  type CryptoPort,
  fromHex,
  MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK,
  MAX_OUTCALL_RESPONSES_PER_BLOCK,
  type NodeRecord,
  OUTCALL_TIMEOUT_NS,
  type OutcallRequest,
  type PrincipalId,
  type ResponsePayload,
  toHex,
} from "@atoll/types";
import { countHashes, proposalHash } from "../outcall-proposals.ts";
import type { KnownShare, OpenOutcall, OutcallShares } from "./outcall-shares.ts";
import type { AgreedOutcall, DivergentOutcall, DivergentShare } from "./payload-codec.ts";
import { invalid, later, type PayloadContext, type SectionVerdict, VALID } from "./payload-section.ts";

export interface OutcallSection {
  readonly outcalls: readonly AgreedOutcall[];
  readonly divergent: readonly DivergentOutcall[];
}

/** Of a share, and of an outcall beside its shares and its result, as they are encoded; at most. */
const SHARE_BYTES = 160;
const ENTRY_BYTES = 32;

export function buildOutcalls(context: PayloadContext, shares: OutcallShares, maxBytes: number): OutcallSection {
  const outcalls: AgreedOutcall[] = [];
  const divergent: DivergentOutcall[] = [];
  const limit = Math.min(maxBytes, MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK + ENTRY_BYTES + 200 * SHARE_BYTES);
  let room = limit;
  for (const open of shares.open()) {
    if (outcalls.length + divergent.length === MAX_OUTCALL_RESPONSES_PER_BLOCK) break;
    if (!isDue(context, open.request)) continue;
    const end = endOf(open, context.registry.nodes);
    if (end === undefined) continue;
    const resultBytes = "result" in end ? bytesOf(end.result) : 0;
    const bytes = ENTRY_BYTES + end.shares.length * SHARE_BYTES + resultBytes;
    if (bytes > room) continue;
    room -= bytes;
    if ("result" in end) outcalls.push(end);
    else divergent.push(end);
  }
  const byNumber = (a: { outcall: number }, b: { outcall: number }): number => a.outcall - b.outcall;
  return { outcalls: outcalls.sort(byNumber), divergent: divergent.sort(byNumber) };
}

function isDue({ facts, past, context }: PayloadContext, { outcall, time }: OutcallRequest): boolean {
  const isOpen = facts.outcallAt(outcall, context.certifiedHeight) !== undefined;
  return isOpen && !past.hasOutcall(outcall) && context.time <= time + OUTCALL_TIMEOUT_NS;
}

/** How the shares of those nodes end an outcall; undefined: not yet. */
function endOf(open: OpenOutcall, nodes: readonly NodeRecord[]): AgreedOutcall | DivergentOutcall | undefined {
  const { outcall } = open.request;
  const shares = nodes
    .flatMap(({ nodeId: signer }) => {
      const share = open.shares.get(signer);
      return share === undefined ? [] : [{ signer, ...share }];
    })
    .sort((a, b) => (a.signer < b.signer ? -1 : 1));
  const needed = sharesNeeded(open.request, nodes.length);
  for (const [hash, count] of countHashes(shares.map((share) => share.hash))) {
    const result = open.results.get(hash);
    if (count < needed || result === undefined) continue;
    const agreeing = shares.filter((share) => share.hash === hash).slice(0, needed);
    return { outcall, result, shares: agreeing.map(({ signer, signature }) => ({ signer, signature })) };
  }
  if (open.request.node !== undefined || !isDivergent(shares, nodes.length)) return undefined;
  return { outcall, shares: shares.map(divergentShare) };
}

function divergentShare({ signer, hash, signature }: KnownShare & { readonly signer: PrincipalId }): DivergentShare {
  return { signer, hash: fromHex(hash), signature };
}

function sharesNeeded({ node }: OutcallRequest, nodes: number): number {
  return node === undefined ? nodes - faultsTolerated(nodes) : 1;
}

/** More nodes than may be faulty differ from those that most agree with: n - f can never be reached. */
function isDivergent(shares: readonly { readonly hash: string }[], nodes: number): boolean {
  const counts = countHashes(shares.map(({ hash }) => hash));
  return shares.length - Math.max(0, ...counts.values()) > faultsTolerated(nodes);
}

function bytesOf(result: ResponsePayload): number {
  return result.kind === "reply" ? result.data.length : new TextEncoder().encode(result.message).length;
}

export function validateOutcalls(
  context: PayloadContext,
  { outcalls, divergent }: OutcallSection,
  known: OutcallShares,
  sha256: CryptoPort["sha256"],
): SectionVerdict {
  if (outcalls.length + divergent.length > MAX_OUTCALL_RESPONSES_PER_BLOCK) return invalid("too many outcalls");
  const numbers = new Set(outcalls.map(({ outcall }) => outcall));
  for (const { outcall } of divergent) if (numbers.has(outcall)) return invalid(`outcall ${outcall} ends twice`);
  for (const { outcall, result, shares } of outcalls) {
    const hash = proposalHash(outcall, result, sha256);
    const verdict = validateOne(
      context,
      outcall,
      shares.map((share) => ({ ...share, hash })),
      known,
      false,
    );
    if (verdict.kind !== "valid") return verdict;
  }
  for (const { outcall, shares } of divergent) {
    const verdict = validateOne(context, outcall, shares, known, true);
    if (verdict.kind !== "valid") return verdict;
  }
  return VALID;
}

function validateOne(
  { context, facts, past, registry }: PayloadContext,
  outcall: number,
  shares: readonly DivergentShare[],
  known: OutcallShares,
  diverges: boolean,
): SectionVerdict {
  if (past.hasOutcall(outcall)) return invalid(`outcall ${outcall} has ended in a block before`);
  const request = facts.outcallAt(outcall, context.certifiedHeight);
  // It may have ended so long ago that it is forgotten.
  if (request === undefined) return later(`outcall ${outcall} is not known here`);
  const { nodes } = registry;
  const signers = request.node === undefined ? nodes : nodes.filter(({ nodeId }) => nodeId === request.node);
  for (const { signer, hash, signature } of shares) {
    const node = signers.find(({ nodeId }) => nodeId === signer);
    if (node === undefined) return invalid(`a share of outcall ${outcall} is by a node that has none to give`);
    if (!known.verify(node, { outcall, hash, signature })) return invalid(`a share of outcall ${outcall} is forged`);
  }
  const hashes = shares.map(({ hash }) => ({ hash: toHex(hash) }));
  const ends = diverges
    ? request.node === undefined && isDivergent(hashes, nodes.length)
    : shares.length >= sharesNeeded(request, nodes.length);
  return ends ? VALID : invalid(`outcall ${outcall} does not end with these shares`);
}
