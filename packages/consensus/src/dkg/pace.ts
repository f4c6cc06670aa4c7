// Making, checking and reading dealings takes a tenth of a second each, and all nodes begin with it at the same time, when a
// summary block is final. One after the other it would hold up the rounds for seconds, again in each interval: so it is spread
// over the interval, where there is room for it. Section 12.3 sets no time but the end of the interval.
import type { Instant } from "../pool.ts";
import type { RoleContext } from "../role-context.ts";
import { latestFinalizedSummary } from "./registry-version.ts";

/** Rounds in which everything can be done at leisure; of a shorter interval none is to be lost. */
const LONG_INTERVAL = 50;
/** Between two pieces of work in a long interval, and in a short one: other roles get their turn. In ns. */
const LEISURE = 300_000_000n;
const TURN = 1_000_000n;

/** One for each role that works on dealings. */
export class Pace {
  #last: Instant | undefined;

  /** Whether the next piece of work may begin now; else the role is asked again when it may. */
  allows(context: RoleContext): boolean {
    const { now, wakeAt } = context;
    const last = this.#last;
    if (last === undefined) return true;
    const { intervalLength } = latestFinalizedSummary(context.pool).payload.summary;
    const pause = intervalLength >= LONG_INTERVAL ? LEISURE : TURN;
    if (now.monotonic - last.monotonic >= pause) return true;
    wakeAt({ wall: last.wall + pause, monotonic: last.monotonic + pause });
    return false;
  }

  /** A piece of work was done. */
  note({ now }: RoleContext): void {
    this.#last = now;
  }
}
