// Random function bodies, directed by types: statements leave the operand stack as it was, expressions push one value.
// Fuel (global 0) is tested at the entry and in loops that anything may branch back to; other loops count.
import {
  constantOf,
  FIRST_ENTRY,
  IMPORTS,
  type ModuleContext,
  PASSIVE_SEGMENTS,
  type Signature,
  TABLE_SIZE,
} from "./generator.ts";
import { leb, opcodeBytes, signedLeb } from "./operator-engine.ts";
import type { Operator, Type } from "./operators.ts";
import type { Random } from "./random.ts";

const CODES: Readonly<Record<Type, number>> = { i: 0x7f, I: 0x7e, f: 0x7d, F: 0x7c, v: 0x7b };
const VARIABLES = 2;
const OFFSETS = [0, 0, 0, 0, 1, 4, 100, 4090, 4096, 70_000, 0xffffffff];
const BORDERS = [0, 4096, 8192, 65_536, 131_072];
/** Expressions of a function; beyond it only constants and variables. */
const BUDGET = 150;
/** Operators that trap so easily that programs would not come far. */
const TRAPS = /^i(32|64)\.(div|rem|trunc_f)/;

interface Label {
  readonly carries: readonly Type[];
  /** A counting loop: only its own end branches back. */
  readonly closed: boolean;
}

export class FunctionGenerator {
  private readonly context: ModuleContext;
  private readonly random: Random;
  private readonly signature: Signature;
  private readonly pointer: Type;
  private readonly out: number[] = [];
  private readonly labels: Label[] = [];
  private counters = 0;
  private budget = BUDGET;

  constructor(context: ModuleContext, signature: Signature) {
    this.context = context;
    this.random = context.random;
    this.signature = signature;
    this.pointer = context.shape.memory64 ? "I" : "i";
  }

  /** Local declarations and code. */
  body(): number[] {
    this.labels.push({ carries: this.signature.results, closed: false });
    this.useFuel();
    this.statements(6, 3);
    this.values(this.signature.results, 3);
    this.emit(0x0b);
    const groups = [
      ...this.context.types.map((type) => [VARIABLES, CODES[type]]),
      [VARIABLES, CODES[this.pointer]],
      [...leb(this.counters), CODES.i],
    ];
    return [...leb(groups.length), ...groups.flat(), ...this.out];
  }

  private emit(...bytes: readonly number[]): void {
    for (const byte of bytes) this.out.push(byte);
  }

  private local(type: Type, variable: number): number {
    return this.signature.params.length + VARIABLES * this.context.types.indexOf(type) + variable;
  }

  private pointerLocal(variable: number): number {
    return this.signature.params.length + VARIABLES * this.context.types.length + variable;
  }

  private constant(type: Type, value: number): void {
    this.emit(
      type === "I" ? 0x42 : 0x41,
      ...signedLeb(type === "I" ? BigInt(value) : BigInt.asIntN(32, BigInt(value))),
    );
  }

  private index32(opcode: number, index: number): void {
    this.emit(opcode, ...leb(index));
  }

  private useFuel(): void {
    this.emit(0x23, 0, 0x41, 1, 0x6b, 0x24, 0, 0x23, 0, 0x41, 0, 0x48, 0x04, 0x40);
    for (const type of this.signature.results) this.emit(...constantOf(type, this.random));
    this.emit(0x0f, 0x0b);
  }

  private types(limit: number): Type[] {
    return Array.from({ length: this.random.below(limit + 1) }, () => this.random.pick(this.context.types));
  }

  private values(types: readonly Type[], depth: number): void {
    for (const type of types) this.expression(type, depth);
  }

  private consume(types: readonly Type[]): void {
    for (const type of [...types].reverse()) {
      if (this.random.oneIn(3)) this.emit(0x1a);
      else this.index32(0x21, this.local(type, this.random.below(VARIABLES)));
    }
  }

  // Statements

  private statements(limit: number, depth: number): void {
    for (let left = 1 + this.random.below(limit); left > 0; left--) this.statement(depth);
  }

