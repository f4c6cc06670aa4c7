// The first of two walks over a function body: decides every change. What is charged where is charge-plan.ts's; here are
// the blocks, the operand stack with the places where NaN must be made canonical, and the stores whose pages are marked.
// Code that cannot be reached after a branch is left out.
import { ChargePlan, Counter } from "./charge-plan.ts";
import { CodeCursor } from "./code-cursor.ts";
import { Edit, EditList } from "./edits.ts";
import { frameBytes } from "./injected-functions.ts";
import { Locals } from "./locals.ts";
import { FunctionTrait } from "./module-info.ts";
import {
  ABSORBS_NAN,
  ACTION,
  Action,
  costTable,
  IMMEDIATE,
  Immediate,
  Nan,
  POPS,
  PREFIX_FD,
  PUSHES,
  RESULT_NAN,
  STORED_TYPE,
} from "./opcodes.ts";
import { AddressTemps, OperandStack, Origin } from "./operand-stack.ts";
import type { ParsedModule } from "./parse.ts";

const FRAME_STRIDE = 7;
const FRAME = { kind: 0, base: 1, params: 2, results: 3, targeted: 4, counter: 5, dead: 6 } as const;
/** Beyond so many kept addresses the others are stashed at the store: the engine limits the number of locals. */
const MAX_ADDRESS_TEMPS = 100;
/** Bit of `temps` for the address of a store that is stashed; those of the values begin at 8. */
export const STASHED_ADDRESS = 13;
/** Functions whose float locals do not settle in so many passes get the simple rule. */
const MAX_PASSES = 4;

export class FunctionPlan {
  readonly edits = new EditList();
  readonly stack = new OperandStack();
  readonly locals = new Locals();
  /** FunctionTrait of each local function; the depth need not be told to one that does not count it. */
  readonly traits: Uint8Array;
  /** Bytes of Wasm stack that a call of the function takes. */
  frameBytes = 0;
  readonly addressTemps = new AddressTemps();
  /** Bit per Nan kind or stored type whose temporary is used: see the emitter. */
  temps = 0;
  usesDepth = false;
  readonly memory64: boolean;
  /** Declarations of locals: count of groups, and where they lie. */
  groups = 0;
  groupsStart = 0;
  codeStart = 0;

  private readonly module: ParsedModule;
  private readonly bytes: Uint8Array;
  private readonly code: CodeCursor;
  private readonly costs: Uint16Array;
  private readonly imported: number;
  private readonly charges: ChargePlan;
  private floats = false;
  private dead = false;
  private frames = new Int32Array(64 * FRAME_STRIDE);
  private depth = 0;
  private blockParams = 0;
  private blockResults = 0;

  constructor(module: ParsedModule, traits: Uint8Array, memory64: boolean) {
    this.module = module;
    this.bytes = module.bytes;
    this.code = new CodeCursor(module.bytes);
    this.charges = new ChargePlan(this.code, this.edits);
    this.traits = traits;
    this.memory64 = memory64;
    this.costs = costTable(memory64);
    this.imported = module.importedFunctionTypes.length;
  }

  /** Plans the local function `index`, whose body begins at `start`. */
  plan(index: number, start: number): void {
    const trait = this.traits[index] as number;
    this.floats = (trait & FunctionTrait.floats) !== 0;
    this.usesDepth = (trait & FunctionTrait.depth) !== 0;
    const type = this.module.functionTypes[index] as number;
    this.code.pos = start;
    this.readLocals(type);
    for (let pass = 1; ; pass++) {
      this.walk(type);
      if (!this.locals.unstable) return;
      this.locals.unstable = false;
      if (pass >= MAX_PASSES) this.locals.settle();
    }
  }

  private readLocals(type: number): void {
    const { types } = this.module;
    const params = types[4 * type] as number;
    this.locals.begin(Array.from(this.bytes.subarray(params, params + (types[4 * type + 1] as number))));
    this.groups = this.code.leb();
    this.groupsStart = this.code.pos;
    for (let group = 0; group < this.groups; group++) {
      const count = this.code.leb();
      this.locals.declare(count, this.bytes[this.code.pos++] as number);
    }
    this.locals.ready();
    this.codeStart = this.code.pos;
  }

