// The sections of a module, read once: what validation judges and the rewriter re-emits. Only the binary format as
// the Internet Computer enables it is understood (instruction costs, section 9); type validity of function bodies
// is left to the engine. Counts are checked against the bytes that are there before anything is allocated.
import { Reader } from "./reader.ts";
import { isValueType, ValueType } from "./value-types.ts";

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface Limits {
  readonly minimum: bigint;
  readonly maximum: bigint | undefined;
  readonly is64: boolean;
}

export interface Table {
  readonly type: number;
  readonly limits: Limits;
}

export interface Global {
  readonly type: number;
  readonly mutable: boolean;
}

export type ImportKind = 0 | 1 | 2 | 3;
export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: ImportKind;
  /** Functions: index of the type. */
  readonly type: number;
}

export interface Export {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

export interface DataSegment {
  /** The constant operator of an active segment's offset; undefined for a passive one. */
  readonly offset: { readonly opcode: number; readonly value: bigint } | undefined;
  readonly start: number;
  readonly end: number;
}

/** A section's place in the bytes: content without id and size. */
export interface Span {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

export interface ParsedModule {
  readonly bytes: Uint8Array;
  readonly sections: Span[];
  /** Four numbers per function type: place and number of the parameters, place and number of the results. */
  types: Uint32Array;
  imports: Import[];
  importedFunctionTypes: number[];
  functionTypes: Uint32Array;
  tables: Table[];
  importedTables: number;
  memories: Limits[];
  importedMemories: number;
  globals: Global[];
  exports: Export[];
  start: number | undefined;
  /** Bodies of the local functions, start and end in turn. */
  bodies: Uint32Array;
  data: DataSegment[];
  customs: { readonly name: string; readonly start: number; readonly end: number }[];
}

const SECTION_ORDER: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10];

/** Throws MalformedModule. */
export function parseModule(bytes: Uint8Array): ParsedModule {
  const reader = new Reader(bytes);
  if (reader.end < 8 || [0, 0x61, 0x73, 0x6d].some((byte, i) => bytes[i] !== byte))
    reader.fail("magic header not detected: bad magic number");
  if (bytes[4] !== 1 || bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0) reader.fail("unknown binary version");
  reader.pos = 8;
  const module = emptyModule(bytes);
  let lastOrder = -1;
  while (reader.pos < reader.end) {
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.pos;
    reader.skip(size);
    const section = { id, start, end: reader.pos };
    if (id !== 0) {
      const order = SECTION_ORDER[id] ?? reader.fail(`section with id ${id} is not supported`);
      if (order <= lastOrder) reader.fail("section out of order");
      lastOrder = order;
    }
    module.sections.push(section);
    readSection(module, section);
  }
  if (module.functionTypes.length * 2 !== module.bodies.length)
    reader.fail("function and code section have inconsistent lengths");
  return module;
}

function emptyModule(bytes: Uint8Array): ParsedModule {
  return {
    bytes,
    sections: [],
    types: new Uint32Array(0),
    imports: [],
    importedFunctionTypes: [],
    functionTypes: new Uint32Array(0),
    tables: [],
    importedTables: 0,
    memories: [],
    importedMemories: 0,
    globals: [],
    exports: [],
    start: undefined,
    bodies: new Uint32Array(0),
    data: [],
    customs: [],
  };
}

function readSection(module: ParsedModule, section: Span): void {
  const reader = new Reader(module.bytes, section.start, section.end);
  if (section.id === 0) {
    module.customs.push({ name: reader.name(), start: reader.pos, end: section.end });
    return;
  }
  const read = SECTION_READERS[section.id];
  if (read === undefined) return;
  read(reader, module);
  if (reader.pos !== reader.end) reader.fail("section size mismatch: unexpected data at the end of the section");
}

const SECTION_READERS: Readonly<Record<number, (reader: Reader, module: ParsedModule) => void>> = {
  1: readTypes,
  2: readImports,
  3: readFunctions,
  4: (reader, module) => repeat(reader, () => module.tables.push(readTable(reader))),
  5: (reader, module) => repeat(reader, () => module.memories.push(readLimits(reader))),
  6: readGlobals,
  7: (reader, module) => repeat(reader, () => module.exports.push(readExport(reader))),
  8: (reader, module) => {
    module.start = reader.u32();
  },
  9: (reader) => repeat(reader, () => readElement(reader)),
  10: readCode,
  11: (reader, module) => repeat(reader, () => module.data.push(readData(reader))),
  12: (reader) => void reader.u32(),
};

/** The engine's own limits, which are also the replica's: no section lists more items, no type more values. */
const MAX_ITEMS = 1_000_000;
const MAX_TYPE_VALUES = 1_000;

function itemCount(reader: Reader): number {
  const count = reader.count();
  if (count > MAX_ITEMS) reader.fail(`count of ${count} exceeds limit of ${MAX_ITEMS}`);
  return count;
}

function repeat(reader: Reader, read: () => void): void {
  for (let count = itemCount(reader); count > 0; count--) read();
}

function readTypes(reader: Reader, module: ParsedModule): void {
  const types = new Uint32Array(4 * itemCount(reader));
  for (let i = 0; i < types.length; i += 2) {
    if (i % 4 === 0 && reader.byte() !== 0x60)
      reader.fail("only function types are supported: gc proposal not enabled");
    const values = reader.count();
    if (values > MAX_TYPE_VALUES) reader.fail("function params or returns count is out of bounds");
    types[i] = reader.pos;
    types[i + 1] = values;
    for (let value = 0; value < values; value++) readValueType(reader);
  }
  module.types = types;
}

/** Parameters and results of the type with that index, which must exist. */
export function functionType(module: ParsedModule, index: number): FunctionType {
  const [params = 0, paramCount = 0, results = 0, resultCount = 0] = module.types.subarray(4 * index, 4 * index + 4);
  return {
    params: Array.from(module.bytes.subarray(params, params + paramCount)),
    results: Array.from(module.bytes.subarray(results, results + resultCount)),
  };
}

export function typeCount(module: ParsedModule): number {
  return module.types.length / 4;
}

function readValueType(reader: Reader): number {
  const byte = reader.byte();
  return isValueType(byte) ? byte : reader.fail("invalid value type");
}

function readRefType(reader: Reader): number {
  const byte = reader.byte();
  if (byte !== ValueType.funcref && byte !== ValueType.externref) reader.fail("malformed reference type");
  return byte;
}

function readLimits(reader: Reader): Limits {
  const flags = reader.byte();
  if (flags & 2) reader.fail("threads must be enabled for shared memories");
  if (flags & 8) reader.fail("the custom page sizes proposal must be enabled to customize a memory's page size");
  if (flags > 7) reader.fail("invalid memory limits flags");
  const is64 = (flags & 4) !== 0;
  const read = (): bigint => (is64 ? reader.u64() : BigInt(reader.u32()));
  const minimum = read();
  return { minimum, maximum: flags & 1 ? read() : undefined, is64 };
}

function readTable(reader: Reader): Table {
  return { type: readRefType(reader), limits: readLimits(reader) };
}

function readGlobalType(reader: Reader): Global {
  const type = readValueType(reader);
  const mutable = reader.byte();
  if (mutable > 1) reader.fail("malformed mutability");
  return { type, mutable: mutable === 1 };
}

function readImports(reader: Reader, module: ParsedModule): void {
  repeat(reader, () => {
    const from = reader.name();
    const name = reader.name();
    const kind = reader.byte();
    const type = kind === 0 ? reader.u32() : 0;
    if (kind === 0) module.importedFunctionTypes.push(type);
    else if (kind === 1) module.tables.push(readTable(reader));
    else if (kind === 2) module.memories.push(readLimits(reader));
    else if (kind === 3) module.globals.push(readGlobalType(reader));
    else if (kind === 4) reader.fail("exceptions proposal not enabled");
    else reader.fail("malformed import kind");
    if (kind === 0 && type >= typeCount(module)) reader.fail(`unknown type ${type}: type index out of bounds`);
    module.imports.push({ module: from, name, kind: kind as ImportKind, type });
  });
  module.importedTables = module.tables.length;
  module.importedMemories = module.memories.length;
}

function readFunctions(reader: Reader, module: ParsedModule): void {
  const types = new Uint32Array(itemCount(reader));
  for (let i = 0; i < types.length; i++) {
    const type = reader.u32();
    if (type >= typeCount(module)) reader.fail(`unknown type ${type}: type index out of bounds`);
    types[i] = type;
  }
  module.functionTypes = types;
}

function readGlobals(reader: Reader, module: ParsedModule): void {
  repeat(reader, () => {
    module.globals.push(readGlobalType(reader));
    readConstant(reader);
  });
}

function readExport(reader: Reader): Export {
  const name = reader.name();
  const kind = reader.byte();
  if (kind > 4) reader.fail("malformed export kind");
  return { name, kind, index: reader.u32() };
}

/** One constant operator and `end`: extended constant expressions are not enabled, and no global can be imported. */
function readConstant(reader: Reader): { opcode: number; value: bigint } {
  const opcode = reader.byte();
  let value = 0n;
  if (opcode === 0x41) value = BigInt(reader.s32());
  else if (opcode === 0x42) value = reader.s64();
  else if (opcode === 0x43) reader.skip(4);
  else if (opcode === 0x44) reader.skip(8);
  else if (opcode === 0xd0) readRefType(reader);
  else if (opcode === 0xd2) value = BigInt(reader.u32());
  else if (opcode === 0x23) value = BigInt(reader.u32());
  else if (opcode === 0xfd && reader.u32() === 12) reader.skip(16);
  else reader.fail("constant expression required: non-constant operator");
  if (reader.byte() !== 0x0b) reader.fail("constant expression required: extended const proposal is not enabled");
  return { opcode, value };
}

function readElement(reader: Reader): void {
  const flags = reader.u32();
  if (flags > 7) reader.fail("invalid flags byte in element segment");
  if ((flags & 1) === 0) {
    if (flags & 2) reader.u32();
    readConstant(reader);
  }
  if (flags & 3) {
    if (flags & 4) readRefType(reader);
    else if (reader.byte() !== 0) reader.fail("invalid element kind");
  }
  repeat(reader, () => {
    if (flags & 4) readConstant(reader);
    else reader.u32();
  });
}

function readCode(reader: Reader, module: ParsedModule): void {
  const bodies = new Uint32Array(itemCount(reader) * 2);
  for (let i = 0; i < bodies.length; i += 2) {
    const size = reader.u32();
    bodies[i] = reader.pos;
    reader.skip(size);
    bodies[i + 1] = reader.pos;
  }
  module.bodies = bodies;
}

function readData(reader: Reader): DataSegment {
  const flags = reader.u32();
  if (flags > 2) reader.fail("invalid flags byte in data segment");
  if (flags === 2) reader.u32();
  const offset = flags === 1 ? undefined : readConstant(reader);
  const length = reader.u32();
  const start = reader.pos;
  reader.skip(length);
  return { offset, start, end: reader.pos };
}
