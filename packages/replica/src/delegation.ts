// What the root subnet says of another subnet: the certificate that stands in the other's certificates and takes them
// back to the root key, in the three styles of its ranges. Made when somebody needs one and kept for a while, because
// each takes a signature; made anew when the root subnet says something else. Interface specification, "Delegation".
import { type Height, type Path, type PrincipalId, principalToBytes, type Time } from "@atoll/types";
import type { CertifiedState, DelegationStyle } from "./backend.ts";
import type { DelegationSource } from "./certified-tree.ts";

/** Agents take delegations of 30 days, and certificates of five minutes; some clients treat both alike. */
const REFRESH_NS: Time = 60_000_000_000n;

interface Kept {
  readonly delegation: { readonly subnetId: Uint8Array; readonly certificate: Uint8Array };
  readonly time: Time;
  /** What it says, as the leaves of the tree: one that did not change is the same object in every later tree. */
  readonly leaves: readonly (Uint8Array | undefined)[];
  /** The last height of the root subnet at which this was still what it says. */
  checkedAt: Height;
}

const encoder = new TextEncoder();
const SUBNET = encoder.encode("subnet");
const CANISTER_RANGES = encoder.encode("canister_ranges");
const PUBLIC_KEY = encoder.encode("public_key");
const TYPE = encoder.encode("type");

/** `rootState`: the latest certified state of the root subnet; there is no delegation until it knows of `subnet`. */
export function delegationSource(rootState: () => CertifiedState | undefined, subnet: PrincipalId): DelegationSource {
  const subnetId = principalToBytes(subnet);
  const key = [SUBNET, subnetId, PUBLIC_KEY];
  const type = [SUBNET, subnetId, TYPE];
  const ranges = [SUBNET, subnetId, CANISTER_RANGES];
  const paths: Readonly<Record<DelegationStyle, readonly Path[]>> = {
    none: [key, type],
    flat: [key, type, ranges],
    sharded: [key, type, [CANISTER_RANGES, subnetId]],
  };
  const kept = new Map<DelegationStyle, Kept>();
  const leavesOf = (state: CertifiedState) => [key, type, ranges].map((path) => state.lookup(path));
  const isFresh = (known: Kept, state: CertifiedState): boolean => {
    if (known.checkedAt === state.height) return true;
    if (state.time - known.time >= REFRESH_NS) return false;
    const leaves = leavesOf(state);
    if (known.leaves.some((leaf, i) => leaf !== leaves[i])) return false;
    known.checkedAt = state.height;
    return true;
  };
  return (style) => {
    const state = rootState();
    if (state === undefined) return undefined;
    const known = kept.get(style);
    if (known !== undefined && isFresh(known, state)) return known.delegation;
    if (!state.has(key)) return undefined;
    const delegation = { subnetId, certificate: state.certificate(paths[style], "none") };
    kept.set(style, { delegation, time: state.time, leaves: leavesOf(state), checkedAt: state.height });
    return delegation;
  };
}