  private walk(type: number): void {
    this.edits.clear();
    this.stack.clear();
    this.code.pos = this.codeStart;
    this.depth = 0;
    this.dead = false;
    this.addressTemps.clear();
    this.temps = 0;
    this.charges.counter = Counter.both;
    this.pushFrame(Action.end, 0, this.module.types[4 * type + 3] as number);
    this.charges.begin(this.codeStart);
    this.run();
    this.frameBytes = frameBytes(this.locals.count + this.stack.highest + this.addressTemps.count);
    if (!this.usesDepth) this.edits.setKind(0, Edit.entryLeaf);
  }

  private run(): void {
    const { code, costs, stack } = this;
    while (this.depth > 0) {
      const at = code.pos;
      const operator = code.operator();
      this.charges.cost += costs[operator] as number;
      const action = ACTION[operator] as number;
      if (action !== Action.plain) {
        this.act(action, operator, at);
        continue;
      }
      const immediate = IMMEDIATE[operator] as number;
      if (immediate !== Immediate.none) code.skipImmediate(immediate);
      const pops = POPS[operator] as number;
      if (this.floats && pops > 0) this.observe(pops, ABSORBS_NAN[operator] as number);
      stack.height -= pops;
      if (PUSHES[operator] === 1) stack.push(code.pos, RESULT_NAN[operator] as number);
    }
  }

  private act(action: number, operator: number, at: number): void {
    switch (action) {
      case Action.localGet: {
        const local = this.code.leb();
        const nan = this.floats ? this.locals.readNan(local) : Nan.payload;
        this.stack.pushFrom(this.code.pos, nan, local, this.locals.version(local));
        return;
      }
      case Action.localSet:
        this.writeLocal(this.code.leb());
        this.stack.height--;
        return;
      case Action.localTee: {
        const local = this.code.leb();
        this.writeLocal(local);
        this.stack.height--;
        const nan = this.floats ? this.locals.readNan(local) : Nan.payload;
        this.stack.pushFrom(this.code.pos, nan, local, this.locals.version(local));
        return;
      }
      case Action.i32Const: {
        const value = this.code.s32() >>> 0;
        this.stack.pushFrom(this.code.pos, Nan.payload, Origin.constant, value);
        return;
      }
      case Action.store:
        this.store(operator, at);
        return;
      case Action.call:
        this.call(at);
        return;
      case Action.block:
      case Action.loop:
      case Action.if:
        this.enter(action, at);
        return;
      case Action.end:
        this.leave(at);
        return;
      case Action.br:
      case Action.brIf:
        this.branch(action, at);
        return;
      default:
        this.actRarely(action, operator, at);
    }
  }

  private actRarely(action: number, operator: number, at: number): void {
    switch (action) {
      case Action.else:
        this.otherwise(at);
        return;
      case Action.brTable:
        this.branchTable(at);
        return;
      case Action.return:
      case Action.unreachable:
        if (action === Action.return) this.canonicaliseTop(this.frames[FRAME.results] as number);
        this.charges.tellHost(at);
        this.endOfReach();
        return;
      case Action.callIndirect:
        this.callIndirect(at);
        return;
      case Action.returnCall:
      case Action.returnCallIndirect:
        this.returnCall(action, at);
        return;
      case Action.select:
        this.select(operator);
        return;
      case Action.i64Const:
        this.i64Constant();
        return;
      case Action.floatConst:
        this.floatConstant(operator);
        return;
      case Action.refFunc: {
        const target = this.code.leb();
        this.edits.add(at, Edit.refFunc, target, 0, this.code.pos - at);
        this.stack.push(this.code.pos, Nan.payload);
        return;
      }
      default:
        this.memoryOperator(action, at);
    }
  }

