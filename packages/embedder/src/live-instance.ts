// A canister's module instantiated over a real Wasm memory, ready to run. Between executions it holds exactly the
// committed heap and globals; after an execution its owner either commits or rolls back. Growing cannot be undone
// in the engine, so an instance whose heap grew in vain is thrown away.
import type { GlobalValue, StoredModule } from "@atoll/state";
import { invariant, OS_PAGE_BYTES, WASM_PAGE_BYTES } from "@atoll/types";
import { backtraceOf, captureFrames } from "./backtrace.ts";
import { type CallbackCaller, callbackCaller } from "./callback-caller.ts";
import type { TrapStack } from "./debug/trap-places.ts";
import type { DirtyMap } from "./dirty-map.ts";
import type { Execution, Heap } from "./execution.ts";
import { SliceEnd, Trap } from "./execution-error.ts";
import { PageSet } from "./page-set.ts";
import type { ModuleDescription } from "./prepared-module.ts";
import type { MemoryPages } from "./stable-memory.ts";
import { systemImports } from "./system-api/index.ts";

export type Export = (...args: (number | bigint)[]) => unknown;

/** What suspended stacks (JSPI) add to WebAssembly, where there are any: TypeScript's library does not know it yet. */
const engine = WebAssembly as unknown as {
  readonly Suspending?: new (run: () => Promise<void> | undefined) => WebAssembly.ImportValue;
  readonly promising?: (run: Export) => (...args: (number | bigint)[]) => Promise<unknown>;
};

/** In instructions. */
export interface SliceLimits {
  /** What an execution may take before it is suspended. */
  readonly slice: number;
  /** What a single operation (a copy, a system call) may take at most: it cannot be suspended. */
  readonly operation: number;
}

export class LiveInstance implements Heap {
  readonly description: ModuleDescription;
  readonly is64: boolean;
  /** What it was made from. */
  stored: StoredModule | undefined;
  readonly #direct: WebAssembly.Module;
  /** What runs: the direct form of the module, or the suspendable one. */
  #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory | undefined;
  #dirty: DirtyMap;
  readonly #touched = new PageSet();
  /** Told by how many bytes the instance grew. */
  onGrowth: ((bytes: number) => void) | undefined;
  #instance: WebAssembly.Instance;
  #bytes: Uint8Array;
  #execution: Execution | undefined;
  #callBack: CallbackCaller | undefined;
  #charge: (amount: number) => number;
  #reset: (instructions: number) => void;
  #counter: () => number;
  /** Instructions that the execution has beside those of the slice under way. */
  #reserve = 0;
  #slices: SliceLimits = { slice: 0, operation: 0 };
  /** How far system calls have taken the counter below zero in this slice. */
  #overdrawn = 0;
  #suspension: Suspension | undefined;

  constructor(module: WebAssembly.Module, description: ModuleDescription, dirty: DirtyMap, heap: MemoryPages) {
    this.#direct = module;
    this.#module = module;
    this.description = description;
    this.is64 = description.memory64;
    this.#dirty = dirty;
    this.#memory = description.memory === undefined ? undefined : loadMemory(description.memory, heap, this.#touched);
    this.#bytes = this.#memory === undefined ? new Uint8Array() : new Uint8Array(this.#memory.buffer);
    this.#instance = this.#instantiate();
    this.#charge = this.#function("atoll charge") as (amount: number) => number;
    this.#reset = this.#function("atoll reset") as (instructions: number) => void;
    this.#counter = this.#function("atoll counter") as () => number;
  }

  bytes(): Uint8Array {
    if (this.#bytes.length === 0 && this.#memory !== undefined) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  get hasMemory(): boolean {
    return this.#memory !== undefined;
  }

  /** Memory of the machine that the heap takes; pages that were never written take none. */
  get touchedBytes(): number {
    return this.#touched.count * OS_PAGE_BYTES;
  }

  get wasmPages(): number {
    return this.bytes().length / WASM_PAGE_BYTES;
  }

  markDirty(offset: number, size: number): void {
    this.#dirty.mark(offset, size);
  }

  charge(instructions: number): number {
    const left = this.#charge(instructions);
    const remaining = left + this.#reserve;
    if (left < 0 && remaining >= 0) this.#overdraw(instructions, left);
    return remaining;
  }

  /**
   * A system call has used up the slice. It cannot suspend the execution: the next loop head or function does. But
   * alone it must not be too large.
   */
  #overdraw(instructions: number, left: number): void {
    const before = left + instructions;
    const limit = this.#slices.operation;
    if (instructions >= Math.max(before, 0) + limit) {
      throw new Trap({ kind: "slice-overrun", instructions: limit - left, limit });
    }
    this.#overdrawn += Math.min(before, 0) - left;
  }

