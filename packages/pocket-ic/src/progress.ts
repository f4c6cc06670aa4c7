// Automatic progress: a network that moves on by itself, at the pace of the clock or some times as fast. A round follows
// whatever comes in, and the time goes on when nothing does. What PocketIC calls live mode.
import type { ClockPort, Time } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";

export interface ProgressOptions {
  /** Between two rounds when nothing happens, and at least that long when something does; ms of the clock. */
  readonly artificialDelayMs?: number;
  /** How much faster than the clock the time of the network goes. */
  readonly speed?: number;
}

/** What moves. */
export interface ProgressTarget {
  /** One round, `ns` after the last one at the least. */
  moveOn(ns: bigint): Promise<void>;
}

const IDLE_MS = 100;
const PRECISION = 1_000;

export class Progress {
  readonly #target: ProgressTarget;
  readonly #clock: ClockPort;
  readonly #timer: TimerPort;
  readonly #delayMs: number;
  readonly #speed: bigint;
  #last: Time;
  #isStopped = false;
  #hasWork = false;
  #wake: (() => void) | undefined;
  #ended: Promise<void>;

  constructor(target: ProgressTarget, ports: { clock: ClockPort; timer: TimerPort }, options: ProgressOptions) {
    this.#target = target;
    this.#clock = ports.clock;
    this.#timer = ports.timer;
    this.#delayMs = options.artificialDelayMs ?? 0;
    this.#speed = BigInt(Math.round((options.speed ?? 1) * PRECISION));
    this.#last = ports.clock.now();
    this.#ended = this.#loop();
  }

  /** Rejects when a round failed; resolves when progress was stopped. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Something waits for a round. */
  hasWork(): void {
    this.#hasWork = true;
    if (this.#delayMs === 0) this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    await this.#ended.catch(() => undefined);
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      const now = this.#clock.now();
      const elapsed = now > this.#last ? now - this.#last : 0n;
      this.#last = now;
      this.#hasWork = false;
      await this.#target.moveOn((elapsed * this.#speed) / BigInt(PRECISION));
      await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const isBusy = this.#hasWork && this.#delayMs === 0;
      let cancel = (): void => undefined;
      const done = (): void => {
        cancel();
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      if (this.#isStopped) done();
      else cancel = this.#timer.after(isBusy ? 0 : Math.max(this.#delayMs, IDLE_MS), done);
    });
  }
}
