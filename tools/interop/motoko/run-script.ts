// Runs a script against a network and writes what the suite's own runner writes: one line an outcome, and what
// canisters print in between. The canister of the first installation is there from the start, with cycles.

import {
  type CanisterId,
  ErrorCode,
  errorCodeText,
  MANAGEMENT_CANISTER,
  principalFromText,
  principalToBytes,
  principalToText,
  type UserError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { CompiledModule } from "./compile-module.ts";
import { canisterOf, DrunNetwork, type NetworkOptions, type Outcome } from "./drun-network.ts";
import { withoutBacktraces } from "./output.ts";
import { type Command, parseArgument, parseScript } from "./script.ts";

const EMPTY = "0x4449444c0000";
const CREATED = "0x4449444c016c01b3c4b1f204680100010a00000000000000000101";
/** What a message prints is read from the canister's log, which has to be large enough for it. */
const LOG_BYTES = 2n * 1024n * 1024n;
const CYCLES = 1_000_000_000_000_000n;

export interface ScriptRun {
  readonly script: readonly string[];
  readonly subnetType: NetworkOptions["subnetType"];
  readonly modules: ReadonlyMap<string, CompiledModule>;
}

/** The output, a line each; a text that was printed may have several. */
export async function runScript({ script, subnetType, modules }: ScriptRun): Promise<string[]> {
  const own = principalToText(canisterOf(subnetType));
  const lines = script.map((line) => line.replaceAll("$ID", own).replaceAll("$PRINCIPAL", CREATED));
  const output: string[] = [];
  let commands: Command[];
  try {
    commands = parseScript(lines);
  } catch (error) {
    return [`Error: ${(error as Error).message}`];
  }
  const network = await DrunNetwork.start({ subnetType, onPrint: (text) => output.push(`debug.print: ${text}`) });
  try {
    const first = commands.find((command) => "module" in command);
    if (first !== undefined) output.push(await createFirst(network, first.canister));
    for (const command of commands) {
      const outcome = await execute(network, command, modules);
      if (outcome === undefined) break;
      if (outcome.kind === "refused") {
        output.push(notSubmitted(outcome.error));
        // A call that is polled for ends the script when there is nothing to poll for.
        if (!isAtOnce(command)) break;
      }
      output.push(describe(command, outcome));
    }
  } finally {
    await network.stop();
  }
  return output;
}

/** undefined: the script ends here without a word. */
async function execute(
  network: DrunNetwork,
  command: Command,
  modules: ReadonlyMap<string, CompiledModule>,
): Promise<Outcome | undefined> {
  const id = principalFromText(command.canister);
  let arg: Uint8Array;
  try {
    arg = parseArgument(command.arg);
  } catch {
    return undefined;
  }
  if (id === undefined) return undefined;
  if ("module" in command) {
    const module = modules.get(command.module);
    if (module === undefined) return undefined;
    return network.call(managementCall(id, "install_code", installArgument(command, module, arg)), "at-once");
  }
  const { kind, method } = command;
  if (kind === "query") return network.query({ receiver: id, effectiveCanisterId: id, method, arg });
  if (method === "start_canister" || method === "stop_canister") {
    const target = principalFromText(Principal.fromUint8Array(arg.slice(-10)).toText()) as CanisterId;
    await network.call(managementCall(target, method, IDL.encode([CANISTER], [recordOf(target)])), "at-once");
    return { kind: "replied", reply: Uint8Array.from(Buffer.from(EMPTY.slice(2), "hex")) };
  }
  return network.call(
    { receiver: id, effectiveCanisterId: id, method, arg },
    isAtOnce(command) ? "at-once" : "polling",
  );
}

/** Commands that are executed block after block; for all others time passes while they are polled for. */
function isAtOnce(command: Command): boolean {
  return "module" in command || command.method === "__motoko_stabilize_before_upgrade";
}

function notSubmitted({ code, message }: UserError): string {
  const name = Object.entries(ErrorCode).find(([, number]) => number === code)?.[0];
  const description = JSON.stringify(withoutBacktraces(message));
  return `Failed to submit ingress message: UserError { code: ${name}, description: ${description} }`;
}

function describe({ kind }: Command, outcome: Outcome): string {
  const isQuery = kind === "query";
  if (outcome.kind === "refused") return `ingress Err: ${errorCodeText(outcome.error.code)}: ${outcome.error.message}`;
  if (outcome.kind === "rejected") return `${isQuery ? "" : "ingress "}Err: ${outcome.code}: ${outcome.message}`;
  const reply = "ingress" === kind || isQuery ? `0x${Buffer.from(outcome.reply).toString("hex")}` : EMPTY;
  return `${isQuery ? "Ok:" : "ingress Completed:"} Reply: ${reply}`;
}

const CANISTER = IDL.Record({ canister_id: IDL.Principal });
const CREATE = IDL.Record({
  amount: IDL.Opt(IDL.Nat),
  specified_id: IDL.Opt(IDL.Principal),
  settings: IDL.Opt(IDL.Record({ controllers: IDL.Opt(IDL.Vec(IDL.Principal)), log_memory_limit: IDL.Opt(IDL.Nat) })),
});
const INSTALL = IDL.Record({
  mode: IDL.Variant({
    install: IDL.Null,
    reinstall: IDL.Null,
    upgrade: IDL.Opt(
      IDL.Record({
        skip_pre_upgrade: IDL.Opt(IDL.Bool),
        wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
      }),
    ),
  }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

/** The canister controls itself, and so does everybody. */
async function createFirst(network: DrunNetwork, canister: string): Promise<string> {
  const id = principalFromText(canister) as CanisterId;
  const controllers = [Principal.anonymous(), Principal.fromText(canister)];
  const settings = { controllers: [controllers], log_memory_limit: [LOG_BYTES] };
  const specified = [Principal.fromText(canister)];
  const arg = IDL.encode([CREATE], [{ amount: [CYCLES], specified_id: specified, settings: [settings] }]);
  const request = managementCall(id, "provisional_create_canister_with_cycles", arg);
  const outcome = await network.call(request, "at-once");
  if (outcome.kind === "replied") return `ingress Completed: Reply: ${CREATED}`;
  throw new Error(`the canister was not created: ${describe({ kind: "install" } as Command, outcome)}`);
}

function managementCall(effectiveCanisterId: CanisterId, method: string, arg: Uint8Array) {
  return { receiver: MANAGEMENT_CANISTER, effectiveCanisterId, method, arg };
}

/** A module with enhanced orthogonal persistence keeps its heap, and nobody has to ask for it. */
function installArgument(command: Command, module: CompiledModule, arg: Uint8Array): Uint8Array {
  const keep = module.persistence === "enhanced" ? [{ keep: null }] : [];
  const mode =
    command.kind === "upgrade"
      ? { upgrade: [{ skip_pre_upgrade: [false], wasm_memory_persistence: keep }] }
      : { [command.kind]: null };
  const canister = Principal.fromText(command.canister);
  return IDL.encode([INSTALL], [{ mode, canister_id: canister, wasm_module: module.wasm, arg }]);
}

function recordOf(id: CanisterId): { canister_id: Principal } {
  return { canister_id: Principal.fromUint8Array(principalToBytes(id)) };
}
