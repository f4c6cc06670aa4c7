// Motoko source in, canister module out: the real compiler (npm package `motoko`, moc compiled to JavaScript) with
// its bundled library `core`, so that nothing is fetched. Two widths, as moc has two persistence modes:
//   64  enhanced orthogonal persistence, moc's default: 64-bit memory and table, the heap survives an upgrade
//   32  classical persistence (`--legacy-persistence` of the command line): 32-bit memory, stable variables are serialised
// Each compilation runs in a process of its own, because the compiler keeps state between two compilations, and its
// result is kept under a key made of everything that goes in (see cache.ts). Metadata is what dfx asks moc for:
// candid:service and candid:args public, motoko:stable-types private.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CompiledFiles, cached } from "./cache.ts";
import { collectSources, type SourceSet } from "./sources.ts";

export type Width = 32 | 64;

export interface MotokoOptions {
  /** Names of the custom sections to emit as `icp:public`; everything else is `icp:private`. */
  readonly publicMetadata?: readonly string[];
  /** Garbage collector of classical persistence; 64-bit modules always have the incremental one. */
  readonly gc?: "copying" | "compacting" | "generational" | "incremental";
  /** Collect garbage after every message, for tests of the collector. */
  readonly forceGc?: boolean;
  /** Variables of the compiler's environment: `MOC_UNLOCK_PRIM` for programs that name primitives by themselves. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Further flags of moc's type checker, e.g. `--hide-warnings`. */
  readonly flags?: readonly string[];
  /** Files that exist only for this compilation, by absolute path (generated modules, blobs to embed as text). */
  readonly files?: ReadonlyMap<string, string>;
}

export interface CompileRequest {
  /** Path of the actor's file. Its relative imports are read from disk. */
  readonly source: string;
  readonly width: Width;
  readonly options?: MotokoOptions;
}

export interface CompiledCanister {
  readonly wasm: Uint8Array;
  readonly candid: string;
  /** The stable signature, as in the section `motoko:stable-types`. */
  readonly stableTypes: string;
}

/** What the compiler process reads on its standard input. */
export interface CompilerInput {
  readonly main: string;
  readonly files: Readonly<Record<string, string>>;
  readonly width: Width;
  readonly publicMetadata: readonly string[];
  readonly gc: string | null;
  readonly flags: readonly string[];
  readonly forceGc?: true;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A program that does not compile. `message` has one line per diagnostic, `file:line:column: text`. */
export class MotokoError extends Error {
  override readonly name = "MotokoError";
}

const DEFAULT_PUBLIC_METADATA = ["candid:service", "candid:args"];
const COMPILER_PROCESS = fileURLToPath(new URL("compiler-process.ts", import.meta.url));
/** The compiler recurses over long lists, and it is an OCaml program: a large nursery saves a fifth of its time. */
const PROCESS_FLAGS = [
  "--stack-size=3600",
  "--min-semi-space-size=64",
  "--max-semi-space-size=128",
  "--always-sparkplug",
  "--no-warnings",
];
const COMPILERS_AT_ONCE = 2;

export async function compileMotoko(request: CompileRequest): Promise<CompiledCanister> {
  const sources = collectSources(request.source, request.options?.files);
  const input = compilerInput(request, sources);
  const files = await cached(JSON.stringify(input), () => limited(() => runCompiler(input)));
  return { wasm: files.wasm, candid: files.candid, stableTypes: files.stableTypes };
}

function compilerInput(request: CompileRequest, sources: SourceSet): CompilerInput {
  const options = request.options ?? {};
  return {
    main: sources.main,
    files: sources.files,
    width: request.width,
    publicMetadata: options.publicMetadata ?? DEFAULT_PUBLIC_METADATA,
    gc: options.gc ?? null,
    flags: options.flags ?? [],
    // Named only when they are used: the input is the key under which results are kept.
    ...(options.forceGc === true && { forceGc: true as const }),
    ...(options.environment !== undefined && { environment: options.environment }),
  };
}

/** A compiler takes a core and 400 MB for some seconds: at most two at once, the rest wait in order. */
let running = 0;
const waiting: (() => void)[] = [];

async function limited<T>(work: () => Promise<T>): Promise<T> {
  if (running >= COMPILERS_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

function runCompiler(input: CompilerInput): Promise<CompiledFiles> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...PROCESS_FLAGS, COMPILER_PROCESS], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...input.environment },
    });
    const output: Uint8Array[] = [];
    const errors: Uint8Array[] = [];
    child.stdout.on("data", (chunk: Uint8Array) => output.push(chunk));
    child.stderr.on("data", (chunk: Uint8Array) => errors.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      const complaint = Buffer.concat(errors).toString("utf8").trim();
      if (code === 0) resolve(decodeOutput(Buffer.concat(output)));
      else if (code === 1 && complaint !== "") reject(new MotokoError(complaint));
      else reject(new Error(`the Motoko compiler stopped with code ${code}: ${complaint.slice(0, 2000)}`));
    });
    child.stdin.on("error", () => {}); // a compiler that died early is reported by its exit code
    child.stdin.end(JSON.stringify(input));
  });
}

/** The process answers with one line of JSON (candid, stableTypes), then the module's bytes. */
function decodeOutput(output: Buffer): CompiledFiles {
  const end = output.indexOf(10);
  const head = JSON.parse(output.toString("utf8", 0, end)) as { candid: string; stableTypes: string };
  return { wasm: new Uint8Array(output.subarray(end + 1)), candid: head.candid, stableTypes: head.stableTypes };
}
