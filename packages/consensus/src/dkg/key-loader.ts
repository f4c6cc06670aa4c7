// Gets this node's shares out of the transcripts that sign now and next, in the background of the rounds: a share that cannot
// be had yet is asked for again, and nobody waits for it; a node without shares follows without signing. Shares of
// transcripts that are no longer named are forgotten. Section 12.7.
import type { DkgTranscript } from "../dkg-types.ts";
import type { Role, RoleContext } from "../role-context.ts";
import { dkgKey } from "./dkg-keys.ts";
import type { Pace } from "./pace.ts";
import { finalizedSummaries, latestFinalizedSummary } from "./registry-version.ts";

const FIRST_RETRY = 1_000_000_000n;
const LAST_RETRY = 60_000_000_000n;

/** One instance per node: it remembers what it has loaded. It changes nothing in the pool. */
export function keyLoader(pace: Pace): Role {
  const loaded = new Set<string>();
  const failed = new Map<string, { readonly next: bigint; readonly delay: bigint }>();
  let wanted: readonly DkgTranscript[] = [];
  const watch = failureWatch();
  return (context) => {
    watch(context);
    const { current, next, named } = transcripts(context);
    if (named.length !== wanted.length || named.some((transcript, i) => transcript !== wanted[i])) {
      wanted = named;
      context.crypto.retainTranscripts(named.map(({ dkgId }) => dkgId));
      forget(loaded, failed, named);
    }
    const due = (transcript: DkgTranscript) => {
      const key = dkgKey(transcript.dkgId);
      return (
        transcript.receivers.includes(context.self) &&
        !loaded.has(key) &&
        (failed.get(key)?.next ?? 0n) <= context.now.monotonic
      );
    };
    const load = (transcript: DkgTranscript) => {
      const key = dkgKey(transcript.dkgId);
      pace.note(context);
      if (context.crypto.loadTranscript(transcript)) {
        loaded.add(key);
        failed.delete(key);
        return;
      }
      const delay = min(2n * (failed.get(key)?.delay ?? FIRST_RETRY / 2n), LAST_RETRY);
      failed.set(key, { next: context.now.monotonic + delay, delay });
      context.note({
        kind: "dkg",
        height: transcript.dkgId.startHeight,
        what: `no share of the ${transcript.dkgId.tag} key yet`,
      });
    };
    current.filter(due).forEach(load);
    // What signs already is loaded at once.
    for (const transcript of next.filter(due)) if (pace.allows(context)) load(transcript);
    wakeForFailed(context, failed);
    return [];
  };
}

/** An interval that made no key only delays a change; several in a row are something that operators have to look at. */
function failureWatch(): (context: RoleContext) => void {
  let seen = -1;
  let failures = 0;
  return ({ pool, note }) => {
    const { height, next, configs } = latestFinalizedSummary(pool).payload.summary;
    if (height === seen) return;
    // The package that a node begins with is no news.
    const isFirst = seen < 0;
    seen = height;
    const missing = (["low", "high"] as const).filter((tag) => !next.some(({ dkgId }) => dkgId.tag === tag));
    if (isFirst || missing.length === 0) {
      failures = 0;
      return;
    }
    failures++;
    note({ kind: "dkg", height, what: `no new ${missing.join(" and ")} key in the interval before` });
    if (failures > 1)
      note({
        kind: "alarm",
        what: `${failures} intervals in a row made not all keys (${configs.length} are tried now)`,
      });
  };
}

interface Named {
  /** Sign in the intervals of the newest package and of final summaries after it. */
  readonly current: readonly DkgTranscript[];
  /** Sign in the intervals after these. */
  readonly next: readonly DkgTranscript[];
  readonly named: readonly DkgTranscript[];
}

function transcripts({ pool }: RoleContext): Named {
  const summaries = finalizedSummaries(pool).map(({ payload }) => payload.summary);
  const current = summaries.flatMap((summary) => summary.current);
  const next = summaries.flatMap((summary) => summary.next);
  return { current, next, named: [...current, ...next] };
}

function forget(loaded: Set<string>, failed: Map<string, unknown>, named: readonly DkgTranscript[]): void {
  const kept = new Set(named.map(({ dkgId }) => dkgKey(dkgId)));
  for (const key of loaded) if (!kept.has(key)) loaded.delete(key);
  for (const key of failed.keys()) if (!kept.has(key)) failed.delete(key);
}

function wakeForFailed({ now, wakeAt }: RoleContext, failed: ReadonlyMap<string, { readonly next: bigint }>): void {
  for (const { next } of failed.values()) wakeAt({ wall: now.wall + (next - now.monotonic), monotonic: next });
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
