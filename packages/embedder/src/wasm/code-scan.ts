// One look at every operator of a function body: counts and complexity that limit what is installed, the operators
// that the Internet Computer refuses, and what the rewriter wants to know beforehand. Instruction costs, sections 7
// and 8.
import { FunctionTrait } from "./module-info.ts";
import {
  ACTION,
  Action,
  COMPLEXITY,
  costTable,
  IMMEDIATE,
  Immediate,
  OPERATORS,
  PREFIX_FC,
  PREFIX_FD,
  REFUSED_NAMES,
  RESULT_NAN,
} from "./opcodes.ts";
import type { ParsedModule } from "./parse.ts";
import { Reader } from "./reader.ts";
import { advised, type Refusal, refusal } from "./refusal.ts";
import { isValueType, ValueType } from "./value-types.ts";

export interface CodeScan {
  /** Operators of all bodies, with those that the replica's instrumentation adds. */
  compiledOperators: number;
  traits: Uint8Array;
}

/** Thrown values of kind MalformedModule come from the reader. */
export function scanCode(module: ParsedModule, memory64: boolean): CodeScan | Refusal {
  const count = module.bodies.length / 2;
  const scan: CodeScan = { compiledOperators: 0, traits: new Uint8Array(count) };
  const body = new BodyScan(module, memory64);
  for (let index = 0; index < count; index++) {
    body.begin(module.bodies[2 * index] as number, module.bodies[2 * index + 1] as number);
    const refused = body.run();
    // Refusals count functions as the module does, imported ones first.
    const place = `Wasm module contains a function at index ${module.importedFunctionTypes.length + index}`;
    if (refused !== undefined) return refusal(`${place} with unsupported instruction ${refused}.`);
    const tooBig = limitsError(place, body);
    if (tooBig !== undefined) return tooBig;
    scan.traits[index] = body.traits;
    scan.compiledOperators += body.operators + body.injected;
  }
  return scan;
}

const COMPLEXITY_LIMIT = 1_000_000;
const OPERATORS_LIMIT = 1_000_000;

const SPLIT_FUNCTIONS = "Try breaking large functions up into multiple smaller functions.";

function limitsError(place: string, body: BodyScan): Refusal | undefined {
  if (body.complexity > COMPLEXITY_LIMIT) {
    return advised(
      `${place} with complexity ${body.complexity} which exceeds the maximum complexity allowed ${COMPLEXITY_LIMIT}.`,
      SPLIT_FUNCTIONS,
      "function-complexity-too-high",
    );
  }
  if (body.operators > OPERATORS_LIMIT) {
    return advised(
      `${place} of size ${body.operators} that exceeds the maximum allowed size of ${OPERATORS_LIMIT}.`,
      SPLIT_FUNCTIONS,
      "function-too-large",
    );
  }
  return undefined;
}

/** Actions after which a basic block ends, as a table. */
const ENDS_BLOCK = new Uint8Array(64);
for (const action of [Action.loop, Action.if, Action.else, Action.end, Action.br, Action.brIf, Action.brTable])
  ENDS_BLOCK[action] = 1;
for (const action of [Action.return, Action.unreachable, Action.returnCall, Action.returnCallIndirect])
  ENDS_BLOCK[action] = 1;

const TRAIT = new Uint8Array(OPERATORS);
for (let operator = 0; operator < OPERATORS; operator++) {
  const action = ACTION[operator] as number;
  if (action >= Action.call && action <= Action.returnCallIndirect) TRAIT[operator] = FunctionTrait.depth;
  if (action === Action.returnCall || action === Action.returnCallIndirect) {
    TRAIT[operator] = FunctionTrait.depth | FunctionTrait.tailCalls;
  }
  if ((RESULT_NAN[operator] as number) > 1) TRAIT[operator] = FunctionTrait.floats;
  if (action === Action.memoryGrow) TRAIT[operator] = FunctionTrait.grows;
  if (action === Action.dropSegment) TRAIT[operator] = FunctionTrait.drops;
  if (action >= Action.memoryFill && action <= Action.memoryInit) TRAIT[operator] = FunctionTrait.bulk;
}

/** Operators that the replica adds at an injection point: a plain decrement, and one with the test. */
const DECREMENT = 4;
const DECREMENT_AND_TEST = 10;

/** The engine takes 50,000; the rewriter needs a few of them. */
const MAX_LOCALS = 49_800;
/** What validation by the engine costs grows with these, not with the module's bytes: bounds far above real modules. */
const MAX_TOTAL_LOCALS = 20_000_000;
const MAX_TOTAL_VALUES = 100_000_000;
/** A function that calls nothing and certainly has no more values than this need not count the stack's depth. */
const SMALL_FRAME_VALUES = 2_000;

class BodyScan {
  private readonly code: Reader;
  private readonly module: ParsedModule;
  /** Work of all bodies so far: locals that they declare, values that their calls and blocks take and give. */
  private totalLocals = 0;
  private totalValues = 0;
  private index = 0;
  complexity = 0;
  operators = 0;
  injected = 0;
  traits = 0;
  private limit = 0;
  private readonly costs: Uint16Array;
  private readonly memory64: boolean;

  constructor(module: ParsedModule, memory64: boolean) {
    this.code = new Reader(module.bytes);
    this.module = module;
    this.costs = costTable(memory64);
    this.memory64 = memory64;
  }

