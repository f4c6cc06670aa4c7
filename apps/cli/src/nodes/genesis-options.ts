// `atoll genesis`: the command line of what makes the files of a new subnet's nodes, all at once for hosts of one operator,
// or in steps for hosts that trust nobody.
import { DEFAULT_CONSENSUS_SETTINGS } from "@atoll/types";
import { numberOf, parseOptions, required, wrong } from "../command-line.ts";
import { type Listener, parseAddress } from "./node-config.ts";

/** What a new subnet is, beside its nodes. */
export interface SubnetOptions {
  readonly unitDelayMs: number;
  readonly notaryDelayMs: number;
  readonly dkgInterval: number;
}

/** What is written for a node. */
export interface HostOptions {
  /** As other nodes reach it. */
  readonly address: Listener;
  readonly http: Listener;
  /** Address to listen on, when it is not the one that others use. */
  readonly listen: string | undefined;
  /** Where it keeps its state; relative to its configuration. */
  readonly dataDir: string | undefined;
}

/** How key files are sealed: with what a file holds, with what is asked for at the terminal, or not. */
export type Sealing = { readonly file: string } | "prompt" | "none";

export type GenesisCommand =
  | { readonly kind: "help" }
  | {
      readonly kind: "all";
      readonly out: string;
      readonly hosts: readonly HostOptions[];
      readonly sealing: Sealing;
      readonly subnet: SubnetOptions;
    }
  | { readonly kind: "identity"; readonly out: string; readonly host: HostOptions; readonly sealing: Sealing }
  | {
      readonly kind: "propose";
      readonly identities: readonly string[];
      readonly registryKeys: string;
      readonly out: string;
      readonly sealing: Sealing;
      readonly subnet: SubnetOptions;
    }
  | {
      readonly kind: "deal";
      readonly proposal: string;
      readonly keys: string;
      readonly out: string;
      readonly passphraseFile: string | undefined;
    }
  | {
      readonly kind: "assemble";
      readonly proposal: string;
      readonly dealings: readonly string[];
      readonly registryKeys: string;
      readonly out: string;
      readonly passphraseFile: string | undefined;
    }
  | {
      readonly kind: "check";
      readonly genesis: string;
      readonly proposal: string;
      readonly dealings: readonly string[];
    };

export const GENESIS_USAGE = `Usage: atoll genesis --out DIR (--nodes N | --host HOST --host HOST ...) [options]

Makes the files of a new subnet: a folder for each node with its keys and its configuration, the genesis file that all of
them share, and the keys of the operator, who signs registry records.

  --nodes N              N nodes on this machine
  --host HOST            a node on that host, as others reach it; once for each node
  --p2p-port N           port for other nodes (default 4100; with --nodes the first of N)
  --http-port N          port for clients (default 8080; with --nodes the first of N)
  --listen ADDR          address to listen on (default: the host itself), such as 0.0.0.0
  --data-dir DIR         where each node keeps its state (default: data, beside its configuration)
  --seal                 seal the key files with a passphrase, which is asked for
  --passphrase-file FILE seal them with the passphrase in that file
  --unit-delay-ms N      wait for each rank of block makers (default 1000)
  --notary-delay-ms N    wait before a block is notarized (default 300)
  --dkg-interval N       blocks from one catch-up package to the next, less one (default 499)

For hosts of several operators, none of whom has to be trusted, the same in steps:

  atoll genesis identity --out DIR --address HOST:PORT --http HOST:PORT [--listen ADDR] [--data-dir DIR] [--seal]
      on each host: makes its keys, its configuration, and identity.json, which is public
  atoll genesis propose --registry-keys FILE --out FILE [settings] IDENTITY IDENTITY ...
      once: collects the identities, checks them, and makes the keys of the registry's operator
  atoll genesis deal --proposal FILE --keys FILE --out FILE
      on each host: its part of the subnet's keys, after a look at the proposal; the dealing is public
  atoll genesis assemble --proposal FILE --registry-keys FILE --out FILE DEALING DEALING ...
      once: checks the dealings and makes the genesis file, which goes beside the configuration on every host
  atoll genesis check --genesis FILE --proposal FILE DEALING DEALING ...
      on each host: whether the genesis file is what follows from the proposal and the dealings`;

