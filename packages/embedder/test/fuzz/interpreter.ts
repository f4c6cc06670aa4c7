// The oracle: executes a module instruction by instruction and counts as the cost table says (instruction costs,
// sections 2, 3 and 9). Slow and plain on purpose; shares nothing with the rewriter.
import type { Code, Decoded, FunctionType, Instruction } from "./decode.ts";
import { applyOperator, type Value } from "./operator-engine.ts";
import { cost, type Type } from "./operators.ts";

export type TrapKind =
  | "unreachable"
  | "memory"
  | "arithmetic"
  | "table"
  | "signature"
  | "out of instructions"
  | "other";

export class InterpreterTrap extends Error {
  readonly kind: TrapKind;
  constructor(kind: TrapKind) {
    super(kind);
    this.kind = kind;
  }
}

export interface Host {
  /** A call of an imported function. */
  call(name: string, args: readonly Value[]): Value | undefined;
  /** May the heap grow by so many pages? */
  mayGrow(pages: number): boolean;
}

/** A charge due before an instruction; at re-entrant points the counter is tested. */
interface Charge {
  amount: number;
  readonly reentrant: boolean;
}

interface Label {
  /** Instruction to go on with, and height of the stack below the values it carries. */
  readonly target: number;
  readonly height: number;
  readonly carries: number;
}

type TailCall = { readonly callee: number; readonly args: Value[] };

const PAGE = 65_536;
const ENDS_BLOCK = /^(loop|if|else|br|br_if|br_table|end|return|unreachable|return_call|return_call_indirect)$/;

export class Interpreter {
  heap: Uint8Array;
  readonly globals: Value[];
  counter = 0;
  /** The counter as it was when the rewritten code certainly had written it back: see decision 0006. */
  lastWritten = 0;
  private readonly module: Decoded;
  private readonly host: Host;
  private readonly wide: boolean;
  private readonly table: number[];
  private readonly segments: Uint8Array[];
  private readonly charges: readonly (readonly (Charge | undefined)[])[];

  constructor(module: Decoded, host: Host) {
    this.module = module;
    this.host = host;
    this.wide = module.memory?.is64 ?? false;
    this.heap = new Uint8Array((module.memory?.initial ?? 0) * PAGE);
    this.globals = module.globals.map(({ initial }) => initial);
    this.table = new Array<number>(module.tableSize).fill(-1);
    for (const { offset, functions } of module.elements) {
      if (offset !== undefined) this.table.splice(offset, functions.length, ...functions);
    }
    for (const { offset, bytes } of module.data) if (offset !== undefined) this.heap.set(bytes, offset);
    this.segments = module.data.map(({ offset, bytes }) => (offset === undefined ? bytes : new Uint8Array()));
    this.charges = module.code.map((code) => chargesOf(code, this.wide));
  }

  /** Calls an export, or the start function when no name is given. */
  invoke(name: string | undefined, args: readonly Value[]): Value[] {
    const index = name === undefined ? this.module.start : this.module.exports.get(name);
    if (index === undefined) throw new Error(`no export ${name}`);
    return this.call(index, args);
  }

  private call(callee: number, args: readonly Value[]): Value[] {
    let next: TailCall = { callee, args: [...args] };
    for (;;) {
      const { imports, functions, types } = this.module;
      const type = types[functions[next.callee] as number] as FunctionType;
      const imported = imports[next.callee];
      if (imported !== undefined) {
        const result = this.host.call(imported.name, next.args);
        return type.results.length === 0 ? [] : [result as Value];
      }
      const index = next.callee - imports.length;
      const frame = new Frame(this, this.module.code[index] as Code, type, next.args);
      const end = frame.run(this.charges[index] as (Charge | undefined)[]);
      if (Array.isArray(end)) return end;
      next = end;
    }
  }

  charge({ amount, reentrant }: Charge): void {
    this.counter -= amount;
    if (!reentrant) return;
    if (this.counter < 0) this.runOut();
  }

  private runOut(): never {
    this.lastWritten = this.counter;
    throw new InterpreterTrap("out of instructions");
  }

  chargeBytes(size: bigint): void {
    const next = BigInt(this.counter) - size;
    this.counter = Number(next < -(2n ** 63n) ? -(2n ** 63n) : next);
    this.lastWritten = this.counter;
    if (this.counter < 0) this.runOut();
  }

  callFrom(index: number, args: readonly Value[]): Value[] {
    this.lastWritten = this.counter;
    return this.call(index, args);
  }

  callee(type: FunctionType, at: Value): number {
    this.lastWritten = this.counter;
    const found = this.table[Number(at) >>> 0];
    if (found === undefined) throw new InterpreterTrap("table");
    const actual = this.module.types[this.module.functions[found] as number];
    if (found < 0 || !sameType(actual as FunctionType, type)) throw new InterpreterTrap("signature");
    return found;
  }

