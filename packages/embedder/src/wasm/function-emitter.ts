// The second of two walks over a function body: writes it with the changes that the plan decided. The added locals
// follow the function's own: counter, depth, temporaries for NaN and for stores, copies of addresses.
import { Edit } from "./edits.ts";
import { type FunctionPlan, STASHED_ADDRESS } from "./function-plan.ts";
import { Nan } from "./opcodes.ts";
import { ValueType } from "./value-types.ts";
import type { Writer } from "./writer.ts";

/** Indexes in the instrumented module of what the rewriter added. */
export interface InjectedIndexes {
  readonly counterGlobal: number;
  readonly depthGlobal: number;
  /** The index that the latest call_indirect called; modules with a table only. */
  readonly calledGlobal: number;
  readonly droppedGlobal: number;
  /** Function indexes from here on are shifted by `shift`. */
  readonly importedFunctions: number;
  readonly shift: number;
  readonly outOfInstructions: number;
  readonly entrySlow: number;
  readonly memoryFill: number;
  readonly memoryCopy: number;
  readonly memoryInit: number;
  readonly memoryGrow: number;
}

/** No edit writes more bytes than this. */
const MAX_EDIT_BYTES = 160;
/** What the suspendable form has after a call of the hook. */
const MAX_SPARED_BYTES = 32;
const TEMP_TYPES: readonly (readonly [bit: number, type: number])[] = [
  [Nan.f32, ValueType.f32],
  [Nan.f64, ValueType.f64],
  [Nan.f32x4, ValueType.v128],
  [8, ValueType.i32],
  [9, ValueType.i64],
  [10, ValueType.f32],
  [11, ValueType.f64],
  [12, ValueType.v128],
  [STASHED_ADDRESS, ValueType.i32],
];

export class FunctionEmitter {
  /** Places of the unlikely branches of the function, counted from its local declarations. */
  hints = new Uint32Array(256);
  hintCount = 0;
  /** When set, `emit` tells which stretch of the original code it copied to which place of the body. */
  copies: { readonly from: number; readonly to: number; readonly length: number }[] | undefined;

  private readonly out: Writer;
  private readonly bytes: Uint8Array;
  private readonly indexes: InjectedIndexes;
  /** Whether the hook `out_of_instructions` may return. */
  private readonly isSuspendable: boolean;
  /** At most by so much longer is the suspendable form of what was written so far. */
  spared = 0;
  private plan!: FunctionPlan;
  private bodyStart = 0;
  private counter = 0;
  private depth = 0;
  private firstAddress = 0;
  /** Local index of the temporary for a bit of `FunctionPlan.temps`. */
  private readonly tempLocals = new Int32Array(16);

  constructor(bytes: Uint8Array, out: Writer, indexes: InjectedIndexes, isSuspendable: boolean) {
    this.isSuspendable = isSuspendable;
    this.bytes = bytes;
    this.out = out;
    this.indexes = indexes;
  }

  /** Writes the body (without its length) that `plan` holds; `end` is where the original ends. */
  emit(plan: FunctionPlan, end: number): void {
    const { out } = this;
    const { edits } = plan;
    this.plan = plan;
    this.bodyStart = out.pos;
    this.hintCount = 0;
    this.spared = 0;
    this.declareLocals();
    const late = edits.sortLate();
    let nextLate = 0;
    let from = plan.codeStart;
    const count = edits.count;
    for (let edit = 0; edit <= count; edit++) {
      const position = edit === count ? end : edits.position(edit);
      while (nextLate < late.length) {
        const number = late[nextLate] as number;
        const latePosition = edits.latePosition(number);
        if (latePosition > position) break;
        this.copy(from, latePosition);
        from = latePosition;
        out.reserve(MAX_EDIT_BYTES);
        this.late(edits.lateKind(number), edits.lateA(number));
        nextLate++;
      }
      this.copy(from, position);
      from = position;
      if (edit === count) break;
      out.reserve(MAX_EDIT_BYTES);
      this.apply(edits.kind(edit), edits.a(edit), edits.b(edit));
      from += edits.skip(edit);
    }
  }

  private copy(from: number, end: number): void {
    this.copies?.push({ from, to: this.out.pos - this.bodyStart, length: end - from });
    this.out.copy(this.bytes, from, end);
  }

  private declareLocals(): void {
    const { out, plan } = this;
    const groups: number[] = [ValueType.i64];
    this.counter = plan.locals.count;
    let next = this.counter + 1;
    if (plan.usesDepth) {
      groups.push(ValueType.i64);
      this.depth = next++;
    }
    const temps = plan.temps & (1 << Nan.f64x2) ? plan.temps | (1 << Nan.f32x4) : plan.temps;
    for (const [bit, type] of TEMP_TYPES) {
      if ((temps & (1 << bit)) === 0) continue;
      groups.push(bit === STASHED_ADDRESS && plan.memory64 ? ValueType.i64 : type);
      this.tempLocals[bit] = next++;
    }
    this.firstAddress = next;
    out.u32(plan.groups + groups.length + (plan.addressTemps.count > 0 ? 1 : 0));
    out.copy(this.bytes, plan.groupsStart, plan.codeStart);
    for (const type of groups) out.raw([1, type]);
    if (plan.addressTemps.count > 0) {
      out.u32(plan.addressTemps.count);
      out.byte(plan.memory64 ? ValueType.i64 : ValueType.i32);
    }
  }

