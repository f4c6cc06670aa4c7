// Module acceptance: whether the Internet Computer installs these bytes, and what it then knows of them. Interface
// specification, "Canister module format"; limits and complexity: instruction costs, section 8. The order of the
// checks and their wording follow the replica, because people search for these sentences.
import { type CodeScan, scanCode } from "./code-scan.ts";
import { customSections } from "./custom-sections.ts";
import { lackOf } from "./engine-features.ts";
import { checkExports, checkImports, entryPoints, methods } from "./exports-and-imports.ts";
import { nameSection } from "./function-names.ts";
import type {
  CustomSectionInfo,
  DataSegmentInfo,
  ExportKind,
  GlobalType,
  MemoryInfo,
  ModuleInfo,
  TableInfo,
  ValidationResult,
} from "./module-info.ts";
import { type ParsedModule, parseModule } from "./parse.ts";
import { MalformedModule } from "./reader.ts";
import { advised, moduleTooLarge, type Refusal, refusal } from "./refusal.ts";
import { globalTypeName, ValueType } from "./value-types.ts";

export const PAGE_BYTES = 65_536;
/** 4 GiB and 6 GiB in Wasm pages. */
const MAX_PAGES_32 = 65_536;
const MAX_PAGES_64 = 98_304;
const MAX_CODE_SECTION_BYTES = 12 * 1024 * 1024;
const MAX_MODULE_BYTES = 100 * 1024 * 1024;
const MAX_FUNCTIONS = 50_000;
const MAX_GLOBALS = 1_000;
/** What the engine of the replica instantiates; a module with more fails to install with IC0521. */
const MAX_TABLES = 1;
const MAX_TABLE_ELEMENTS = 1_000_000n;
/** Globals and operators that the replica's instrumentation adds to each module: instruction costs, section 7. */
const INJECTED_GLOBALS = 3;
const INJECTED_OPERATORS = 66;

/** `bytes` is the module itself, unpacked. Never throws, whatever the bytes are. */
export function validateModule(bytes: Uint8Array): ValidationResult {
  if (bytes.length > MAX_MODULE_BYTES) return refuse(moduleTooLarge(bytes.length, MAX_MODULE_BYTES));
  try {
    return validateParsed(parseModule(bytes));
  } catch (error) {
    if (error instanceof MalformedModule) return refuse(notWasm(error.message));
    throw error;
  }
}

/** The engine does not say why; but when it cannot run such modules at all, their author should not search for a fault. */
function whyInvalid(module: ParsedModule, memory64: boolean): Refusal {
  const hasTable64 = module.tables.some(({ limits }) => limits.is64);
  const lack = lackOf([...(memory64 ? ["memory64" as const] : []), ...(hasTable64 ? ["table64" as const] : [])]);
  return lack === undefined ? notWasm("type mismatch or malformed section") : refusal(lack);
}

function refuse(reason: Refusal): ValidationResult {
  return { ok: false, refusal: reason };
}

function notWasm(reason: string): Refusal {
  return refusal(`Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ${reason}`);
}

function validateParsed(module: ParsedModule): ValidationResult {
  const code = module.sections.find((section) => section.id === 10);
  if (code !== undefined && code.end - code.start > MAX_CODE_SECTION_BYTES) {
    return refuse(codeTooLarge(code.end - code.start));
  }
  if (module.memories.length > 1) return refuse(notWasm("multiple memories: multi-memory is not enabled"));
  const memory64 = module.memories[0]?.is64 ?? false;
  const scan = scanCode(module, memory64);
  if (!WebAssembly.validate(module.bytes as Uint8Array<ArrayBuffer>)) return refuse(whyInvalid(module, memory64));
  const names = nameSection(module);
  const early =
    checkImports(module, memory64) ??
    checkExports(module) ??
    checkTableTypes(module) ??
    checkData(module, memory64) ??
    checkGlobals(module) ??
    checkFunctionCount(module) ??
    refusalIn(names) ??
    checkMemory(module, memory64) ??
    refusalIn(scan);
  if (early !== undefined) return refuse(early);
  const customs = customSections(module);
  const late = refusalIn(customs) ?? checkDataBounds(module, memory64) ?? checkTables(module);
  if (late !== undefined) return refuse(late);
  return {
    ok: true,
    info: describe(module, scan as CodeScan, customs as CustomSectionInfo[], names as ModuleInfo["nameSection"]),
  };
}

function refusalIn(found: object | undefined): Refusal | undefined {
  return found !== undefined && "step" in found ? (found as Refusal) : undefined;
}

function codeTooLarge(size: number): Refusal {
  return advised(
    `Wasm module code section size of ${size} exceeds the maximum allowed size of ${MAX_CODE_SECTION_BYTES}.`,
    "Try shrinking the module code section using tools like `ic-wasm` or splitting the logic across multiple canisters.",
    "code-section-too-large",
  );
}

function checkData(module: ParsedModule, memory64: boolean): Refusal | undefined {
  for (const { offset } of module.data) {
    if (offset === undefined || offset.opcode === (memory64 ? 0x42 : 0x41)) continue;
    const width = memory64 ? "64bit" : "32bit";
    return refusal(
      `Wasm module has an invalid data section. Invalid offset expression in data segment for ${width} memory: opcode 0x${offset.opcode.toString(16)}`,
    );
  }
  return undefined;
}

