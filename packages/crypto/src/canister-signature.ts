// Canister signatures (interface specification, "Canister signatures"): a canister signs by putting the hash of the
// message into a tree and the root of that tree into its certified data; the signature is the certificate and the tree.
import {
  type CanisterId,
  CborError,
  type CryptoPort,
  decodeCertificate,
  type HashTree,
  hashTreeFromCbor,
  isWellFormed,
  principalToBytes,
  principalToText,
  startsSelfDescribed,
  toHex,
  tryDecodeCbor,
} from "@atoll/types";
import { type SignatureCache, verifyCertificate } from "./certificate.ts";
import { equalBytes } from "./domain.ts";
import { lookupPath, reconstructRoot } from "./hash-tree.ts";

export interface CanisterSignatureCheck {
  readonly crypto: CryptoPort;
  /** DER keys of the root subnets to trust, tried in this order: our own, and for local networks mainnet's. */
  readonly rootKeys: readonly Uint8Array[];
  readonly cache?: SignatureCache;
}

/** Undefined when `signature` is one by this canister and seed over `message`; else what is wrong. */
export function verifyCanisterSignature(
  key: { readonly canisterId: CanisterId; readonly seed: Uint8Array },
  message: Uint8Array,
  signature: Uint8Array,
  check: CanisterSignatureCheck,
): string | undefined {
  const parsed = parseSignature(signature);
  if (typeof parsed === "string") return parsed;
  const { sha256 } = check.crypto;
  const { certificate, tree } = parsed;
  const leaf = lookupPath(tree, [SIG, sha256(key.seed), sha256(message)]);
  if (leaf.status !== "found" || leaf.value.length > 0) {
    return `the signature tree doesn't contain sig/${toHex(sha256(key.seed))}/${toHex(sha256(message))} path`;
  }
  const certified = lookupPath(certificate.tree, [CANISTER, principalToBytes(key.canisterId), CERTIFIED_DATA]);
  if (certified.status !== "found") {
    return `cannot find certified_data for canister ${principalToText(key.canisterId)} in the tree`;
  }
  const root = reconstructRoot(tree, sha256);
  if (!equalBytes(certified.value, root)) {
    const values = `certificate value is ${toHex(certified.value)}, tree hash is ${toHex(root)}`;
    return `certificate verification failed: certified data values do not match: ${values}`;
  }
  return verifyWithAnyRoot(certificate, key.canisterId, check);
}

const encoder = new TextEncoder();
const SIG = encoder.encode("sig");
const CANISTER = encoder.encode("canister");
const CERTIFIED_DATA = encoder.encode("certified_data");

function verifyWithAnyRoot(
  certificate: ReturnType<typeof decodeCertificate>,
  canisterId: CanisterId,
  check: CanisterSignatureCheck,
): string | undefined {
  let error = "no root key to trust";
  for (const rootKey of check.rootKeys) {
    const { crypto, cache } = check;
    const result = verifyCertificate(certificate, { crypto, rootKey, canisterId, ...(cache && { cache }) });
    if (result.ok) {
      const trusted = result.delegation === undefined || isTrustedType(result.delegation.subnetType);
      if (trusted) return undefined;
      error = "the source subnet is not trusted for delegations";
    } else error = result.error;
  }
  return `certificate verification failed: ${error}`;
}

// Since version 0.60: whoever rents a cloud engine could sign for any of its canisters.
function isTrustedType(subnetType: string | undefined): boolean {
  return subnetType !== undefined && subnetType !== "cloud_engine";
}

interface CanisterSignature {
  readonly certificate: ReturnType<typeof decodeCertificate>;
  readonly tree: HashTree;
}

function parseSignature(bytes: Uint8Array): CanisterSignature | string {
  if (!startsSelfDescribed(bytes)) return "signature CBOR doesn't have a self-describing tag";
  const decoded = tryDecodeCbor(bytes, { maxDepth: MAX_SIGNATURE_DEPTH });
  if (!decoded.ok) return `failed to parse signature CBOR: ${decoded.error}`;
  if (!(decoded.value instanceof Map)) return "failed to parse signature CBOR: not a map";
  const certificate = decoded.value.get("certificate");
  const tree = decoded.value.get("tree");
  if (!(certificate instanceof Uint8Array) || tree === undefined) {
    return "failed to parse signature CBOR: missing field";
  }
  try {
    const parsed = { certificate: decodeCertificate(certificate), tree: hashTreeFromCbor(tree) };
    return isWellFormed(parsed.tree) ? parsed : "the signature tree is not well-formed";
  } catch (error) {
    if (error instanceof CborError) return `failed to parse signature CBOR: ${error.message}`;
    throw error;
  }
}

const MAX_SIGNATURE_DEPTH = 132;
