// What a test may look up in the state of a canister beside its calls: balance, controllers, stable memory. Read from
// the state as of the last round.
import type { Network, NetworkSubnet } from "@atoll/pocket-ic";
import { allocationCost, type CanisterState, type SubnetState } from "@atoll/state";
import { type CanisterId, type Cycles, principalToText, subnetOf } from "@atoll/types";
import { Refusal } from "./answers.ts";

export interface HostedCanister {
  readonly subnet: NetworkSubnet;
  readonly canister: CanisterState;
}

export function findCanister(network: Network, id: CanisterId): HostedCanister | undefined {
  const record = subnetOf(network.topology, id);
  const subnet = record === undefined ? undefined : network.subnets.get(record.subnetId);
  const canister = subnet === undefined ? undefined : stateOf(subnet).canisters.get(id);
  return subnet === undefined || canister === undefined ? undefined : { subnet, canister };
}

/** Throws a Refusal. */
export function requireCanister(network: Network, id: CanisterId): HostedCanister {
  const found = findCanister(network, id);
  if (found === undefined) throw new Refusal(400, `CanisterNotFound(${principalToText(id)})`);
  return found;
}

export function stateOf(subnet: NetworkSubnet): SubnetState {
  return subnet.executor.durable.machine.state;
}

/** The balance less what storage and compute have cost since the canister paid for them last. */
export function balanceOf({ subnet, canister }: HostedCanister): Cycles {
  const state = stateOf(subnet);
  if (state.config.costSchedule === "free" || canister.pendingExecution !== undefined) return canister.cycles;
  const { storage, compute } = allocationCost(state.charges, canister.chargedAt, canister.idleBurn);
  const owed = storage + compute - canister.reservedCycles;
  if (owed <= 0n) return canister.cycles;
  return canister.cycles > owed ? canister.cycles - owed : 0n;
}

/** Larger ones do not fit into one answer. */
const MAX_STABLE_BYTES = 256 * 1024 * 1024;

/** Throws a Refusal. */
export function stableMemoryOf({ canister }: HostedCanister): Uint8Array {
  const { execution, id } = canister;
  if (execution === undefined) throw new Refusal(400, `CanisterIsEmpty(${principalToText(id)})`);
  const { stable } = execution;
  if (stable.bytes > MAX_STABLE_BYTES) {
    throw new Refusal(
      400,
      `The stable memory has ${stable.bytes} bytes; at most ${MAX_STABLE_BYTES} are given in one answer.`,
    );
  }
  return stable.readBytes(0, stable.bytes);
}