  private apply(kind: number, a: number, b: number): void {
    switch (kind) {
      case Edit.charge:
        this.get(this.counter);
        this.subtractCost(a, b);
        return;
      case Edit.markLocal:
        this.mark(a, b);
        return;
      case Edit.call:
        if (b === 1) this.passDepth();
        this.indexed(0x10, this.functionIndex(a));
        return;
      case Edit.chargeFromGlobal:
        this.indexed(0x23, this.indexes.counterGlobal);
        this.subtractCost(a, b);
        return;
      case Edit.writeBack:
        this.get(this.counter);
        this.indexed(0x24, this.indexes.counterGlobal);
        return;
      case Edit.reload:
        this.reload();
        return;
      case Edit.loop:
        this.loopHead(a);
        return;
      case Edit.entry:
      case Edit.entryLeaf:
        this.entry(kind === Edit.entry, a, b === 1);
        return;
      default:
        this.applyRare(kind, a, b);
    }
  }

  private applyRare(kind: number, a: number, b: number): void {
    const { indexes, out } = this;
    switch (kind) {
      case Edit.callIndirect:
        this.rememberCalled();
        this.passDepth();
        return;
      case Edit.returnCall:
        this.returnCall(a);
        return;
      case Edit.markConstant:
        this.constant(0x41, a);
        this.storeMark();
        return;
      case Edit.markStashed:
        this.markStashed(a, b);
        return;
      case Edit.memoryFill:
        this.indexed(0x10, indexes.memoryFill);
        return;
      case Edit.memoryCopy:
        this.indexed(0x10, indexes.memoryCopy);
        return;
      case Edit.memoryInit:
        this.indexed(0x10, indexes.memoryInit);
        return;
      case Edit.memoryGrow:
        this.indexed(0x10, indexes.memoryGrow);
        return;
      case Edit.dropSegment:
        this.constant(0x41, 1);
        this.indexed(0x24, indexes.droppedGlobal);
        return;
      case Edit.refFunc:
        out.byte(0xd2);
        out.u32Reserved(this.functionIndex(a));
    }
  }

  private late(kind: number, a: number): void {
    if (kind === Edit.keepAddress) this.indexed(0x22, this.firstAddress + a);
    else this.canonicalise(a);
  }

  private functionIndex(original: number): number {
    return original < this.indexes.importedFunctions ? original : original + this.indexes.shift;
  }

  // Counter and depth

  private subtractCost(cost: number, writeThrough: number): void {
    this.constant(0x42, cost);
    this.op(0x7d);
    if (writeThrough === 1) {
      this.indexed(0x22, this.counter);
      this.indexed(0x24, this.indexes.counterGlobal);
    } else {
      this.indexed(0x21, this.counter);
    }
  }

  private reload(): void {
    this.indexed(0x23, this.indexes.counterGlobal);
    this.indexed(0x21, this.counter);
  }

  private entry(counted: boolean, cost: number, writeThrough: boolean): void {
    const { indexes } = this;
    this.indexed(0x23, indexes.counterGlobal);
    this.constant(0x42, cost);
    this.op(0x7d);
    this.indexed(0x22, this.counter);
    if (writeThrough) {
      this.indexed(0x24, indexes.counterGlobal);
      this.get(this.counter);
    }
    if (counted) {
      this.indexed(0x23, indexes.depthGlobal);
      this.constant(0x42, this.plan.frameBytes);
      this.op(0x7d);
      this.indexed(0x22, this.depth);
      this.op(0x84);
    }
    this.ifNegative();
    if (!writeThrough) {
      this.get(this.counter);
      this.indexed(0x24, indexes.counterGlobal);
    }
    if (counted) this.get(this.depth);
    this.indexed(0x10, counted ? indexes.entrySlow : indexes.outOfInstructions);
    if (!this.isSuspendable) this.neverReturned();
    else if (writeThrough) this.reload();
    else this.unchargeGlobal(cost);
    this.op(0x0b);
  }

  /** A trap soon after the entry loses its charge: also when a new slice began here, so that slices change no total. */
  private unchargeGlobal(cost: number): void {
    const { counterGlobal } = this.indexes;
    this.indexed(0x23, counterGlobal);
    this.indexed(0x22, this.counter);
    this.constant(0x42, cost);
    this.op(0x7c);
    this.indexed(0x24, counterGlobal);
  }

  private loopHead(cost: number): void {
    this.get(this.counter);
    if (cost > 0) {
      this.constant(0x42, cost);
      this.op(0x7d);
      this.indexed(0x22, this.counter);
    }
    this.indexed(0x24, this.indexes.counterGlobal);
    this.get(this.counter);
    this.ifNegative();
    this.indexed(0x10, this.indexes.outOfInstructions);
    if (this.isSuspendable) this.reload();
    else this.neverReturned();
    this.op(0x0b);
  }

