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
  readonly subnets: readonly { readonly id: string; readonly kind: string }[];
  /** Where each node is a process of its own. */
  readonly nodes?: readonly {
    readonly id: string;
    readonly pid: number;
    readonly url: string;
    /** Its id, where there are several. */
    readonly subnet?: string;
  }[];
  readonly stateDir: string;
  readonly samplePage: string | undefined;
  /** From the start of the process to the first good answer of /api/v2/status. */
  readonly statusAfterMs: number;
}

export interface Screen {
  readonly log: LogPort;
  /** `subnet`: its name, where there are several. */
  showRound(round: ExecutedRound, subnet?: string): void;
  showQueryEvents(events: readonly RoundEvent[], subnet?: string): void;
  /** Of events in another process. */
  showLines(lines: readonly string[]): void;
  showReady(facts: ReadyFacts): void;
}

export function createScreen({ json }: Pick<StartOptions, "json">): Screen {
  const out = (line: string): void => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  const show = (events: readonly RoundEvent[], when: string, subnet?: string): void => {
    for (const event of events) for (const line of eventLines(event, when, subnet)) out(line);
  };
  return {
    log: { log: (level, message) => level !== "debug" && process.stderr.write(`atoll: ${level}: ${message}\n`) },
    showRound: ({ events, height }, subnet) => show(events, `@${height}`, subnet),
    showQueryEvents: (events, subnet) => show(events, "query", subnet),
    showLines: (lines) => lines.forEach(out),
    showReady(facts) {
      if (json) {
        const { url, rootKey, stateDir, subnets, nodes } = facts;
        const line = { gateway_url: url, root_key: rootKey, state_dir: stateDir, pid: process.pid, subnets, nodes };
        process.stdout.write(`${JSON.stringify(line)}\n`);
        return;
      }
      out(readyText(facts));
    },
  };
}

function readyText({ url, rootKey, subnets, nodes, stateDir, samplePage, statusAfterMs }: ReadyFacts): string {
  const lines = ["", "  Atoll is running: an Internet Computer on your machine.", "", `  gateway       ${url}`];
  if (samplePage !== undefined) lines.push(`  sample page   ${samplePage}`);
  if (subnets.length > 1) {
    const widest = Math.max(...subnets.map(({ kind }) => kind.length));
    lines.push(
      ...subnets.map(({ id, kind }, i) => `  ${i === 0 ? "subnets" : "       "}       ${kind.padEnd(widest)}  ${id}`),
    );
  }
  lines.push(...(nodes ?? []).map(({ url: at, id }, i) => `  node ${String(i + 1).padEnd(9)}${at}  ${id}`));
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
