// What happened to a canister's code and controllers: a count of all changes, and the latest twenty of them.
// Specification, "Canister history"; checklist 4.4.
import type { CanisterState, HistoryEntry } from "@atoll/state";
import { MAX_HISTORY_ENTRIES } from "@atoll/types";

export function addHistoryEntry(canister: CanisterState, entry: HistoryEntry): void {
  const { total, entries } = canister.history;
  canister.history = { total: total + 1, entries: [...entries, entry].slice(-MAX_HISTORY_ENTRIES) };
}