  typeOf(index: number): FunctionType {
    return this.module.types[this.module.functions[index] as number] as FunctionType;
  }

  unsigned(value: Value): bigint {
    return typeof value === "bigint" ? BigInt.asUintN(64, value) : BigInt(value >>> 0);
  }

  /** The heap's bytes [start, start + size), or a trap. */
  range(start: bigint, size: bigint): Uint8Array {
    if (start + size > BigInt(this.heap.length)) throw new InterpreterTrap("memory");
    return this.heap.subarray(Number(start), Number(start + size));
  }

  pages(count: number): Value {
    return this.wide ? BigInt(count) : count;
  }

  grow(requested: Value): Value {
    this.lastWritten = this.counter;
    const before = this.heap.length / PAGE;
    const pages = this.unsigned(requested);
    const maximum = this.module.memory?.maximum ?? 0;
    if (pages > BigInt(maximum - before) || !this.host.mayGrow(Number(pages))) return this.pages(-1);
    const grown = new Uint8Array((before + Number(pages)) * PAGE);
    grown.set(this.heap);
    this.heap = grown;
    return this.pages(before);
  }

  bulk({ name, value }: Instruction, target: Value, source: Value, size: Value): void {
    this.chargeBytes(this.unsigned(size));
    const bytes = this.unsigned(size);
    if (name === "memory.fill") {
      this.range(this.unsigned(target), bytes).fill(Number(source) & 0xff);
      return;
    }
    const segment = name === "memory.init" ? (this.segments[value as number] as Uint8Array) : this.heap;
    const from = this.unsigned(source);
    if (from + bytes > BigInt(segment.length)) throw new InterpreterTrap("memory");
    const part = segment.slice(Number(from), Number(from + bytes));
    this.range(this.unsigned(target), bytes).set(part);
  }

  drop(segment: number): void {
    this.segments[segment] = new Uint8Array();
  }

  tableEntry(at: Value): number {
    const found = this.table[Number(at) >>> 0];
    if (found === undefined) throw new InterpreterTrap("table");
    return found;
  }

  get tableSize(): number {
    return this.table.length;
  }
}

/** One activation of a function. */
class Frame {
  private readonly machine: Interpreter;
  private readonly code: Code;
  private readonly type: FunctionType;
  private readonly locals: Value[];
  private readonly stack: Value[] = [];
  private readonly labels: Label[] = [];
  private at = 0;
  private tail: TailCall | undefined;

  constructor(machine: Interpreter, code: Code, type: FunctionType, args: readonly Value[]) {
    this.machine = machine;
    this.code = code;
    this.type = type;
    this.locals = [...args, ...code.locals.map(zero)];
    this.labels.push({ target: code.instructions.length, height: 0, carries: type.results.length });
  }

  run(charges: readonly (Charge | undefined)[]): Value[] | TailCall {
    const { instructions } = this.code;
    while (this.at < instructions.length) {
      const charge = charges[this.at];
      if (charge !== undefined) {
        this.machine.charge(charge);
        if (charge.reentrant && this.at > 0) this.machine.lastWritten = this.machine.counter;
      }
      const instruction = instructions[this.at++] as Instruction;
      if (instruction.operator !== undefined) this.compute(instruction);
      else this.control(instruction);
      if (this.tail !== undefined) return this.tail;
    }
    return this.stack.slice(this.stack.length - this.type.results.length);
  }

  private pop(): Value {
    return this.stack.pop() as Value;
  }

  private popMany(count: number): Value[] {
    return count === 0 ? [] : this.stack.splice(-count);
  }

  private compute({ operator, value, lanes }: Instruction): void {
    if (operator === undefined) return;
    const operands = this.popMany(operator.params.length);
    let heap = new Uint8Array();
    if (operator.width > 0) {
      const address = this.machine.unsigned(this.pop()) + BigInt(value);
      heap = this.machine.range(address, BigInt(operator.width)) as Uint8Array<ArrayBuffer>;
    }
    let result: Value | undefined;
    try {
      result = applyOperator(operator, lanes, operands, heap);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw new InterpreterTrap("arithmetic");
      throw error;
    }
    if (result !== undefined) this.stack.push(result);
  }

  private enter(name: string, instruction: Instruction): void {
    const { params, results } = instruction.type;
    const taken = name === "if" ? this.pop() !== 0 : true;
    const height = this.stack.length - params.length;
    // Labels of loops carry parameters back to the instruction after `loop`, within the block; others leave it.
    if (name === "loop") this.labels.push({ target: this.at, height, carries: params.length });
    else this.labels.push({ target: instruction.end + 1, height, carries: results.length });
    if (taken) return;
    if (instruction.otherwise >= 0) {
      this.at = instruction.otherwise + 1;
    } else {
      this.labels.pop();
      this.at = instruction.end + 1;
    }
  }

