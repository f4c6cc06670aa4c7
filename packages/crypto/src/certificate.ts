// Certificates (interface specification, "Certificate" and "Delegation"): is this tree what the Internet Computer
// with this root key says? A certificate is signed by the root subnet, or by another subnet that shows a certificate
// of the root subnet for its own key and, where a canister is concerned, for the canister's place in its ranges.
import {
  type CanisterId,
  CborError,
  type Certificate,
  type CryptoPort,
  compareBytes,
  decodeCertificate,
  decodeLeb128,
  type HashTree,
  isWellFormed,
  type PrincipalId,
  principalFromBytes,
  principalToBytes,
  principalToText,
  type Time,
  toHex,
  tryDecodeCbor,
} from "@atoll/types";
import { concatBytes, DOMAIN } from "./domain.ts";
import { labeledChildren, lookupPath, lookupSubtree, reconstructRoot } from "./hash-tree.ts";
import { subnetKeyFromDer } from "./subnet-key.ts";

export type CertificateCrypto = Pick<CryptoPort, "sha256" | "bls">;

export interface CertificateCheck {
  readonly crypto: CertificateCrypto;
  /** DER of the root subnet's key. */
  readonly rootKey: Uint8Array;
  /** A delegation must cover this canister ... */
  readonly canisterId?: CanisterId;
  /** ... or be for this subnet. With neither, any subnet will do. */
  readonly subnetId?: PrincipalId;
  /** Remembers signatures that were good. */
  readonly cache?: SignatureCache;
}

export interface VerifiedCertificate {
  readonly ok: true;
  readonly tree: HashTree;
  /** Content of `/time`. */
  readonly time: Time;
  /** Who signed, when it was not the root subnet. */
  readonly delegation?: { readonly subnetId: PrincipalId; readonly subnetType: string | undefined };
}

export type CertificateResult = VerifiedCertificate | { readonly ok: false; readonly error: string };

/** Signatures of state roots that were verified, so that none is paid for twice. Bounded: the oldest goes first. */
export class SignatureCache {
  readonly #known = new Set<string>();
  readonly #capacity: number;

  constructor(capacity = 1024) {
    this.#capacity = capacity;
  }

  has(key: string): boolean {
    return this.#known.has(key);
  }

