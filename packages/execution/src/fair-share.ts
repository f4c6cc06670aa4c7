// Fair rounds: what each canister has had of them is counted, weighed by the share that its compute allocation gives it,
// and who had least goes first. A canister that comes back after a rest starts level with the others: it neither makes
// up for the time it was away nor pays for what it had alone. Checklist 6.1.
import type { CanisterState } from "@atoll/state";
import type { CanisterId } from "@atoll/types";
import { isRateLimited } from "./rate-limits.ts";
import type { Round } from "./round.ts";

/** Canisters that may run something, the one that was served least first. Those that come back get no arrears. */
export function inOrderOfService(round: Round, ids: Iterable<CanisterId>): CanisterState[] {
  const { state } = round;
  const canisters: CanisterState[] = [];
  for (const id of ids) {
    const canister = state.canisters.get(id);
    if (canister === undefined || canister.pendingExecution !== undefined || isRateLimited(round, canister)) continue;
    canisters.push(canister);
  }
  const floor = state.serviceReceived;
  for (const canister of canisters) if (canister.serviceReceived < floor) setService(round, canister, floor);
  canisters.sort((a, b) => a.serviceReceived - b.serviceReceived || (a.id < b.id ? -1 : 1));
  state.serviceReceived = canisters[0]?.serviceReceived ?? floor;
  return canisters;
}

/** Percent of a core that canisters without an allocation share in. */
const FREE_SHARE = 1;
const SERVICE_UNIT = 1024;

/** Counts instructions that the canister had of a round. */
export function serve(round: Round, canister: CanisterState, instructions: number): void {
  const share = canister.settings.computeAllocation + FREE_SHARE;
  const more = Math.ceil(Math.max(0, instructions) / (share * SERVICE_UNIT));
  setService(round, canister, canister.serviceReceived + more);
}

/** No reader sees it and it costs nothing, but a checkpoint must not miss it. */
function setService({ state }: Round, canister: CanisterState, service: number): void {
  canister.serviceReceived = service;
  state.changedSinceCheckpoint.add(canister.id);
}