const SETTINGS = {
  "unit-delay-ms": { type: "string" },
  "notary-delay-ms": { type: "string" },
  "dkg-interval": { type: "string" },
} as const;
const SEALING = { seal: { type: "boolean" }, "passphrase-file": { type: "string" } } as const;
const FILES = {
  proposal: { type: "string" },
  keys: { type: "string" },
  "registry-keys": { type: "string" },
  genesis: { type: "string" },
  out: { type: "string" },
} as const;

export function parseGenesis(args: readonly string[]): GenesisCommand {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  const [step, ...rest] = args;
  switch (step) {
    case "identity":
      return parseIdentity(rest);
    case "propose":
      return parsePropose(rest);
    case "deal":
      return parseDeal(rest);
    case "assemble":
      return parseAssemble(rest);
    case "check":
      return parseCheck(rest);
    default:
      if (step !== undefined && !step.startsWith("-")) throw wrong(`There is no step "${step}" of a genesis.`);
      return parseAll(args);
  }
}

function parseAll(args: readonly string[]): GenesisCommand {
  const { values } = parseOptions({
    args: [...args],
    options: {
      ...SETTINGS,
      ...SEALING,
      out: { type: "string" },
      nodes: { type: "string" },
      host: { type: "string", multiple: true },
      listen: { type: "string" },
      "data-dir": { type: "string" },
      "p2p-port": { type: "string" },
      "http-port": { type: "string" },
    },
  });
  const out = required("out", values.out, "the name of a folder");
  if ((values.nodes === undefined) === (values.host === undefined))
    throw wrong("A genesis needs either --nodes or a --host for each node.");
  const p2pPort = portOf("p2p-port", values["p2p-port"], 4100);
  const httpPort = portOf("http-port", values["http-port"], 8080);
  const count = numberOf("nodes", values.nodes, { min: 1, max: MAX_NODES, otherwise: 0 });
  const places = values.host?.map((host) => ({ host, place: 0 })) ?? onThisMachine(count);
  const hosts = places.map(({ host, place }) => ({
    address: addressOf("host", `${host.includes(":") ? `[${host}]` : host}:${p2pPort + place}`),
    http: { host, port: httpPort + place },
    listen: values.listen,
    dataDir: values["data-dir"],
  }));
  if (new Set(hosts.map(({ address }) => address.host)).size < (values.host?.length ?? 0))
    throw wrong("Two nodes cannot be on one host by the same ports: give --nodes for nodes on this machine.");
  return { kind: "all", out, hosts, sealing: sealingOf(values), subnet: subnetOf(values) };
}

const MAX_NODES = 200;

function onThisMachine(count: number): { host: string; place: number }[] {
  return Array.from({ length: count }, (_, place) => ({ host: "127.0.0.1", place }));
}

function parseIdentity(args: string[]): GenesisCommand {
  const { values } = parseOptions({
    args,
    options: {
      ...SEALING,
      out: { type: "string" },
      address: { type: "string" },
      http: { type: "string" },
      listen: { type: "string" },
      "data-dir": { type: "string" },
    },
  });
  const host: HostOptions = {
    address: addressOf("address", required("address", values.address, "the host and port for other nodes")),
    http: addressOf("http", required("http", values.http, "the host and port for clients")),
    listen: values.listen,
    dataDir: values["data-dir"],
  };
  return {
    kind: "identity",
    out: required("out", values.out, "the name of a folder"),
    host,
    sealing: sealingOf(values),
  };
}