  add(key: string): void {
    if (this.#known.size >= this.#capacity) {
      const [oldest] = this.#known;
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.add(key);
  }
}

/** Checks a certificate from its bytes, or already decoded. Cheap checks come first, signatures last. */
export function verifyCertificate(certificate: Uint8Array | Certificate, check: CertificateCheck): CertificateResult {
  const parsed = certificate instanceof Uint8Array ? parse(certificate) : certificate;
  if (typeof parsed === "string") return failure(parsed);
  if (!isWellFormed(parsed.tree)) return failure("hash tree is not well-formed");
  const time = timeOf(parsed.tree);
  if (time === undefined) return failure("the certificate has no time");
  if (parsed.delegation === undefined) {
    const error = checkSignature(parsed, check.rootKey, check);
    return error === undefined ? { ok: true, tree: parsed.tree, time } : failure(error);
  }
  const delegation = verifyDelegation(parsed.delegation, check);
  if (!delegation.ok) return delegation;
  const error = checkSignature(parsed, delegation.publicKey, check);
  if (error !== undefined) return failure(error);
  return {
    ok: true,
    tree: parsed.tree,
    time,
    delegation: { subnetId: delegation.subnetId, subnetType: delegation.subnetType },
  };
}

/** The subnet's signature on a state root, or a node's share of it: BLS over the separated root hash. */
export function signStateRoot(rootHash: Uint8Array, secret: Uint8Array, bls: CryptoPort["bls"]): Uint8Array {
  return bls.sign(secret, stateRootMessage(rootHash));
}

/** What is signed for a state root. */
export function stateRootMessage(rootHash: Uint8Array): Uint8Array {
  return concatBytes(DOMAIN.stateRoot, rootHash);
}

/** The time that a certified tree shows; undefined when it shows none. */
export function timeOf(tree: HashTree): Time | undefined {
  const time = lookupPath(tree, [TIME]);
  return time.status === "found" ? decodeLeb128(time.value) : undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const TIME = encoder.encode("time");
const SUBNET = encoder.encode("subnet");
const PUBLIC_KEY = encoder.encode("public_key");
const TYPE = encoder.encode("type");
const CANISTER_RANGES = encoder.encode("canister_ranges");

function failure(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

function parse(bytes: Uint8Array): Certificate | string {
  try {
    return decodeCertificate(bytes);
  } catch (error) {
    if (error instanceof CborError) return `failed to decode certificate: ${error.message}`;
    throw error;
  }
}

function checkSignature(certificate: Certificate, keyDer: Uint8Array, check: CertificateCheck): string | undefined {
  const { sha256, bls } = check.crypto;
  const key = subnetKeyFromDer(keyDer);
  if (key === undefined) return "the signing subnet's public key is malformed";
  const message = stateRootMessage(reconstructRoot(certificate.tree, sha256));
  const { signature } = certificate;
  if (signature.length !== 48) return "the signature is not 48 bytes long";
  if (check.cache === undefined) return bls.verify(key, message, signature) ? undefined : INVALID_SIGNATURE;
  const known = toHex(sha256(concatBytes(key, signature, message)));
  if (check.cache.has(known)) return undefined;
  if (!bls.verify(key, message, signature)) return INVALID_SIGNATURE;
  check.cache.add(known);
  return undefined;
}

const INVALID_SIGNATURE = "failed to verify threshold signature";

type DelegationResult =
  | {
      readonly ok: true;
      readonly publicKey: Uint8Array;
      readonly subnetId: PrincipalId;
      readonly subnetType: string | undefined;
    }
  | { readonly ok: false; readonly error: string };

function verifyDelegation(delegation: NonNullable<Certificate["delegation"]>, check: CertificateCheck) {
  const certificate = parse(delegation.certificate);
  if (typeof certificate === "string") return failure(certificate);
  if (certificate.delegation !== undefined) return failure("nested delegations are not allowed");
  if (delegation.subnetId.length > 29) return failure("failed to parse delegation subnet id");
  const { tree } = certificate;
  if (!isWellFormed(tree)) return failure("hash tree of the delegation is not well-formed");
  if (timeOf(tree) === undefined) return failure("the delegation has no time");
  const subnetId = principalFromBytes(delegation.subnetId);
  const scopeError = checkScope(tree, subnetId, check);
  if (scopeError !== undefined) return failure(scopeError);
  const publicKey = lookupPath(tree, [SUBNET, delegation.subnetId, PUBLIC_KEY]);
  if (publicKey.status !== "found") {
    return failure(`cannot find the public key of subnet ${principalToText(subnetId)} in the tree`);
  }
  const error = checkSignature(certificate, check.rootKey, check);
  if (error !== undefined) return failure(error);
  const type = lookupPath(tree, [SUBNET, delegation.subnetId, TYPE]);
  const subnetType = type.status === "found" ? decoder.decode(type.value) : undefined;
  return { ok: true, publicKey: publicKey.value, subnetId, subnetType } satisfies DelegationResult;
}

function checkScope(tree: HashTree, subnetId: PrincipalId, check: CertificateCheck): string | undefined {
  if (check.subnetId !== undefined && check.subnetId !== subnetId) {
    return (
      `provided subnet id ${principalToText(check.subnetId)} does not match ` +
      `subnet id in delegation ${principalToText(subnetId)}`
    );
  }
  if (check.canisterId === undefined) return undefined;
  return checkCanisterRanges(tree, subnetId, check.canisterId);
}

/**
 * Whether a tree of the root subnet puts `canisterId` on `subnetId`: by the flat list `/subnet/<id>/canister_ranges`,
 * by the shard of `/canister_ranges/<id>` that would hold it, or, when both are there, by both. Undefined when it does.
 */
export function checkCanisterRanges(tree: HashTree, subnetId: PrincipalId, canisterId: CanisterId): string | undefined {
  const subnet = principalToBytes(subnetId);
  const id = principalToBytes(canisterId);
  const flat = lookupPath(tree, [SUBNET, subnet, CANISTER_RANGES]);
  const shards = lookupSubtree(tree, [CANISTER_RANGES, subnet]);
  if (flat.status !== "found" && shards.status !== "found") return "state tree doesn't have canister ranges";
  if (flat.status === "found") {
    const error = checkRanges(flat.value, id);
    if (error !== undefined) return error;
  }
  if (shards.status !== "found") return undefined;
  const shard = labeledChildren(shards.tree).findLast(({ label }) => compareBytes(label, id) <= 0);
  return shard?.child.kind === "leaf" ? checkRanges(shard.child.value, id) : OUT_OF_RANGE;
}

const OUT_OF_RANGE = "canister id does not match the canister id range specified in the certificate";

function checkRanges(cbor: Uint8Array, id: Uint8Array): string | undefined {
  const ranges = decodeCanisterRanges(cbor);
  if (ranges === undefined) return "failed to unpack canister range";
  return ranges.some(([start, end]) => compareBytes(start, id) <= 0 && compareBytes(id, end) <= 0)
    ? undefined
    : OUT_OF_RANGE;
}

/** The list of first and last canister ids, both inside; undefined when the bytes are no such list. */
export function decodeCanisterRanges(cbor: Uint8Array): [Uint8Array, Uint8Array][] | undefined {
  const decoded = tryDecodeCbor(cbor);
  if (!decoded.ok || !Array.isArray(decoded.value)) return undefined;
  const ranges: [Uint8Array, Uint8Array][] = [];
  for (const range of decoded.value) {
    if (!Array.isArray(range) || range.length !== 2) return undefined;
    const [start, end] = range;
    if (!(start instanceof Uint8Array && end instanceof Uint8Array)) return undefined;
    ranges.push([start, end]);
  }
  return ranges;
}
