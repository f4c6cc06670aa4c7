// Chunks of a state that is being fetched, on the disk until all of it is here: memory holds where each lies and nothing
// more. They are found by their hash, so what was fetched for one state serves the next one too, and equal chunks are
// fetched once. The file does not outlast the process.
import { fetchedFileName, isFetchedFile } from "@atoll/state";
import { EnvironmentError, type StoragePort } from "@atoll/types";

/** Room for so much garbage is left before everything is given up. */
const SLACK_BYTES = 64 * 1024 * 1024;

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** A hash as a key of a map: one character a byte. */
export function hashKey(hash: Uint8Array): string {
  return String.fromCharCode(...hash);
}

export class FetchedChunks {
  readonly #storage: StoragePort;
  #places = new Map<string, Place>();
  #number = 0;
  #bytes = 0;

  /** Removes what another process has left. */
  constructor(storage: StoragePort) {
    this.#storage = storage;
    for (const name of storage.list()) if (isFetchedFile(name)) storage.remove(name);
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  /** Chunks with their hashes, which have been checked. Throws EnvironmentError; then none of them is kept. */
  add(chunks: readonly { readonly key: string; readonly bytes: Uint8Array }[]): void {
    const fresh = chunks.filter(({ key }) => !this.#places.has(key));
    if (fresh.length === 0) return;
    this.#storage.append(
      this.#name,
      fresh.map(({ bytes }) => bytes),
    );
    for (const { key, bytes } of fresh) {
      this.#places.set(key, { offset: this.#bytes, size: bytes.length });
      this.#bytes += bytes.length;
    }
  }

  /** As it was added; undefined: it is not here, or was cut short. */
  read(key: string): Uint8Array | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    const bytes = this.#storage.read(this.#name, place.offset, place.size);
    return bytes.length === place.size ? bytes : undefined;
  }

  /** Forgets everything when most of it is not among what is needed any more. */
  tidy(isNeeded: (key: string) => boolean): void {
    let needed = 0;
    for (const [key, { size }] of this.#places) if (isNeeded(key)) needed += size;
    if (this.#bytes > 2 * needed + SLACK_BYTES) this.clear();
  }

  clear(): void {
    if (this.#bytes === 0) return;
    const name = this.#name;
    this.#places = new Map();
    this.#bytes = 0;
    this.#number++;
    try {
      this.#storage.remove(name);
    } catch (error) {
      // The next start removes it.
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }

  get #name(): string {
    return fetchedFileName(this.#number);
  }
}
