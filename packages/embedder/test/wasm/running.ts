// What the tests of the Wasm side share: modules from text, the host that an instrumented module needs, and the same
// module run by V8 as it is.
import assert from "node:assert/strict";
import binaryen from "binaryen";
import {
  DIRTY_MAP_PAGES,
  type InstrumentedModule,
  instrument,
  type ModuleInfo,
  validateModule,
} from "../../src/wasm/index.ts";

export const LIMIT = 1_000_000_000;

const F = binaryen.Features;
/** What the Internet Computer enables. */
const ENABLED =
  F.MutableGlobals |
  F.NontrappingFPToInt |
  F.SIMD128 |
  F.BulkMemory |
  F.BulkMemoryOpt |
  F.SignExt |
  F.ReferenceTypes |
  F.Multivalue |
  F.Memory64 |
  F.TailCall;

/** The binary of a module in text format, as written: no optimisation. */
export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  try {
    module.setFeatures(ENABLED);
    return new Uint8Array(module.emitBinary());
  } finally {
    module.dispose();
  }
}

export function accepted(bytes: Uint8Array): ModuleInfo {
  const result = validateModule(bytes);
  assert.ok(result.ok, result.ok ? "" : result.refusal.text);
  return result.info;
}

// biome-ignore lint/suspicious/noExplicitAny: exports of arbitrary test modules
export type Exports = Record<string, any>;
export type SystemImports = Record<string, (...values: never[]) => unknown>;

export interface Running {
  readonly exports: Exports;
  readonly memory: WebAssembly.Memory | undefined;
  readonly dirty: Uint8Array;
  readonly instrumented: InstrumentedModule;
  readonly growths: [number, number][];
  /** Instructions since the last reset. */
  readonly used: () => number;
  readonly reset: (limit?: number) => void;
}

export class OutOfInstructions extends Error {}
export class StackOverflow extends Error {}

function stop(): never {
  throw new OutOfInstructions();
}

function newMemory({ memory }: InstrumentedModule): WebAssembly.Memory | undefined {
  if (memory === undefined) return undefined;
  const { initialPages, maximumPages } = memory;
  if (!memory.memory64) return new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages });
  return new WebAssembly.Memory({
    address: "i64",
    initial: BigInt(initialPages),
    maximum: BigInt(maximumPages),
  } as unknown as WebAssembly.MemoryDescriptor);
}

export interface HostAnswers {
  /** Answer to memory.grow: 1 grants it. */
  readonly mayGrow?: (pages: number) => number;
  /** What the hook `out_of_instructions` does: throw, or refill the counter and return. */
  readonly outOfInstructions?: () => void;
}

export function run(bytes: Uint8Array, ic0: SystemImports = {}, host: HostAnswers = {}): Running {
  const { mayGrow = () => 1, outOfInstructions = stop } = host;
  const isSuspendable = host.outOfInstructions !== undefined;
  const info = accepted(bytes);
  const instrumented = instrument(bytes, info, { isSuspendable });
  const memory = newMemory(instrumented);
  const map = new WebAssembly.Memory({ initial: DIRTY_MAP_PAGES, maximum: DIRTY_MAP_PAGES });
  const growths: [number, number][] = [];
  const atoll = {
    memory,
    dirty: map,
    out_of_instructions: outOfInstructions,
    stack_overflow: () => {
      throw new StackOverflow();
    },
    try_grow_wasm_memory: (current: number, pages: number) => {
      growths.push([current, pages]);
      return mayGrow(pages);
    },
  };
  const module = new WebAssembly.Module(instrumented.wasm as Uint8Array<ArrayBuffer>);
  const { exports } = new WebAssembly.Instance(module, { ic0, atoll } as unknown as WebAssembly.Imports);
  if (memory !== undefined) {
    const heap = new Uint8Array(memory.buffer);
    for (const segment of info.dataSegments) heap.set(segment.bytes, segment.offset);
  }
  let limit = LIMIT;
  const call = exports as Exports;
  const reset = (to = LIMIT): void => {
    limit = to;
    call["atoll reset"](to);
  };
  reset();
  const used = (): number => limit - call["atoll counter"]();
  return { exports: call, memory, dirty: new Uint8Array(map.buffer), instrumented, growths, used, reset };
}

/** The module as it is, under the same system API. */
export function runRaw(bytes: Uint8Array, ic0: SystemImports = {}): Exports {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  return new WebAssembly.Instance(module, { ic0 } as unknown as WebAssembly.Imports).exports;
}
