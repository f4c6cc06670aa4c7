// The Wasm side of the embedder: which modules the Internet Computer accepts, and the rewriting that makes one
// deterministic, metered and observable by the host. Cost table and placement: instruction costs of the replica
// (sections 2, 3, 8, 9); acceptance: interface specification, "Canister module format".

// How a host runs an instrumented module
// ---------------------------------------
// Imports, all in module `atoll` beside the canister's own `ic0` functions:
//   memory   WebAssembly.Memory for the heap, made after `InstrumentedModule.memory` (absent when undefined)
//   dirty    WebAssembly.Memory (32-bit, DIRTY_MAP_PAGES pages, no growth); one for all direct instances of a thread,
//            one of its own for each suspendable one. One byte
//            per 4,096-byte heap page: the canister's stores write 1. The host clears it, marks its own writes, and
//            finds the dirty pages after the message. A store that crosses a page border marks only its FIRST page: the
//            host must also compare the first 16 bytes of the page after each dirty page with its pre-image.
//            Absent when `memory` is undefined.
//   out_of_instructions () -> ()   counter < 0 at a function entry, a loop head or before a bulk operation whose bytes are
//            charged already; the counter global is up to date. Throws to end the execution; in the suspendable form it may
//            also refill the counter (`atoll reset`) and return, at once or after suspending (JSPI): the execution goes on.
//   stack_overflow () -> ()        the canister needs more than 5 MiB of Wasm stack. Must throw.
//   try_grow_wasm_memory (i32 current pages, i32 requested pages) -> i32   called before each growth that the declared
//            maximum allows, also for 0 pages: 1 = grow, 0 = answer -1 to the canister, or throw to trap. When the engine
//            itself then cannot grow, it is called again with requested = -1 and must throw.
// Exports besides the canister's own (names beginning with `atoll ` are dropped from the canister's exports):
//   "canister counter_instructions"  i64 global, counts down
//   "atoll reset"   (f64 instructions) -> ()   sets the counter, and the stack depth to 0: before each execution and
//                   for each further slice; frames that exist already count on with their own depth
//   "atoll charge"  (f64 amount) -> f64        subtracts (stops at the least i64), gives what remains (may be < 0); 10 ns
//   "atoll counter" () -> f64                  what remains
//   "atoll called"  i32 or i64 global, when there is a table: the index that the latest call_indirect called
//   "atoll dropped" i32 global, when `dropsSegments`: not 0 after data.drop or elem.drop. Each execution must begin with
//                   all passive segments: make a new instance when the flag is set
//   "canister_start" the start function; "table" table 0; globals as told by `InstrumentedModule.globals`
// A trap that leaves by an exception keeps the counter as of the last loop head or call (or `unreachable`).

export { CodeOffsets } from "./code-offsets.ts";
export { lackOf } from "./engine-features.ts";
export { functionNames } from "./function-names.ts";
export {
  DIRTY_MAP_PAGES,
  INJECTED_IMPORTS,
  InstrumentationError,
  type InstrumentOptions,
  instrument,
} from "./instrument.ts";
export type {
  CustomSectionInfo,
  DataSegmentInfo,
  EntryPoints,
  ExportInfo,
  GlobalAccess,
  InstrumentedModule,
  MemoryInfo,
  ModuleInfo,
  MutableGlobalInfo,
  TableInfo,
  ValidationResult,
} from "./module-info.ts";
export { type NameTable, nameTableOf, withNameTable } from "./name-table.ts";
export { moduleTooLarge, type Refusal, undecodable } from "./refusal.ts";
export { validateModule } from "./validate.ts";
