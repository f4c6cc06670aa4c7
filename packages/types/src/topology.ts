// The subnets of a network and which canister ids belong to which: what the registry says, as every subnet knows it.
// A new version reaches a subnet in a batch, so that all its nodes route by the same table at the same height.
// Interface specification, "The system state tree" (/subnet, /canister_ranges).
import type { CanisterId, PrincipalId } from "./ids.ts";

export type SubnetType = "application" | "system" | "verified_application" | "cloud_engine";

/** Inclusive. */
export type CanisterRange = readonly [first: CanisterId, last: CanisterId];

export interface SubnetRecord {
  readonly subnetId: PrincipalId;
  readonly type: SubnetType;
  /** DER of the subnet's BLS key (133 bytes). */
  readonly publicKey: Uint8Array;
  /** Sorted, disjoint from those of all other subnets. */
  readonly canisterRanges: readonly CanisterRange[];
}

export interface NetworkTopology {
  /** Grows with each change. */
  readonly version: number;
  readonly rootSubnetId: PrincipalId;
  /** Sorted by id. */
  readonly subnets: readonly SubnetRecord[];
}

export function isInRange([first, last]: CanisterRange, id: CanisterId): boolean {
  return first.length === id.length && first <= id && id <= last;
}

/** The subnet that hosts canisters of that id, or the subnet of that id; undefined: nobody does. */
export function subnetOf({ subnets }: NetworkTopology, id: PrincipalId): SubnetRecord | undefined {
  return subnets.find(
    ({ subnetId, canisterRanges }) => subnetId === id || canisterRanges.some((range) => isInRange(range, id)),
  );
}
