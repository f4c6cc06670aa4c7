// What happened in a run, as one running hash: the same seed and the same commit give the same one, and two runs that
// differ anywhere differ in it. The last lines are kept for whoever has to understand a failure. Section 22.

/** Lines that are kept. */
const KEPT_LINES = 4000;

export class EventLog {
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #count = 0;
  readonly #lines: string[] = [];
  readonly #tell: ((line: string) => void) | undefined;

  /** `tell`: is given each line as it comes. */
  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }

  /** `timeNs`: virtual time since the start. */
  add(timeNs: number, what: string): void {
    const line = `${(timeNs / 1e6).toFixed(3)} ${what}`;
    this.#mix(line);
    this.#lines[this.#count++ % KEPT_LINES] = line;
    this.#tell?.(line);
  }

  get count(): number {
    return this.#count;
  }

  /** Of everything so far: 16 hexadecimal digits. No secret depends on it, so it need not be a cryptographic one. */
  get hash(): string {
    return [this.#a, this.#b].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The last lines, oldest first. */
  last(count: number): string[] {
    const from = Math.max(0, this.#count - Math.min(count, KEPT_LINES));
    return Array.from({ length: this.#count - from }, (_, i) => this.#lines[(from + i) % KEPT_LINES] as string);
  }

  #mix(line: string): void {
    let [a, b] = [this.#a ^ line.length, this.#b];
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
      a ^= b >>> 13;
    }
    this.#a = Math.imul(a ^ (a >>> 16), 2246822507) ^ (b >>> 13);
    this.#b = Math.imul(b ^ (b >>> 16), 3266489909) ^ (a >>> 16);
  }
}

/** Short mark of bytes, to tell frames apart in the log. */
export function markOf(bytes: Uint8Array): string {
  let hash = bytes.length;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 2654435761) ^ (hash >>> 15);
  return (hash >>> 0).toString(16);
}
