// What the embedder knows of a canister module after validation, and what the host must know of an instrumented
// one. Plain data, so that it can be kept beside the module and sent to a worker. Interface specification,
// "Canister module format"; the host's side of the contract is told in `index.ts`.
import type { Refusal } from "./refusal.ts";

/** The widths that a memory or table may be addressed with: i32 or i64. */
export interface MemoryInfo {
  /** Declared initial size in Wasm pages of 64 KiB. */
  readonly initialPages: number;
  /** Declared maximum in Wasm pages, already capped to 65,536 (wasm32) or 98,304 (wasm64); the cap when none is declared. */
  readonly maximumPages: number;
  /** True when the module imports it as `env.memory`. */
  readonly imported: boolean;
  readonly memory64: boolean;
}

export interface TableInfo {
  readonly initial: number;
  readonly maximum: number | undefined;
  readonly imported: boolean;
  /** True when indexes are i64 (`table64`): `table.get(5n)` instead of `table.get(5)`. */
  readonly is64: boolean;
}

export type ExportKind = "function" | "table" | "memory" | "global";
export interface ExportInfo {
  readonly name: string;
  readonly kind: ExportKind;
  readonly index: number;
}

/** An `icp:public <name>` or `icp:private <name>` custom section. */
export interface CustomSectionInfo {
  readonly name: string;
  readonly visibility: "public" | "private";
  /** A view into the module's bytes. */
  readonly content: Uint8Array;
}

/** An active data segment: the host writes it to the heap once, at install. */
export interface DataSegmentInfo {
  /** Byte address in the heap; below 6 GiB, so a number for both widths. */
  readonly offset: number;
  /** A view into the module's bytes. */
  readonly bytes: Uint8Array;
}

export type GlobalType = "i32" | "i64" | "f32" | "f64" | "v128";
/** A mutable global: part of the canister's state, saved and restored by the host. */
export interface MutableGlobalInfo {
  readonly index: number;
  readonly type: GlobalType;
}

export interface EntryPoints {
  readonly init: boolean;
  readonly preUpgrade: boolean;
  readonly postUpgrade: boolean;
  readonly inspectMessage: boolean;
  readonly heartbeat: boolean;
  readonly globalTimer: boolean;
  readonly onLowWasmMemory: boolean;
  /** The module has a start function; the instrumented module exports it as `canister_start`. */
  readonly start: boolean;
}

export interface ModuleInfo {
  /** Width of the module's pointers and of its system API: from its memory; false when it has none. */
  readonly memory64: boolean;
  readonly memory: MemoryInfo | undefined;
  /** Table 0, the one that callbacks index. */
  readonly table: TableInfo | undefined;
  readonly exports: readonly ExportInfo[];
  readonly methods: {
    readonly update: readonly string[];
    readonly query: readonly string[];
    readonly compositeQuery: readonly string[];
  };
  readonly entryPoints: EntryPoints;
  /** Names of the imported ic0 functions, in import order, possibly repeated. */
  readonly systemImports: readonly string[];
  readonly customSections: readonly CustomSectionInfo[];
  readonly dataSegments: readonly DataSegmentInfo[];
  readonly mutableGlobals: readonly MutableGlobalInfo[];
  /**
   * Input of the compilation charge (6,000 instructions each): operators of all local functions as the replica's
   * own instrumentation would leave them, the constant part of its injected functions, and 2 per global.
   */
  readonly compiledOperators: number;
  readonly importedFunctions: number;
  readonly localFunctions: number;
  /** Where the content of the `name` section lies in the module's bytes; read it with `functionNames`. */
  readonly nameSection: { readonly offset: number; readonly length: number } | undefined;
  /** There is a `.debug_line` section: traps can be told by file and line. */
  readonly hasLines: boolean;
  /** One byte per local function, see `FunctionTrait`. */
  readonly functionTraits: Uint8Array;
}

/** Bits of `ModuleInfo.functionTraits`. */
export const FunctionTrait = {
  /** Calls something, or may have a large frame: it counts the stack's depth. */
  depth: 1,
  /** Has float arithmetic, whose NaN must be made canonical. */
  floats: 2,
  /** Has memory.grow, data.drop or elem.drop, memory.fill, copy or init. */
  grows: 4,
  drops: 8,
  bulk: 16,
  /** Has return_call or return_call_indirect. */
  tailCalls: 32,
} as const;

export type ValidationResult =
  | { readonly ok: true; readonly info: ModuleInfo }
  | { readonly ok: false; readonly refusal: Refusal };

/** How the host saves and restores one mutable global of an instance. */
export type GlobalAccess =
  /** `exports[name]` is a WebAssembly.Global (i32: number, i64: bigint). */
  | { readonly index: number; readonly type: "i32" | "i64"; readonly name: string }
  /**
   * `exports[get]()` and `exports[set](...)` carry the bits as integers: f32 one i32, f64 one i64,
   * v128 two i64 (low, high; the getter gives an array). No NaN payload passes through JavaScript.
   */
  | { readonly index: number; readonly type: "f32" | "f64" | "v128"; readonly get: string; readonly set: string };

export interface InstrumentedModule {
  readonly wasm: Uint8Array;
  /** The Memory to import as `atoll.memory` (with `address: "i64"` when `memory64`); undefined: no memory at all. */
  readonly memory: MemoryInfo | undefined;
  readonly globals: readonly GlobalAccess[];
  /** True when the module has the exported i32 global `atoll dropped`: see `index.ts`. */
  readonly dropsSegments: boolean;
  /** The export of table 0: `table`, or undefined when the module has none. */
  readonly table: TableInfo | undefined;
}