  private statement(depth: number): void {
    const type = this.random.pick(this.context.types);
    switch (this.random.below(depth > 0 && this.budget > 0 ? 20 : 6)) {
      case 0:
      case 1:
        this.expression(type, depth);
        this.index32(0x21, this.local(type, this.random.below(VARIABLES)));
        return;
      case 2:
      case 3:
        this.store(depth);
        return;
      case 4:
        this.address(depth);
        this.index32(0x21, this.pointerLocal(this.random.below(VARIABLES)));
        return;
      case 5:
        this.globalSet(depth);
        return;
      case 6:
      case 7:
        this.ifStatement(depth);
        return;
      case 8:
      case 9:
        this.block(depth);
        return;
      case 10:
      case 11:
        this.loop(depth);
        return;
      default:
        this.jumpOrCall(depth);
    }
  }

  private jumpOrCall(depth: number): void {
    switch (this.random.below(9)) {
      case 0:
      case 1:
        this.branch(depth);
        return;
      case 2:
        this.branchTable(depth);
        return;
      case 3:
        if (this.random.oneIn(4)) this.leave(depth);
        return;
      case 4:
      case 5:
        this.consume(this.call(this.random.below(this.context.functions.length), depth));
        return;
      case 6:
        this.bulk(depth);
        return;
      case 7:
        this.expression(this.random.pick(this.context.types), depth);
        this.emit(0x1a);
        return;
      default:
        this.rare(depth);
    }
  }

  private rare(depth: number): void {
    switch (this.random.below(6)) {
      case 0:
        this.emit(0x01);
        return;
      case 1:
        this.emit(0xfc, 9, this.random.pick(PASSIVE_SEGMENTS));
        return;
      case 2:
        this.emit(0xfc, 13, 1);
        return;
      case 3:
        this.grow(depth);
        this.emit(0x1a);
        return;
      default:
        this.consume(this.call(1, 0));
    }
  }

  private globalSet(depth: number): void {
    const { globals } = this.context;
    const index = 1 + this.random.below(globals.length - 2);
    this.expression((globals[index] as { type: Type }).type, depth);
    this.index32(0x24, index);
  }

  private store(depth: number): void {
    this.operator(this.random.pick(this.context.operators(undefined)), depth);
  }

  private blockType(signature: Signature): number[] {
    const { params, results } = signature;
    if (params.length === 0 && results.length === 0) return [0x40];
    if (params.length === 0 && results.length === 1 && this.random.oneIn(2)) return [CODES[results[0] as Type]];
    return signedLeb(BigInt(this.context.typeIndex(signature)));
  }

  /** The inside of a block whose parameters are on the stack: used at once, or after other things. */
  private inside(signature: Signature, depth: number): void {
    const late = this.random.oneIn(2);
    if (!late) this.consume(signature.params);
    this.statements(3, depth - 1);
    if (late) this.consume(signature.params);
    this.values(signature.results, depth - 1);
  }

  private block(depth: number): void {
    const signature = { params: this.types(2), results: this.types(2) };
    this.values(signature.params, depth - 1);
    this.emit(0x02, ...this.blockType(signature));
    this.labels.push({ carries: signature.results, closed: false });
    this.inside(signature, depth);
    this.labels.pop();
    this.emit(0x0b);
    this.consume(signature.results);
  }

  private ifStatement(depth: number): void {
    const params = this.types(1);
    const withElse = this.random.oneIn(2);
    const signature = { params, results: withElse ? this.types(2) : params };
    this.values(params, depth - 1);
    this.expression("i", depth - 1);
    this.emit(0x04, ...this.blockType(signature));
    this.labels.push({ carries: signature.results, closed: false });
    this.inside(signature, depth);
    if (withElse) {
      this.emit(0x05);
      this.inside(signature, depth);
    }
    this.labels.pop();
    this.emit(0x0b);
    this.consume(signature.results);
  }

