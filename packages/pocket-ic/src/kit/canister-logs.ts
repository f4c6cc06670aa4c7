// All that canisters printed and why they trapped, since the network began: unlike the log that the network keeps of a
// canister (4 KiB), with the method and the height of each line. Specification, "Canister logs".
import type { RoundEvent } from "@atoll/execution";
import type { CanisterId, Height, Time } from "@atoll/types";

export interface LogLine {
  /** As `fetch_canister_logs` numbers it. */
  readonly index: bigint;
  /** ns since 1970. */
  readonly time: Time;
  /** Of the round in which it was written. */
  readonly height: Height;
  /** "canister_init", "heartbeat", "reply callback" ... or the method. */
  readonly method: string;
  readonly text: string;
}

/** Of one canister; older ones are forgotten. */
const MAX_LINES = 10_000;

const decoder = new TextDecoder();

export class CanisterLogs {
  readonly #lines: Map<CanisterId, LogLine[]>;

  constructor(lines: ReadonlyMap<CanisterId, readonly LogLine[]> = new Map()) {
    this.#lines = new Map([...lines].map(([id, all]) => [id, [...all]]));
  }

  collect(height: Height, events: readonly RoundEvent[]): void {
    for (const event of events) {
      if (event.kind !== "canister-log" || event.index === undefined) continue;
      const { canister, method, time, index } = event;
      const lines = this.#lines.get(canister) ?? [];
      lines.push({ index, time, height, method, text: decoder.decode(event.text) });
      if (lines.length > 2 * MAX_LINES) lines.splice(0, lines.length - MAX_LINES);
      this.#lines.set(canister, lines);
    }
  }

  of(canister: CanisterId): LogLine[] {
    return (this.#lines.get(canister) ?? []).slice(-MAX_LINES);
  }

  fork(): CanisterLogs {
    return new CanisterLogs(this.#lines);
  }
}
