// What is in force at a height: which version of the registry says who the nodes are, and which transcripts sign. Summary
// blocks decide both, for their own interval and the next one, so that everybody agrees before it begins. Section 4.
import type { Height } from "@atoll/types";
import type { DkgSummary, DkgTag, DkgTranscript } from "../dkg-types.ts";
import { catchUpPackage, nextSummaryHeight, type SummaryBlock } from "../finalized-chain.ts";
import type { Pool } from "../pool.ts";

/** Whether the block at `height`, on a chain whose last summary before it is `summary`, has to be a summary block. */
export function isSummaryHeight(summary: DkgSummary, height: Height): boolean {
  return nextSummaryHeight(summary) === height;
}

/** The final summary blocks from that of the newest catch-up package on: at least that one. */
export function finalizedSummaries(pool: Pool): readonly SummaryBlock[] {
  return pool.tips.summaries;
}

/** The summary block of the newest interval that is final here. */
export function latestFinalizedSummary(pool: Pool): SummaryBlock {
  return finalizedSummaries(pool).at(-1) as SummaryBlock;
}

/** Undefined: neither the catch-up package nor a final summary after it reaches that height. */
export function registryVersionAt(pool: Pool, height: Height): number | undefined {
  return atHeight(pool, height, REGISTRY_VERSION);
}

const REGISTRY_VERSION: Answers<number> = {
  current: (block) => block.payload.summary.registryVersion,
  next: (block) => block.context.registryVersion,
};

/** The transcript whose shares sign at `height`; undefined: as for `registryVersionAt`. */
export function activeTranscript(pool: Pool, tag: DkgTag, height: Height): DkgTranscript | undefined {
  return atHeight(pool, height, TRANSCRIPT[tag]);
}

const transcriptAnswers = (tag: DkgTag): Answers<DkgTranscript | undefined> => ({
  current: ({ payload: { summary } }) => transcriptOf(summary.current, tag),
  next: ({ payload: { summary } }) => transcriptOf(summary.next, tag) ?? transcriptOf(summary.current, tag),
});
const TRANSCRIPT = { low: transcriptAnswers("low"), high: transcriptAnswers("high") };

/** The interval around `height`: its first height and how many blocks follow that in it. */
export function intervalAt(
  pool: Pool,
  height: Height,
): { readonly start: Height; readonly length: number } | undefined {
  return atHeight(pool, height, {
    current: ({ payload: { summary } }) => ({ start: summary.height, length: summary.intervalLength }),
    next: ({ payload: { summary } }) => ({ start: nextSummaryHeight(summary), length: summary.nextIntervalLength }),
  });
}

export function transcriptOf(transcripts: readonly DkgTranscript[], tag: DkgTag): DkgTranscript | undefined {
  return transcripts.find(({ dkgId }) => dkgId.tag === tag);
}

interface Answers<T> {
  readonly current: (block: SummaryBlock) => T;
  readonly next: (block: SummaryBlock) => T;
}

// First the catch-up package, whose two intervals reach back far enough for tapes and certifications that are late; then
// the final summaries after it, without which a chain that runs ahead of execution could not go on to its next package.
// Where intervals are short it may be ahead by several of them.
function atHeight<T>(pool: Pool, height: Height, answers: Answers<T>): T | undefined {
  const fromPackage = within(catchUpPackage(pool).block, height, answers);
  if (fromPackage !== undefined) return fromPackage;
  for (const block of finalizedSummaries(pool)) {
    const found = within(block, height, answers);
    if (found !== undefined) return found;
  }
  return undefined;
}

function within<T>(block: SummaryBlock, height: Height, { current, next }: Answers<T>): T | undefined {
  const { summary } = block.payload;
  const nextStart = nextSummaryHeight(summary);
  if (height < summary.height) return undefined;
  if (height < nextStart) return current(block);
  return height <= nextStart + summary.nextIntervalLength ? next(block) : undefined;
}
