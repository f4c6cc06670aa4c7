// The summary that begins an interval, made from the chain before it: which transcripts sign now and next, which keys are
// to be made, and how long the intervals are. Whoever knows the parent and the context of the block makes the same
// bytes, and accepts a summary only if it has them. Section 12.2.
import { equalBytes } from "@atoll/crypto";
import { encodeWire } from "@atoll/types/wire";
import type { Block, BlockContext } from "../artifacts.ts";
import { type DkgSummary, type DkgTranscript, dkgSummary } from "../dkg-types.ts";
import type { RoleContext } from "../role-context.ts";
import { memberIds } from "./genesis.ts";
import { type IntervalChain, intervalChain } from "./interval-chain.ts";
import { localConfigs } from "./local-configs.ts";
import { transcriptOf } from "./registry-version.ts";
import { remoteDkgs } from "./remote-dkg.ts";
import { transcriptOnChain } from "./transcripts.ts";

export type DkgContext = Pick<RoleContext, "crypto" | "registry" | "state" | "pool" | "subnetId">;

/** The summary of the block after `parent`. Undefined: something that it needs is not here yet. */
export function makeSummary(context: DkgContext, parent: Block, blockContext: BlockContext): DkgSummary | undefined {
  const { crypto, registry, state, pool, subnetId } = context;
  const { registryVersion } = blockContext;
  const chain = intervalChain(pool, parent);
  const record = registry.record(registryVersion);
  const requests = state.remoteDkgRequests(blockContext.certifiedHeight);
  if (chain === undefined || record === undefined || requests === undefined) return undefined;
  const height = parent.height + 1;
  const previous = chain.summary.payload.summary;
  const current = currentTranscripts(previous);
  const next = nextTranscripts(context, chain);
  const high = transcriptOf(next, "high") ?? transcriptOf(current, "high");
  const remote = remoteDkgs({ crypto, registry, subnetId, height, registryVersion, chain, requests });
  if (high === undefined || remote === undefined) return undefined;
  const local = localConfigs({ subnetId, startHeight: height, nodes: memberIds(record), registryVersion, high });
  return {
    height,
    registryVersion: chain.summary.context.registryVersion,
    intervalLength: previous.nextIntervalLength,
    nextIntervalLength: record.settings.dkgIntervalLength,
    configs: [...local, ...remote.configs],
    current,
    next,
    remote: remote.remote,
    attempts: remote.attempts,
  };
}

/** Undefined: cannot be told yet. */
export function isRightSummary(
  context: DkgContext,
  parent: Block,
  blockContext: BlockContext,
  summary: DkgSummary,
): boolean | undefined {
  const expected = makeSummary(context, parent, blockContext);
  return expected && equalBytes(encodeWire(dkgSummary, expected), encodeWire(dkgSummary, summary));
}

// A key generation that failed only delays a change: who signed goes on signing.
function currentTranscripts({ current, next }: DkgSummary): DkgTranscript[] {
  return (["low", "high"] as const).flatMap((tag) => transcriptOf(next, tag) ?? transcriptOf(current, tag) ?? []);
}

function nextTranscripts({ crypto }: DkgContext, chain: IntervalChain): DkgTranscript[] {
  return chain.summary.payload.summary.configs
    .filter(({ dkgId }) => dkgId.target === undefined)
    .flatMap((config) => transcriptOnChain(crypto, chain, config) ?? []);
}