  private loop(depth: number): void {
    const closed = this.random.oneIn(2);
    const signature = { params: this.types(2), results: this.types(1) };
    const counter = this.pointerLocal(VARIABLES) + this.counters;
    if (closed) {
      this.counters++;
      this.constant("i", 1 + this.random.below(4));
      this.index32(0x21, counter);
    }
    this.values(signature.params, depth - 1);
    this.emit(0x03, ...this.blockType(signature));
    this.labels.push({ carries: signature.params, closed });
    if (!closed) this.useFuel();
    this.consume(signature.params);
    this.statements(3, depth - 1);
    this.values(signature.params, 1);
    if (closed) this.emit(0x20, ...leb(counter), 0x41, 1, 0x6b, 0x22, ...leb(counter));
    else this.expression("i", depth - 1);
    this.emit(0x0d, 0);
    this.consume(signature.params);
    this.values(signature.results, depth - 1);
    this.labels.pop();
    this.emit(0x0b);
    this.consume(signature.results);
  }

  /** A label that may be branched to: how far out, and what it carries. */
  private target(carries?: readonly Type[]): { label: number; carries: readonly Type[] } | undefined {
    const candidates = this.labels
      .map((label, i) => ({ ...label, label: this.labels.length - 1 - i }))
      .filter((label) => !label.closed && (carries === undefined || String(label.carries) === String(carries)));
    return candidates.length === 0 ? undefined : this.random.pick(candidates);
  }

  private branch(depth: number): void {
    const target = this.target();
    if (target === undefined) return;
    this.values(target.carries, depth - 1);
    if (this.random.oneIn(4)) {
      this.index32(0x0c, target.label);
      this.unreachable(depth);
      return;
    }
    this.expression("i", depth - 1);
    this.index32(0x0d, target.label);
    this.consume(target.carries);
  }

  private branchTable(depth: number): void {
    const first = this.target();
    if (first === undefined) return;
    const labels = Array.from(
      { length: 1 + this.random.below(4) },
      () => this.target(first.carries)?.label ?? first.label,
    );
    this.expression("i", 1);
    this.emit(0x04, 0x40);
    this.labels.push({ carries: [], closed: true });
    this.values(first.carries, depth - 1);
    this.expression("i", depth - 1);
    this.emit(0x0e, ...leb(labels.length), ...labels.flatMap((label) => leb(label + 1)), ...leb(first.label + 1));
    this.unreachable(depth);
    this.labels.pop();
    this.emit(0x0b);
  }

  /** Code that is never reached may take operands that nobody has pushed. */
  private unreachable(depth: number): void {
    if (this.random.oneIn(2)) return;
    this.emit(...this.random.pick([[0x6a, 0x1a], [0x1a], [0x1b, 0x1a], [0x7c, 0xa7, 0x1a], [0x01]]));
    if (this.random.oneIn(2)) this.statement(depth - 1);
  }

  private leave(depth: number): void {
    const { results } = this.signature;
    if (this.random.oneIn(4)) {
      this.emit(0x00);
    } else if (this.random.oneIn(2)) {
      this.values(results, depth - 1);
      this.emit(0x0f);
    } else {
      const { functions } = this.context;
      const partners = functions.flatMap((signature, index) =>
        String(signature.results) === String(results) && index >= IMPORTS.length ? [index] : [],
      );
      if (partners.length === 0) return;
      this.callOf(this.random.pick(partners), depth, 0x12);
    }
    this.unreachable(depth);
  }

  private call(callee: number, depth: number): readonly Type[] {
    this.callOf(callee, depth, 0x10);
    return (this.context.functions[callee] as Signature).results;
  }

