// What a person sees in the terminal: where the network is, what canisters print, why calls failed. With --json
// standard output carries one line when ready, and everything else goes to standard error.
import type { RoundEvent } from "@atoll/execution";
import type { ExecutedRound } from "@atoll/replica";
import type { LogPort } from "@atoll/types";
import { eventLines } from "./event-lines.ts";
import type { StartOptions } from "./options.ts";

interface ReadyFacts {
  readonly url: string;
  readonly rootKey: string;
  readonly stateDir: string;
  readonly samplePage: string | undefined;
  /** From the start of the process to the first good answer of /api/v2/status. */
  readonly statusAfterMs: number;
}

export interface Screen {
  readonly log: LogPort;
  showRound(round: ExecutedRound): void;
  showQueryEvents(events: readonly RoundEvent[]): void;
  showReady(facts: ReadyFacts): void;
}

export function createScreen({ json }: Pick<StartOptions, "json">): Screen {
  const out = (line: string): void => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  const show = (events: readonly RoundEvent[], when: string): void => {
    for (const event of events) for (const line of eventLines(event, when)) out(line);
  };
  return {
    log: { log: (level, message) => level !== "debug" && process.stderr.write(`atoll: ${level}: ${message}\n`) },
    showRound: ({ events, height }) => show(events, `@${height}`),
    showQueryEvents: (events) => show(events, "query"),
    showReady(facts) {
      if (json) {
        const line = { gateway_url: facts.url, root_key: facts.rootKey, state_dir: facts.stateDir, pid: process.pid };
        process.stdout.write(`${JSON.stringify(line)}\n`);
        return;
      }
      out(readyText(facts));
    },
  };
}

function readyText({ url, rootKey, stateDir, samplePage, statusAfterMs }: ReadyFacts): string {
  const lines = ["", "  Atoll is running: an Internet Computer on your machine.", "", `  gateway       ${url}`];
  if (samplePage !== undefined) lines.push(`  sample page   ${samplePage}`);
  lines.push(
    `  root key      ${rootKey}`,
    `  state folder  ${stateDir}`,
    `  ready after   ${statusAfterMs} ms`,
    "",
    "  Ctrl+C stops it; everything is kept.",
    "",
  );
  return lines.join("\n");
}