  private branch(label: number): void {
    const index = this.labels.length - 1 - label;
    const { target, height, carries } = this.labels[index] as Label;
    const values = this.popMany(carries);
    this.stack.length = height;
    this.stack.push(...values);
    const isLoop = this.code.instructions[target - 1]?.name === "loop";
    this.labels.length = isLoop ? index + 1 : index;
    this.at = target;
  }

  private control(instruction: Instruction): void {
    const { name, value } = instruction;
    switch (name) {
      case "block":
      case "loop":
      case "if":
        this.enter(name, instruction);
        return;
      case "else":
        this.labels.pop();
        this.at = instruction.end + 1;
        return;
      case "end":
        this.labels.pop();
        return;
      case "br":
        this.branch(Number(value));
        return;
      case "br_if":
        if (this.pop() !== 0) this.branch(Number(value));
        return;
      case "br_table": {
        const { labels } = instruction;
        const chosen = Math.min((this.pop() as number) >>> 0, labels.length - 1);
        this.branch(labels[chosen] as number);
        return;
      }
      case "return":
        this.branch(this.labels.length - 1);
        return;
      case "unreachable":
        this.machine.lastWritten = this.machine.counter;
        throw new InterpreterTrap("unreachable");
      default:
        if (name.includes("call")) this.calls(instruction);
        else this.access(instruction);
    }
  }

  private calls({ name, value, type }: Instruction): void {
    const { machine } = this;
    const callee = name.endsWith("indirect") ? machine.callee(type, this.pop()) : Number(value);
    const args = this.popMany(machine.typeOf(callee).params.length);
    if (name.startsWith("return")) {
      machine.lastWritten = machine.counter;
      this.tail = { callee, args };
    } else {
      this.stack.push(...machine.callFrom(callee, args));
      machine.lastWritten = machine.counter;
    }
  }

  private access(instruction: Instruction): void {
    const { machine, stack, locals } = this;
    const { name, value } = instruction;
    const index = Number(value);
    switch (name) {
      case "nop":
      case "elem.drop":
        return;
      case "drop":
        stack.pop();
        return;
      case "select":
      case "select_typed": {
        const [first, second, condition] = this.popMany(3) as [Value, Value, Value];
        stack.push(condition !== 0 ? first : second);
        return;
      }
      case "local.get":
        stack.push(locals[index] as Value);
        return;
      case "local.set":
        locals[index] = this.pop();
        return;
      case "local.tee":
        locals[index] = stack[stack.length - 1] as Value;
        return;
      case "global.get":
        stack.push(machine.globals[index] as Value);
        return;
      case "global.set":
        machine.globals[index] = this.pop();
        return;
      default:
        this.memoryAndTables(instruction);
    }
  }

  private memoryAndTables(instruction: Instruction): void {
    const { machine, stack } = this;
    const { name, value } = instruction;
    switch (name) {
      case "memory.size":
        stack.push(machine.pages(machine.heap.length / PAGE));
        return;
      case "memory.grow":
        stack.push(machine.grow(this.pop()));
        return;
      case "memory.fill":
      case "memory.copy":
      case "memory.init": {
        const [target, source, size] = this.popMany(3) as [Value, Value, Value];
        machine.bulk(instruction, target, source, size);
        return;
      }
      case "data.drop":
        machine.drop(Number(value));
        return;
      case "table.get":
        stack.push(machine.tableEntry(this.pop()));
        return;
      case "table.size":
        stack.push(machine.tableSize);
        return;
      case "ref.null":
        stack.push(-1);
        return;
      case "ref.is_null":
        stack.push(this.pop() === -1 ? 1 : 0);
        return;
      default:
        // The constants, and ref.func: a function is its index.
        stack.push(value);
    }
  }
}

/** Section 2: where blocks of cost begin, and what each costs. */
function chargesOf({ instructions }: Code, wide: boolean): (Charge | undefined)[] {
  const charges: (Charge | undefined)[] = [];
  let open: Charge = { amount: 1, reentrant: true };
  charges[0] = open;
  instructions.forEach(({ name }, at) => {
    open.amount += cost(name, wide);
    if (!ENDS_BLOCK.test(name)) return;
    open = { amount: 0, reentrant: name === "loop" };
    charges[at + 1] = open;
  });
  return charges;
}

function zero(type: Type): Value {
  return type === "i" || type === "f" ? 0 : 0n;
}

function sameType(a: FunctionType, b: FunctionType): boolean {
  return String(a.params) === String(b.params) && String(a.results) === String(b.results);
}
