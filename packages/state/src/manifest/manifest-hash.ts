// The hashes of a manifest: chunks make files, files make the table, pieces of the table make the root, which is the
// state hash of a catch-up package. Each kind of thing is hashed behind a name of its own, so that none can pass for
// another. Consensus and chain-key facts, 11.2.

/** Of a file in a chunk, and of the table in a sub-manifest. */
export const CHUNK_BYTES = 1024 * 1024;
/** Version of how files are named and cut. */
export const MANIFEST_VERSION = 1;

export type Sha256 = (data: Uint8Array) => Uint8Array;

const encoder = new TextEncoder();

function separator(name: string): Uint8Array {
  return Uint8Array.from([name.length, ...encoder.encode(name)]);
}

const CHUNK = separator("ic-state-chunk");
const FILE = separator("ic-state-file");
const SUB_MANIFEST = separator("ic-state-sub-manifest");
const META_MANIFEST = separator("ic-state-meta-manifest");

export function chunkHash(sha256: Sha256, chunk: Uint8Array): Uint8Array {
  return hashBehind(sha256, CHUNK, chunk);
}

/** `rows`: number of chunks u32, and per chunk size u32, offset u64, hash. */
export function fileHash(sha256: Sha256, rows: Uint8Array): Uint8Array {
  return hashBehind(sha256, FILE, rows);
}

export function subManifestHash(sha256: Sha256, piece: Uint8Array): Uint8Array {
  return hashBehind(sha256, SUB_MANIFEST, piece);
}

/** `meta`: version u32, number of sub-manifests u32, hash of each. */
export function metaManifestHash(sha256: Sha256, meta: Uint8Array): Uint8Array {
  return hashBehind(sha256, META_MANIFEST, meta);
}

function hashBehind(sha256: Sha256, name: Uint8Array, bytes: Uint8Array): Uint8Array {
  const data = new Uint8Array(name.length + bytes.length);
  data.set(name, 0);
  data.set(bytes, name.length);
  return sha256(data);
}
