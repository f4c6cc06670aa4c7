// The clocks of one node, which may go fast or slow, jump, or stand still: the wall clock and the monotonic one each by
// itself. As in a real node the wall clock is kept from going back. A delay has passed when either of them says so
// (section 5.1), so one faulty clock must not stop a node, nor f of them a subnet.
import type { Instant } from "@atoll/consensus";
import type { Time } from "@atoll/types";
import type { Scheduler, VirtualTime } from "./scheduler.ts";

/** Wall-clock time at the start of every run: 2026-01-01T00:00:00Z. */
export const WALL_START: Time = 1_767_225_600_000_000_000n;

/** A clock is a straight line until its next fault. */
interface Line {
  readonly since: VirtualTime;
  readonly value: number;
  readonly rate: number;
}

export type ClockName = "wall" | "monotonic";

/** When a clock stands still its node looks again after so long. */
const STALLED_POLL_NS = 200_000_000;

export class SimClock {
  readonly #scheduler: Scheduler;
  readonly #lines: Record<ClockName, Line>;
  #highestWall: Time = 0n;
  /** What it shows, and the monotonic clock by itself, until time goes on or something happens to it: a node looks often. */
  #shown: Instant | undefined;
  #monotonic: Time | undefined;
  #shownAt: VirtualTime = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    const line = { since: scheduler.now, value: scheduler.now, rate: 1 };
    this.#lines = { wall: line, monotonic: line };
  }

  now(): Instant {
    const monotonic = this.monotonic();
    if (this.#shown !== undefined) return this.#shown;
    const wall = WALL_START + BigInt(this.#read("wall"));
    if (wall > this.#highestWall) this.#highestWall = wall;
    this.#shown = { wall: this.#highestWall, monotonic };
    return this.#shown;
  }

  monotonic(): Time {
    if (this.#monotonic !== undefined && this.#shownAt === this.#scheduler.now) return this.#monotonic;
    this.#forget();
    this.#shownAt = this.#scheduler.now;
    this.#monotonic = BigInt(this.#read("monotonic"));
    return this.#monotonic;
  }

  /** Virtual time until the monotonic clock shows `monotonic`, as far as can be told now. */
  delayUntil(monotonic: Time): number {
    const { rate } = this.#lines.monotonic;
    const left = Number(monotonic) - this.#read("monotonic");
    if (left <= 0) return 0;
    return rate === 0 ? STALLED_POLL_NS : Math.ceil(left / rate);
  }

  /** 1: as time goes; 0: stands still. */
  setRate(clock: ClockName, rate: number): void {
    this.#lines[clock] = { since: this.#scheduler.now, value: this.#read(clock), rate };
    this.#forget();
  }

  /** The monotonic clock never goes back. */
  jump(clock: ClockName, byNs: number): void {
    if (clock === "monotonic" && byNs < 0) throw new RangeError("a monotonic clock does not go back");
    const { rate } = this.#lines[clock];
    this.#lines[clock] = { since: this.#scheduler.now, value: this.#read(clock) + byNs, rate };
    this.#forget();
  }

  /** Both go as time goes from now on, and the wall clock shows the right time (once that is not going back). */
  heal(): void {
    const { now } = this.#scheduler;
    this.#lines.wall = { since: now, value: now, rate: 1 };
    this.setRate("monotonic", 1);
  }

  /** A new process: its monotonic clock begins anew, and nothing is known of the wall clock's past. */
  restart(): void {
    const { rate } = this.#lines.monotonic;
    this.#lines.monotonic = { since: this.#scheduler.now, value: 0, rate };
    this.#highestWall = 0n;
    this.#forget();
  }

  #forget(): void {
    this.#shown = undefined;
    this.#monotonic = undefined;
  }

  #read(clock: ClockName): number {
    const { since, value, rate } = this.#lines[clock];
    return Math.floor(value + (this.#scheduler.now - since) * rate);
  }
}
