// What the queries that this node answered took, by canister, until the figures go into a block and with it into the
// state of all nodes (../deliver-query-stats.ts). Specification, "IC method canister_status", query statistics.
import type { CanisterId, CanisterQueryStats } from "@atoll/types";

export class QueryStatsCollector {
  #stats = new Map<CanisterId, CanisterQueryStats>();

  fork(): QueryStatsCollector {
    const copy = new QueryStatsCollector();
    copy.#stats = new Map(this.#stats);
    return copy;
  }

  /** Counts one query: at most one entry for each canister of the subnet is kept. */
  add(query: Omit<CanisterQueryStats, "calls">): void {
    const { canister, instructions, requestBytes, responseBytes } = query;
    const known = this.#stats.get(canister);
    this.#stats.set(canister, {
      canister,
      calls: (known?.calls ?? 0) + 1,
      instructions: (known?.instructions ?? 0) + instructions,
      requestBytes: (known?.requestBytes ?? 0) + requestBytes,
      responseBytes: (known?.responseBytes ?? 0) + responseBytes,
    });
  }

  /** Everything since the last call. */
  take(): readonly CanisterQueryStats[] {
    const stats = [...this.#stats.values()];
    this.#stats = new Map();
    return stats;
  }
}
