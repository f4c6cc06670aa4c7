// Making, checking and reading dealings takes a tenth of a second each, and all nodes begin with it at the same time, when a
// summary block is final. One after the other it would hold up the rounds for seconds, again in each interval: so it is spread
// over the interval, where there is room for it. Section 12.3 sets no time but the end of the interval.
import type { DkgSummary } from "../dkg-types.ts";
import type { Instant } from "../pool.ts";
import type { RoleContext } from "../role-context.ts";
import { latestFinalizedSummary } from "./registry-version.ts";

/** Between two pieces of work: other roles get their turn. In ns. */
const TURN = 1_000_000n;
/** The same where there is time enough. In ns. */
const LEISURE = 300_000_000n;
/** So many rounds take that long at least: an interval that has as many for each piece of work can be worked through at leisure. */
const ROUNDS_OF_LEISURE = 10;

/** One for a node: the roles that work on dealings have it in common. */
export class Pace {
  #last: Instant | undefined;

  /** Whether the next piece of work may begin now; else the role is asked again when it may. */
  allows(context: RoleContext): boolean {
    const { now, wakeAt } = context;
    const last = this.#last;
    if (last === undefined) return true;
    const pause = hasTime(latestFinalizedSummary(context.pool).payload.summary) ? LEISURE : TURN;
    if (now.monotonic - last.monotonic >= pause) return true;
    wakeAt({ wall: last.wall + pause, monotonic: last.monotonic + pause });
    return false;
  }

  /** A piece of work was done. */
  note({ now }: RoleContext): void {
    this.#last = now;
  }
}

/** Of each key some dealings are checked, one is made, and the transcript is loaded. */
function hasTime({ configs, intervalLength }: DkgSummary): boolean {
  const pieces = configs.reduce((sum, { collectionThreshold }) => sum + collectionThreshold + 2, 0);
  return intervalLength >= pieces * ROUNDS_OF_LEISURE;
}
