// What instrumentation costs: each kernel rewritten against the same kernel as it is, both by V8 with the flags of the
// executing worker, interleaved in one process, CPU time, medians. And how fast the rewriter and the validation are.
// Alone: node bench/wasm.ts [--short]
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import {
  DIRTY_MAP_PAGES,
  type InstrumentedModule,
  instrument,
  type ModuleInfo,
  validateModule,
} from "../packages/embedder/src/wasm/index.ts";
import { compileMotoko, type Width } from "../tools/motoko/compile.ts";

/** The flags that the executing worker sets; they must be set before the first compilation. */
export const V8_FLAGS =
  "--wasm-inlining-factor=12 --wasm-inlining-min-budget=500 --wasm-inlining-max-size=2000 --wasm-inlining-budget=20000";

export interface WasmBenchResult {
  /** Kernel -> CPU time rewritten / raw. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly geometricMean: number;
  readonly rewriterMBps: number;
  readonly validationMBps: number;
  /** Size of the rewritten Motoko canister / raw. */
  readonly growth: number;
}

type Run = () => unknown;
// biome-ignore lint/suspicious/noExplicitAny: exports of kernels
type Exports = Record<string, any>;

/** Name -> rounds for a call of a few milliseconds. */
const KERNELS = {
  sha256: 10_000,
  quicksort: 1,
  matrix: 2,
  "hash-map": 5,
  recursion: 8,
  copy: 50,
  treap: 4,
  nbody: 100,
  sieve: 4,
};
const PLENTY = 1e15;

export async function benchWasm(
  options: { short?: boolean; log?: (line: string) => void } = {},
): Promise<WasmBenchResult> {
  v8.setFlagsFromString(V8_FLAGS);
  const log = options.log ?? (() => undefined);
  const repeats = options.short ? 1 : 11;
  const targetMs = options.short ? 4 : 120;
  const ratios: Record<string, number> = {};
  // To compile them is most of a short run.
  for (const [name, rounds] of Object.entries(KERNELS).slice(0, options.short ? 3 : undefined)) {
    const bytes = await compileKernel(name);
    ratios[name] = await compare(
      kernelRun(rawInstance(bytes), rounds),
      kernelRun(rewrittenInstance(bytes), rounds),
      repeats,
      targetMs,
    );
    log(`${name.padEnd(12)} ${ratios[name]?.toFixed(2)}`);
  }
  const wide = await motokoModule(64);
  const canisters = { "motoko-64": wide, ...(options.short !== true && { "motoko-32": await motokoModule(32) }) };
  for (const [name, bytes] of Object.entries(canisters)) {
    ratios[name] = await compare(canisterRun(bytes, false), canisterRun(bytes, true), repeats, targetMs);
    log(`${name.padEnd(12)} ${ratios[name]?.toFixed(2)}`);
  }
  const speed = rewriterSpeed(wide, options.short ? 50 : 1500);
  const values = Object.values(ratios);
  const geometricMean = Math.exp(values.reduce((sum, ratio) => sum + Math.log(ratio), 0) / values.length);
  log(
    `geometric mean ${geometricMean.toFixed(2)}; rewriter ${speed.rewriterMBps.toFixed(0)} MB/s, ` +
      `validation ${speed.validationMBps.toFixed(0)} MB/s, size x ${speed.growth.toFixed(2)}`,
  );
  return { ratios, geometricMean, ...speed };
}

/** Median of `repeats` interleaved measurements, after both have reached the optimising tier. */
async function compare(raw: Run, rewritten: Run, repeats: number, targetMs: number): Promise<number> {
  for (const run of [raw, rewritten]) await warmUp(run, 3 * targetMs);
  let loops = 1;
  for (; cpuMs(raw, loops) < targetMs; ) loops = Math.ceil(loops * 1.6);
  const rawMs: number[] = [];
  const rewrittenMs: number[] = [];
  for (let i = 0; i < repeats; i++) {
    rawMs.push(cpuMs(raw, loops));
    rewrittenMs.push(cpuMs(rewritten, loops));
  }
  return median(rewrittenMs) / median(rawMs);
}

/** The engine compiles in threads beside; running and waiting in turn lets it finish. */
async function warmUp(run: Run, ms: number): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (let spent = 0; spent < ms; ) spent += cpuMs(run, 1) + 0.01;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}

