// Canister logs: what a canister printed and why it trapped, kept in a small buffer of the canister (oldest lines
// dropped first) and told to the person at the terminal. Specification, "Canister logs"; checklist 6.5.
import { describe, LOG_RECORD_BYTES, type RunResult, withoutBacktrace } from "@atoll/embedder";
import type { CanisterState, LogRecord } from "@atoll/state";
import type { Round, RoundEvent } from "./round.ts";

export function collectLogs(round: Round, canister: CanisterState, method: string, result: RunResult): void {
  const { logs } = canister;
  const { time } = round.state;
  const { log } = result.effects;
  logs.nextIndex += BigInt(log.dropped);
  const added: LogRecord[] = log.kept().map((text) => {
    const index = logs.nextIndex++;
    tell(round, text.length, { kind: "canister-log", canister: canister.id, index, method, time, text });
    return { index, time, content: text };
  });
  if (added.length > 0) logs.records = newest([...logs.records, ...added], canister.settings.logMemoryLimit);
  if (result.error !== undefined && !isOneWay(result.error)) {
    // The log line before this one has the backtrace.
    const message = describe(withoutBacktrace(result.error));
    const places = result.trap && round.pool.places.of(result.trap);
    const event = { kind: "failed", canister: canister.id, method, message } as const;
    tell(round, message.length, places === undefined ? event : { ...event, places });
  }
}

/** One-way calls want no answer: by custom they name as their callback the one function that no table has. */
function isOneWay(error: NonNullable<RunResult["error"]>): boolean {
  return error.kind === "function-not-found" && error.index === 0xffff_ffff;
}

/** Drops what has no room any more when a canister gets a smaller log. */
export function trimLogs({ logs, settings }: CanisterState): void {
  logs.records = newest(logs.records, settings.logMemoryLimit);
}

/** The newest records that have room in `limit` bytes. */
function newest(records: readonly LogRecord[], limit: number): LogRecord[] {
  let bytes = 0;
  let first = records.length;
  while (first > 0) {
    bytes += (records[first - 1] as LogRecord).content.length + LOG_RECORD_BYTES;
    if (bytes > limit) break;
    first--;
  }
  return records.slice(first);
}

/** What one round tells at most; nobody reads more, and thousands of messages may print megabytes each. */
const MAX_EVENT_BYTES = 4 * 1024 * 1024;

function tell(round: Round, bytes: number, event: RoundEvent): void {
  const total = (round.eventBytes ?? 0) + bytes + LOG_RECORD_BYTES;
  if (total > MAX_EVENT_BYTES) return;
  round.eventBytes = total;
  round.events.push(event);
}
