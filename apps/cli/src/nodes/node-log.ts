// The log of a node on standard error: lines for people, or lines of JSON for programs. What consensus says happened goes
// into it too: what a node signed, what was finalized and certified with the hashes, so that the logs of all nodes of a
// subnet can be held against each other. Nothing that is said here is secret.
import type { ConsensusEvent } from "@atoll/consensus";
import { type LogLevel, type LogPort, principalToText } from "@atoll/types";
import type { NodeConfig } from "./node-config.ts";

type Fields = Readonly<Record<string, string | number | boolean>>;

const LEVELS: readonly LogLevel[] = ["debug", "info", "warning", "error"];

export function createNodeLog(
  { format, level: least }: NodeConfig["log"],
  write: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
  now: () => Date = () => new Date(),
): LogPort {
  const line = format === "json" ? jsonLine : textLine;
  return {
    log(level, message, fields = {}) {
      if (LEVELS.indexOf(level) >= LEVELS.indexOf(least)) write(line(now().toISOString(), level, message, fields));
    },
  };
}

function jsonLine(time: string, level: LogLevel, message: string, fields: Fields): string {
  return JSON.stringify({ time, level, message, ...fields });
}

function textLine(time: string, level: LogLevel, message: string, fields: Fields): string {
  const more = Object.entries(fields).map(([name, value]) => ` ${name}=${valueText(value)}`);
  // What others have a say in stays on its line.
  return `${time} ${level} ${printable(message)}${more.join("")}`;
}

function printable(text: string): string {
  return [...text].map((character) => (character < " " || character === "\x7f" ? " " : character)).join("");
}

function valueText(value: string | number | boolean): string {
  return typeof value === "string" && !/^[\w./:-]+$/.test(value) ? JSON.stringify(value) : String(value);
}

/** One line for an event: the routine of every round at "debug". */
export function logEvent(log: LogPort, event: ConsensusEvent): void {
  log.log(...lineOf(event));
}

function lineOf(event: ConsensusEvent): [LogLevel, string, Fields] {
  switch (event.kind) {
    case "signed": {
      const { what, height, hash, rank } = event;
      return ["debug", "signed", { what, height, hash, ...(rank !== undefined && { rank }) }];
    }
    case "notarized":
    case "finalized":
      return ["debug", event.kind, { height: event.height, hash: event.hash, rank: event.rank }];
    case "beacon":
    case "tape":
    case "certified":
      return ["debug", event.kind, { height: event.height, hash: event.hash }];
    case "delivered":
      return ["debug", event.kind, { height: event.height }];
    case "catch-up":
      return ["info", "catch-up package", { height: event.height, hash: event.hash }];
    case "dkg":
      return ["info", `key generation: ${event.what}`, { height: event.height }];
    case "halting":
    case "halted": {
      const { kind, height, version } = event;
      const why = version === undefined ? "" : " for an upgrade: it waits for another version of the protocol";
      return ["warning", `the subnet is ${kind}${why}`, { height, ...(version !== undefined && { version }) }];
    }
    case "outdated":
      return ["error", "the subnet has gone on without this node", { height: event.height, version: event.version }];
    case "equivocation":
      return ["warning", "a node signed two blocks", { height: event.height, node: principalToText(event.node) }];
    case "invalid": {
      const { peer, what, why } = event;
      return ["warning", "a peer sent something invalid", { peer: principalToText(peer), what, why }];
    }
    case "alarm":
      return ["error", event.what, {}];
  }
}
