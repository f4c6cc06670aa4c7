// The manifest of a checkpoint: which files it has, as bytes that are cut into sub-manifests, and the root over them.
// Who knows the root can check each piece on its own, whoever it came from. Consensus and chain-key facts, 11.2.
//
// table = per file, in the order of paths: length of the path u16, path, entry (file-entry.ts).
// meta-manifest = version u32, number of sub-manifests u32, hash of each: 32 bytes.

import { MAX_REGION_BYTES } from "../store/checkpoint-view.ts";
import { viewOf } from "../store/integrity.ts";
import { chunkCount, entryLength, type FileEntry, META_PATH, memoryOfPath, rowsOf } from "./file-entry.ts";
import { CHUNK_BYTES, MANIFEST_VERSION, metaManifestHash, type Sha256, subManifestHash } from "./manifest-hash.ts";

export interface Manifest {
  /** The state hash. */
  readonly root: Uint8Array;
  readonly metaManifest: Uint8Array;
  readonly table: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const META_HEAD_BYTES = 8;
/** A state of many terabytes has as many. */
const MAX_SUB_MANIFESTS = 4096;
export const MAX_META_MANIFEST_BYTES = META_HEAD_BYTES + 32 * MAX_SUB_MANIFESTS;

/** `paths`: sorted. */
export function manifestOf(paths: readonly string[], files: ReadonlyMap<string, FileEntry>, sha256: Sha256): Manifest {
  const names = paths.map((path) => encoder.encode(path));
  const entries = paths.map((path) => files.get(path) as FileEntry);
  const size = names.reduce((sum, name, i) => sum + 2 + name.length + (entries[i] as FileEntry).length, 0);
  const table = new Uint8Array(size);
  const view = viewOf(table);
  let at = 0;
  for (const [i, name] of names.entries()) {
    view.setUint16(at, name.length);
    table.set(name, at + 2);
    table.set(entries[i] as FileEntry, at + 2 + name.length);
    at += 2 + name.length + (entries[i] as FileEntry).length;
  }
  return manifestOfTable(table, sha256);
}

export function manifestOfTable(table: Uint8Array, sha256: Sha256): Manifest {
  const count = Math.ceil(table.length / CHUNK_BYTES);
  const metaManifest = new Uint8Array(META_HEAD_BYTES + 32 * count);
  viewOf(metaManifest).setUint32(0, MANIFEST_VERSION);
  viewOf(metaManifest).setUint32(4, count);
  for (let i = 0; i < count; i++) {
    metaManifest.set(subManifestHash(sha256, subManifest(table, i)), META_HEAD_BYTES + 32 * i);
  }
  return { root: metaManifestHash(sha256, metaManifest), metaManifest, table };
}

export function subManifest(table: Uint8Array, i: number): Uint8Array {
  return table.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
}

/** The hashes of the sub-manifests; undefined: these bytes are no meta-manifest that this program understands. */
export function subManifestHashes(metaManifest: Uint8Array): Uint8Array[] | undefined {
  if (metaManifest.length < META_HEAD_BYTES || metaManifest.length > MAX_META_MANIFEST_BYTES) return undefined;
  const view = viewOf(metaManifest);
  const count = view.getUint32(4);
  if (view.getUint32(0) !== MANIFEST_VERSION || count === 0 || metaManifest.length !== META_HEAD_BYTES + 32 * count)
    return undefined;
  return Array.from({ length: count }, (_, i) => metaManifest.subarray(META_HEAD_BYTES + 32 * i).subarray(0, 32));
}

/** The files by path, in order; undefined: the bytes are no table, though their hash may be right. */
export function filesOf(table: Uint8Array, sha256: Sha256): Map<string, FileEntry> | undefined {
  const files = new Map<string, FileEntry>();
  let last = "";
  for (let at = 0; at < table.length; ) {
    if (at + 2 > table.length) return undefined;
    const pathEnd = at + 2 + viewOf(table).getUint16(at);
    const path = decodePath(table.subarray(at + 2, pathEnd));
    const rest = table.subarray(pathEnd);
    const length = entryLength(rest, sha256);
    if (path === undefined || path <= last || length === undefined) return undefined;
    const entry = rest.subarray(0, length);
    if (!isWellFormed(path, entry)) return undefined;
    files.set(path, entry);
    last = path;
    at = pathEnd + length;
  }
  return files.has(META_PATH) ? files : undefined;
}

function decodePath(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Chunks of a record lie side by side; those of a memory come in order and are no larger than a region. */
function isWellFormed(path: string, entry: FileEntry): boolean {
  const isMemory = memoryOfPath(path) !== undefined;
  const last = chunkCount(entry) - 1;
  let next = 0;
  let i = 0;
  for (const { size, offset } of rowsOf(entry)) {
    if (!Number.isSafeInteger(offset) || offset % CHUNK_BYTES !== 0 || offset < next || size === 0) return false;
    if (isMemory) {
      if (size > MAX_REGION_BYTES) return false;
    } else if (offset !== next || size > CHUNK_BYTES || (i < last && size !== CHUNK_BYTES)) return false;
    next = offset + CHUNK_BYTES;
    i++;
  }
  return true;
}
