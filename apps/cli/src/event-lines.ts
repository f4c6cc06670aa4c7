// What canisters print and why they fail, as lines of a terminal: who, where and when before the first line, and every
// further line of the same text (a backtrace, a printed table) indented, so that no text can pretend to be another.
import type { RoundEvent } from "@atoll/execution";
import { principalToText } from "@atoll/types";

const decoder = new TextDecoder();

/** `when`: the round, or that it was a query; `subnet`: its name, where there are several. */
export function eventLines(event: RoundEvent, when: string, subnet?: string): string[] {
  const text = event.kind === "canister-log" ? decoder.decode(event.text) : `failed: ${event.message}`;
  const places = (event.kind === "failed" ? (event.places ?? []) : []).map((place) => `at ${place}`);
  const lines = [...text.replace(/\n+$/, "").split(/\r?\n/), ...places].map(printable);
  const on = subnet === undefined ? "" : ` on ${subnet}`;
  const where = `[${principalToText(event.canister)} ${printable(event.method)} ${when}${on}]`;
  return lines.map((line, i) => (i === 0 ? `${where} ${line}` : `    ${line}`));
}

/** Canister output without control characters: it must not take over the terminal. */
function printable(text: string): string {
  return [...text].map((c) => ((c < " " && c !== "\t") || (c >= "\x7f" && c < "\xa0") ? " " : c)).join("");
}