  /** Instructions left; negative when used up. */
  remaining(): number {
    return this.#counter() + this.#reserve;
  }

  /** What is needed to find the line of source at which `thrown` happened; undefined: the module does not tell. */
  trapStack(thrown: unknown): TrapStack | undefined {
    if (!this.description.hasLines || this.stored === undefined || !(thrown instanceof Error)) return undefined;
    // Places in the suspendable form are others than those in the form that is kept.
    if (this.#suspension !== undefined) return undefined;
    return thrown.stack === undefined ? undefined : { module: this.stored, stack: thrown.stack };
  }

  /** Where in the canister's code `thrown` happened; undefined: its functions have no names. */
  backtraceOf(thrown: unknown): string | undefined {
    return backtraceOf(this.#module, thrown);
  }

  /** Starts an execution; `end` must follow. */
  begin(execution: Execution, slices: SliceLimits): void {
    invariant(this.#execution === undefined, "two executions at once on one instance");
    captureFrames();
    this.#execution = execution;
    this.#slices = slices;
    const first = Math.min(slices.slice, execution.input.instructionLimit);
    this.#reserve = execution.input.instructionLimit - first;
    this.#overdrawn = 0;
    this.#reset(first);
  }

  /**
   * From now on the end of a slice suspends the execution instead of throwing, and the pages that it writes are
   * marked in a map of its own, as others run in between.
   */
  makeSuspendable(suspendable: WebAssembly.Module, dirty: DirtyMap): void {
    this.#module = suspendable;
    this.#suspension = { isPossible: engine.Suspending !== undefined, suspended: undefined, tell: undefined };
    this.#restart(dirty);
  }

  /** The reverse, for the next executions. */
  makeDirect(dirty: DirtyMap): void {
    this.#module = this.#direct;
    this.#suspension = undefined;
    this.#restart(dirty);
  }

  /** False: the engine cannot suspend a stack, as browsers of some years ago and Node 24 cannot. */
  get canSuspend(): boolean {
    return this.#suspension?.isPossible === true;
  }

  /** Calls `run` on a stack of its own; `onSuspend` is told each time that it stops at the end of a slice. */
  start(run: Export, args: readonly (number | bigint)[], onSuspend: () => void): Promise<unknown> {
    invariant(this.#suspension !== undefined, "an execution on an instance that cannot suspend it");
    invariant(engine.promising !== undefined, "an execution to suspend on an engine that cannot");
    this.#suspension.tell = onSuspend;
    return engine.promising(run)(...args);
  }

  /** Calls `run` where no stack can be suspended: it goes on at once when `onSliceEnd` returns. */
  runThrough(run: Export, args: readonly (number | bigint)[], onSliceEnd: () => void): void {
    invariant(this.#suspension !== undefined, "slices on an instance that does not count them");
    this.#suspension.tell = onSliceEnd;
    run(...args);
  }

  /** Lets a suspended execution run its next slice, or end with `failure`. */
  resume(onSuspend: () => void, failure?: Error): void {
    const suspended = this.#suspension?.suspended;
    invariant(this.#suspension !== undefined && suspended !== undefined, "no execution is suspended");
    captureFrames();
    this.#suspension.suspended = undefined;
    this.#suspension.tell = onSuspend;
    if (failure !== undefined) {
      suspended.reject(failure);
      return;
    }
    this.#grantSlice();
    suspended.resolve();
  }

  /** What was taken beyond the end of the last slice comes off the next one. */
  #grantSlice(): void {
    const owed = Math.max(0, -this.#counter());
    const { slice } = this.#slices;
    const granted = Math.min(slice * (1 + Math.floor(owed / slice)), this.#reserve);
    this.#reserve -= granted;
    this.#overdrawn = 0;
    const counter = this.#instance.exports["canister counter_instructions"] as WebAssembly.Global<"i64">;
    counter.value += BigInt(granted);
  }

  /** Ends the execution and tells which 4 KiB pages it wrote. */
  end(base: MemoryPages): number[] {
    this.#execution = undefined;
    const bytes = this.bytes();
    const pages = bytes.length / OS_PAGE_BYTES;
    const written = addStraddled(this.#dirty.take(pages), bytes, base);
    let added = 0;
    for (const page of written) if (this.#touched.add(page)) added++;
    if (added > 0) this.onGrowth?.(added * OS_PAGE_BYTES);
    return written;
  }

  /** Puts the content of one page, undefined for zeros. The heap grew to hold it, if at all, by `growTo`. */
  writePage(page: number, content: Uint8Array | undefined): void {
    if (content === undefined) this.bytes().fill(0, page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES);
    else this.bytes().set(content, page * OS_PAGE_BYTES);
    if (this.#touched.add(page)) this.onGrowth?.(OS_PAGE_BYTES);
  }

  /** Makes the heap as large as the committed one became elsewhere. False: it cannot be; throw the instance away. */
  growTo(wasmPages: number): boolean {
    const more = wasmPages - this.wasmPages;
    if (more < 0 || (more > 0 && this.#memory === undefined)) return false;
    if (more > 0) this.#memory?.grow((this.is64 ? BigInt(more) : more) as number);
    return true;
  }

  exported(name: string): Export | undefined {
    const value = this.#instance.exports[name];
    return typeof value === "function" ? (value as Export) : undefined;
  }

  /** What lies at `index` of table 0; undefined: that is no index of it. */
  tableFunction(index: number | bigint): Export | null | undefined {
    const { table } = this.description;
    if (table === undefined) return undefined;
    const at = BigInt.asUintN(typeof index === "bigint" ? 64 : 32, BigInt(index));
    const wasmTable = this.#instance.exports.table as WebAssembly.Table;
    if (at >= BigInt(wasmTable.length)) return undefined;
    return wasmTable.get((table.is64 ? at : Number(at)) as number) as Export | null;
  }

  /** Calls the function at an index of table 0, which must exist, with a value; a trap when it takes or gives anything else. */
  callbackCaller(): Export {
    const wide = { table: this.description.table?.is64 === true, pointer: this.is64 };
    this.#callBack ??= callbackCaller(this.#instance.exports.table as WebAssembly.Table, wide);
    return this.#callBack as Export;
  }

  /** What lies at the index of table 0 that was called last. */
  lastCalled(): Export | null | undefined {
    const index = this.#instance.exports["atoll called"] as WebAssembly.Global | undefined;
    return index && this.tableFunction(index.value as number | bigint);
  }

  /** `index` as the table takes it. */
  tableIndex(index: number | bigint): number | bigint {
    return this.description.table?.is64 === true ? BigInt(index) : Number(index);
  }

  readGlobals(): GlobalValue[] {
    return this.description.globals.map((access) => {
      if ("name" in access) {
        return (this.#instance.exports[access.name] as WebAssembly.Global).value as GlobalValue;
      }
      return this.#function(access.get)() as GlobalValue;
    });
  }

  writeGlobals(values: readonly GlobalValue[]): void {
    this.description.globals.forEach((access, i) => {
      const value = values[i];
      invariant(value !== undefined, "a mutable global has no saved value");
      if ("name" in access) {
        (this.#instance.exports[access.name] as WebAssembly.Global).value = value;
      } else {
        this.#function(access.set)(...((typeof value === "object" ? value : [value]) as (number | bigint)[]));
      }
    });
  }

  /** Makes the next execution begin with all passive segments again, if this one dropped any. */
  restoreSegments(): void {
    if (!this.description.dropsSegments) return;
    if ((this.#instance.exports["atoll dropped"] as WebAssembly.Global).value === 0) return;
    this.#restart(this.#dirty);
  }

  /** A new instance over the same memory and with the same globals. */
  #restart(dirty: DirtyMap): void {
    const globals = this.readGlobals();
    this.#dirty = dirty;
    this.#instance = this.#instantiate();
    this.#callBack = undefined;
    this.#charge = this.#function("atoll charge") as (amount: number) => number;
    this.#reset = this.#function("atoll reset") as (instructions: number) => void;
    this.#counter = this.#function("atoll counter") as () => number;
    this.writeGlobals(globals);
  }

  /** Why the counter is below zero: nothing is left at all, one step was too large, or merely the slice is over. */
  #outOfInstructions(execution: Execution): Error {
    const counter = this.#counter();
    if (counter + this.#reserve < 0) return execution.outOfInstructions();
    const limit = this.#slices.operation;
    if (counter + this.#overdrawn + limit <= 0)
      return new Trap({ kind: "slice-overrun", instructions: limit - counter, limit });
    return new SliceEnd();
  }

  #suspend(execution: Execution, suspension: Suspension): Promise<void> {
    const reason = this.#outOfInstructions(execution);
    if (!(reason instanceof SliceEnd)) throw reason;
    return new Promise((resolve, reject) => {
      suspension.suspended = { resolve, reject };
      suspension.tell?.();
    });
  }

  /** The end of a slice where no stack can be suspended. */
  #goOn(execution: Execution, suspension: Suspension): void {
    const reason = this.#outOfInstructions(execution);
    if (!(reason instanceof SliceEnd)) throw reason;
    suspension.tell?.();
    this.#grantSlice();
  }

  #function(name: string): Export {
    const found = this.exported(name);
    invariant(found !== undefined, `the rewritten module does not export "${name}"`);
    return found;
  }

  #sliceHook(current: () => Execution): WebAssembly.ImportValue {
    const suspension = this.#suspension;
    if (suspension === undefined) {
      return () => {
        throw this.#outOfInstructions(current());
      };
    }
    if (engine.Suspending === undefined || !suspension.isPossible) return () => this.#goOn(current(), suspension);
    return new engine.Suspending(() => this.#suspend(current(), suspension));
  }

  #instantiate(): WebAssembly.Instance {
    const current = (): Execution => {
      invariant(this.#execution !== undefined, "a system call outside of any execution");
      return this.#execution;
    };
    const hooks = {
      ...(this.#memory === undefined ? {} : { memory: this.#memory, dirty: this.#dirty.memory }),
      out_of_instructions: this.#sliceHook(current),
      stack_overflow: () => {
        throw new Trap({ kind: "trapped", trap: "stack overflow" });
      },
      try_grow_wasm_memory: (_current: number, requested: number) => {
        if (requested < 0) throw new Trap({ kind: "out-of-memory" });
        if (requested > 0 && !current().takeMemory(requested * WASM_PAGE_BYTES, true)) {
          throw new Trap({ kind: "out-of-memory" });
        }
        return 1;
      },
    };
    return new WebAssembly.Instance(this.#module, {
      atoll: hooks,
      ic0: systemImports(this.description.systemImports, current),
    } as WebAssembly.Imports);
  }
}

interface Suspension {
  /** Whether the engine can. */
  readonly isPossible: boolean;
  /** An execution that stopped at the end of a slice: its Wasm stack waits for one of the two. */
  suspended: { resolve(): void; reject(failure: Error): void } | undefined;
  tell: (() => void) | undefined;
}

function loadMemory(
  info: NonNullable<ModuleDescription["memory"]>,
  heap: MemoryPages,
  touched: PageSet,
): WebAssembly.Memory {
  const initial = Math.max(info.initialPages, heap.wasmPages);
  const memory = info.memory64
    ? new WebAssembly.Memory({
        address: "i64",
        initial: BigInt(initial),
        maximum: BigInt(info.maximumPages),
      } as unknown as WebAssembly.MemoryDescriptor)
    : new WebAssembly.Memory({ initial, maximum: info.maximumPages });
  const bytes = new Uint8Array(memory.buffer);
  for (const [page, content] of heap.pages()) {
    bytes.set(content, page * OS_PAGE_BYTES);
    touched.add(page);
  }
  return memory;
}

/** A store across a page border marks its first page only: look whether the page after a dirty one changed too. */
function addStraddled(dirty: readonly number[], bytes: Uint8Array, base: MemoryPages): number[] {
  const all: number[] = [];
  const pages = bytes.length / OS_PAGE_BYTES;
  dirty.forEach((page, i) => {
    all.push(page);
    const next = page + 1;
    if (next < pages && dirty[i + 1] !== next && !sameStart(bytes, next, base.read(next))) all.push(next);
  });
  return all;
}

function sameStart(bytes: Uint8Array, page: number, committed: Uint8Array | undefined): boolean {
  const at = page * OS_PAGE_BYTES;
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== (committed?.[i] ?? 0)) return false;
  return true;
}
