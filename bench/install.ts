// What installing code costs before any of it runs: the module is unpacked, checked, rewritten and given to the engine,
// against the engine compiling all of the same module as it is with its baseline compiler. The latter takes a flag of
// the whole process, so it happens in a process of its own (install-process.ts); windows of the two alternate.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { prepareModule } from "@atoll/embedder";
import { sha256 } from "@atoll/host-node";
import { invariant } from "@atoll/types";
import { canister } from "../packages/execution/test/canisters/build.ts";
import { type CompileOrder, compileCost, copies } from "./install-process.ts";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { compileKernel, V8_FLAGS } from "./wasm.ts";

/** Bytes of modules in one window, so that small ones are prepared more often. */
const WINDOW_BYTES = 4_000_000;

/** Microseconds for one copy. */
interface Costs {
  readonly prepare: number;
  readonly load: number;
  readonly eager: number;
  readonly lazy: number;
  /** All of the rewritten module, as the baseline does it. */
  readonly rewritten: number;
}

export async function benchInstall({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  v8.setFlagsFromString(V8_FLAGS);
  const modules = await modulesToInstall();
  const compiler = fork(fileURLToPath(new URL("install-process.ts", import.meta.url)), {
    execArgv: [...process.execArgv, "--no-wasm-lazy-compilation", ...V8_FLAGS.split(" ")],
    serialization: "advanced",
  });
  try {
    const windows: Costs[][] = [];
    const warmUps = short ? 1 : 3;
    for (let window = -warmUps; window < (short ? 2 : 7); window++) {
      const costs: Costs[] = [];
      for (const wasm of Object.values(modules)) costs.push(await measure(compiler, wasm, short));
      if (window >= 0) windows.push(costs);
    }
    return [row(Object.keys(modules), windows)];
  } finally {
    compiler.disconnect();
  }
}

async function modulesToInstall(): Promise<Readonly<Record<string, Uint8Array>>> {
  return {
    "motoko-64": (await canister("counter", { width: 64 })).wasm,
    "motoko-32": (await canister("counter", { width: 32 })).wasm,
    rust: (await canister("rust-counter")).wasm,
    "hash-map": await compileKernel("hash-map"),
  };
}

async function measure(compiler: ChildProcess, wasm: Uint8Array, short: boolean): Promise<Costs> {
  const count = short ? 1 : Math.min(200, Math.ceil(WINDOW_BYTES / wasm.length));
  const uploads = copies(wasm, count);
  const began = ownCpu();
  const prepared = uploads.map((uploaded) => {
    const result = prepareModule(uploaded, { sha256 });
    invariant(result.ok, "a module of the benchmark is refused");
    return result.module.stored.prepared;
  });
  const prepare = (ownCpu() - began) / count;
  // Rewriting may drop what makes the copies differ.
  const load = compileCost(prepared.flatMap((bytes) => copies(bytes, 1)));
  const eager = await ask(compiler, { wasm, count });
  const rewritten = await ask(compiler, { wasm: prepared[0] as Uint8Array, count });
  return { prepare, load, eager, rewritten, lazy: compileCost(copies(wasm, count)) };
}

function ask(compiler: ChildProcess, order: CompileOrder): Promise<number> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the compiling process ended with ${code}`));
    compiler.once("exit", onExit);
    compiler.once("message", (cost) => {
      compiler.off("exit", onExit);
      resolve(cost as number);
    });
    compiler.send(order);
  });
}

function row(names: readonly string[], windows: readonly (readonly Costs[])[]): Row {
  const ratio = ({ prepare, load, eager }: Costs) => (prepare + load) / eager;
  const lazyRatio = ({ prepare, load, lazy }: Costs) => (prepare + load) / lazy;
  const wholeRatio = ({ prepare, rewritten, eager }: Costs) => (prepare + rewritten) / eager;
  const mean = (costs: readonly Costs[], of: (costs: Costs) => number) =>
    Math.exp(costs.reduce((sum, one) => sum + Math.log(of(one)), 0) / costs.length);
  const overall = (of: (costs: Costs) => number) => median(windows.map((costs) => mean(costs, of))).toFixed(2);
  const each = names.map((name, i) => {
    const costs = windows.map((window) => window[i] as Costs);
    const milliseconds = (part: keyof Costs) => (median(costs.map((one) => one[part])) / 1000).toFixed(2);
    return (
      `${name} ${median(costs.map(ratio)).toFixed(2)} (${milliseconds("prepare")} ms to prepare, ` +
      `${milliseconds("load")} to load; V8 ${milliseconds("eager")}, lazily ${milliseconds("lazy")})`
    );
  });
  return {
    name: "install",
    what: `a module made ready to install and given to the engine, geometric mean of ${names.length} modules`,
    baseline: "V8 compiles all of the module as it is with its baseline compiler",
    ...spread(windows.map((costs) => mean(costs, ratio))),
    goal: 3,
    laterGoal: 2,
    notes: [
      ...each,
      `against the lazy compilation, which only checks: ${overall(lazyRatio)}; with all of the rewritten module compiled ` +
        `at once too, against the same of the raw one: ${overall(wholeRatio)}`,
    ],
  };
}