function cpuMs(run: Run, loops: number): number {
  const before = process.cpuUsage();
  for (let i = 0; i < loops; i++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}

function kernelRun(exports: Exports, rounds: number): Run {
  exports.setup();
  return () => {
    exports["atoll reset"]?.(PLENTY);
    return exports.run(rounds);
  };
}

function rawInstance(bytes: Uint8Array, ic0: object = {}): Exports {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  return new WebAssembly.Instance(module, { ic0 } as WebAssembly.Imports).exports;
}

function rewrittenInstance(bytes: Uint8Array, ic0: object = {}): Exports {
  const info = validated(bytes);
  const instrumented = instrument(bytes, info, { isSuspendable: false });
  const memory = newMemory(instrumented);
  const heap = memory === undefined ? new Uint8Array(0) : new Uint8Array(memory.buffer);
  for (const segment of info.dataSegments) heap.set(segment.bytes, segment.offset);
  const fail = (what: string) => () => {
    throw new Error(what);
  };
  const atoll = {
    memory,
    dirty: new WebAssembly.Memory({ initial: DIRTY_MAP_PAGES, maximum: DIRTY_MAP_PAGES }),
    out_of_instructions: fail("out of instructions"),
    stack_overflow: fail("stack overflow"),
    try_grow_wasm_memory: () => 1,
  };
  const module = new WebAssembly.Module(instrumented.wasm as Uint8Array<ArrayBuffer>);
  const instance = new WebAssembly.Instance(module, { ic0, atoll } as unknown as WebAssembly.Imports);
  const exports: Exports = { ...instance.exports, heap: memory };
  exports["atoll reset"](PLENTY);
  return exports;
}

function validated(bytes: Uint8Array): ModuleInfo {
  const result = validateModule(bytes);
  if (!result.ok) throw new Error(result.refusal.text);
  return result.info;
}

function newMemory({ memory }: InstrumentedModule): WebAssembly.Memory | undefined {
  if (memory === undefined) return undefined;
  const { initialPages, maximumPages, memory64 } = memory;
  const descriptor = memory64
    ? { address: "i64", initial: BigInt(initialPages), maximum: BigInt(maximumPages) }
    : { initial: initialPages, maximum: maximumPages };
  return new WebAssembly.Memory(descriptor as WebAssembly.MemoryDescriptor);
}

function canisterRun(bytes: Uint8Array, rewritten: boolean): Run {
  const ic0 = stubSystemApi(bytes, () => exports.heap ?? exports.mem);
  const exports: Exports = rewritten ? rewrittenInstance(bytes, ic0) : rawInstance(bytes, ic0);
  exports.canister_start?.();
  exports.canister_init();
  return () => {
    exports["atoll reset"]?.(PLENTY);
    exports["canister_update work"]();
  };
}

/** A system API that answers with nothing, but for empty Candid arguments and one page of stable memory. */
function stubSystemApi(bytes: Uint8Array, memory: () => WebAssembly.Memory): Record<string, unknown> {
  const argument = new Uint8Array([0x44, 0x49, 0x44, 0x4c, 0, 0]);
  const wide = validated(bytes).memory64;
  const size = (value: number): number | bigint => (wide ? BigInt(value) : value);
  const stubs: Record<string, unknown> = {};
  for (const { name } of WebAssembly.Module.imports(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>))) {
    stubs[name] = () => (/size$/.test(name) ? size(0) : 0);
  }
  const wides = [
    "time",
    "performance_counter",
    "global_timer_set",
    "stable64_size",
    "stable64_grow",
    "canister_version",
  ];
  for (const name of wides) stubs[name] = () => 0n;
  stubs.msg_arg_data_size = () => size(argument.length);
  stubs.msg_caller_size = () => size(1);
  stubs.msg_arg_data_copy = (to: number | bigint, from: number | bigint, count: number | bigint) => {
    const part = argument.subarray(Number(from), Number(from) + Number(count));
    new Uint8Array(memory().buffer).set(part, Number(to));
  };
  stubs.trap = (at: number | bigint, count: number | bigint) => {
    const text = new Uint8Array(memory().buffer).subarray(Number(at), Number(at) + Number(count));
    throw new Error(new TextDecoder().decode(text));
  };
  return stubs;
}

function rewriterSpeed(
  bytes: Uint8Array,
  ms: number,
): Pick<WasmBenchResult, "rewriterMBps" | "validationMBps" | "growth"> {
  const info = validated(bytes);
  let size = 0;
  const rate = (act: () => void): number => {
    const cost: number[] = [];
    for (let spent = 0; spent < 2 * ms; ) {
      const one = cpuMs(act, 4) / 4;
      spent += 4 * one + 0.01;
      if (spent > ms) cost.push(one);
    }
    return bytes.length / 1000 / (cost.reduce((sum, one) => sum + one, 0) / cost.length);
  };
  const rewriterMBps = rate(() => {
    size = instrument(bytes, info, { isSuspendable: false }).wasm.length;
  });
  return { rewriterMBps, validationMBps: rate(() => validateModule(bytes)), growth: size / bytes.length };
}

export async function compileKernel(name: string): Promise<Uint8Array> {
  const asc = (await import("assemblyscript/asc")) as unknown as {
    main(args: string[], io: object): Promise<{ error: Error | null; stderr: object }>;
  };
  const source = readFileSync(new URL(`./kernels/${name}.as`, import.meta.url), "utf8");
  let binary: Uint8Array | undefined;
  const args = ["kernel.ts", "-O3", "--runtime", "stub", "--initialMemory", "256", "--outFile", "out.wasm"];
  const result = await asc.main(
    [...args, "--enable", "simd", "--memoryBase", "8388608"].filter((arg) => arg !== ""),
    {
      readFile: (file: string) => (file === "kernel.ts" ? source : null),
      writeFile: (file: string, contents: Uint8Array) => {
        if (file === "out.wasm") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (binary === undefined) throw new Error(`${name}: ${result.stderr}`);
  return new Uint8Array(binary);
}

async function motokoModule(width: Width): Promise<Uint8Array> {
  return (await compileMotoko({ source: fileURLToPath(new URL("./kernels/canister.mo", import.meta.url)), width }))
    .wasm;
}

if (import.meta.main) {
  await benchWasm({ short: process.argv.includes("--short"), log: (line) => console.log(line) });
}
