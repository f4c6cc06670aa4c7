// The configuration of one node: a JSON file in which every key is known and every value is checked, so that a slip of
// the pen is told by its name before anything runs. Paths are relative to the file. What the subnet's nodes have to agree
// on is not here but in the genesis file and the registry.
import { dirname, resolve } from "node:path";
import { EnvironmentError, type PrincipalId, principalFromText } from "@atoll/types";
import { readTextFile } from "./text-file.ts";

export interface NodeConfig {
  /** Absolute, as all paths here. State, pool and registry records; may be lost while the keys are not. */
  readonly dataDir: string;
  readonly keyFile: string;
  /** Where the passphrase of the key file is found; undefined: the terminal is asked if there is one. */
  readonly passphrase: PassphraseSource | undefined;
  readonly genesisFile: string;
  /** Other nodes connect here. */
  readonly p2p: Listener;
  /** Clients connect here. */
  readonly http: Listener;
  /** Metrics, and registry records from the operator; undefined: on `http` as long as only this machine reaches that. */
  readonly operator: Listener | undefined;
  /** Where nodes are that cannot be reached by the address that the registry has. */
  readonly addresses: ReadonlyMap<PrincipalId, string>;
  /** Addresses of the HTTP interfaces of the nodes of other subnets. */
  readonly subnets: ReadonlyMap<PrincipalId, readonly string[]>;
  readonly log: { readonly format: "text" | "json"; readonly level: "debug" | "info" | "warning" | "error" };
}

export interface Listener {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export type PassphraseSource = { readonly env: string } | { readonly file: string };

/** Throws EnvironmentError CONFIG: one sentence that names the key. */
export function readNodeConfig(path: string): NodeConfig {
  return parseNodeConfig(readTextFile(path, { what: "The configuration", code: "CONFIG" }), path);
}

export function parseNodeConfig(text: string, path: string): NodeConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message would show a piece of the file.
    throw wrong(path, "it is not JSON");
  }
  const top = new Section(value, path, "");
  const folder = dirname(resolve(path));
  const config: NodeConfig = {
    dataDir: resolve(folder, top.text("dataDir", "data")),
    keyFile: resolve(folder, top.text("keyFile", "node-keys.json")),
    passphrase: passphraseIn(top.section("passphrase"), folder),
    genesisFile: resolve(folder, top.text("genesisFile", "genesis.json")),
    p2p: listenerIn(top.section("p2p") ?? top.missing("p2p")),
    http: listenerIn(top.section("http") ?? top.missing("http")),
    operator: optionalListener(top.section("operator")),
    addresses: addressesIn(top.section("addresses")),
    subnets: subnetsIn(top.section("subnets")),
    log: logIn(top.section("log")),
  };
  top.end();
  return config;
}

/** Whether only programs of this machine can connect to it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `host:port` or `[host]:port`; undefined: it is none. */
export function parseAddress(text: string): Listener | undefined {
  const [, bracketed, plain, port = ""] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || Number(port) > MAX_PORT ? undefined : { host, port: Number(port) };
}

export function addressText({ host, port }: Listener): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const MAX_PORT = 65_535;

function listenerIn(section: Section): Listener {
  const port = section.number("port", MAX_PORT);
  const listener = { host: section.text("host", "127.0.0.1"), port };
  section.end();
  return listener;
}

function optionalListener(section: Section | undefined): Listener | undefined {
  return section && listenerIn(section);
}

function passphraseIn(section: Section | undefined, folder: string): PassphraseSource | undefined {
  if (section === undefined) return undefined;
  const [env, file] = [section.text("env", ""), section.text("file", "")];
  section.end();
  if ((env === "") === (file === "")) throw section.wrong("", 'needs either "env" or "file"');
  return env === "" ? { file: resolve(folder, file) } : { env };
}

function addressesIn(section: Section | undefined): ReadonlyMap<PrincipalId, string> {
  const addresses = new Map<PrincipalId, string>();
  for (const name of section?.keys() ?? []) {
    const id = principalFromText(name);
    if (section === undefined || id === undefined) throw section?.wrong(name, "is not the id of a node");
    const address = section.text(name, "");
    if (parseAddress(address) === undefined) throw section.wrong(name, "must be an address such as 10.0.0.7:4100");
    addresses.set(id, address);
  }
  return addresses;
}

/** `{"<subnet id>": "127.0.0.1:8081 127.0.0.1:8082"}` */
function subnetsIn(section: Section | undefined): ReadonlyMap<PrincipalId, readonly string[]> {
  const subnets = new Map<PrincipalId, readonly string[]>();
  for (const name of section?.keys() ?? []) {
    const id = principalFromText(name);
    if (section === undefined || id === undefined) throw section?.wrong(name, "is not the id of a subnet");
    const addresses = section.text(name, "").split(" ");
    if (addresses.some((address) => parseAddress(address) === undefined))
      throw section.wrong(name, "must be addresses such as 127.0.0.1:8081, with a space between them");
    subnets.set(
      id,
      addresses.map((address) => `http://${address}`),
    );
  }
  return subnets;
}

const LEVELS = ["debug", "info", "warning", "error"] as const;

function logIn(section: Section | undefined): NodeConfig["log"] {
  if (section === undefined) return { format: "text", level: "info" };
  const log = {
    format: section.word("format", ["text", "json"], "text"),
    level: section.word("level", LEVELS, "info"),
  };
  section.end();
  return log;
}

/** An object of the file; knows which of its keys were asked for. */
class Section {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  /** Of the section, with a dot behind it; empty: the whole file. */
  readonly #name: string;
  readonly #asked = new Set<string>();

  constructor(value: unknown, path: string, name: string) {
    this.#path = path;
    this.#name = name === "" ? "" : `${name}.`;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw wrong(path, name === "" ? "it must be a JSON object" : `"${name}" must be an object`);
    this.#values = value as Record<string, unknown>;
  }

  keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  text(key: string, otherwise: string): string {
    const value = this.#take(key);
    if (value === undefined) return otherwise;
    if (typeof value !== "string" || value === "") throw this.wrong(key, "must be a text that is not empty");
    return value;
  }

  number(key: string, max: number): number {
    const value = this.#take(key);
    if (value === undefined) throw this.wrong(key, "is missing");
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max)
      throw this.wrong(key, `must be a whole number from 0 to ${max}`);
    return value;
  }

  word<T extends string>(key: string, words: readonly T[], otherwise: T): T {
    const value = this.#take(key);
    if (value === undefined) return otherwise;
    const known = words.find((each) => each === value);
    if (known === undefined) throw this.wrong(key, `must be one of ${words.join(", ")}`);
    return known;
  }

  section(key: string): Section | undefined {
    const value = this.#take(key);
    return value === undefined ? undefined : new Section(value, this.#path, this.#name + key);
  }

  missing(key: string): never {
    throw this.wrong(key, "is missing");
  }

  /** Everything that nobody asked for is a slip of the pen. */
  end(): void {
    const unknown = this.keys().find((key) => !this.#asked.has(key));
    if (unknown !== undefined)
      throw this.wrong(unknown, `is not known there; known are ${[...this.#asked].sort().join(", ")}`);
  }

  /** Values are never shown: a key in the wrong place could be among them. */
  wrong(key: string, what: string): EnvironmentError {
    const name = key === "" ? this.#name.slice(0, -1) : this.#name + key;
    return wrong(this.#path, `"${name}" ${what}`);
  }

  #take(key: string): unknown {
    this.#asked.add(key);
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }
}

function wrong(path: string, what: string): EnvironmentError {
  return new EnvironmentError("CONFIG", `The configuration ${path}: ${what}.`);
}
