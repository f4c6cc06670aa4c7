// The mark beside the batch log: up to which height the log is known to be durable. It is written after each sync
// of the log and before the sync is answered, and is itself not synced: after `kill -9` it is exact, after a power
// cut it may lag, and it never runs ahead. So it can always be trusted as a lower bound, and losing it, or any bit
// of it, costs no batch. It is how a truncated log is told from one that a crash cut short.
//
// entry = magic u32, one more than the synced height u64, CRC-32 of the 12 bytes before it u32; the last intact
// entry counts.
import { EnvironmentError } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";
import { type Crc32, readUint53, viewOf, writeUint53 } from "./integrity.ts";

export const LOG_MARK_FILE = "log-mark";
const ENTRY_BYTES = 16;
const ENTRY_MAGIC = 0x41_54_4c_4d;
const MAX_FILE_BYTES = 64 * 1024;

/** One more than the last height that the mark knows to be durable, 0 when it knows nothing. */
export function readLogMark(storage: StoragePort, crc: Crc32): number {
  const size = storage.size(LOG_MARK_FILE);
  if (size === undefined) return 0;
  const bytes = storage.read(LOG_MARK_FILE, 0, Math.min(size, 2 * MAX_FILE_BYTES));
  const view = viewOf(bytes);
  for (let offset = Math.floor(bytes.length / ENTRY_BYTES) * ENTRY_BYTES - ENTRY_BYTES; offset >= 0; ) {
    const intact =
      view.getUint32(offset) === ENTRY_MAGIC &&
      view.getUint32(offset + 12) === crc(bytes.subarray(offset, offset + 12));
    if (intact) return readUint53(view, offset + 4);
    offset -= ENTRY_BYTES;
  }
  return 0;
}

export class LogMark {
  readonly #storage: StoragePort;
  readonly #crc: Crc32;
  /** Size of the file, or undefined when it must be written anew. */
  #size: number | undefined;

  constructor(storage: StoragePort, crc: Crc32) {
    this.#storage = storage;
    this.#crc = crc;
  }

  /**
   * Notes that everything below `next` is durable. A failure of the disk is passed over: the batches are safe
   * without the mark, and an answer must not wait for a file that only sharpens the diagnosis.
   */
  write(next: number): void {
    const entry = new Uint8Array(ENTRY_BYTES);
    const view = viewOf(entry);
    view.setUint32(0, ENTRY_MAGIC);
    writeUint53(view, 4, next);
    view.setUint32(12, this.#crc(entry.subarray(0, 12)));
    try {
      if (this.#size === undefined || this.#size >= MAX_FILE_BYTES) {
        this.#size = undefined;
        this.#storage.replace(LOG_MARK_FILE, entry);
        this.#size = ENTRY_BYTES;
      } else {
        this.#storage.append(LOG_MARK_FILE, [entry]);
        this.#size += ENTRY_BYTES;
      }
    } catch (error) {
      this.#size = undefined;
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }

  /** Makes the mark itself survive a power cut; for an orderly end. */
  sync(): void {
    if (this.#size !== undefined) this.#storage.sync(LOG_MARK_FILE);
  }

  remove(): void {
    this.#size = undefined;
    if (this.#storage.size(LOG_MARK_FILE) !== undefined) this.#storage.remove(LOG_MARK_FILE);
  }
}