  /** memory.fill, copy, init, grow and the drops: calls of injected functions, or followed by one. */
  private memoryOperator(action: number, at: number): void {
    this.code.skipImmediate(action === Action.memoryInit ? Immediate.dataAndMemory : Immediate.none);
    if (action === Action.dropSegment) {
      this.code.leb();
      this.edits.add(at, Edit.dropSegment);
      return;
    }
    if (action === Action.memoryCopy) this.code.pos += 2;
    else if (action !== Action.memoryInit) this.code.pos += 1;
    this.charges.tellHost(at);
    const length = this.code.pos - at;
    if (action === Action.memoryGrow) {
      this.edits.add(at, Edit.memoryGrow, 0, 0, length);
      this.stack.height--;
      this.stack.push(this.code.pos, Nan.payload);
    } else {
      const kind =
        action === Action.memoryFill
          ? Edit.memoryFill
          : action === Action.memoryCopy
            ? Edit.memoryCopy
            : Edit.memoryInit;
      this.edits.add(at, kind, 0, 0, kind === Edit.memoryInit ? 0 : length);
      this.stack.height -= 3;
    }
    this.charges.counter = Counter.global;
  }

  // Structure

  private pushFrame(kind: number, params: number, results: number): void {
    const at = this.depth * FRAME_STRIDE;
    if (at === this.frames.length) {
      const grown = new Int32Array(this.frames.length * 2);
      grown.set(this.frames);
      this.frames = grown;
    }
    const { frames } = this;
    frames[at + FRAME.kind] = kind;
    frames[at + FRAME.base] = this.stack.height - params;
    frames[at + FRAME.params] = params;
    frames[at + FRAME.results] = results;
    frames[at + FRAME.targeted] = 0;
    frames[at + FRAME.counter] = this.charges.counter;
    frames[at + FRAME.dead] = 0;
    this.depth++;
  }

  private readBlockType(): void {
    const byte = this.bytes[this.code.pos] as number;
    if (byte === 0x40 || (byte & 0xc0) === 0x40) {
      this.code.pos++;
      this.blockParams = 0;
      this.blockResults = byte === 0x40 ? 0 : 1;
      return;
    }
    const type = this.code.leb();
    this.blockParams = this.module.types[4 * type + 1] as number;
    this.blockResults = this.module.types[4 * type + 3] as number;
  }

  private enter(action: number, at: number): void {
    this.readBlockType();
    if (action === Action.if) this.stack.height--;
    if (action !== Action.block) this.charges.needLocal(at);
    const params = this.blockParams;
    if (params > 0) {
      this.canonicaliseTop(params);
      this.stack.height -= params;
      for (let i = 0; i < params; i++) this.stack.push(-1, Nan.payload);
    }
    if (action === Action.loop) this.charges.nextBlock(Edit.loop);
    this.pushFrame(action, params, this.blockResults);
    if (action === Action.if) this.charges.nextBlock(Edit.charge);
  }

  private otherwise(at: number): void {
    const frame = (this.depth - 1) * FRAME_STRIDE;
    if (!this.dead) {
      this.canonicaliseTop(this.frames[frame + FRAME.results] as number);
      this.charges.needLocal(at);
      this.charges.closeBlock();
    }
    this.dead = false;
    this.charges.counter = this.frames[frame + FRAME.counter] as number;
    this.charges.beginBlock(Edit.charge);
    this.stack.height = this.frames[frame + FRAME.base] as number;
    for (let i = this.frames[frame + FRAME.params] as number; i > 0; i--) this.stack.push(-1, Nan.payload);
  }

  private leave(at: number): void {
    const frame = --this.depth * FRAME_STRIDE;
    const { frames, stack } = this;
    const results = frames[frame + FRAME.results] as number;
    const kind = frames[frame + FRAME.kind] as number;
    const merges = kind === Action.if || (kind === Action.block && frames[frame + FRAME.targeted] === 1);
    if (!this.dead) {
      this.canonicaliseTop(results);
      if (frame === 0) this.charges.tellHost(at);
      if (frame > 0 && merges) this.charges.needLocal(at);
      this.charges.closeBlock();
    }
    if (frame === 0) return;
    // Where several ways meet, the local is all that they have in common.
    if (merges || this.dead) this.charges.counter = Counter.local;
    this.dead = false;
    stack.height = frames[frame + FRAME.base] as number;
    stack.pushResults(results, this.code.pos);
    this.charges.beginBlock(Edit.charge);
  }

