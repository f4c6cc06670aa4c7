// A rate with some slack: what one peer may have of something per second. Refilled when time comes in, so that nothing
// here needs a clock. Section 21, quotas per peer.
import { type Nanoseconds, SECOND } from "./limits.ts";

export class Quota {
  readonly #rate: number;
  readonly #burst: number;
  #left: number;
  #at: Nanoseconds | undefined;

  /** `burst`: what can be had at once after a pause; at least the largest single amount. */
  constructor(ratePerSecond: number, burst: number) {
    this.#rate = ratePerSecond;
    this.#burst = burst;
    this.#left = burst;
  }

  refill(now: Nanoseconds): void {
    if (this.#at !== undefined && now > this.#at) {
      this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) * this.#rate) / SECOND);
    }
    this.#at = now;
  }

  has(amount: number): boolean {
    return amount <= this.#left;
  }

  /** False: not now. */
  take(amount: number): boolean {
    if (!this.has(amount)) return false;
    this.#left -= amount;
    return true;
  }

  /** How long until `amount` can be had. */
  wait(amount: number): Nanoseconds {
    const missing = Math.max(0, Math.min(amount, this.#burst) - this.#left);
    return Math.ceil((missing * SECOND) / this.#rate);
  }
}
