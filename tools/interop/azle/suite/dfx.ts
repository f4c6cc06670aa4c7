// What Azle's tests ask of `dfx`, on our network: ids, building (with Azle's own command), installing and calling (with
// the official command line `icp`), bindings (with the official generator). One run is one command; the ids of a project
// lie in a file beside its dfx.json. The surroundings come in variables that main.ts sets.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { Icp } from "../../icp-cli/icp.ts";

interface CanisterConfig {
  readonly type?: string;
  readonly candid?: string;
  readonly init_arg?: string;
  readonly declarations?: { readonly output?: string };
}

const { DFX_URL = "", DFX_HOME = "", DFX_ROOT = "", DFX_IDENTITY = "" } = process.env;
const icp = new Icp(DFX_HOME, DFX_URL);
const project = projectFolder(process.cwd());
const { canisters } = JSON.parse(readFileSync(join(project, "dfx.json"), "utf8")) as {
  canisters: Readonly<Record<string, CanisterConfig>>;
};
const IDS = join(project, ".ids.json");
const ids: Record<string, string> = existsSync(IDS) ? JSON.parse(readFileSync(IDS, "utf8")) : {};

/** Options with a value, and without. */
const VALUED = new Set(["--network", "--argument", "--output", "--canister", "--amount", "--t", "--wasm"]);

async function main(): Promise<void> {
  const { words, options } = parsed(process.argv.slice(2));
  const [command = "", sub = "", ...rest] = words;
  const names = (given: readonly string[]): readonly string[] => (given.length > 0 ? given : Object.keys(canisters));
  switch (command === "canister" ? `canister ${sub}` : command) {
    case "canister id":
      return print(await created(rest[0] ?? ""));
    case "canister create":
      for (const name of options.has("--all") ? names([]) : rest) await created(name);
      return;
    case "canister uninstall-code":
      // A canister of its own for each run: nothing of an earlier one is left.
      delete ids[rest[0] ?? ""];
      return writeFileSync(IDS, JSON.stringify(ids));
    case "canister call":
      return call(rest, options);
    case "deploy":
      for (const name of names(words.slice(1))) await created(name);
      for (const name of names(words.slice(1))) await deploy(name, options.get("--argument"));
      return;
    case "generate":
      for (const name of names(words.slice(1))) generate(name);
      return;
    case "ledger":
      // Fabricated cycles: every canister has 100 T from its creation.
      if (sub === "fabricate-cycles") return;
      break;
    case "identity":
      return print((await icp.expect(["identity", "principal", "--identity", DFX_IDENTITY])).trim());
  }
  throw new Error(`dfx ${process.argv.slice(2).join(" ")} is not known here`);
}

async function created(name: string): Promise<string> {
  const known = ids[name];
  if (known !== undefined) return known;
  const answer = await icp.on("call", DFX_IDENTITY, [
    "aaaaa-aa",
    "provisional_create_canister_with_cycles",
    "(record {})",
  ]);
  const [id = ""] = /(?<=principal ")[^"]+/.exec(answer) ?? [];
  ids[name] = id;
  writeFileSync(IDS, JSON.stringify(ids));
  return id;
}

async function deploy(name: string, argument: string | undefined): Promise<void> {
  const config = canisters[name];
  if (config?.type !== "azle") throw new Error(`${name} is of type ${config?.type}`);
  const azle = join(DFX_ROOT, "node_modules", "azle", "src", "build.ts");
  execFileSync(process.execPath, ["--import", "tsx", azle, "build", name], {
    cwd: project,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, CANISTER_CANDID_PATH: candidPath(name) },
  });
  const module = join(project, ".azle", name, `${name}.wasm.gz`);
  writeFileSync(module, gzipSync(readFileSync(join(project, ".azle", name, `${name}.wasm`))));
  const arg = argument ?? config.init_arg;
  const args = arg === undefined ? [] : ["--args", arg.trimStart().startsWith("(") ? arg : `(${arg})`];
  await icp.on("install", DFX_IDENTITY, [await created(name), "--wasm", module, "--yes", ...args]);
}

/** What `didc` makes of the interface, with an actor around it as `dfx` writes one. */
function generate(name: string): void {
  const output = join(project, canisters[name]?.declarations?.output ?? join("src", "declarations", name));
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const generator = join(DFX_ROOT, "node_modules", "@icp-sdk", "bindgen", "dist", "esm", "cli", "icp-bindgen.js");
  const did = join(project, ".azle", `${name}.did`);
  writeFileSync(did, readFileSync(candidPath(name)));
  const made = join(project, ".azle", "bindings");
  rmSync(made, { recursive: true, force: true });
  const flags = ["--actor-disabled", "--declarations-flat", "--force"];
  execFileSync(process.execPath, [generator, "--did-file", did, "--out-dir", made, ...flags], { stdio: "ignore" });
  for (const file of readdirSync(made)) {
    // Azle's tests speak through the agent under its former name.
    writeFileSync(join(output, file), readFileSync(join(made, file), "utf8").replaceAll("@icp-sdk/core/", "@dfinity/"));
  }
  writeFileSync(join(output, "index.js"), actorModule(name));
  writeFileSync(join(output, "index.d.ts"), "export declare const createActor: any;\n");
}

function actorModule(name: string): string {
  return `import { Actor, HttpAgent } from "@dfinity/agent";
import { idlFactory } from "./${name}.did.js";
export { idlFactory } from "./${name}.did.js";
export const createActor = (canisterId, options = {}) => {
  const agent = options.agent ?? HttpAgent.createSync(options.agentOptions);
  return Actor.createActor(idlFactory, { agent, canisterId, ...options.actorOptions });
};
`;
}

async function call([name = "", method = "", args = "()"]: readonly string[], options: Options): Promise<void> {
  const query = options.has("--query") ? ["--query"] : [];
  const answer = await icp.on("call", DFX_IDENTITY, [ids[name] ?? name, method, args, ...query]);
  print(options.get("--output") === "json" ? asJson(answer) : answer.trim());
}

/** A single value as `dfx` shows it in JSON; other answers as they are. */
function asJson(answer: string): string {
  const [, text] = /^\(("(?:[^"\\]|\\.)*")\)$/.exec(answer.trim()) ?? [];
  if (text !== undefined) return text;
  const [, number, width] = /^\((-?[\d_]+) : (?:nat|int)(8|16|32|64)?\)$/.exec(answer.trim()) ?? [];
  if (number === undefined) return answer.trim();
  const digits = number.replaceAll("_", "");
  return width === undefined || width === "64" ? `"${digits}"` : digits;
}

function candidPath(name: string): string {
  const given = canisters[name]?.candid;
  const path = given === undefined ? join(project, ".azle", name, `${name}.did`) : join(project, given);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

function projectFolder(from: string): string {
  if (existsSync(join(from, "dfx.json"))) return from;
  if (dirname(from) === from) throw new Error("there is no dfx.json");
  return projectFolder(dirname(from));
}

type Options = ReadonlyMap<string, string>;

function parsed(args: readonly string[]): { readonly words: readonly string[]; readonly options: Options } {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (VALUED.has(word)) options.set(word, args[++i] ?? "");
    else if (word.startsWith("--")) options.set(word, "");
    else words.push(word);
  }
  return { words, options };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
