// Runs a module of a few lines in any kind of execution, on the real embedder and nothing above it: what the call of
// one System API function does, says and costs.
import { createHash } from "node:crypto";
import {
  codeOf,
  type ExecutionInput,
  InstancePool,
  LongRun,
  Mode,
  prepareModule,
  type RunResult,
  rollBack,
  runFunction,
  StableMemory,
  type StablePages,
  type TaskName,
  toUserError,
} from "@atoll/embedder";
import { canisterIdFromIndex, type PrincipalId } from "@atoll/types";
import binaryen from "binaryen";
import type { Width } from "./specification.ts";

export interface Context {
  readonly mode: Mode;
  /** As refusals call it. */
  readonly called: string;
  readonly task?: TaskName;
  readonly replicated: boolean;
}

function task(called: TaskName): Context {
  return { mode: Mode.task, called, task: called, replicated: true };
}

/** The contexts of the specification; a system task is one of three. */
export const CONTEXTS: Readonly<Record<string, readonly Context[]>> = {
  I: [{ mode: Mode.init, called: "init", replicated: true }],
  G: [{ mode: Mode.preUpgrade, called: "pre upgrade", replicated: true }],
  U: [{ mode: Mode.update, called: "update", replicated: true }],
  RQ: [{ mode: Mode.replicatedQuery, called: "replicated query", replicated: true }],
  NRQ: [{ mode: Mode.query, called: "non replicated query", replicated: false }],
  TQ: [{ mode: Mode.transform, called: "non replicated query", replicated: false }],
  CQ: [{ mode: Mode.compositeQuery, called: "composite query", replicated: false }],
  Ry: [{ mode: Mode.reply, called: "reply callback", replicated: true }],
  Rt: [{ mode: Mode.reject, called: "reject callback", replicated: true }],
  CRy: [{ mode: Mode.compositeReply, called: "composite reply callback", replicated: false }],
  CRt: [{ mode: Mode.compositeReject, called: "composite reject callback", replicated: false }],
  C: [{ mode: Mode.cleanup, called: "cleanup", replicated: true }],
  CC: [{ mode: Mode.compositeCleanup, called: "composite cleanup", replicated: false }],
  s: [{ mode: Mode.start, called: "start", replicated: true }],
  F: [{ mode: Mode.inspect, called: "inspect message", replicated: false }],
  T: [task("heartbeat"), task("global timer"), task("on low Wasm memory")],
};

/** rdmx6-jaaaa-aaaaa-aaadq-cai. */
const SELF = canisterIdFromIndex(7n);
export const CALLER = "0a0b0c" as PrincipalId;
const SUBNET = "5a5a5a5a" as PrincipalId;
export const LIMIT = 1_000_000_000;
/** A memory of nothing but zeros. */
const NO_PAGES: StablePages = {
  wasmPages: 0,
  read: () => undefined,
  pages: () => [],
  copyTo: (target, at, _offset, size) => void target.fill(0, at, at + size),
};

type Overrides = Partial<Omit<ExecutionInput, "canister" | "fees">> & {
  readonly canister?: Partial<ExecutionInput["canister"]>;
  readonly fees?: Partial<ExecutionInput["fees"]>;
};

export function input(context: Context, overrides: Overrides = {}): ExecutionInput {
  const { canister, fees, ...rest } = overrides;
  return {
    ...{ mode: context.mode, replicated: context.replicated, caller: CALLER, arg: Uint8Array.of(1, 2, 3) },
    ...(context.task === undefined ? {} : { task: context.task }),
    ...{ methodName: "method", rejectCode: 4, rejectMessage: "no", deadlineSeconds: 0 },
    ...{ cyclesAvailable: 0n, cyclesRefunded: 0n, responded: false, callContextInstructions: 0 },
    ...{ time: 1_000_000_000_000n, subnetId: SUBNET, chargesPrinting: false, rootKey: new Uint8Array(133).fill(9) },
    ...{ dataCertificate: undefined, maxReplyBytes: 2_097_152, instructionLimit: LIMIT, stablePageLimit: 1_000 },
    ...rest,
    canister: {
      ...{ id: SELF, status: 1, version: 3, cycles: 10n ** 13n, controllers: [CALLER], globalTimer: 0n },
      ...{ wasmMemoryLimit: 0n, environmentVariables: [], logBytes: 4096, otherMemoryBytes: 0, openCalls: 0 },
      messageBytes: 0,
      memory: {
        allocation: 0,
        available: () => 2 ** 41,
        reservation: () => 0n,
        reservedCycles: 0n,
        reservedCyclesLimit: 0n,
      },
      maySeeLog: () => true,
      openCallsTo: () => 0,
      callsLeft: () => ({ all: 1000, guaranteed: 1000 }),
      ...canister,
    },
    fees: {
      callCost: (name, payload) => ({
        request: 1000n + BigInt(name) + BigInt(payload),
        prepaidResponse: 50n,
        prepaidExecution: 7n,
      }),
      createCanister: () => 500n,
      httpRequest: (request, response) => request * 10n + response,
      httpRequestV2: (params) => (params.length === 0 ? undefined : 77n),
      signature: (name) => (name === "key_1" ? 26n : undefined),
      freezingThreshold: () => 0n,
      ...fees,
    },
  };
}