  begin(start: number, end: number): void {
    this.code.pos = start;
    this.limit = end;
    this.complexity = 0;
    this.operators = 0;
    this.injected = DECREMENT_AND_TEST;
    this.traits = 0;
    let locals = 0;
    for (let groups = this.code.count(); groups > 0; groups--) {
      locals += this.code.u32();
      if (!isValueType(this.code.byte())) this.code.fail("invalid value type");
    }
    if (this.code.pos > end) this.code.fail("unexpected end of function body");
    this.totalLocals += locals;
    if (locals > MAX_LOCALS || this.totalLocals > MAX_TOTAL_LOCALS)
      this.code.fail("too many locals: locals exceed maximum");
    // A bound on the frame: an operator takes at least one byte, and pushes one value unless its type is an index.
    if (locals + end - this.code.pos > SMALL_FRAME_VALUES) this.traits = FunctionTrait.depth;
  }

  /** Gives the name of a refused operator. The scan may run past the body's end by one operator, never past the bytes. */
  run(): string | undefined {
    const { costs, limit } = this;
    let cost = 0;
    let reentrant = true;
    let depth = 1;
    while (this.code.pos < limit && depth > 0) {
      const operator = this.operator();
      const action = ACTION[operator] as number;
      const immediate = IMMEDIATE[operator] as number;
      if (immediate === Immediate.unsupported) {
        const name = REFUSED_NAMES[operator];
        return name ?? this.code.fail(`illegal or disabled opcode ${operator}`);
      }
      if (immediate !== Immediate.none) this.skipImmediate(immediate);
      this.operators++;
      this.complexity += COMPLEXITY[operator] as number;
      this.traits |= TRAIT[operator] as number;
      cost += costs[operator] as number;
      if (action === Action.plain) continue;
      if (action >= Action.call && action <= Action.returnCallIndirect) this.countCall(action);
      if (action <= Action.if) depth++;
      else if (action === Action.end) depth--;
      if (ENDS_BLOCK[action] === 1) {
        if (!reentrant && cost > 0) this.injected += DECREMENT;
        reentrant = action === Action.loop;
        if (reentrant) this.injected += DECREMENT_AND_TEST;
        cost = 0;
      } else if (action >= Action.memoryFill && action <= Action.memoryGrow) {
        const wide = this.memory64 && action !== Action.memoryInit;
        this.injected += wide && action !== Action.memoryGrow ? 1 : 3;
      }
    }
    if (this.code.pos !== limit || depth !== 0)
      this.code.fail("control frames remain at the end of the function body or it ends early");
    return undefined;
  }

  private countCall(action: number): void {
    const direct = action === Action.call || action === Action.returnCall;
    const { importedFunctionTypes: imported, functionTypes } = this.module;
    const type = direct ? (imported[this.index] ?? functionTypes[this.index - imported.length]) : this.index;
    this.countValues(type ?? 0);
  }

  private countValues(type: number): void {
    const { types } = this.module;
    this.totalValues += (types[4 * type + 1] ?? 0) + (types[4 * type + 3] ?? 0);
    if (this.totalValues > MAX_TOTAL_VALUES) this.code.fail("calls and blocks with too many parameters and results");
  }

  private operator(): number {
    const first = this.code.byte();
    if (first < 0xfc) return first;
    if (first > 0xfd) this.code.fail(first === 0xfe ? "threads support is not enabled" : "illegal opcode");
    const sub = this.code.u32();
    if (first === 0xfc) return sub < 32 ? PREFIX_FC + sub : this.code.fail("illegal opcode");
    if (sub > 255) this.code.fail(sub < 0x114 ? "relaxed SIMD support is not enabled" : "illegal opcode");
    return PREFIX_FD + sub;
  }

  private skipImmediate(immediate: number): void {
    switch (immediate) {
      case Immediate.index:
        this.index = this.code.u32();
        return;
      case Immediate.i32:
        this.code.skipLeb(5);
        return;
      case Immediate.memarg:
        this.memarg();
        return;
      case Immediate.blockType:
        this.blockType();
        return;
      case Immediate.twoIndexes:
        this.index = this.code.u32();
        this.code.u32();
        return;
      default:
        this.skipRareImmediate(immediate);
    }
  }

  private skipRareImmediate(immediate: number): void {
    switch (immediate) {
      case Immediate.branchTable:
        for (let labels = this.code.count() + 1; labels > 0; labels--) this.code.u32();
        return;
      case Immediate.i64:
        this.code.skipLeb(10);
        return;
      case Immediate.bytes4:
        this.code.skip(4);
        return;
      case Immediate.bytes8:
        this.code.skip(8);
        return;
      case Immediate.bytes16:
        this.code.skip(16);
        return;
      case Immediate.lane:
        this.code.skip(1);
        return;
      case Immediate.memargLane:
        this.memarg();
        this.code.skip(1);
        return;
      case Immediate.memory:
        this.memoryZero();
        return;
      case Immediate.twoMemories:
        this.memoryZero();
        this.memoryZero();
        return;
      case Immediate.dataAndMemory:
        this.code.u32();
        this.memoryZero();
        return;
      case Immediate.selectTypes:
        for (let types = this.code.count(); types > 0; types--)
          if (!isValueType(this.code.byte())) this.code.fail("invalid value type");
        return;
      case Immediate.refType: {
        const type = this.code.byte();
        if (type !== ValueType.funcref && type !== ValueType.externref)
          this.code.fail("gc and function references are not enabled");
      }
    }
  }

  private memarg(): void {
    const flags = this.code.u32();
    if (flags >= 64) this.code.fail("multi-memory is not enabled");
    this.code.skipLeb(10);
  }

  private memoryZero(): void {
    if (this.code.byte() !== 0) this.code.fail("zero byte expected: multi-memory is not enabled");
  }

  private blockType(): void {
    const byte = this.code.bytes[this.code.pos] as number;
    if (byte === 0x40 || isValueType(byte)) this.code.skip(1);
    else {
      if ((byte & 0xc0) === 0x40) this.code.fail("invalid block type");
      this.countValues(this.code.u32());
      this.traits |= FunctionTrait.depth;
    }
  }
}