  /** Directly, or through the table with the type of `callee`; `opcode` is that of the direct form. */
  private callOf(callee: number, depth: number, opcode: number): void {
    const signature = this.context.functions[callee] as Signature;
    this.values(signature.params, depth - 1);
    const type = this.context.typeIndex(signature);
    const entries = this.context.table.flatMap((index, entry) =>
      this.context.typeIndex(this.context.functions[index] as Signature) === type ? [FIRST_ENTRY + entry] : [],
    );
    const anything = this.random.oneIn(500);
    if (anything || (entries.length > 0 && this.random.oneIn(2))) {
      if (anything && this.random.oneIn(2)) this.expression("i", depth - 1);
      else this.constant("i", anything ? this.random.below(TABLE_SIZE) : this.random.pick(entries));
      this.emit(opcode + 1, ...leb(type), 0);
    } else {
      this.index32(opcode, callee);
    }
  }

  private size(depth: number): void {
    if (this.random.oneIn(2)) this.constant(this.pointer, this.random.pick([0, 1, 4096, 9000, 30]));
    else this.masked(depth - 1, 0x3ff);
  }

  private bulk(depth: number): void {
    this.address(depth);
    switch (this.random.below(3)) {
      case 0:
        this.expression("i", depth - 1);
        this.size(depth);
        this.emit(0xfc, 11, 0);
        return;
      case 1:
        this.address(depth);
        this.size(depth);
        this.emit(0xfc, 10, 0, 0);
        return;
      default:
        this.constant("i", this.random.below(40));
        this.constant("i", this.random.pick([0, 1, 17, 30, 4500]));
        this.emit(0xfc, 8, this.random.pick(PASSIVE_SEGMENTS), 0);
    }
  }

  private grow(depth: number): void {
    if (this.random.oneIn(8)) this.address(depth);
    else this.constant(this.pointer, this.random.below(3));
    this.emit(0x40, 0);
  }

  // Addresses: the same numbers in both widths

  private address(depth: number): void {
    const { random } = this;
    this.budget--;
    switch (random.below(depth > 0 && this.budget > 0 ? 10 : 3)) {
      case 0:
        this.constant(this.pointer, Math.max(0, random.pick(BORDERS) - random.below(20)));
        return;
      case 1:
      case 2:
        this.index32(0x20, this.pointerLocal(random.below(VARIABLES)));
        return;
      case 3:
        this.address(depth - 1);
        this.index32(0x22, this.pointerLocal(random.below(VARIABLES)));
        return;
      case 4:
        this.masked(depth - 1, 0xffff);
        this.constant(this.pointer, random.below(9000));
        this.emit(this.pointer === "I" ? 0x7c : 0x6a);
        return;
      case 5:
        this.address(depth - 1);
        this.address(depth - 1);
        this.expression("i", depth - 1);
        this.emit(0x1b);
        return;
      case 6:
        this.emit(0x02, CODES[this.pointer]);
        this.labels.push({ carries: [this.pointer], closed: true });
        this.statements(1, depth - 1);
        this.address(depth - 1);
        this.labels.pop();
        this.emit(0x0b);
        return;
      case 7:
        if (random.oneIn(10)) this.anyAddress(depth);
        else this.masked(depth - 1, 0x1fff);
        return;
      default:
        this.masked(depth - 1, 0x1ffff);
    }
  }

  private anyAddress(depth: number): void {
    if (this.context.shape.allAddresses) {
      this.expression("I", depth - 1);
      return;
    }
    this.expression("i", depth - 1);
    if (this.pointer === "I") this.emit(0xad);
  }

  private masked(depth: number, mask: number): void {
    this.expression("i", depth);
    this.emit(0x41, ...signedLeb(BigInt(mask)), 0x71);
    if (this.pointer === "I") this.emit(0xad);
  }

  // Expressions

  private expression(type: Type, depth: number): void {
    this.budget--;
    if (depth <= 0 || this.budget <= 0) {
      this.leaf(type);
      return;
    }
    switch (this.random.below(12)) {
      case 0:
      case 1:
        this.leaf(type);
        return;
      case 2:
        this.expression(type, depth - 1);
        this.index32(0x22, this.local(type, this.random.below(VARIABLES)));
        return;
      case 3:
        this.select(type, depth);
        return;
      case 4:
        this.choice(type, depth);
        return;
      case 5:
        this.callFor(type, depth);
        return;
      default:
        if (type === "i" && this.random.oneIn(8)) this.about(depth);
        else this.operation(type, depth);
    }
  }