  /** After a branch that is always taken: nothing is reached before the next `else` or `end`. */
  private endOfReach(): void {
    this.charges.closeBlock();
    this.dead = true;
    const start = this.code.pos;
    this.code.skipToEndOfBlock();
    if (this.code.pos > start) this.edits.add(start, Edit.skip, 0, 0, this.code.pos - start);
    this.charges.cost = 0;
  }

  /** Marks the label; gives the number of values that a branch to it carries. */
  private target(label: number): number {
    const frame = (this.depth - 1 - label) * FRAME_STRIDE;
    this.frames[frame + FRAME.targeted] = 1;
    const field = this.frames[frame + FRAME.kind] === Action.loop ? FRAME.params : FRAME.results;
    return this.frames[frame + field] as number;
  }

  private prepareBranch(leaves: boolean, stays: boolean, at: number): void {
    if (stays) this.charges.needLocal(at);
    if (leaves) this.charges.tellHost(at);
  }

  private branch(action: number, at: number): void {
    const label = this.code.leb();
    if (action === Action.brIf) this.stack.height--;
    this.canonicaliseTop(this.target(label));
    const leaves = label === this.depth - 1;
    this.prepareBranch(leaves, !leaves, at);
    if (action === Action.br) this.endOfReach();
    else this.charges.nextBlock(Edit.charge);
  }

  private branchTable(at: number): void {
    this.stack.height--;
    let leaves = false;
    let stays = false;
    let values = 0;
    for (let labels = this.code.leb() + 1; labels > 0; labels--) {
      const label = this.code.leb();
      values = this.target(label);
      if (label === this.depth - 1) leaves = true;
      else stays = true;
    }
    this.canonicaliseTop(values);
    this.prepareBranch(leaves, stays, at);
    this.endOfReach();
  }

  // Calls

  private passArguments(type: number): void {
    const params = this.module.types[4 * type + 1] as number;
    this.canonicaliseTop(params);
    this.stack.height -= params;
  }

  private leaveForCall(at: number): void {
    this.charges.tellHost(at);
    this.charges.counter = Counter.global;
  }

  private call(at: number): void {
    const target = this.code.leb();
    const local = target - this.imported;
    const type = (local < 0 ? this.module.importedFunctionTypes[target] : this.module.functionTypes[local]) as number;
    this.passArguments(type);
    this.leaveForCall(at);
    const counted = local >= 0 && ((this.traits[local] as number) & FunctionTrait.depth) !== 0;
    this.edits.add(at, Edit.call, target, counted ? 1 : 0, this.code.pos - at);
    this.stack.pushResults(this.module.types[4 * type + 3] as number, this.code.pos);
  }

  private callIndirect(at: number): void {
    const type = this.code.leb();
    this.code.leb();
    this.stack.height--;
    this.passArguments(type);
    this.leaveForCall(at);
    this.edits.add(at, Edit.callIndirect);
    this.stack.pushResults(this.module.types[4 * type + 3] as number, this.code.pos);
  }

  private returnCall(action: number, at: number): void {
    const target = this.code.leb();
    const local = target - this.imported;
    let type = target;
    if (action === Action.returnCallIndirect) {
      this.code.leb();
      this.stack.height--;
    } else {
      type = (local < 0 ? this.module.importedFunctionTypes[target] : this.module.functionTypes[local]) as number;
    }
    this.passArguments(type);
    this.charges.tellHost(at);
    const direct = action === Action.returnCall;
    this.edits.add(at, Edit.returnCall, direct ? target : -1, 0, direct ? this.code.pos - at : 0);
    this.endOfReach();
  }

