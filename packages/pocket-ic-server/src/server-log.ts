// What the server says: its own lines on standard output (clients show or hide them), what canisters print on standard
// error, both also into a file where POCKET_IC_LOG_DIR names a folder. Levels as the official server takes them.
import fs from "node:fs";
import { join } from "node:path";
import type { LogLevel, LogPort } from "@atoll/types";

const LEVELS = ["off", "error", "warn", "info", "debug", "trace"] as const;
type Level = (typeof LEVELS)[number];

const LEVEL_OF: Readonly<Record<LogLevel, Level>> = { error: "error", warning: "warn", info: "info", debug: "debug" };
/** The parts of a list of levels that mean this program. */
const TARGETS = new Set(["", "pocket_ic_server", "pocket_ic"]);

export interface ServerLog extends LogPort {
  /** A line that a canister printed. */
  canister(line: string): void;
}

export function openServerLog(levels: string | undefined, env: Readonly<NodeJS.ProcessEnv>): ServerLog {
  const own = levelIn(env.RUST_LOG ?? levels ?? "info");
  const file = openLogFile(env.POCKET_IC_LOG_DIR);
  const inFile = env.POCKET_IC_LOG_DIR_LEVELS === undefined ? own : levelIn(env.POCKET_IC_LOG_DIR_LEVELS);
  // Whoever read them may be gone; that is no reason to end.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return {
    log(level, message, fields = {}) {
      const rank = LEVELS.indexOf(LEVEL_OF[level]);
      const more = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
      const line = `${new Date().toISOString()} ${LEVEL_OF[level].toUpperCase().padStart(5)} pocket_ic_server: ${message}${more.join("")}\n`;
      if (rank <= own) process.stdout.write(line);
      if (rank <= inFile) file?.(line);
    },
    canister(line) {
      process.stderr.write(`${line}\n`);
      file?.(`${line}\n`);
    },
  };
}

/** The rank of the level that a list like `info,pocket_ic_server=debug` gives this program; the last word counts. */
function levelIn(list: string): number {
  let rank = LEVELS.indexOf("info");
  let isNamed = false;
  for (const part of list.split(",")) {
    const [target, level] = part.includes("=") ? (part.trim().split("=", 2) as [string, string]) : ["", part.trim()];
    const found = LEVELS.indexOf(level.toLowerCase() as Level);
    if (found < 0 || !TARGETS.has(target) || (isNamed && target === "")) continue;
    rank = found;
    isNamed ||= target !== "";
  }
  return rank;
}

function openLogFile(folder: string | undefined): ((line: string) => void) | undefined {
  if (folder === undefined || folder === "") return undefined;
  fs.mkdirSync(folder, { recursive: true });
  const name = `pocket_ic_server_${new Date().toISOString().replaceAll(":", "_")}.log`;
  const descriptor = fs.openSync(join(folder, name), "a");
  return (line) => {
    try {
      fs.writeSync(descriptor, line);
    } catch {}
  };
}