  private leaf(type: Type): void {
    const { params } = this.signature;
    const parameter = params.indexOf(type);
    const { globals } = this.context;
    const readable = globals.flatMap((global, index) => (global.type === type && index > 0 ? [index] : []));
    switch (this.random.below(4)) {
      case 0:
        this.emit(...constantOf(type, this.random));
        return;
      case 1:
        this.index32(0x23, this.random.pick(readable));
        return;
      default:
        this.index32(
          0x20,
          parameter >= 0 && this.random.oneIn(2) ? parameter : this.local(type, this.random.below(VARIABLES)),
        );
    }
  }

  private select(type: Type, depth: number): void {
    this.expression(type, depth - 1);
    this.expression(type, depth - 1);
    this.expression("i", depth - 1);
    if (this.random.oneIn(2)) this.emit(0x1b);
    else this.emit(0x1c, 1, CODES[type]);
  }

  private choice(type: Type, depth: number): void {
    const carries = { params: [], results: [type] };
    if (this.random.oneIn(2)) {
      this.expression("i", depth - 1);
      this.emit(0x04, ...this.blockType(carries));
      this.labels.push({ carries: [type], closed: false });
      this.expression(type, depth - 1);
      this.emit(0x05);
    } else {
      this.emit(0x02, ...this.blockType(carries));
      this.labels.push({ carries: [type], closed: false });
      this.statements(2, depth - 1);
    }
    this.expression(type, depth - 1);
    this.labels.pop();
    this.emit(0x0b);
  }

  private callFor(type: Type, depth: number): void {
    const { functions } = this.context;
    const callees = functions.flatMap(({ results }, index) => (String(results) === type ? [index] : []));
    if (callees.length === 0) this.operation(type, depth);
    else this.call(this.random.pick(callees), depth);
  }

  /** Sizes and references. */
  private about(depth: number): void {
    switch (this.random.below(5)) {
      case 0:
        this.emit(0x3f, 0);
        if (this.pointer === "I") this.emit(0xa7);
        return;
      case 1:
        this.grow(depth);
        if (this.pointer === "I") this.emit(0xa7);
        return;
      case 2:
        this.emit(0xfc, 16, 0);
        return;
      case 3:
        this.constant("i", this.random.below(TABLE_SIZE));
        this.emit(0x25, 0, 0xd1);
        return;
      default:
        this.emit(0xd2, ...leb(this.random.below(this.context.functions.length)), 0xd1);
    }
  }

  private operation(type: Type, depth: number): void {
    const operators = this.context.operators(type);
    let chosen = this.random.pick(operators);
    for (let again = 0; again < 3 && TRAPS.test(chosen.name); again++) chosen = this.random.pick(operators);
    this.operator(chosen, depth);
  }

  private operator(operator: Operator, depth: number): void {
    if (operator.width > 0) this.address(depth - 1);
    this.values(operator.params, depth - 1);
    this.emit(...opcodeBytes(operator.opcode));
    if (operator.width > 0) this.emit(0, ...leb(this.offset()));
    if (operator.immediate === "lanes") this.emit(...new Array<number>(16).fill(this.random.below(32)));
    else if (operator.immediate === "lane" || operator.immediate === "memoryLane") {
      this.emit(this.random.below(lanes(operator)));
    }
  }

  private offset(): number {
    if (this.context.shape.allAddresses && this.random.oneIn(20)) return 2 ** (30 + this.random.below(20)) + 5;
    return this.random.oneIn(40) ? (OFFSETS[OFFSETS.length - 1] as number) : this.random.pick(OFFSETS.slice(0, -1));
  }
}

function lanes({ name, width }: Operator): number {
  const count = /^[if]\d+x(\d+)/.exec(name)?.[1];
  return count === undefined ? 16 / width : Number(count);
}
