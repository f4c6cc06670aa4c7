// What canisters print, as lines of standard error: who, when on the network's own time, what. Clients show or hide that
// stream; some of their users read the lines, so they look as the reference server writes them.
import type { RoundEvent } from "@atoll/execution";
import { principalToText } from "@atoll/types";

const NS_PER_MS = 1_000_000n;
const decoder = new TextDecoder();

export function canisterLines(events: readonly RoundEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== "canister-log") return [];
    return `${when(event.time)}: [Canister ${principalToText(event.canister)}] ${printable(decoder.decode(event.text))}`;
  });
}

function when(time: bigint): string {
  const seconds = new Date(Number(time / NS_PER_MS)).toISOString().slice(0, 19).replace("T", " ");
  return `${seconds}.${String(time % 1_000_000_000n).padStart(9, "0")} UTC`;
}

/** Without control characters but line ends and tabs: it must not take over the terminal. */
function printable(text: string): string {
  return [...text]
    .map((c) => ((c < " " && c !== "\t" && c !== "\n") || (c >= "\x7f" && c < "\xa0") ? " " : c))
    .join("");
}