/** A module that can be run again and again, each time as if for the first time. */
export interface Runnable {
  /** `limit`: 4 KiB pages of stable memory that may be touched; `pages`: its size in 64 KiB. */
  run(input: ExecutionInput, stable?: { limit?: number; pages?: number }): Ran;
}

/** The same in slices of `slice` instructions, on a stack that is suspended between them. */
export type RunInSlices = (input: ExecutionInput, slice: number) => Promise<RunResult & { readonly slices: number }>;

export interface Ran extends RunResult {
  readonly heap: Uint8Array;
  /** The error as a caller gets it, code first; empty when there is none. */
  readonly told: string;
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

const zeros = (target: Uint8Array, at: number, _offset: number, size: number): void => {
  target.fill(0, at, at + size);
};

/** A module in the text format whose export `go` is run. */
export function runnable(text: string, options: { readonly names?: boolean } = {}): Runnable {
  return runnableBytes(assemble(text, options.names === true));
}

export function runnableBytes(wasm: Uint8Array): Runnable {
  const prepared = prepareModule(wasm, { sha256 });
  if (!prepared.ok) throw new Error(toUserError(prepared.error, SELF).message);
  const { module } = prepared;
  const pool = new InstancePool();
  let live = pool.fresh({ module: module.stored, heap: NO_PAGES });
  const globals = live.readGlobals();
  const canReuse = module.dataSegments.length === 0;
  return {
    run: (given, { limit = given.stablePageLimit, pages = 0 } = {}) => {
      for (const { offset, bytes } of module.dataSegments) live.bytes().set(bytes, offset);
      const stable = new StableMemory({ ...NO_PAGES, wasmPages: pages, copyTo: zeros }, limit);
      const result = runFunction(live, { kind: "export", name: "canister_update go" }, given, stable, NO_PAGES);
      const { error } = result;
      const told = error === undefined ? "" : `IC0${codeOf(error)} ${toUserError(error, SELF).message}`;
      const heap = live.bytes().slice();
      if (!canReuse || !rollBack(live, result.dirtyPages, NO_PAGES, globals)) {
        live = pool.fresh({ module: module.stored, heap: NO_PAGES });
      }
      return { ...result, heap, told };
    },
  };
}

export function runnableInSlices(text: string): RunInSlices {
  const prepared = prepareModule(assemble(text, true), { sha256 });
  if (!prepared.ok) throw new Error(toUserError(prepared.error, SELF).message);
  const pool = new InstancePool();
  return async (given, slice) => {
    const live = pool.freshSuspendable({ module: prepared.module.stored, heap: NO_PAGES });
    const stable = new StableMemory(NO_PAGES, given.stablePageLimit);
    const entry = { kind: "export", name: "canister_update go" } as const;
    const run = new LongRun(live, entry, given, stable, NO_PAGES, { slice, operation: slice });
    for (let slices = 1; ; slices++) {
      await run.runSlice();
      if (run.result !== undefined) return { ...run.result, slices };
    }
  };
}

const { Features } = binaryen;
const FEATURES =
  Features.Memory64 | Features.MutableGlobals | Features.SignExt | Features.BulkMemory | Features.TailCall;

/** With `names`, a name section. */
export function assemble(text: string, names: boolean): Uint8Array {
  const module = binaryen.parseText(text);
  binaryen.setDebugInfo(names);
  try {
    module.setFeatures(FEATURES);
    return module.emitBinary();
  } finally {
    binaryen.setDebugInfo(false);
    module.dispose();
  }
}

/** Imports and body of one call with constant arguments, its result dropped. */
export function oneCall(
  width: Width,
  { name, params, result }: { name: string; params: readonly string[]; result: string | undefined },
  args: readonly (number | bigint)[] = [],
): { readonly declared: string; readonly code: string } {
  const native = (type: string): string => (type === "P" ? `i${width}` : type);
  const declared = `(import "ic0" "${name}" (func $${name} (param ${params.map(native).join(" ")})${
    result === undefined ? "" : ` (result ${native(result)})`
  }))`;
  const values = params.map((type, i) => `(${native(type)}.const ${args[i] ?? 0})`).join(" ");
  const call = `(call $${name} ${values})`;
  return { declared, code: result === undefined ? call : `(drop ${call})` };
}

/** A module with these imports, a memory of one page and this code. */
export function moduleOf(width: Width, declared: string, code: string, memory = "1"): string {
  const wide = width === 64 ? "i64 " : "";
  const declares = memory === "" ? "" : `(memory ${wide}${memory})`;
  return `(module ${declared} ${declares} (func (export "canister_update go") ${code}))`;
}
