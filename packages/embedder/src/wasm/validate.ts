// Module acceptance: whether the Internet Computer installs these bytes, and what it then knows of them. Interface
// specification, "Canister module format"; limits and complexity: instruction costs, section 8. The order of the
// checks and their wording follow the replica, because people search for these sentences.
import { type CodeScan, scanCode } from "./code-scan.ts";
import { customSections } from "./custom-sections.ts";
import { checkExports, checkImports, entryPoints, methods } from "./exports-and-imports.ts";
import { nameSection } from "./function-names.ts";
import type {
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
import { globalTypeName, ValueType } from "./value-types.ts";

export const PAGE_BYTES = 65_536;
/** 4 GiB and 6 GiB in Wasm pages. */
const MAX_PAGES_32 = 65_536;
const MAX_PAGES_64 = 98_304;
const MAX_CODE_SECTION_BYTES = 12 * 1024 * 1024;
const MAX_MODULE_BYTES = 100 * 1024 * 1024;
const MAX_FUNCTIONS = 50_000;
const MAX_GLOBALS = 1_000;
/** What the tables of a module may cost its host before it has done anything. */
const MAX_TABLES = 100;
const MAX_TABLE_ELEMENTS = 1_000_000n;
/** Globals and operators that the replica's instrumentation adds to each module: instruction costs, section 7. */
const INJECTED_GLOBALS = 3;
const INJECTED_OPERATORS = 66;

/** `bytes` is the module itself, unpacked. Never throws, whatever the bytes are. */
export function validateModule(bytes: Uint8Array): ValidationResult {
  if (bytes.length > MAX_MODULE_BYTES) {
    return refuse(`Wasm module size of ${bytes.length} exceeds the maximum allowed size of ${MAX_MODULE_BYTES}.`);
  }
  try {
    return validateParsed(parseModule(bytes));
  } catch (error) {
    if (error instanceof MalformedModule) return refuse(notWasm(error.message));
    throw error;
  }
}

function refuse(error: string): ValidationResult {
  return { ok: false, error };
}

function notWasm(reason: string): string {
  return `Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ${reason}`;
}

function validateParsed(module: ParsedModule): ValidationResult {
  const code = module.sections.find((section) => section.id === 10);
  if (code !== undefined && code.end - code.start > MAX_CODE_SECTION_BYTES) {
    return refuse(
      `Wasm module code section size of ${code.end - code.start} exceeds the maximum allowed size of ${MAX_CODE_SECTION_BYTES}.`,
    );
  }
  if (module.memories.length > 1) return refuse(notWasm("multiple memories: multi-memory is not enabled"));
  const memory64 = module.memories[0]?.is64 ?? false;
  const scan = scanCode(module, memory64);
  if (!WebAssembly.validate(module.bytes as Uint8Array<ArrayBuffer>))
    return refuse(notWasm("type mismatch or malformed section"));
  const error =
    checkImports(module, memory64) ??
    checkExports(module) ??
    checkData(module, memory64) ??
    checkGlobals(module) ??
    checkCounts(module, memory64) ??
    (typeof scan === "string" ? scan : undefined);
  if (error !== undefined) return refuse(error);
  const customs = customSections(module);
  if (typeof customs === "string") return refuse(customs);
  const names = nameSection(module);
  if (typeof names === "string") return refuse(names);
  return { ok: true, info: describe(module, scan as CodeScan, customs, names) };
}

function checkData(module: ParsedModule, memory64: boolean): string | undefined {
  const available = (module.memories[0]?.minimum ?? 0n) * BigInt(PAGE_BYTES);
  for (const { offset, start, end } of module.data) {
    if (offset === undefined) continue;
    if (offset.opcode !== (memory64 ? 0x42 : 0x41)) {
      const width = memory64 ? "64bit" : "32bit";
      return `Wasm module has an invalid data section. Invalid offset expression in data segment for ${width} memory: opcode 0x${offset.opcode.toString(16)}`;
    }
    const address = segmentAddress(offset.value, memory64);
    if (address + BigInt(end - start) > available) {
      return `Wasm module has invalid data segment of ${end - start} bytes at ${address}`;
    }
  }
  return undefined;
}

function segmentAddress(value: bigint, memory64: boolean): bigint {
  return BigInt.asUintN(memory64 ? 64 : 32, value);
}

function checkGlobals(module: ParsedModule): string | undefined {
  const { globals } = module;
  if (globals.length > MAX_GLOBALS) {
    return `Wasm module defined ${globals.length} globals which exceeds the maximum number allowed ${MAX_GLOBALS}.`;
  }
  for (const { type } of globals) {
    if (globalTypeName(type) === undefined) {
      const name = type === ValueType.funcref ? "Ref(funcref)" : "Ref(externref)";
      return `Wasm module has an invalid global section. Unsupported global type: ${name}`;
    }
  }
  return undefined;
}

function checkCounts(module: ParsedModule, memory64: boolean): string | undefined {
  const functions = module.functionTypes.length;
  if (functions > MAX_FUNCTIONS) {
    return `Wasm module defined ${functions} functions which exceeds the maximum number allowed ${MAX_FUNCTIONS}.`;
  }
  if (module.tables.some((table) => table.type !== ValueType.funcref)) {
    return "Wasm module has an invalid table section. Only tables of type funcref are allowed.";
  }
  const elements = module.tables.reduce((sum, { limits }) => sum + limits.minimum, 0n);
  if (module.tables.length > MAX_TABLES || elements > MAX_TABLE_ELEMENTS) {
    return `Wasm module has an invalid table section. ${module.tables.length} tables of ${elements} elements in all exceed the maximum of ${MAX_TABLES} and ${MAX_TABLE_ELEMENTS}.`;
  }
  const pages = module.memories[0]?.minimum ?? 0n;
  const allowed = memory64 ? MAX_PAGES_64 : MAX_PAGES_32;
  if (pages > BigInt(allowed)) {
    return `Wasm module defined a memory of ${pages} pages which exceeds the maximum number allowed ${allowed}.`;
  }
  return undefined;
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
