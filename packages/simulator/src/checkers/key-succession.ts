// Section 12.2, and of invariant 11 what it rests on: each interval signs with the keys that the one before has made, or, where
// none were made in time, with those that signed before; who its nodes are and how long it is was said an interval ago too.
import { type CatchUpPackage, type DkgSummary, type DkgTranscript, dkgTranscript } from "@atoll/consensus";
import { type Height, toHex } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import { ByHeight, type Checker, REMEMBERED_HEIGHTS, Violation } from "./checker.ts";

interface Interval {
  readonly summary: DkgSummary;
  /** That the block of the summary was made with. */
  readonly registryVersion: number;
}

const TAGS = ["low", "high"] as const;

export function keySuccessionChecker(): Checker {
  const intervals = new ByHeight<Interval>(REMEMBERED_HEIGHTS);
  let previous: Interval | undefined;
  const published: Checker["published"] = ({ node, artifact }) => {
    if (!node.isHonest) return;
    if (artifact.kind !== "catch-up-package" || intervals.get(artifact.height) !== undefined) return;
    const interval = intervalOf(artifact);
    if (interval === undefined) return;
    intervals.at(artifact.height, () => interval);
    // Of packages that are published late the one before may be gone: then there is nothing to compare.
    if (previous !== undefined && endOf(previous.summary) === artifact.height) checkSuccession(previous, interval);
    if (artifact.height > (previous?.summary.height ?? -1)) previous = interval;
  };
  return { published };
}

function intervalOf({ block }: CatchUpPackage): Interval | undefined {
  if (block.payload.kind !== "summary") return undefined;
  return { summary: block.payload.summary, registryVersion: block.context.registryVersion };
}

function endOf({ height, intervalLength }: DkgSummary): Height {
  return height + intervalLength + 1;
}

function checkSuccession(before: Interval, { summary }: Interval): void {
  const { height } = summary;
  for (const tag of TAGS) {
    const expected = keyOf(before.summary.next, tag) ?? keyOf(before.summary.current, tag);
    if (textOf(keyOf(summary.current, tag)) !== textOf(expected))
      throw new Violation(11, `from height ${height} on another ${tag} key signs than was agreed`);
    const made = keyOf(summary.next, tag);
    if (made !== undefined && made.dkgId.startHeight !== before.summary.height)
      throw new Violation(11, `the next ${tag} key at height ${height} was not made in the interval before`);
    if (made !== undefined && made.threshold !== thresholdOf(tag, made.receivers.length))
      throw new Violation(11, `${made.threshold} of ${made.receivers.length} shares make a ${tag} signature`);
  }
  if (summary.registryVersion !== before.registryVersion)
    throw new Violation(11, `from height ${height} on registry version ${summary.registryVersion} is in force`);
  if (summary.intervalLength !== before.summary.nextIntervalLength)
    throw new Violation(11, `the interval at height ${height} is ${summary.intervalLength} long`);
}

/** f + 1, and 2f + 1. */
function thresholdOf(tag: (typeof TAGS)[number], nodes: number): number {
  const f = Math.floor((nodes - 1) / 3);
  return tag === "low" ? f + 1 : 2 * f + 1;
}

function keyOf(transcripts: readonly DkgTranscript[], tag: string): DkgTranscript | undefined {
  return transcripts.find(({ dkgId }) => dkgId.tag === tag);
}

function textOf(transcript: DkgTranscript | undefined): string {
  return transcript === undefined ? "" : toHex(encodeWire(dkgTranscript, transcript));
}
