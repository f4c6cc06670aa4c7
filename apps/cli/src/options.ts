// The command line: what can be said, and a sentence for everything else.
// Errors carry the code USAGE; `main.ts` prints them and ends the process.
import { SUBNET_KINDS, type SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import { numberOf, parseOptions, required, wrong } from "./command-line.ts";
import { type GenesisCommand, parseGenesis } from "./nodes/genesis-options.ts";
import { parseRegistry, type RegistryCommand } from "./nodes/registry-options.ts";

export interface StartOptions {
  readonly host: string;
  readonly port: number;
  readonly stateDir: string;
  readonly clean: boolean;
  readonly json: boolean;
  readonly sample: boolean;
  /** The subnets that the network shall have at least; none: as its state folder has it, or one that hosts all ids. */
  readonly subnets: readonly SubnetKind[];
  /** The folder that the network is recorded in. */
  readonly record: string | undefined;
  /** So many nodes for each subnet, each in a process of its own; undefined: as its state folder has it, or one in this process. */
  readonly nodes: number | undefined;
}

/** Kinds that a local network can have; further ones of PocketIC are for tests alone. */
export const LOCAL_KINDS: readonly SubnetKind[] = [
  "application",
  "system",
  "verified-application",
  "bitcoin",
  "fiduciary",
  "ii",
  "nns",
  "sns",
];

/** Each has a thread and files of its own. */
export const MAX_SUBNETS = 32;

/** Each takes a process with its threads and some 200 MB. */
const MAX_NODES = 40;

export interface NodeOptions {
  /** A file. */
  readonly config: string;
}

export interface ReplayOptions {
  /** A file, or a folder of them. */
  readonly path: string;
  readonly json: boolean;
}

export type Command =
  | { readonly kind: "start"; readonly options: StartOptions }
  | { readonly kind: "replay"; readonly options: ReplayOptions }
  | { readonly kind: "node"; readonly options: NodeOptions }
  | { readonly kind: "genesis"; readonly command: GenesisCommand }
  | { readonly kind: "registry"; readonly command: RegistryCommand }
  | { readonly kind: "pocket-ic"; readonly args: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

export const USAGE = `Usage: atoll start [options]

Starts an Internet Computer on this machine.

  --port N         port of the gateway and the HTTP interface (default 8000; 0 takes a free one)
  --host ADDR      address to listen on (default 127.0.0.1: this machine only)
  --state-dir DIR  where the network lives (default .atoll)
  --subnet KIND    a network of several subnets: at least the NNS and one of this kind; can be given again and again,
                   also for more of a kind. KIND is application, system, verified-application, bitcoin, fiduciary,
                   ii, nns or sns. Later starts need it only to add subnets; none is ever removed
  --nodes N        N nodes, each a process of its own, which agree by consensus and go on while up to a third of them fail;
                   with --subnet N of each subnet, none of which is added later. Later starts need not say it again
  --record DIR     record a new network, one file for each subnet in that folder, for "atoll replay DIR"; a later start
                   goes on with the recording when this is given again
  --clean          forget everything in the state folder and start a new network
  --no-sample      do not deploy the sample canister; canister ids are given out from 0
  --json           print one line of JSON when ready, and nothing else, on standard output

  atoll node --config FILE    one node of a subnet on several machines (deploy/README.md)
  atoll genesis ...           makes the files of a new subnet's nodes; atoll genesis --help
  atoll registry ...          changes a subnet's nodes and settings; atoll registry --help
  atoll pocket-ic [options]   a server for tests of canisters, as bin/pocket-ic
  atoll replay PATH [--json]  executes a recording, or all in a folder, again; exit code 1 where a state hash differs
  atoll --version, atoll --help`;

export function parseCommand(args: readonly string[]): Command {
  const [command, ...rest] = args;
  if (command === undefined || command === "help" || command === "--help" || command === "-h") return { kind: "help" };
  if (command === "--version" || command === "-v") return { kind: "version" };
  if (command === "pocket-ic") return { kind: "pocket-ic", args: rest };
  if (command === "genesis") return { kind: "genesis", command: parseGenesis(rest) };
  if (command === "registry") return { kind: "registry", command: parseRegistry(rest) };
  if (command !== "start" && command !== "replay" && command !== "node")
    throw wrong(`There is no command "${command}".`);
  if (rest.includes("--help") || rest.includes("-h")) return { kind: "help" };
  if (command === "replay") return { kind: "replay", options: parseReplay(rest) };
  if (command === "node") return { kind: "node", options: parseNode(rest) };
  return { kind: "start", options: parseStart(rest) };
}

function parseStart(args: string[]): StartOptions {
  const { values } = parse(args);
  const port = Number(values.port ?? "8000");
  if (!/^\d+$/.test(values.port ?? "8000") || port > 65_535)
    throw wrong(`"${values.port}" is not a port: give a number from 0 to 65535.`);
  const stateDir = values["state-dir"] ?? ".atoll";
  if (stateDir === "") throw wrong("--state-dir needs the name of a folder.");
  if (values.record === "") throw wrong("--record needs the name of a folder.");
  const nodes = parseNodes(values);
  return {
    host: values.host ?? "127.0.0.1",
    port,
    stateDir,
    clean: values.clean ?? false,
    json: values.json ?? false,
    sample: !(values["no-sample"] ?? false),
    subnets: parseKinds(values.subnet ?? []),
    record: values.record,
    nodes,
  };
}

function parseNodes(values: { nodes?: string; subnet?: string[]; record?: string }): number | undefined {
  if (values.nodes === undefined) return undefined;
  if (values.record !== undefined)
    throw wrong("--nodes and --record cannot be used together: so far only a network without --nodes is recorded.");
  const count = numberOf("nodes", values.nodes, { min: 1, max: MAX_NODES, otherwise: 1 });
  const others = values.subnet?.filter((kind) => kind !== "nns").length;
  if (others !== undefined && count * (others + 1) > MAX_NODES)
    throw wrong(`${others + 1} subnets, the NNS included, of ${count} nodes are more than ${MAX_NODES} processes.`);
  return count;
}

function parseKinds(texts: readonly string[]): SubnetKind[] {
  const kinds = texts.map((text) => {
    const kind = LOCAL_KINDS.find((known) => known === text);
    if (kind === undefined) throw wrong(`"${text}" is not a kind of subnet: give ${LOCAL_KINDS.join(", ")}.`);
    return kind;
  });
  const twice = kinds.find((kind, i) => SUBNET_KINDS[kind].named !== undefined && kinds.indexOf(kind) !== i);
  if (twice !== undefined) throw wrong(`A network has one ${twice} subnet: give --subnet ${twice} once.`);
  return kinds;
}

function parseReplay(args: string[]): ReplayOptions {
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: { json: { type: "boolean" } },
  });
  const [path, ...others] = positionals;
  if (path === undefined || path === "") throw wrong("replay needs the name of a file or a folder.");
  if (others.length > 0) throw wrong("replay takes one file or one folder.");
  return { path, json: values.json ?? false };
}

function parseNode(args: string[]): NodeOptions {
  const { values } = parseOptions({ args, options: { config: { type: "string" } } });
  return { config: required("config", values.config, "the name of a file") };
}

function parse(args: string[]) {
  return parseOptions({
    args,
    options: {
      port: { type: "string" },
      host: { type: "string" },
      "state-dir": { type: "string" },
      clean: { type: "boolean" },
      json: { type: "boolean" },
      "no-sample": { type: "boolean" },
      nodes: { type: "string" },
      subnet: { type: "string", multiple: true },
      record: { type: "string" },
    },
  });
}
