// The command line: what can be said, and a sentence for everything else.
// Errors carry the code USAGE; `main.ts` prints them and ends the process.
import { parseArgs } from "node:util";
import { EnvironmentError } from "@atoll/types";

export interface StartOptions {
  readonly host: string;
  readonly port: number;
  readonly stateDir: string;
  readonly clean: boolean;
  readonly json: boolean;
  readonly sample: boolean;
}

export type Command =
  | { readonly kind: "start"; readonly options: StartOptions }
  | { readonly kind: "pocket-ic"; readonly args: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

export const USAGE = `Usage: atoll start [options]

Starts an Internet Computer on this machine.

  --port N         port of the gateway and the HTTP interface (default 8000; 0 takes a free one)
  --host ADDR      address to listen on (default 127.0.0.1: this machine only)
  --state-dir DIR  where the network lives (default .atoll)
  --clean          forget everything in the state folder and start a new network
  --no-sample      do not deploy the sample canister; canister ids are given out from 0
  --json           print one line of JSON when ready, and nothing else, on standard output

  atoll pocket-ic [options]   a server for tests of canisters, as bin/pocket-ic
  atoll --version, atoll --help`;

export function parseCommand(args: readonly string[]): Command {
  const [command, ...rest] = args;
  if (command === undefined || command === "help" || command === "--help" || command === "-h") return { kind: "help" };
  if (command === "--version" || command === "-v") return { kind: "version" };
  if (command === "pocket-ic") return { kind: "pocket-ic", args: rest };
  if (command !== "start") throw wrong(`There is no command "${command}".`);
  if (rest.includes("--help") || rest.includes("-h")) return { kind: "help" };
  return { kind: "start", options: parseStart(rest) };
}

function parseStart(args: string[]): StartOptions {
  const { values } = parse(args);
  const port = Number(values.port ?? "8000");
  if (!/^\d+$/.test(values.port ?? "8000") || port > 65_535)
    throw wrong(`"${values.port}" is not a port: give a number from 0 to 65535.`);
  const stateDir = values["state-dir"] ?? ".atoll";
  if (stateDir === "") throw wrong("--state-dir needs the name of a folder.");
  return {
    host: values.host ?? "127.0.0.1",
    port,
    stateDir,
    clean: values.clean ?? false,
    json: values.json ?? false,
    sample: !(values["no-sample"] ?? false),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        "state-dir": { type: "string" },
        clean: { type: "boolean" },
        json: { type: "boolean" },
        "no-sample": { type: "boolean" },
      },
    });
  } catch (error) {
    throw wrong(`${(error as Error).message.split(/\.?\s*(?:\n|\.\s|$)/)[0]}.`);
  }
}

function wrong(message: string): EnvironmentError {
  return new EnvironmentError("USAGE", `${message} "atoll --help" shows what can be said.`);
}
