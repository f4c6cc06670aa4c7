// A chain of delegations (interface specification, "Authentication"): the sender's key hands its rights to a second
// key, which may hand them on. Each link can only narrow what the links before it allow.
import {
  type CanisterId,
  MAX_DELEGATION_TARGETS,
  MAX_DELEGATIONS,
  MAX_PRINCIPAL_BYTES,
  principalFromBytes,
  type Time,
  toHex,
} from "@atoll/types";
import type { CanisterSignatureCheck } from "./canister-signature.ts";
import type { Delegation, RequestKind, SignedDelegation } from "./envelope.ts";
import { delegationMessage } from "./request-content.ts";
import { formatTime } from "./time-text.ts";
import { verifyUserSignature } from "./user-signature.ts";

export type DelegationChain =
  | {
      readonly ok: true;
      /** The key that must have signed the request. */
      readonly publicKey: Uint8Array;
      /** Canisters that the request may address; undefined: all. */
      readonly targets: ReadonlySet<CanisterId> | undefined;
    }
  | { readonly ok: false; readonly error: string };

/** Follows the chain from the sender's key. Everything cheap is checked for all links before the first signature. */
export function verifyDelegations(
  senderKey: Uint8Array,
  chain: readonly SignedDelegation[],
  kind: RequestKind,
  now: Time,
  check: CanisterSignatureCheck,
): DelegationChain {
  if (chain.length === 0) return { ok: true, publicKey: senderKey, targets: undefined };
  const error = checkChain(senderKey, chain, kind, now);
  if (error !== undefined) return { ok: false, error };
  let publicKey = senderKey;
  let targets: ReadonlySet<CanisterId> | undefined;
  for (const { delegation, signature } of chain) {
    const message = delegationMessage(delegation, check.crypto.sha256);
    const invalid = verifyUserSignature("delegation", publicKey, message, signature, check);
    if (invalid !== undefined) return { ok: false, error: `Invalid delegation: ${invalid}` };
    const allowed = readTargets(delegation);
    if (typeof allowed === "string") return { ok: false, error: allowed };
    if (allowed !== undefined) targets = targets === undefined ? allowed : targets.intersection(allowed);
    publicKey = delegation.publicKey;
  }
  return { ok: true, publicKey, targets };
}

function checkChain(
  senderKey: Uint8Array,
  chain: readonly SignedDelegation[],
  kind: RequestKind,
  now: Time,
): string | undefined {
  if (chain.length > MAX_DELEGATIONS) {
    const count = `got ${chain.length} delegations, but at most ${MAX_DELEGATIONS} are allowed.`;
    return `Invalid delegation: Chain of delegations is too long: ${count}`;
  }
  const expired = chain.find(({ delegation }) => delegation.expiration < now);
  if (expired !== undefined) {
    return (
      "Invalid delegation expiry: Specified sender delegation has expired:\n" +
      `Provided expiry:    ${formatTime(expired.delegation.expiration)}\nLocal replica time: ${formatTime(now)}`
    );
  }
  return checkKeysAndTargets(senderKey, chain) ?? checkPermissions(chain, kind);
}

function checkKeysAndTargets(senderKey: Uint8Array, chain: readonly SignedDelegation[]): string | undefined {
  const keys = new Set([toHex(senderKey)]);
  for (const { delegation } of chain) {
    const key = toHex(delegation.publicKey);
    if (keys.has(key)) {
      const cycle = `first repeating public key encountered ${key}`;
      return `Invalid delegation: Chain of delegations contains at least one cycle: ${cycle}`;
    }
    keys.add(key);
  }
  const many = chain.find(({ delegation }) => (delegation.targets?.length ?? 0) > MAX_DELEGATION_TARGETS);
  if (many === undefined) return undefined;
  const count = `but got ${many.delegation.targets?.length}`;
  return (
    "Invalid delegation: Delegation target error: " +
    `expected at most ${MAX_DELEGATION_TARGETS} targets per delegation, ${count}`
  );
}

// Since version 0.64 of the interface specification.
function checkPermissions(chain: readonly SignedDelegation[], kind: RequestKind): string | undefined {
  for (const { delegation } of chain) {
    const { permissions = "all" } = delegation;
    if (permissions === "all") continue;
    if (permissions !== "queries") return `Invalid delegation: unknown permissions '${permissions}'`;
    if (kind === "call") return "Invalid delegation: a delegation with permissions 'queries' does not allow calls";
  }
  return undefined;
}

function readTargets(delegation: Delegation): ReadonlySet<CanisterId> | string | undefined {
  if (delegation.targets === undefined) return undefined;
  const targets = new Set<CanisterId>();
  for (const target of delegation.targets) {
    if (target.length > MAX_PRINCIPAL_BYTES) {
      return "Invalid delegation: Delegation target error: Error parsing canister ID: Bytes is longer than 29";
    }
    targets.add(principalFromBytes(target));
  }
  return targets;
}