  // Values

  private writeLocal(local: number): void {
    if (this.floats) {
      const slot = this.stack.height - 1;
      if (this.locals.writeNan(local, this.stack.nan[slot] as number)) this.canonicalise(slot);
    }
    this.locals.written(local);
  }

  /** The operator looks at its operands' bits, but for the kind of NaN that it absorbs; 255: any. */
  private observe(pops: number, absorbs: number): void {
    const { stack } = this;
    for (let slot = stack.height - pops; slot < stack.height; slot++) {
      const nan = stack.nan[slot] as number;
      if (nan > Nan.neutral && nan !== absorbs && absorbs !== 255) this.canonicalise(slot);
    }
  }

  private canonicaliseTop(count: number): void {
    if (this.floats && count > 0) this.observe(count, 0);
  }

  private canonicalise(slot: number): void {
    const { stack } = this;
    const nan = stack.nan[slot] as number;
    this.temps |= 1 << nan;
    this.edits.addLate(stack.produced[slot] as number, Edit.canonicalise, nan);
    stack.nan[slot] = Nan.payload;
  }

  private select(operator: number): void {
    if (operator === 0x1c) this.code.skipImmediate(Immediate.selectTypes);
    const { stack } = this;
    stack.height -= 2;
    const first = stack.height - 1;
    const nan = this.floats ? this.selectNan(first) : Nan.payload;
    stack.height = first;
    stack.push(this.code.pos, nan);
  }

  private selectNan(first: number): number {
    const { nan } = this.stack;
    const a = nan[first] as number;
    const b = nan[first + 1] as number;
    if (a === b || b === Nan.neutral) return a;
    if (a === Nan.neutral) return b;
    if (a > Nan.neutral) this.canonicalise(first);
    if (b > Nan.neutral) this.canonicalise(first + 1);
    return Nan.payload;
  }

  private i64Constant(): void {
    const value = this.code.shortConstant();
    if (value === undefined) this.stack.push(this.code.pos, Nan.payload);
    else this.stack.pushFrom(this.code.pos, Nan.payload, Origin.constant, value);
  }

  /** A constant that is no NaN, or the canonical one, is neutral. */
  private floatConstant(operator: number): void {
    const { bytes } = this;
    const { pos } = this.code;
    const size = operator === 0x43 ? 4 : 8;
    this.code.pos += size;
    const high = (bytes[pos + size - 1] as number) * 256 + (bytes[pos + size - 2] as number);
    const special = (high & (size === 4 ? 0x7f80 : 0x7ff0)) === (size === 4 ? 0x7f80 : 0x7ff0);
    this.stack.push(this.code.pos, special ? Nan.payload : Nan.neutral);
  }

  // Stores

  private store(operator: number, at: number): void {
    this.code.leb();
    const offset = this.code.offset();
    if (operator >= PREFIX_FD + 88) this.code.pos++;
    const { stack } = this;
    if (this.floats) this.observe(1, 0);
    stack.height -= 2;
    const slot = stack.height;
    const local = stack.local[slot] as number;
    if (offset > 2 ** 40) return;
    if (local >= 0 && this.locals.version(local) === stack.value[slot]) {
      this.edits.add(at, Edit.markLocal, local, offset);
    } else if (local === Origin.constant) {
      this.edits.add(at, Edit.markConstant, Math.floor(((stack.value[slot] as number) + offset) / 4096));
    } else if ((stack.produced[slot] as number) >= 0 && this.addressTemps.count < MAX_ADDRESS_TEMPS) {
      const temp = this.addressTemps.at(slot);
      this.edits.addLate(stack.produced[slot] as number, Edit.keepAddress, temp);
      this.edits.add(at, Edit.markLocal, -1 - temp, offset);
    } else {
      const type = STORED_TYPE[operator] as number;
      this.temps |= (1 << (8 + 0x7f - type)) | (1 << STASHED_ADDRESS);
      this.edits.add(at, Edit.markStashed, type, offset);
    }
  }
}
