// Chunks of a state that is being fetched, on the disk until all of it is here: memory holds where each lies and nothing
// more. They are found by their hash, so what was fetched for one state serves the next one too, and equal chunks are
// fetched once. What a process leaves is of use to the next one, as far as it is whole: each chunk is behind a head that says
// how long it is and what its hash is. Nothing is synced: what a power cut takes is fetched again.
//
// head = "ACH1", size of the chunk u32, hash, CRC-32 of these u32. Numbers big-endian.
import { chunkHash, fetchedFileName, isFetchedFile, type Sha256 } from "@atoll/state";
import { EnvironmentError, type StoragePort } from "@atoll/types";
import { crc32 } from "@atoll/types/ids";
import { MAX_ANSWER_BYTES } from "./messages.ts";

/** Room for so much garbage is left before everything is given up. */
const SLACK_BYTES = 64 * 1024 * 1024;
const MAGIC = 0x41434831;
const CHECKED_BYTES = 40;
const HEAD_BYTES = 44;

interface Place {
  readonly file: string;
  readonly offset: number;
  readonly size: number;
}

/** A hash as a key of a map: one character a byte. */
export function hashKey(hash: Uint8Array): string {
  return String.fromCharCode(...hash);
}

export class FetchedChunks {
  readonly #storage: StoragePort;
  readonly #sha256: Sha256;
  #places = new Map<string, Place>();
  /** Of files with chunks, those of the process before included. */
  #sizes = new Map<string, number>();
  #number = 0;
  #isOpen = false;

  constructor(storage: StoragePort, sha256: Sha256) {
    this.#storage = storage;
    this.#sha256 = sha256;
  }

  /** Before chunks are looked for: takes in what the process before has left. Throws EnvironmentError. */
  open(): void {
    if (this.#isOpen) return;
    for (const name of this.#storage.list().filter(isFetchedFile)) {
      this.#number = Math.max(this.#number, Number(/\d+/.exec(name)?.[0]) + 1);
      // One that holds nothing is not worth its room.
      if (this.#takeIn(name)) this.#sizes.set(name, this.#storage.size(name) ?? 0);
      else this.#storage.remove(name);
    }
    this.#isOpen = true;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  /** Chunks with their hashes, which have been checked. Throws EnvironmentError; then none of them is kept. */
  add(chunks: readonly { readonly key: string; readonly bytes: Uint8Array }[]): void {
    const fresh = chunks.filter(({ key }) => !this.#places.has(key));
    if (fresh.length === 0) return;
    const file = fetchedFileName(this.#number);
    this.#storage.append(
      file,
      fresh.flatMap(({ key, bytes }) => [headOf(key, bytes.length), bytes]),
    );
    let end = this.#sizes.get(file) ?? 0;
    for (const { key, bytes } of fresh) {
      this.#places.set(key, { file, offset: end + HEAD_BYTES, size: bytes.length });
      end += HEAD_BYTES + bytes.length;
    }
    this.#sizes.set(file, end);
  }

  /** As it was added; undefined: it is not here, or was cut short. */
  read(key: string): Uint8Array | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    const bytes = this.#storage.read(place.file, place.offset, place.size);
    return bytes.length === place.size ? bytes : undefined;
  }

  /** Forgets everything when most of it is not among what is needed any more. */
  tidy(isNeeded: (key: string) => boolean): void {
    let needed = 0;
    for (const [key, { size }] of this.#places) if (isNeeded(key)) needed += size;
    const bytes = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    if (bytes > 2 * needed + SLACK_BYTES) this.clear();
  }

  /** Also what a process before has left. */
  clear(): void {
    this.#places = new Map();
    this.#sizes = new Map();
    this.#isOpen = true;
    try {
      for (const name of this.#storage.list().filter(isFetchedFile)) {
        this.#number = Math.max(this.#number, Number(/\d+/.exec(name)?.[0]) + 1);
        this.#storage.remove(name);
      }
    } catch (error) {
      // The next one removes it.
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }

  /** The chunks of a file that are whole, up to where nothing says how long the next one is; false: there is none. */
  #takeIn(file: string): boolean {
    let hasChunks = false;
    try {
      for (let at = 0; ; ) {
        const head = readHead(this.#storage.read(file, at, HEAD_BYTES));
        if (head === undefined) return hasChunks;
        const bytes = this.#storage.read(file, at + HEAD_BYTES, head.size);
        if (bytes.length === head.size && hashKey(chunkHash(this.#sha256, bytes)) === head.key) {
          this.#places.set(head.key, { file, offset: at + HEAD_BYTES, size: head.size });
          hasChunks = true;
        }
        at += HEAD_BYTES + head.size;
      }
    } catch (error) {
      // A file that the disk does not give must not keep this node from ever fetching a state.
      if (!(error instanceof EnvironmentError)) throw error;
      return hasChunks;
    }
  }
}

function headOf(key: string, size: number): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, size);
  for (let i = 0; i < key.length; i++) head[8 + i] = key.charCodeAt(i);
  view.setUint32(CHECKED_BYTES, crc32(head.subarray(0, CHECKED_BYTES)));
  return head;
}

function readHead(bytes: Uint8Array): { readonly key: string; readonly size: number } | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(4);
  if (view.getUint32(0) !== MAGIC || size > MAX_ANSWER_BYTES) return undefined;
  if (view.getUint32(CHECKED_BYTES) !== crc32(bytes.subarray(0, CHECKED_BYTES))) return undefined;
  return { key: hashKey(bytes.subarray(8, CHECKED_BYTES)), size };
}
