// The log lines of one execution, newest kept: what `debug_print` and traps add to the canister's log, and what
// there is still room for, which decides what printing costs. Instruction costs, section 4; checklist 6.5.

/** What a record counts for beside its text. */
export const LOG_RECORD_BYTES = 40;
/** The most that one execution keeps, whatever the canister's own limit. */
const MAX_DELTA_BYTES = 2 * 1024 * 1024;
/** Instructions for each byte that is carried from the execution to the canister's log. */
const TRANSMISSION_FACTOR = 50;

export class LogDelta {
  /** Lines before the first of `kept` that had to go. */
  dropped = 0;
  #lines: Uint8Array[] = [];
  #used = 0;
  #first = 0;
  readonly #capacity: number;

  /** `logBytes`: size of the canister's log. */
  constructor(logBytes: number) {
    this.#capacity = Math.min(logBytes, MAX_DELTA_BYTES);
  }

  /** Instructions for a line of `bytes` bytes, beside what the system call itself costs. */
  charge(bytes: number): number {
    const remaining = Math.max(0, this.#capacity - this.#used);
    return 2 * Math.min(bytes, this.#capacity) + TRANSMISSION_FACTOR * Math.min(bytes, remaining);
  }

  /** Takes a copy. */
  add(text: Uint8Array): void {
    const line = text.slice(0, Math.max(0, this.#capacity - LOG_RECORD_BYTES));
    const size = line.length + LOG_RECORD_BYTES;
    while (this.#used + size > this.#capacity && this.#first < this.#lines.length) this.#dropOldest();
    this.#used += size;
    this.#lines.push(line);
    // Moving the rest down for each dropped line would be quadratic.
    if (this.#first > 1000 && this.#first * 2 > this.#lines.length) this.#forget();
  }

  /** In order. The newest is among them even when it is larger than the log. */
  kept(): readonly Uint8Array[] {
    this.#forget();
    return this.#lines;
  }

  #dropOldest(): void {
    this.#used -= (this.#lines[this.#first++] as Uint8Array).length + LOG_RECORD_BYTES;
    this.dropped++;
  }

  #forget(): void {
    if (this.#first > 0) this.#lines = this.#lines.slice(this.#first);
    this.#first = 0;
  }
}
