// Canister logs: what a canister printed and why it trapped, kept in a small buffer of the canister (oldest lines
// dropped first) and told to the person at the terminal. Specification, "Canister logs"; checklist 6.5.
import { describe, type RunResult } from "@atoll/embedder";
import type { CanisterState } from "@atoll/state";
import type { Round } from "./round.ts";

/** Bytes a record counts for beside its text. */
const RECORD_OVERHEAD = 24;

export function collectLogs(round: Round, canister: CanisterState, method: string, result: RunResult): void {
  const { records } = canister.logs;
  for (const text of result.effects.logs) {
    const content = text.subarray(0, canister.settings.logMemoryLimit);
    records.push({ index: canister.logs.nextIndex++, time: round.state.time, content });
    round.events.push({ kind: "canister-log", canister: canister.id, method, time: round.state.time, text });
  }
  let bytes = records.reduce((sum, record) => sum + record.content.length + RECORD_OVERHEAD, 0);
  while (records.length > 0 && bytes > canister.settings.logMemoryLimit) {
    bytes -= (records.shift()?.content.length ?? 0) + RECORD_OVERHEAD;
  }
  if (result.error !== undefined) {
    round.events.push({ kind: "failed", canister: canister.id, method, message: describe(result.error) });
  }
}