function parsePropose(args: string[]): GenesisCommand {
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: { ...SETTINGS, ...SEALING, "registry-keys": FILES["registry-keys"], out: FILES.out },
  });
  if (positionals.length === 0) throw wrong("propose needs the identity files of all nodes.");
  return {
    kind: "propose",
    identities: positionals,
    registryKeys: fileOf(values, "registry-keys"),
    out: fileOf(values, "out"),
    sealing: sealingOf(values),
    subnet: subnetOf(values),
  };
}

function parseDeal(args: string[]): GenesisCommand {
  const { proposal, keys, out } = FILES;
  const options = { proposal, keys, out, "passphrase-file": SEALING["passphrase-file"] };
  const { values } = parseOptions({ args, options });
  return {
    kind: "deal",
    proposal: fileOf(values, "proposal"),
    keys: fileOf(values, "keys"),
    out: fileOf(values, "out"),
    passphraseFile: values["passphrase-file"],
  };
}

function parseAssemble(args: string[]): GenesisCommand {
  const { proposal, out } = FILES;
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: {
      proposal,
      out,
      "registry-keys": FILES["registry-keys"],
      "passphrase-file": SEALING["passphrase-file"],
    },
  });
  return {
    kind: "assemble",
    proposal: fileOf(values, "proposal"),
    dealings: dealingsOf("assemble", positionals),
    registryKeys: fileOf(values, "registry-keys"),
    out: fileOf(values, "out"),
    passphraseFile: values["passphrase-file"],
  };
}

function parseCheck(args: string[]): GenesisCommand {
  const { genesis, proposal } = FILES;
  const { values, positionals } = parseOptions({ args, allowPositionals: true, options: { genesis, proposal } });
  return {
    kind: "check",
    genesis: fileOf(values, "genesis"),
    proposal: fileOf(values, "proposal"),
    dealings: dealingsOf("check", positionals),
  };
}

function dealingsOf(step: string, files: readonly string[]): readonly string[] {
  if (files.length === 0) throw wrong(`${step} needs the dealing files.`);
  return files;
}

function fileOf(values: { readonly [name: string]: unknown }, option: string): string {
  const value = values[option];
  return required(option, typeof value === "string" ? value : undefined, "the name of a file");
}

function addressOf(option: string, text: string): Listener {
  const address = parseAddress(text);
  if (address === undefined || address.port === 0)
    throw wrong(
      `--${option} must be a host, or a host and its port such as 10.0.0.7:4100, not "${text.slice(0, 80)}".`,
    );
  return address;
}

function portOf(option: string, text: string | undefined, otherwise: number): number {
  return numberOf(option, text, { min: 1, max: 65_535 - MAX_NODES, otherwise });
}

function sealingOf(values: { readonly seal?: boolean; readonly "passphrase-file"?: string }): Sealing {
  const file = values["passphrase-file"];
  if (file !== undefined) return { file: required("passphrase-file", file, "the name of a file") };
  return values.seal === true ? "prompt" : "none";
}

type SettingTexts = { readonly [K in keyof typeof SETTINGS]?: string };

function subnetOf(values: SettingTexts): SubnetOptions {
  const { unitDelay, initialNotaryDelay, dkgIntervalLength } = DEFAULT_CONSENSUS_SETTINGS;
  const delay = { min: 1, max: 600_000 };
  const milliseconds = (ns: bigint) => Number(ns / 1_000_000n);
  return {
    unitDelayMs: numberOf("unit-delay-ms", values["unit-delay-ms"], { ...delay, otherwise: milliseconds(unitDelay) }),
    notaryDelayMs: numberOf("notary-delay-ms", values["notary-delay-ms"], {
      ...delay,
      otherwise: milliseconds(initialNotaryDelay),
    }),
    dkgInterval: numberOf("dkg-interval", values["dkg-interval"], {
      min: 4,
      max: 10_000,
      otherwise: dkgIntervalLength,
    }),
  };
}
