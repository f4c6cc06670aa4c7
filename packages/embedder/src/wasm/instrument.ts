// The rewriter: from a validated module to one that meters itself, marks dirty pages, bounds its stack and gives
// canonical NaN. What the host must bring and gets is told in `index.ts`. Functions of the module keep their order;
// the hooks are imported after its own imports, so that local functions move by INJECTED_IMPORTS; added functions,
// globals and types come last. Instruction costs, section 2.
import { rewriteElements } from "./elements.ts";
import { FunctionEmitter, type InjectedIndexes } from "./function-emitter.ts";
import { FunctionPlan } from "./function-plan.ts";
import * as injected from "./injected-functions.ts";
import type { GlobalAccess, InstrumentedModule, ModuleInfo } from "./module-info.ts";
import { FunctionTrait } from "./module-info.ts";
import { type Limits, type ParsedModule, parseModule, type Span, typeCount } from "./parse.ts";
import { Reader } from "./reader.ts";
import { ValueType } from "./value-types.ts";
import { Writer } from "./writer.ts";

/** Functions that instrumentation adds to the imports: local functions' indexes grow by this many. */
export const INJECTED_IMPORTS = injected.HOOK_TYPES.length;
/** Size of the memory `atoll.dirty`, in Wasm pages: one byte per 4 KiB page of 6 GiB. */
export const DIRTY_MAP_PAGES = 24;

/** The engine's limit. */
const MAX_BODY_BYTES = 7_654_321;

/** A function whose added code exceeds what the engine takes: an accepted module that cannot be installed here. */
export class InstrumentationError extends Error {
  override name = "InstrumentationError";
}

interface Added {
  readonly name: string | undefined;
  readonly body: injected.InjectedFunction;
}

export interface InstrumentOptions {
  /** The hook `out_of_instructions` may return, at once or after it suspended the execution; costs loops 5 to 20 %. */
  readonly isSuspendable: boolean;
}

/**
 * `bytes` were validated and gave `info`. Deterministic: the same bytes give the same bytes. Throws InstrumentationError,
 * for both forms alike. What the forms do and charge is the same.
 */
export function instrument(bytes: Uint8Array, info: ModuleInfo, options: InstrumentOptions): InstrumentedModule {
  return new Rewriter(parseModule(bytes), info, options).run();
}

class Rewriter {
  private readonly module: ParsedModule;
  private readonly info: ModuleInfo;
  private readonly isSuspendable: boolean;
  private readonly out: Writer;
  private readonly indexes: InjectedIndexes;
  private readonly added: Added[];
  private readonly globals: GlobalAccess[];
  /** Types after the module's own: text of the type -> index. */
  private readonly types = new Map<string, number>();
  private readonly drops: boolean;
  private hints: number[] = [];

  constructor(module: ParsedModule, info: ModuleInfo, { isSuspendable }: InstrumentOptions) {
    this.isSuspendable = isSuspendable;
    this.module = module;
    this.info = info;
    this.out = new Writer(module.bytes.length * 2 + 65_536);
    this.drops = info.functionTraits.some((trait) => (trait & FunctionTrait.drops) !== 0);
    this.indexes = injectedIndexes(module);
    this.globals = globalAccess(info);
    this.added = addedFunctions(info, this.indexes, this.globals);
    for (const [, params, results] of injected.HOOK_TYPES) this.typeIndex(params, results);
    for (const { body } of this.added) this.typeIndex(body.params, body.results);
  }

  run(): InstrumentedModule {
    const { out, info } = this;
    out.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    out.section(1, () => this.writeTypes());
    out.section(2, () => this.writeImports());
    out.section(3, () => this.writeFunctions());
    if (this.module.tables.length > 0) out.section(4, () => this.writeTables());
    out.section(6, () => this.writeGlobals());
    out.section(7, () => this.writeExports());
    this.each(9, (span) => out.section(9, () => rewriteElements(this.module.bytes, span, out, this.indexes)));
    this.each(12, (span) => out.section(12, () => out.copy(this.module.bytes, span.start, span.end)));
    this.writeCode();
    if (this.module.data.length > 0) out.section(11, () => this.writeData());
    return {
      wasm: out.finish(),
      memory: info.memory,
      globals: this.globals,
      dropsSegments: this.drops,
      table: info.table,
    };
  }

  private each(id: number, write: (span: Span) => void): void {
    for (const span of this.module.sections) if (span.id === id) write(span);
  }

  private typeIndex(params: readonly number[], results: readonly number[]): number {
    const text = `${params}>${results}`;
    let index = this.types.get(text);
    if (index === undefined) {
      index = typeCount(this.module) + this.types.size;
      this.types.set(text, index);
    }
    return index;
  }

