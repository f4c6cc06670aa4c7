// What happened in a run, as one running hash: the same seed and the same commit give the same one, and two runs that
// differ anywhere differ in it. The last lines are kept for whoever has to understand a failure. Section 22.

/** Lines that are kept: few enough to be forgotten while a collection of garbage still looks at young objects alone. */
const KEPT_LINES = 256;

export class EventLog {
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #count = 0;
  readonly #kept: string[] = [];
  readonly #keptTimes = new Float64Array(KEPT_LINES);
  readonly #tell: ((line: string) => void) | undefined;

  /** `tell`: is given each line as it comes. */
  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }

  /** `timeNs`: virtual time since the start. */
  add(timeNs: number, what: string): void {
    this.#mix(timeNs, what);
    const place = this.#count++ % KEPT_LINES;
    this.#kept[place] = what;
    this.#keptTimes[place] = timeNs;
    this.#tell?.(lineOf(timeNs, what));
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
    return Array.from({ length: this.#count - from }, (_, i) => {
      const place = (from + i) % KEPT_LINES;
      return lineOf(this.#keptTimes[place] as number, this.#kept[place] as string);
    });
  }

  #mix(timeNs: number, what: string): void {
    let a = this.#a ^ what.length ^ Math.imul(timeNs | 0, 597399067);
    let b = this.#b ^ (timeNs / 2 ** 32);
    for (let i = 0; i < what.length; i++) {
      const code = what.charCodeAt(i);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
      a ^= b >>> 13;
    }
    this.#a = Math.imul(a ^ (a >>> 16), 2246822507) ^ (b >>> 13);
    this.#b = Math.imul(b ^ (b >>> 16), 3266489909) ^ (a >>> 16);
  }
}

function lineOf(timeNs: number, what: string): string {
  return `${(timeNs / 1e6).toFixed(3)} ${what}`;
}

/** Short mark of bytes, to tell frames apart in the log. */
export function markOf(bytes: Uint8Array): string {
  let hash = bytes.length;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const low = (bytes[i] as number) | ((bytes[i + 1] as number) << 8);
    const high = (bytes[i + 2] as number) | ((bytes[i + 3] as number) << 8);
    hash = Math.imul(hash ^ low ^ (high << 16), 2654435761);
    hash ^= hash >>> 15;
  }
  for (let i = whole; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 2654435761) ^ (hash >>> 15);
  return (hash >>> 0).toString(16);
}

/** The same of a text. */
export function markOfText(text: string): string {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 2654435761) ^ (hash >>> 15);
  return (hash >>> 0).toString(16);
}
