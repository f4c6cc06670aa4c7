// Keeps the node processes of a network on this machine running: starts them, starts one again when it died, ends them in
// order. A node tells by its channel to this process when it serves; when this process dies, however it dies, the channel
// closes and the node ends by itself (signals.ts). It knows nothing of what a node does.
import { type ChildProcess, spawn } from "node:child_process";
import { EnvironmentError, type LogPort } from "@atoll/types";
import { OTHER_VERSION_EXIT } from "../signals.ts";
import type { FromNode } from "./supervised.ts";

export interface SupervisorOptions {
  /** The command line of each node, in order. */
  readonly commands: readonly (readonly string[])[];
  readonly log: LogPort;
  /** What a node says when it serves, and later. */
  readonly onMessage: (place: number, message: FromNode) => void;
  /** It ended, expected or not; it serves nobody until its next "ready". */
  readonly onEnded: (place: number) => void;
}

export interface Supervisor {
  /** Resolves when all nodes serve. Rejects with EnvironmentError, after ending all, when one cannot start. */
  start(): Promise<void>;
  pid(place: number): number | undefined;
  /** Asks all nodes to end, and waits until they have. */
  stop(): Promise<void>;
}

/** Waiting times before a node is started again: the longer, the sooner it died each time. */
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** A node that ran for so long was well. */
const WELL_AFTER_MS = 20_000;
/** How long a node may take to end when it was asked to. */
const END_MS = 15_000;

interface Member {
  readonly place: number;
  readonly command: readonly string[];
  process: ChildProcess | undefined;
  startedAt: number;
  waitMs: number;
  timer: NodeJS.Timeout | undefined;
  hasServed: boolean;
  /** Its last line on standard error, until it serves: when it never does, that is the reason, and is said once. */
  lastLine: string;
}

export function createSupervisor({ commands, log, onMessage, onEnded }: SupervisorOptions): Supervisor {
  let isStopping = false;
  const first = Promise.withResolvers<void>();
  const members = commands.map((command, place): Member => {
    const state = { process: undefined, startedAt: 0, waitMs: FIRST_WAIT_MS, timer: undefined };
    return { place, command, ...state, hasServed: false, lastLine: "" };
  });

  const launch = (member: Member): void => {
    const child = spawnNode(member.command);
    member.process = child;
    member.startedAt = performance.now();
    passLines(child, member);
    child.on("message", (message: FromNode) => {
      if (message.kind === "ready") noteServing(member);
      onMessage(member.place, message);
      if (members.every(({ hasServed }) => hasServed)) first.resolve();
    });
    child.on("error", (error) => first.reject(cannotStart(member, error.message)));
    child.on("close", (code, signal) => ended(member, code, signal));
  };

  const ended = (member: Member, code: number | null, signal: NodeJS.Signals | null): void => {
    member.process = undefined;
    onEnded(member.place);
    if (isStopping) return;
    if (!member.hasServed) {
      first.reject(cannotStart(member, member.lastLine || `it ended with ${signal ?? code}`));
      return;
    }
    if (code === OTHER_VERSION_EXIT) {
      log.log("error", `Node ${member.place + 1} needs another version of this program; it is not started again.`);
      return;
    }
    if (performance.now() - member.startedAt >= WELL_AFTER_MS) member.waitMs = FIRST_WAIT_MS;
    const again = `it is started again in ${member.waitMs} ms`;
    log.log("warning", `Node ${member.place + 1} ended (${signal ?? code}); ${again}.`);
    member.timer = setTimeout(() => launch(member), member.waitMs);
    member.waitMs = Math.min(2 * member.waitMs, LONGEST_WAIT_MS);
  };

  const stop = async (): Promise<void> => {
    isStopping = true;
    for (const { timer } of members) clearTimeout(timer);
    await Promise.all(members.map((member) => end(member, log)));
  };
  return {
    async start() {
      for (const member of members) launch(member);
      try {
        await first.promise;
      } catch (error) {
        await stop();
        throw error;
      }
    },
    pid: (place) => members[place]?.process?.pid,
    stop,
  };
}

/** Standard output stays this program's own; standard error goes on, line by line, with the node's number before it. */
function spawnNode(command: readonly string[]): ChildProcess {
  const [program = "", ...args] = command;
  return spawn(program, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
}

const MAX_LINE = 16 * 1024;

function passLines(child: ChildProcess, member: Member): void {
  let rest = "";
  const pass = (line: string): void => {
    showLastLine(member);
    member.lastLine = line;
    if (member.hasServed) showLastLine(member);
  };
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(-MAX_LINE);
    for (const line of lines) pass(line);
  });
  child.stderr?.on("end", () => rest !== "" && pass(rest));
}

function noteServing(member: Member): void {
  member.hasServed = true;
  showLastLine(member);
}

function showLastLine(member: Member): void {
  if (member.lastLine !== "") process.stderr.write(`node ${member.place + 1}: ${member.lastLine}\n`);
  member.lastLine = "";
}

function cannotStart({ place }: Member, why: string): EnvironmentError {
  return new EnvironmentError("NODE_START", `Node ${place + 1} could not start: ${why.replace(/^atoll: /, "")}`);
}

function end({ process: child, place }: Member, log: LogPort): Promise<void> {
  return new Promise((resolve) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resolve();
    const timer = setTimeout(() => {
      log.log("warning", `Node ${place + 1} does not end; it is killed. Its state survives that.`);
      child.kill("SIGKILL");
    }, END_MS);
    child.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
    // One that was stopped cannot see that it shall end.
    child.kill("SIGCONT");
  });
}