  /** Code that the hook never returns to merges nothing, which keeps loops fast. */
  private neverReturned(): void {
    this.op(0x00);
    this.spared += MAX_SPARED_BYTES;
  }

  /** Tests the i64 on the stack and opens an `if` that is hinted as unlikely. */
  private ifNegative(): void {
    this.constant(0x42, 0);
    this.op(0x53);
    this.unlikelyIf();
  }

  private unlikelyIf(): void {
    if (this.hintCount === this.hints.length) {
      const grown = new Uint32Array(this.hintCount * 2);
      grown.set(this.hints);
      this.hints = grown;
    }
    this.hints[this.hintCount++] = this.out.pos - this.bodyStart;
    this.op(0x04);
    this.op(0x40);
  }

  private passDepth(): void {
    this.get(this.depth);
    this.indexed(0x24, this.indexes.depthGlobal);
  }

  /** The engine says the same of a null and of a function of another type: the host looks at what lies at the index. */
  private rememberCalled(): void {
    this.indexed(0x24, this.indexes.calledGlobal);
    this.indexed(0x23, this.indexes.calledGlobal);
  }

  /** A tail call replaces this frame: the callee starts from the caller's depth. */
  private returnCall(target: number): void {
    if (target < 0) this.rememberCalled();
    this.get(this.depth);
    this.constant(0x42, this.plan.frameBytes);
    this.op(0x7c);
    this.indexed(0x24, this.indexes.depthGlobal);
    if (target >= 0) this.indexed(0x12, this.functionIndex(target));
  }

  // Dirty pages

  /** Marks the page of the address in `local` (negative: a kept copy) plus `offset`. */
  private mark(local: number, offset: number): void {
    const wide = this.plan.memory64;
    this.get(local >= 0 ? local : this.firstAddress - 1 - local);
    if (offset > 0) {
      if (wide) {
        this.op(0x42);
        this.wideConstant(offset);
      } else {
        this.constant(0x41, offset);
      }
      this.op(wide ? 0x7c : 0x6a);
    }
    this.constant(wide ? 0x42 : 0x41, 12);
    this.op(wide ? 0x88 : 0x76);
    if (wide) this.op(0xa7);
    this.storeMark();
  }

  private storeMark(): void {
    this.constant(0x41, 1);
    this.op(0x3a);
    this.op(0x40);
    this.op(1);
    this.op(0);
  }

  private markStashed(type: number, offset: number): void {
    const value = this.tempLocals[8 + 0x7f - type] as number;
    const address = this.tempLocals[STASHED_ADDRESS] as number;
    this.indexed(0x21, value);
    this.indexed(0x22, address);
    this.mark(address, offset);
    this.get(value);
  }

  // NaN: the value on the stack is replaced by the canonical NaN when it is one, which is unlikely

  private canonicalise(nan: number): void {
    const vector = nan === Nan.f32x4 || nan === Nan.f64x2;
    const temp = this.tempLocals[vector ? Nan.f32x4 : nan] as number;
    this.indexed(0x21, temp);
    this.get(temp);
    this.get(temp);
    if (vector) {
      this.vector(nan === Nan.f32x4 ? 66 : 72);
      this.vector(83);
    } else {
      this.op(nan === Nan.f32 ? 0x5c : 0x62);
    }
    this.unlikelyIf();
    if (vector) {
      this.canonicalVector(nan === Nan.f32x4, temp);
    } else {
      this.op(nan === Nan.f32 ? 0x43 : 0x44);
      for (const byte of nan === Nan.f32 ? NAN_F32 : NAN_F64) this.op(byte);
    }
    this.indexed(0x21, temp);
    this.op(0x0b);
    this.get(temp);
  }

  private canonicalVector(isF32: boolean, temp: number): void {
    this.get(temp);
    this.vector(12);
    for (const byte of isF32 ? [...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32] : [...NAN_F64, ...NAN_F64])
      this.op(byte);
    this.get(temp);
    this.get(temp);
    this.vector(isF32 ? 65 : 71);
    this.vector(82);
  }

  // Bytes, into reserved space

  private op(byte: number): void {
    this.out.bytes[this.out.pos++] = byte;
  }

  private vector(sub: number): void {
    this.op(0xfd);
    this.out.u32Reserved(sub);
  }

  private get(local: number): void {
    this.indexed(0x20, local);
  }

  private indexed(opcode: number, index: number): void {
    this.op(opcode);
    this.out.u32Reserved(index);
  }

  private constant(opcode: number, value: number): void {
    this.op(opcode);
    this.out.s32Reserved(value);
  }

  /** A signed LEB128 of a number from 0 to 2^53. */
  private wideConstant(value: number): void {
    let rest = value;
    while (rest > 63) {
      this.op((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.op(rest);
  }
}

const NAN_F32: readonly number[] = [0, 0, 0xc0, 0x7f];
const NAN_F64: readonly number[] = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
