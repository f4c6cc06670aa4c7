// The manifest of a checkpoint on the disk, beside the checkpoint: a start need not hash the whole state again, and other
// nodes are given the manifest from here. It proves itself, as its hashes lead to the root; what does not is made anew.
//
// file = "ATOLLHSH", version u32, height u64, root, length of the table u64, table. Numbers big-endian.
import {
  CHUNK_BYTES,
  hashesFileHeight,
  hashesFileName,
  type Manifest,
  manifestOfTable,
  type Sha256,
} from "@atoll/state";
import type { Height, StoragePort } from "@atoll/types";

const LETTERS = new TextEncoder().encode("ATOLLHSH");
const VERSION = 1;
const HEAD_BYTES = 60;

/** A manifest that other nodes can be given. */
export interface KeptManifest {
  readonly root: Uint8Array;
  readonly metaManifest: Uint8Array;
  /** Bytes of the table; 0: it could not be written, and nobody is given any of it. */
  readonly tableBytes: number;
}

/** Writes the file and removes those of all heights but `keep`. Throws EnvironmentError. */
export function writeHashes(storage: StoragePort, height: Height, { root, table }: Manifest, keep?: Height): void {
  removeHashes(storage, (other) => other !== keep);
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  head.set(LETTERS);
  view.setUint32(8, VERSION);
  view.setBigUint64(12, BigInt(height));
  head.set(root, 20);
  view.setBigUint64(52, BigInt(table.length));
  storage.append(hashesFileName(height), [head, table]);
  storage.sync(hashesFileName(height));
}

export function removeHashes(storage: StoragePort, isDue: (height: Height) => boolean): void {
  for (const name of storage.list()) {
    const height = hashesFileHeight(name);
    if (height !== undefined && isDue(height)) storage.remove(name);
  }
}

/** The manifest of a checkpoint, if the whole of it is there. */
export function readHashes(storage: StoragePort, height: Height, sha256: Sha256): Manifest | undefined {
  const name = hashesFileName(height);
  const size = storage.size(name) ?? 0;
  if (size < HEAD_BYTES) return undefined;
  const bytes = storage.read(name, 0, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (LETTERS.some((letter, i) => bytes[i] !== letter) || view.getUint32(8) !== VERSION) return undefined;
  if (view.getBigUint64(12) !== BigInt(height) || view.getBigUint64(52) !== BigInt(size - HEAD_BYTES)) return undefined;
  const manifest = manifestOfTable(bytes.subarray(HEAD_BYTES), sha256);
  return manifest.root.every((byte, i) => byte === bytes[20 + i]) ? manifest : undefined;
}

/** One sub-manifest, not checked: whoever gets it has its hash. */
export function readSubManifest(
  storage: StoragePort,
  height: Height,
  part: number,
  of: KeptManifest,
): Uint8Array | undefined {
  const offset = part * CHUNK_BYTES;
  if (offset >= of.tableBytes) return undefined;
  return storage.read(hashesFileName(height), HEAD_BYTES + offset, Math.min(CHUNK_BYTES, of.tableBytes - offset));
}
