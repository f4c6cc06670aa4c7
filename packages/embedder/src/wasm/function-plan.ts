// The first of two walks over a function body: decides every change. Placement of the counter (instruction costs,
// section 2): a block's cost is charged at its start. The counter lives in a local while a function runs; the global
// that the host sees is written before calls, at loop heads and when the function is left, and read again after calls.
// Code that cannot be reached after a branch is left out.
import { Edit, EditList } from "./edits.ts";
import { Locals } from "./locals.ts";
import { FunctionTrait } from "./module-info.ts";
import { ABSORBS_NAN, ACTION, Action, costTable, IMMEDIATE, Immediate, Nan, POPS, PREFIX_FC, PREFIX_FD, PUSHES, RESULT_NAN, STORED_TYPE } from "./opcodes.ts";
import { OperandStack, Origin } from "./operand-stack.ts";
import type { ParsedModule } from "./parse.ts";

/** Where the counter is: only in the local, in both, or only in the global. */
const Counter = { local: 0, both: 1, global: 2 } as const;

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
  /** Number of locals that keep copies of addresses. */
  addressTemps = 0;
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
  private readonly costs: Uint16Array;
  private readonly imported: number;
  private pos = 0;
  private cost = 0;
  /** The charge that is being added up, and whether it put the counter into the local. */
  private open = 0;
  private openMoved = false;
  private beforeOpen: number = Counter.both;
  private counter: number = Counter.both;
  private floats = false;
  private dead = false;
  private frames = new Int32Array(64 * FRAME_STRIDE);
  private depth = 0;
  private blockParams = 0;
  private blockResults = 0;
  private tempAtHeight = new Int32Array(256);
  private tempEpoch = new Uint32Array(256);
  private epoch = 0;

  constructor(module: ParsedModule, traits: Uint8Array, memory64: boolean) {
    this.module = module;
    this.bytes = module.bytes;
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
    this.pos = start;
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
    this.groups = this.leb();
    this.groupsStart = this.pos;
    for (let group = 0; group < this.groups; group++) {
      const count = this.leb();
      this.locals.declare(count, this.bytes[this.pos++] as number);
    }
    this.locals.ready();
    this.codeStart = this.pos;
  }

  private walk(type: number): void {
    this.edits.clear();
    this.stack.clear();
    this.pos = this.codeStart;
    this.depth = 0;
    this.dead = false;
    this.addressTemps = 0;
    this.temps = 0;
    this.epoch++;
    this.counter = Counter.both;
    this.pushFrame(Action.end, 0, this.module.types[4 * type + 3] as number);
    this.cost = 1;
    this.open = this.edits.add(this.codeStart, Edit.entry);
    this.openMoved = true;
    this.beforeOpen = Counter.both;
    this.counter = Counter.local;
    this.run();
    this.frameBytes = 8 * (this.locals.count + this.stack.highest) + 100;
    if (!this.usesDepth) this.edits.setKind(0, Edit.entryLeaf);
  }

  private run(): void {
    const { bytes, costs, stack } = this;
    while (this.depth > 0) {
      const at = this.pos;
      let operator = bytes[this.pos++] as number;
      if (operator >= 0xfc) operator = (operator === 0xfc ? PREFIX_FC : PREFIX_FD) + this.leb();
      this.cost += costs[operator] as number;
      const action = ACTION[operator] as number;
      if (action !== Action.plain) {
        this.act(action, operator, at);
        continue;
      }
      const immediate = IMMEDIATE[operator] as number;
      if (immediate !== Immediate.none) this.skipImmediate(immediate);
      const pops = POPS[operator] as number;
      if (this.floats && pops > 0) this.observe(pops, ABSORBS_NAN[operator] as number);
      stack.height -= pops;
      if (PUSHES[operator] === 1) stack.push(this.pos, RESULT_NAN[operator] as number);
    }
  }

  private act(action: number, operator: number, at: number): void {
    switch (action) {
      case Action.localGet: {
        const local = this.leb();
        const nan = this.floats ? this.locals.readNan(local) : Nan.payload;
        this.stack.pushFrom(this.pos, nan, local, this.locals.version(local));
        return;
      }
      case Action.localSet:
        this.writeLocal(this.leb());
        this.stack.height--;
        return;
      case Action.localTee: {
        const local = this.leb();
        this.writeLocal(local);
        this.stack.height--;
        const nan = this.floats ? this.locals.readNan(local) : Nan.payload;
        this.stack.pushFrom(this.pos, nan, local, this.locals.version(local));
        return;
      }
      case Action.i32Const:
        this.i32Constant();
        return;
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
        if (this.counter === Counter.local) this.writeBack(at);
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
        const target = this.leb();
        this.edits.add(at, Edit.refFunc, target, 0, this.pos - at);
        this.stack.push(this.pos, Nan.payload);
        return;
      }
      default:
        this.memoryOperator(action, at);
    }
  }

  /** memory.fill, copy, init, grow and the drops: calls of injected functions, or followed by one. */
  private memoryOperator(action: number, at: number): void {
    this.skipImmediate(action === Action.memoryInit ? Immediate.dataAndMemory : Immediate.none);
    if (action === Action.dropSegment) {
      this.leb();
      this.edits.add(at, Edit.dropSegment);
      return;
    }
    if (action === Action.memoryCopy) this.pos += 2;
    else if (action !== Action.memoryInit) this.pos += 1;
    if (this.counter === Counter.local) this.writeBack(at);
    const length = this.pos - at;
    if (action === Action.memoryGrow) {
      this.edits.add(at, Edit.memoryGrow, 0, 0, length);
      this.stack.height--;
      this.stack.push(this.pos, Nan.payload);
    } else {
      const kind = action === Action.memoryFill ? Edit.memoryFill : action === Action.memoryCopy ? Edit.memoryCopy : Edit.memoryInit;
      this.edits.add(at, kind, 0, 0, kind === Edit.memoryInit ? 0 : length);
      this.stack.height -= 3;
    }
    this.counter = Counter.global;
  }

  // Blocks of cost

  /** Ends the block whose cost was added up and begins the next one at the current position. */
  private nextBlock(kind: number): void {
    this.closeBlock();
    this.beginBlock(kind);
  }

  private beginBlock(kind: number): void {
    const plain = kind === Edit.charge;
    this.beforeOpen = this.counter;
    this.open = this.edits.add(this.pos, plain && this.counter === Counter.global ? Edit.chargeFromGlobal : kind);
    this.openMoved = plain;
    this.counter = plain ? Counter.local : Counter.both;
  }

  /** A charge of 0 is left out, but what it also had to do with the counter stays. */
  private closeBlock(): void {
    const { edits, open } = this;
    if (this.cost === 0) {
      const kind = edits.kind(open);
      if (kind === Edit.charge) {
        edits.setKind(open, edits.b(open) === 1 ? Edit.writeBack : Edit.none);
        if (this.openMoved) this.counter = this.beforeOpen;
      } else if (kind === Edit.chargeFromGlobal) {
        edits.setKind(open, Edit.reload);
      }
    }
    edits.setA(open, this.cost);
    this.cost = 0;
  }

  /** The global gets the counter: with the charge itself when that is what moved it away. */
  private writeBack(at: number): void {
    if (this.openMoved) {
      this.edits.setB(this.open, 1);
      this.openMoved = false;
    } else {
      this.edits.add(at, Edit.writeBack);
    }
    this.counter = Counter.both;
  }

  private needLocal(at: number): void {
    if (this.counter !== Counter.global) return;
    this.edits.add(at, Edit.reload);
    this.counter = Counter.both;
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
    frames[at + FRAME.counter] = this.counter;
    frames[at + FRAME.dead] = 0;
    this.depth++;
  }

  private readBlockType(): void {
    const byte = this.bytes[this.pos] as number;
    if (byte === 0x40 || (byte & 0xc0) === 0x40) {
      this.pos++;
      this.blockParams = 0;
      this.blockResults = byte === 0x40 ? 0 : 1;
      return;
    }
    const type = this.leb();
    this.blockParams = this.module.types[4 * type + 1] as number;
    this.blockResults = this.module.types[4 * type + 3] as number;
  }

  private enter(action: number, at: number): void {
    this.readBlockType();
    if (action === Action.if) this.stack.height--;
    if (action !== Action.block) this.needLocal(at);
    const params = this.blockParams;
    if (params > 0) {
      this.canonicaliseTop(params);
      this.stack.height -= params;
      for (let i = 0; i < params; i++) this.stack.push(-1, Nan.payload);
    }
    if (action === Action.loop) this.nextBlock(Edit.loop);
    this.pushFrame(action, params, this.blockResults);
    if (action === Action.if) this.nextBlock(Edit.charge);
  }

  private otherwise(at: number): void {
    const frame = (this.depth - 1) * FRAME_STRIDE;
    if (!this.dead) {
      this.canonicaliseTop(this.frames[frame + FRAME.results] as number);
      this.needLocal(at);
      this.closeBlock();
    }
    this.dead = false;
    this.counter = this.frames[frame + FRAME.counter] as number;
    this.beginBlock(Edit.charge);
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
      if (frame === 0 && this.counter === Counter.local) this.writeBack(at);
      if (frame > 0 && merges) this.needLocal(at);
      this.closeBlock();
    }
    if (frame === 0) return;
    // Where several ways meet, the local is all that they have in common.
    if (merges || this.dead) this.counter = Counter.local;
    this.dead = false;
    stack.height = frames[frame + FRAME.base] as number;
    stack.pushResults(results, this.pos);
    this.beginBlock(Edit.charge);
  }

  /** After a branch that is always taken: nothing is reached before the next `else` or `end`. */
  private endOfReach(): void {
    this.closeBlock();
    this.dead = true;
    this.skipUnreachable();
    this.cost = 0;
  }

  private skipUnreachable(): void {
    const start = this.pos;
    for (let nested = 0; ; ) {
      const at = this.pos;
      let operator = this.bytes[this.pos++] as number;
      if (operator >= 0xfc) operator = (operator === 0xfc ? PREFIX_FC : PREFIX_FD) + this.leb();
      const action = ACTION[operator] as number;
      if (nested === 0 && (action === Action.end || action === Action.else)) {
        this.pos = at;
        break;
      }
      this.skipImmediate(IMMEDIATE[operator] as number);
      if (action === Action.end) nested--;
      else if (action >= Action.block && action <= Action.if) nested++;
    }
    if (this.pos > start) this.edits.add(start, Edit.skip, 0, 0, this.pos - start);
  }

  /** Marks the label; gives the number of values that a branch to it carries. */
  private target(label: number): number {
    const frame = (this.depth - 1 - label) * FRAME_STRIDE;
    this.frames[frame + FRAME.targeted] = 1;
    const field = this.frames[frame + FRAME.kind] === Action.loop ? FRAME.params : FRAME.results;
    return this.frames[frame + field] as number;
  }

  private prepareBranch(leaves: boolean, stays: boolean, at: number): void {
    if (stays) this.needLocal(at);
    if (leaves && this.counter === Counter.local) this.writeBack(at);
  }

  private branch(action: number, at: number): void {
    const label = this.leb();
    if (action === Action.brIf) this.stack.height--;
    this.canonicaliseTop(this.target(label));
    const leaves = label === this.depth - 1;
    this.prepareBranch(leaves, !leaves, at);
    if (action === Action.br) this.endOfReach();
    else this.nextBlock(Edit.charge);
  }

  private branchTable(at: number): void {
    this.stack.height--;
    let leaves = false;
    let stays = false;
    let values = 0;
    for (let labels = this.leb() + 1; labels > 0; labels--) {
      const label = this.leb();
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
    if (this.counter === Counter.local) this.writeBack(at);
    this.counter = Counter.global;
  }

  private call(at: number): void {
    const target = this.leb();
    const local = target - this.imported;
    const type = (local < 0 ? this.module.importedFunctionTypes[target] : this.module.functionTypes[local]) as number;
    this.passArguments(type);
    this.leaveForCall(at);
    const counted = local >= 0 && ((this.traits[local] as number) & FunctionTrait.depth) !== 0;
    this.edits.add(at, Edit.call, target, counted ? 1 : 0, this.pos - at);
    this.stack.pushResults(this.module.types[4 * type + 3] as number, this.pos);
  }

  private callIndirect(at: number): void {
    const type = this.leb();
    this.leb();
    this.stack.height--;
    this.passArguments(type);
    this.leaveForCall(at);
    this.edits.add(at, Edit.callIndirect);
    this.stack.pushResults(this.module.types[4 * type + 3] as number, this.pos);
  }

  private returnCall(action: number, at: number): void {
    const target = this.leb();
    const local = target - this.imported;
    let type = target;
    if (action === Action.returnCallIndirect) {
      this.leb();
      this.stack.height--;
    } else {
      type = (local < 0 ? this.module.importedFunctionTypes[target] : this.module.functionTypes[local]) as number;
    }
    this.passArguments(type);
    if (this.counter === Counter.local) this.writeBack(at);
    const direct = action === Action.returnCall;
    this.edits.add(at, Edit.returnCall, direct ? target : -1, 0, direct ? this.pos - at : 0);
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
    if (operator === 0x1c) this.skipImmediate(Immediate.selectTypes);
    const { stack } = this;
    stack.height -= 2;
    const first = stack.height - 1;
    const nan = this.floats ? this.selectNan(first) : Nan.payload;
    stack.height = first;
    stack.push(this.pos, nan);
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

  private i32Constant(): void {
    let value = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = this.bytes[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    if (shift < 32 && byte & 0x40) value |= -1 << shift;
    this.stack.pushFrom(this.pos, Nan.payload, Origin.constant, value >>> 0);
  }

  /** Only short constants are known as addresses. */
  private i64Constant(): void {
    const start = this.pos;
    this.skipImmediate(Immediate.i64);
    let value = 0;
    for (let at = this.pos - 1; at >= start; at--) value = value * 128 + ((this.bytes[at] as number) & 0x7f);
    const short = this.pos - start <= 6 && ((this.bytes[this.pos - 1] as number) & 0x40) === 0;
    if (short) this.stack.pushFrom(this.pos, Nan.payload, Origin.constant, value);
    else this.stack.push(this.pos, Nan.payload);
  }

  /** A constant that is no NaN, or the canonical one, is neutral. */
  private floatConstant(operator: number): void {
    const { bytes, pos } = this;
    const size = operator === 0x43 ? 4 : 8;
    this.pos += size;
    const high = (bytes[pos + size - 1] as number) * 256 + (bytes[pos + size - 2] as number);
    const special = (high & (size === 4 ? 0x7f80 : 0x7ff0)) === (size === 4 ? 0x7f80 : 0x7ff0);
    this.stack.push(this.pos, special ? Nan.payload : Nan.neutral);
  }

  // Stores

  private store(operator: number, at: number): void {
    this.leb();
    const offset = this.offset();
    if (operator >= PREFIX_FD + 88) this.pos++;
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
    } else if ((stack.produced[slot] as number) >= 0 && this.addressTemps < MAX_ADDRESS_TEMPS) {
      const temp = this.addressTemp(slot);
      this.edits.addLate(stack.produced[slot] as number, Edit.keepAddress, temp);
      this.edits.add(at, Edit.markLocal, -1 - temp, offset);
    } else {
      const type = STORED_TYPE[operator] as number;
      this.temps |= (1 << (8 + 0x7f - type)) | (1 << STASHED_ADDRESS);
      this.edits.add(at, Edit.markStashed, type, offset);
    }
  }

  /** One temporary per height of the stack: two addresses at the same height are never alive together. */
  private addressTemp(height: number): number {
    if (height >= this.tempAtHeight.length) {
      const length = Math.max(height + 1, this.tempAtHeight.length * 2);
      const temps = new Int32Array(length);
      temps.set(this.tempAtHeight);
      this.tempAtHeight = temps;
      const epochs = new Uint32Array(length);
      epochs.set(this.tempEpoch);
      this.tempEpoch = epochs;
    }
    if (this.tempEpoch[height] !== this.epoch) {
      this.tempEpoch[height] = this.epoch;
      this.tempAtHeight[height] = this.addressTemps++;
    }
    return this.tempAtHeight[height] as number;
  }

  // Bytes: the engine has validated them, so no bounds are checked

  private leb(): number {
    const { bytes } = this;
    let byte = bytes[this.pos++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let shift = 7;
    do {
      byte = bytes[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return value >>> 0;
  }

  private offset(): number {
    const start = this.pos;
    const value = this.leb();
    if (this.pos - start < 5) return value;
    let exact = 0;
    for (let at = this.pos - 1; at >= start; at--) exact = exact * 128 + ((this.bytes[at] as number) & 0x7f);
    return exact;
  }

  private skipImmediate(immediate: number): void {
    switch (immediate) {
      case Immediate.none:
        return;
      case Immediate.memarg:
      case Immediate.twoIndexes:
        this.skipLeb();
        this.skipLeb();
        return;
      case Immediate.bytes4:
        this.pos += 4;
        return;
      case Immediate.bytes8:
        this.pos += 8;
        return;
      case Immediate.bytes16:
        this.pos += 16;
        return;
      case Immediate.lane:
      case Immediate.memory:
      case Immediate.refType:
        this.pos += 1;
        return;
      case Immediate.twoMemories:
        this.pos += 2;
        return;
      case Immediate.memargLane:
        this.skipLeb();
        this.skipLeb();
        this.pos += 1;
        return;
      case Immediate.dataAndMemory:
        this.skipLeb();
        this.pos += 1;
        return;
      case Immediate.branchTable:
        for (let labels = this.leb() + 1; labels > 0; labels--) this.skipLeb();
        return;
      case Immediate.selectTypes:
        this.pos += this.leb();
        return;
      default:
        this.skipLeb();
    }
  }

  private skipLeb(): void {
    while ((this.bytes[this.pos++] as number) >= 0x80);
  }
}
