// Query statistics from a block into the state: each canister's totals go up by what the nodes agreed on. Queries
// themselves leave no trace; this is how anybody learns what they took. Checklist 4.3.
import { type SubnetState, touch } from "@atoll/state";
import type { CanisterQueryStats } from "@atoll/types";

export function deliverQueryStats(state: SubnetState, stats: readonly CanisterQueryStats[]): void {
  for (const { canister: id, calls, instructions, requestBytes, responseBytes } of stats) {
    const canister = state.canisters.get(id);
    // Deleted since it was asked.
    if (canister === undefined) continue;
    const { queryStats: total } = canister;
    canister.queryStats = {
      calls: total.calls + BigInt(calls),
      instructions: total.instructions + BigInt(instructions),
      requestBytes: total.requestBytes + BigInt(requestBytes),
      responseBytes: total.responseBytes + BigInt(responseBytes),
    };
    touch(state, canister);
  }
}