function checkDataBounds(module: ParsedModule, memory64: boolean): Refusal | undefined {
  const available = (module.memories[0]?.minimum ?? 0n) * BigInt(PAGE_BYTES);
  for (const { offset, start, end } of module.data) {
    if (offset === undefined) continue;
    const address = segmentAddress(offset.value, memory64);
    if (address + BigInt(end - start) <= available) continue;
    return { step: "instrument", text: `Wasm module has invalid data segment of ${end - start} bytes at ${address}` };
  }
  return undefined;
}

function segmentAddress(value: bigint, memory64: boolean): bigint {
  return BigInt.asUintN(memory64 ? 64 : 32, value);
}

function checkGlobals(module: ParsedModule): Refusal | undefined {
  const { globals } = module;
  if (globals.length > MAX_GLOBALS) {
    return advised(
      `Wasm module defined ${globals.length} globals which exceeds the maximum number allowed ${MAX_GLOBALS}.`,
      "Try collecting multiple globals into a single structured which can be stored on the heap.",
      "too-many-globals",
    );
  }
  for (const { type } of globals) {
    if (globalTypeName(type) === undefined) {
      const name = type === ValueType.funcref ? "Ref(funcref)" : "Ref(externref)";
      return refusal(`Wasm module has an invalid global section. Unsupported global type: ${name}`);
    }
  }
  return undefined;
}

function checkTableTypes(module: ParsedModule): Refusal | undefined {
  const other = module.tables.find((table) => table.type !== ValueType.funcref);
  if (other === undefined) return undefined;
  return refusal("Wasm module has an invalid table section. Table element type must be funcref, got externref");
}

/** What the replica learns when it makes the first instance. */
function checkTables({ tables }: ParsedModule): Refusal | undefined {
  const fails = (reason: string): Refusal => ({
    step: "instantiate",
    text: `Failed to instantiate module: resource limit exceeded: ${reason}`,
  });
  if (tables.length > MAX_TABLES) return fails(`table count too high at ${tables.length}`);
  const elements = tables[0]?.limits.minimum ?? 0n;
  if (elements <= MAX_TABLE_ELEMENTS) return undefined;
  return fails(`table minimum size of ${elements} elements exceeds table limits`);
}

function checkFunctionCount(module: ParsedModule): Refusal | undefined {
  const functions = module.functionTypes.length;
  if (functions <= MAX_FUNCTIONS) return undefined;
  return advised(
    `Wasm module defined ${functions} functions which exceeds the maximum number allowed ${MAX_FUNCTIONS}.`,
    "Try spliting this canister into multiple canisters.",
    "too-many-functions",
  );
}

/** A 32-bit memory that is too large is no Wasm at all: the engine refuses it before. */
function checkMemory(module: ParsedModule, memory64: boolean): Refusal | undefined {
  const pages = module.memories[0]?.minimum ?? 0n;
  if (!memory64 || pages <= BigInt(MAX_PAGES_64)) return undefined;
  return advised(
    `Wasm module declares an initial Wasm64 heap memory size of ${pages} pages which exceeds the maximum allowed size of ${MAX_PAGES_64} pages.`,
    "Try reducing the initial Wasm64 heap memory size.",
    "initial-wasm64-memory-too-large",
  );
}

const EXPORT_KINDS: readonly ExportKind[] = ["function", "table", "memory", "global"];

function describe(
  module: ParsedModule,
  scan: CodeScan,
  customs: ModuleInfo["customSections"],
  names: ModuleInfo["nameSection"],
): ModuleInfo {
  return {
    memory64: module.memories[0]?.is64 ?? false,
    memory: describeMemory(module),
    table: describeTable(module),
    exports: module.exports.map(({ name, kind, index }) => ({ name, kind: EXPORT_KINDS[kind] ?? "function", index })),
    methods: methods(module),
    entryPoints: entryPoints(module),
    systemImports: module.imports.filter(({ kind }) => kind === 0).map(({ name }) => name),
    customSections: customs,
    dataSegments: describeData(module),
    mutableGlobals: module.globals.flatMap(({ type, mutable }, index) =>
      mutable ? [{ index, type: globalTypeName(type) as GlobalType }] : [],
    ),
    compiledOperators: scan.compiledOperators + INJECTED_OPERATORS + 2 * (module.globals.length + INJECTED_GLOBALS),
    importedFunctions: module.importedFunctionTypes.length,
    localFunctions: module.functionTypes.length,
    nameSection: names,
    hasLines: module.customs.some(({ name }) => name === ".debug_line"),
    functionTraits: scan.traits,
  };
}

function describeMemory(module: ParsedModule): MemoryInfo | undefined {
  const memory = module.memories[0];
  if (memory === undefined) return undefined;
  const cap = memory.is64 ? MAX_PAGES_64 : MAX_PAGES_32;
  return {
    initialPages: Number(memory.minimum),
    maximumPages: memory.maximum === undefined || memory.maximum > BigInt(cap) ? cap : Number(memory.maximum),
    imported: module.importedMemories > 0,
    memory64: memory.is64,
  };
}

function describeTable(module: ParsedModule): TableInfo | undefined {
  const table = module.tables[0];
  if (table === undefined) return undefined;
  const { minimum, maximum, is64 } = table.limits;
  return {
    initial: Number(minimum),
    maximum: maximum === undefined ? undefined : Number(maximum),
    imported: module.importedTables > 0,
    is64,
  };
}

function describeData(module: ParsedModule): DataSegmentInfo[] {
  const memory64 = module.memories[0]?.is64 ?? false;
  return module.data.flatMap(({ offset, start, end }) =>
    offset === undefined
      ? []
      : [{ offset: Number(segmentAddress(offset.value, memory64)), bytes: module.bytes.subarray(start, end) }],
  );
}
