// The command line of the official PocketIC server, flag by flag, and in its ways: an unknown flag ends the process
// with exit code 2 and a usage on standard error.
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { EnvironmentError } from "@atoll/types/errors";

export interface ServerFlags {
  readonly ipAddr: string;
  readonly port: number;
  readonly portFile?: string;
  /** Ends the server when nobody has asked it anything for so long. */
  readonly ttlSeconds: number;
  /** Ends it so long after its start, whatever it does. */
  readonly hardTtlSeconds?: number;
  readonly logLevels?: string;
  /** The folder where instances leave recordings. */
  readonly record?: string;
}

export type ServerCommand =
  | { readonly kind: "serve"; readonly flags: ServerFlags }
  | { readonly kind: "version" }
  | { readonly kind: "help" };

/** What this server can be taken for; docs/interop/pocket-ic.md says why. */
export const SERVER_VERSION = "14.0.0";

export const SERVER_USAGE = `Usage: pocket-ic [options]

A server for tests of canisters, as PocketIC's clients start it.

  -i, --ip-addr ADDR   address to listen on (default 127.0.0.1)
  -p, --port N         port to listen on (default 0: any free one)
      --port-file FILE where the port is written when the server is ready; the file must not exist
      --ttl SECONDS    end after so long without a request (default 60)
      --hard-ttl SECONDS
                       end so long after the start, with exit code 124
  -l, --log-levels LEVELS
                       off, error, warn, info, debug or trace, or a list like pocket_ic_server=debug (default info)
      --record DIR     write what each instance did to a file in that folder when it is deleted or the server ends in
                       order, for "atoll replay"; clients that give no flags can set ATOLL_RECORDINGS=DIR
  -V, --version        print the version
  -h, --help           print this

Not supported: --mainnet-routing-table, --fetch-mainnet-routing-table, --mainnet-registry-version.`;

const DEFAULT_TTL_SECONDS = 60;
const OPTIONS = {
  "ip-addr": { type: "string", short: "i" },
  port: { type: "string", short: "p" },
  "port-file": { type: "string" },
  ttl: { type: "string" },
  "hard-ttl": { type: "string" },
  "log-levels": { type: "string", short: "l" },
  record: { type: "string" },
  "mainnet-routing-table": { type: "string" },
  "fetch-mainnet-routing-table": { type: "boolean" },
  "mainnet-registry-version": { type: "string" },
  version: { type: "boolean", short: "V" },
  help: { type: "boolean", short: "h" },
} as const;

/** Throws EnvironmentError USAGE. */
export function parseFlags(args: readonly string[]): ServerCommand {
  const values = parse(args);
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const unavailable = Object.keys(values).find((name) => name.includes("mainnet"));
  if (unavailable !== undefined) {
    throw wrong(`not supported: --${unavailable}; the ids and ranges of the named subnets are built in.`);
  }
  const ipAddr = values["ip-addr"] ?? "127.0.0.1";
  if (isIP(ipAddr) === 0) throw wrong(`"${ipAddr}" is not an IP address.`);
  if (values["port-file"] === "") throw wrong("--port-file needs the name of a file.");
  if (values.record === "") throw wrong("--record needs the name of a folder.");
  const hardTtl = values["hard-ttl"];
  return {
    kind: "serve",
    flags: {
      ipAddr,
      port: number("--port", values.port ?? "0", 65_535),
      ttlSeconds: values.ttl === undefined ? DEFAULT_TTL_SECONDS : seconds("--ttl", values.ttl),
      ...(values["port-file"] !== undefined && { portFile: values["port-file"] }),
      ...(hardTtl !== undefined && { hardTtlSeconds: seconds("--hard-ttl", hardTtl) }),
      ...(values.record !== undefined && { record: values.record }),
      ...(values["log-levels"] !== undefined && { logLevels: values["log-levels"] }),
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    throw wrong(`${(error as Error).message.split(/\.?\s*(?:\n|\.\s|$)/)[0]}.`);
  }
}

/** Clients give 64 bits; a number that a clock does not hold means never. */
function seconds(flag: string, text: string): number {
  return number(flag, text, Number.MAX_VALUE);
}

function number(flag: string, text: string, largest: number): number {
  const value = Number(text);
  if (!/^\d{1,20}$/.test(text) || value > largest) throw wrong(`"${text}" is no value for ${flag}.`);
  return value;
}

function wrong(message: string): EnvironmentError {
  return new EnvironmentError("USAGE", `${message} "pocket-ic --help" shows what can be said.`);
}
