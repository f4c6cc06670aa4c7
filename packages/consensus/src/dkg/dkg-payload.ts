// The part of a block that is about keys: at the beginning of an interval its summary, in all other blocks dealings, and keys
// for another subnet once they are complete. What is built here is what is accepted here. Sections 6.2, 8.1 and 12.
import { equalBytes } from "@atoll/crypto";
import { encodeWire, list } from "@atoll/types/wire";
import type { Block, BlockContext, Payload } from "../artifacts.ts";
import { type DkgDealingMessage, type DkgSummary, type RemoteDkgResult, remoteDkgResult } from "../dkg-types.ts";
import { selectDealings, validateDealings } from "./dealing-payload.ts";
import { type IntervalChain, intervalChain } from "./interval-chain.ts";
import { isSummaryHeight, registryVersionAt } from "./registry-version.ts";
import { completeRemoteDkgs, earlyRemoteDkgs } from "./remote-dkg.ts";
import { type DkgContext, isRightSummary, makeSummary } from "./summary.ts";

export type DkgPart =
  | { readonly kind: "summary"; readonly summary: DkgSummary }
  | {
      readonly kind: "data";
      readonly dealings: readonly DkgDealingMessage[];
      readonly remote: readonly RemoteDkgResult[];
    };

/** Undefined: something that it needs is not here yet, so there can be no block now. */
export function buildDkgPart(context: DkgContext, parent: Block, blockContext: BlockContext): DkgPart | undefined {
  const chain = intervalChain(context.pool, parent);
  if (chain === undefined) return undefined;
  if (isSummaryHeight(chain.summary.payload.summary, parent.height + 1)) {
    const summary = makeSummary(context, parent, blockContext);
    return summary && { kind: "summary", summary };
  }
  const max = dealingsPerBlock(context, parent.height + 1);
  if (max === undefined) return undefined;
  // A request that cannot be looked up delays nothing: the summary answers it.
  const remote = earlyRemote(context, chain, blockContext) ?? [];
  return { kind: "data", dealings: selectDealings(context, chain, max), remote };
}

/** Of a block on `parent`, which is valid. */
export function validateDkgPart(
  context: DkgContext,
  parent: Block,
  payload: Payload,
  blockContext: BlockContext,
): "valid" | "invalid" | "later" {
  const chain = intervalChain(context.pool, parent);
  if (chain === undefined) return "later";
  const isSummary = isSummaryHeight(chain.summary.payload.summary, parent.height + 1);
  if (isSummary !== (payload.kind === "summary")) return "invalid";
  if (payload.kind === "summary") {
    const isRight = isRightSummary(context, parent, blockContext, payload.summary);
    if (isRight === undefined) return "later";
    return isRight ? "valid" : "invalid";
  }
  const max = dealingsPerBlock(context, parent.height + 1);
  if (max === undefined) return "later";
  if (payload.remote.length > 0) {
    const expected = earlyRemote(context, chain, blockContext);
    if (expected === undefined) return "later";
    if (!equalBytes(encodeWire(remoteList, expected), encodeWire(remoteList, payload.remote))) return "invalid";
  }
  return validateDealings(context, chain, payload.dealings, max);
}

/** What the batch of a block tells about keys for other subnets. */
export function remoteDkgsOf(payload: Payload): readonly RemoteDkgResult[] {
  return payload.kind === "summary" ? completeRemoteDkgs(payload.summary.remote) : payload.remote;
}

const remoteList = list(remoteDkgResult, 2);

function earlyRemote(
  { crypto, state }: DkgContext,
  chain: IntervalChain,
  { certifiedHeight }: BlockContext,
): readonly RemoteDkgResult[] | undefined {
  const isAsked = chain.summary.payload.summary.configs.some(({ dkgId }) => dkgId.target !== undefined);
  if (!isAsked) return [];
  const requests = state.remoteDkgRequests(certifiedHeight);
  return requests && earlyRemoteDkgs(crypto, chain, requests);
}

function dealingsPerBlock({ pool, registry }: DkgContext, height: number): number | undefined {
  const version = registryVersionAt(pool, height);
  return version === undefined ? undefined : registry.record(version)?.settings.dkgDealingsPerBlock;
}