  private writeTypes(): void {
    const { out } = this;
    out.u32(typeCount(this.module) + this.types.size);
    this.each(1, (span) => copyItems(this.module.bytes, span, out));
    for (const text of this.types.keys()) {
      out.byte(0x60);
      for (const list of text.split(">")) {
        const types = list === "" ? [] : list.split(",").map(Number);
        out.u32(types.length);
        out.raw(types);
      }
    }
  }

  private writeImports(): void {
    const { out, module } = this;
    const functions = module.imports.filter(({ kind }) => kind === 0);
    const memories = this.info.memory === undefined ? 0 : 2;
    out.u32(functions.length + INJECTED_IMPORTS + memories);
    for (const entry of functions) {
      out.name(entry.module);
      out.name(entry.name);
      out.byte(0);
      out.u32(entry.type);
    }
    for (const [name, params, results] of injected.HOOK_TYPES) {
      out.name("atoll");
      out.name(name);
      out.byte(0);
      out.u32(this.typeIndex(params, results));
    }
    if (this.info.memory === undefined) return;
    const { initialPages, maximumPages, memory64 } = this.info.memory;
    out.name("atoll");
    out.name("memory");
    out.raw([2, memory64 ? 5 : 1]);
    out.u32(initialPages);
    out.u32(maximumPages);
    out.name("atoll");
    out.name("dirty");
    out.raw([2, 0]);
    out.u32(DIRTY_MAP_PAGES);
  }

  private writeFunctions(): void {
    const { out, module } = this;
    out.u32(module.functionTypes.length + this.added.length);
    for (const type of module.functionTypes) out.u32(type);
    for (const { body } of this.added) out.u32(this.typeIndex(body.params, body.results));
  }

  private writeTables(): void {
    const { out, module } = this;
    out.u32(module.tables.length);
    for (const { type, limits } of module.tables) {
      out.byte(type);
      writeLimits(out, limits);
    }
  }

  private writeGlobals(): void {
    const { out, module } = this;
    const [table] = module.tables;
    out.u32(module.globals.length + 2 + (table === undefined ? 0 : 1) + (this.drops ? 1 : 0));
    this.each(6, (span) => copyItems(module.bytes, span, out));
    out.raw([ValueType.i64, 1, 0x42, 0, 0x0b]);
    out.raw([ValueType.i64, 1, 0x42, 0, 0x0b]);
    if (table !== undefined) {
      const { is64 } = table.limits;
      out.raw([is64 ? ValueType.i64 : ValueType.i32, 1, is64 ? 0x42 : 0x41, 0, 0x0b]);
    }
    if (this.drops) out.raw([ValueType.i32, 1, 0x41, 0, 0x0b]);
  }

  private writeExports(): void {
    const { indexes, module, info } = this;
    const firstAdded = indexes.importedFunctions + indexes.shift + module.functionTypes.length;
    const exports: [name: string, kind: number, index: number][] = [];
    for (const { name, kind, index } of module.exports) {
      if (name.startsWith("atoll ") || name === "table") continue;
      exports.push([name, kind, kind === 0 ? this.moved(index) : index]);
    }
    if (info.table !== undefined) exports.push(["table", 1, 0]);
    if (module.start !== undefined) exports.push(["canister_start", 0, this.moved(module.start)]);
    exports.push(["canister counter_instructions", 3, indexes.counterGlobal]);
    if (info.table !== undefined) exports.push(["atoll called", 3, indexes.calledGlobal]);
    if (this.drops) exports.push(["atoll dropped", 3, indexes.droppedGlobal]);
    for (const global of this.globals) if ("name" in global) exports.push([global.name, 3, global.index]);
    this.added.forEach(({ name }, i) => {
      if (name !== undefined) exports.push([name, 0, firstAdded + i]);
    });
    this.out.u32(exports.length);
    for (const [name, kind, index] of exports) {
      this.out.name(name);
      this.out.byte(kind);
      this.out.u32(index);
    }
  }

  private moved(index: number): number {
    return index < this.indexes.importedFunctions ? index : index + this.indexes.shift;
  }

  /** The section of branch hints stands before the code but is known only after it: so it is put in between. */
  private writeCode(): void {
    const { out, module } = this;
    const code = new Writer(out.bytes.length);
    const count = module.functionTypes.length;
    code.section(10, () => {
      code.u32(count + this.added.length);
      this.writeBodies(code);
      for (const { body } of this.added) writeInjected(code, body);
    });
    if (count > 0) this.writeHints();
    out.copy(code.bytes, 0, code.pos);
  }

