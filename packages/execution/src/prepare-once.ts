// The same module is often installed in many canisters, and preparing it (unpack, validate, rewrite) takes a hundred
// times as long as hashing it. So the last modules are kept as they were prepared. This only saves work: what a module
// prepares to, and what the canister is charged for it, depend on its bytes alone.
import { type PreparationResult, type PreparedModule, prepareModule } from "@atoll/embedder";
import { type CryptoPort, toHex } from "@atoll/types";

const MAX_KEPT_BYTES = 64 * 1024 * 1024;

/** Least recently used first. */
const KEPT = new Map<string, PreparedModule>();
let keptBytes = 0;

export function prepareOnce(uploaded: Uint8Array, crypto: Pick<CryptoPort, "sha256">): PreparationResult {
  const hash = toHex(crypto.sha256(uploaded));
  const known = KEPT.get(hash);
  if (known !== undefined) {
    KEPT.delete(hash);
    KEPT.set(hash, known);
    return { ok: true, module: known };
  }
  const prepared = prepareModule(uploaded, crypto);
  if (prepared.ok) keep(prepared.module);
  return prepared;
}

function keep(module: PreparedModule): void {
  KEPT.set(module.stored.hash, module);
  keptBytes += bytesOf(module);
  for (const [hash, oldest] of KEPT) {
    if (keptBytes <= MAX_KEPT_BYTES) break;
    KEPT.delete(hash);
    keptBytes -= bytesOf(oldest);
  }
}

function bytesOf({ stored }: PreparedModule): number {
  return stored.uploaded.length + stored.prepared.length;
}