  private writeBodies(code: Writer): void {
    const { module, info } = this;
    const plan = new FunctionPlan(module, info.functionTraits, info.memory64);
    const emitter = new FunctionEmitter(module.bytes, code, this.indexes, this.isSuspendable);
    for (let index = 0; index < module.functionTypes.length; index++) {
      const start = module.bodies[2 * index] as number;
      const end = module.bodies[2 * index + 1] as number;
      plan.plan(index, start);
      const length = code.openLength();
      emitter.emit(plan, end);
      if (code.pos - length + emitter.spared > MAX_BODY_BYTES)
        throw new InstrumentationError(`function ${index} becomes too large`);
      code.closeLength(length);
      this.hints.push(emitter.hintCount);
      for (let i = 0; i < emitter.hintCount; i++) this.hints.push(emitter.hints[i] as number);
    }
  }

  private writeHints(): void {
    const { out, hints, indexes } = this;
    const first = indexes.importedFunctions + indexes.shift;
    out.section(0, () => {
      out.name("metadata.code.branch_hint");
      out.u32(this.module.functionTypes.length);
      for (let at = 0, index = 0; at < hints.length; index++) {
        const count = hints[at++] as number;
        out.u32(first + index);
        out.u32(count);
        out.reserve(count * 7);
        for (let i = 0; i < count; i++) {
          out.u32Reserved(hints[at++] as number);
          out.bytes[out.pos++] = 1;
          out.bytes[out.pos++] = 0;
        }
      }
    });
  }

  /** Active segments become empty passive ones, so that indexes stay; the host writes their bytes at install. */
  private writeData(): void {
    const { out, module } = this;
    out.u32(module.data.length);
    for (const { offset, start, end } of module.data) {
      out.byte(1);
      out.u32(offset === undefined ? end - start : 0);
      if (offset === undefined) out.copy(module.bytes, start, end);
    }
  }
}

export function injectedIndexes(module: ParsedModule): InjectedIndexes {
  const importedFunctions = module.importedFunctionTypes.length;
  const added = importedFunctions + INJECTED_IMPORTS + module.functionTypes.length;
  const globals = module.globals.length;
  return {
    counterGlobal: globals,
    depthGlobal: globals + 1,
    calledGlobal: globals + 2,
    droppedGlobal: globals + 2 + module.tables.length,
    importedFunctions,
    shift: INJECTED_IMPORTS,
    outOfInstructions: importedFunctions,
    entrySlow: added,
    memoryFill: added + 6,
    memoryCopy: added + 7,
    memoryInit: added + 8,
    memoryGrow: added + 9,
  };
}

/** In the order that `injectedIndexes` promises. */
function addedFunctions(info: ModuleInfo, indexes: InjectedIndexes, globals: readonly GlobalAccess[]): Added[] {
  const { outOfInstructions, importedFunctions, entrySlow } = indexes;
  const chargeBytes = entrySlow + 4;
  const markRange = entrySlow + 5;
  const added: Added[] = [
    { name: undefined, body: injected.entrySlow(indexes, outOfInstructions + 1) },
    { name: "atoll charge", body: injected.charge(indexes) },
    { name: "atoll counter", body: injected.readCounter(indexes) },
    { name: "atoll reset", body: injected.reset(indexes) },
  ];
  const { memory } = info;
  if (memory !== undefined) {
    const wide = memory.memory64;
    const bodies = [
      injected.chargeBytes(indexes),
      injected.markRange(wide),
      injected.bulk(wide, false, chargeBytes, markRange),
      injected.bulk(wide, true, chargeBytes, markRange),
      injected.beforeInit(wide, chargeBytes, markRange),
      injected.grow(wide, memory.maximumPages, importedFunctions + 2),
    ];
    for (const body of bodies) added.push({ name: undefined, body });
  }
  for (const global of globals) {
    if ("name" in global) continue;
    const [getter, setter] = injected.accessors(global.type, global.index);
    added.push({ name: global.get, body: getter }, { name: global.set, body: setter });
  }
  return added;
}

function globalAccess(info: ModuleInfo): GlobalAccess[] {
  return info.mutableGlobals.map(({ index, type }) =>
    type === "i32" || type === "i64"
      ? { index, type, name: `atoll global ${index}` }
      : { index, type, get: `atoll get ${index}`, set: `atoll set ${index}` },
  );
}

/** Copies a section's items without their count. */
function copyItems(bytes: Uint8Array, span: Span, out: Writer): void {
  const reader = new Reader(bytes, span.start, span.end);
  reader.u32();
  out.copy(bytes, reader.pos, span.end);
}

function writeLimits(out: Writer, { minimum, maximum, is64 }: Limits): void {
  out.byte((maximum === undefined ? 0 : 1) | (is64 ? 4 : 0));
  out.u64(minimum);
  if (maximum !== undefined) out.u64(maximum);
}

function writeInjected(code: Writer, { locals, code: operators }: injected.InjectedFunction): void {
  const length = code.openLength();
  code.u32(locals.length);
  for (const type of locals) code.raw([1, type]);
  code.raw(operators);
  code.byte(0x0b);
  code.closeLength(length);
}
