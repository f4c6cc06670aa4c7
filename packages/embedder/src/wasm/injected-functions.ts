// The functions that the rewriter adds to each module: what the host calls to set and charge the counter, what
// replaces bulk memory operators and memory.grow (dynamic cost, dirty pages, the host's consent), and the
// accessors of float globals. Instruction costs, section 2. They are not metered.
import type { InjectedIndexes } from "./function-emitter.ts";
import { ValueType } from "./value-types.ts";
import { Writer } from "./writer.ts";

export interface InjectedFunction {
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly locals: readonly number[];
  /** Operators without the final `end`. */
  readonly code: readonly number[];
}

/** 5 MiB of Wasm stack. */
export const STACK_BYTES = 5 * 1024 * 1024;

/**
 * What a frame of so many values (locals, operands) takes of it. In the replica that is what its compiler keeps across
 * calls, much less than all of them: Motoko counts on decoding 29,000 nested values, with two frames of 33 values for
 * each (the test `max-stack-variant` of its compiler). V8's frames keep all values, in up to 16 bytes each: its stack
 * has to have ten times the room.
 */
export function frameBytes(values: number): number {
  return 40 + ((3 * values) >> 1);
}

const { i32, i64, f64 } = ValueType;

function leb(value: number): number[] {
  const out = new Writer(10);
  out.u32(value);
  return [...out.finish()];
}

function signed(value: bigint): number[] {
  const out = new Writer(10);
  out.s64(value);
  return [...out.finish()];
}

const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number): number[] => [0x21, ...leb(local)];
const tee = (local: number): number[] => [0x22, ...leb(local)];
const getGlobal = (global: number): number[] => [0x23, ...leb(global)];
const setGlobal = (global: number): number[] => [0x24, ...leb(global)];
const call = (index: number): number[] => [0x10, ...leb(index)];
const i64Const = (value: bigint): number[] => [0x42, ...signed(value)];
const i32Const = (value: number): number[] => [0x41, ...signed(BigInt(value))];
const IF = [0x04, 0x40];
const END = [0x0b];
const LEAST_I64 = -(2n ** 63n);

/** (i64 remaining depth): the unlikely part of a function's entry. */
export function entrySlow(indexes: InjectedIndexes, stackOverflow: number): InjectedFunction {
  const code = [
    ...[...get(0), ...i64Const(0n), 0x53, ...IF, ...call(stackOverflow), ...END],
    ...[...getGlobal(indexes.counterGlobal), ...i64Const(0n), 0x53, ...IF, ...call(indexes.outOfInstructions), ...END],
  ];
  return { params: [i64], results: [], locals: [], code };
}

/** counter := max(counter - local `amount`, least i64); local `next` keeps it. */
function subtract(counterGlobal: number, amount: readonly number[], next: number): number[] {
  return [
    ...[...getGlobal(counterGlobal), ...amount, 0x7d, ...tee(next), ...getGlobal(counterGlobal), 0x55],
    ...[...IF, ...i64Const(LEAST_I64), ...set(next), ...END, ...get(next), ...setGlobal(counterGlobal)],
  ];
}

/** (f64 amount) -> f64 what remains. */
export function charge(indexes: InjectedIndexes): InjectedFunction {
  const code = [...subtract(indexes.counterGlobal, [...get(0), 0xfc, 0x06], 1), ...get(1), 0xb9];
  return { params: [f64], results: [f64], locals: [i64], code };
}

/** () -> f64 what remains. */
export function readCounter(indexes: InjectedIndexes): InjectedFunction {
  return { params: [], results: [f64], locals: [], code: [...getGlobal(indexes.counterGlobal), 0xb9] };
}

/** (f64 instructions): a new execution. */
export function reset(indexes: InjectedIndexes): InjectedFunction {
  const code = [
    ...[...get(0), 0xfc, 0x06, ...setGlobal(indexes.counterGlobal)],
    ...[...i64Const(BigInt(STACK_BYTES)), ...setGlobal(indexes.depthGlobal)],
  ];
  return { params: [f64], results: [], locals: [], code };
}

/** (i64 size): dynamic cost of a bulk operation; tests the counter. */
export function chargeBytes(indexes: InjectedIndexes): InjectedFunction {
  const code = [
    ...subtract(indexes.counterGlobal, get(0), 1),
    ...[...get(1), ...i64Const(0n), 0x53, ...IF, ...call(indexes.outOfInstructions), ...END],
  ];
  return { params: [i64], results: [], locals: [i64], code };
}

/**
 * (i64 start, i64 size): marks the pages of that range of the heap; nothing for an empty range, or for one that is
 * out of bounds, as the operation itself then traps.
 */
export function markRange(memory64: boolean): InjectedFunction {
  const heapBytes = [0x3f, 0, ...(memory64 ? [] : [0xad]), ...i64Const(16n), 0x86];
  const first = [...get(0), ...i64Const(12n), 0x88, 0xa7];
  const code = [
    ...[...get(1), 0x50, ...IF, 0x0f, ...END],
    ...[...heapBytes, ...tee(2), ...get(0), 0x54, ...IF, 0x0f, ...END],
    ...[...get(2), ...get(0), 0x7d, ...get(1), 0x54, ...IF, 0x0f, ...END],
    ...[...first, ...tee(3), ...i32Const(1)],
    ...[...get(0), ...get(1), 0x7c, ...i64Const(1n), 0x7d, ...i64Const(12n), 0x88, 0xa7],
    ...[...get(3), 0x6b, ...i32Const(1), 0x6a, 0xfc, 0x0b, 1],
  ];
  return { params: [i64, i64], results: [], locals: [i64, i32], code };
}

/** memory.fill and memory.copy: (start, value or source, size). */
export function bulk(memory64: boolean, copies: boolean, chargeIndex: number, markIndex: number): InjectedFunction {
  const pointer = memory64 ? i64 : i32;
  const wide = (local: number): number[] => [...get(local), ...(memory64 ? [] : [0xad])];
  const code = [
    ...[...wide(2), ...call(chargeIndex), ...wide(0), ...wide(2), ...call(markIndex)],
    ...[...get(0), ...get(1), ...get(2), 0xfc, ...(copies ? [0x0a, 0, 0] : [0x0b, 0])],
  ];
  return { params: [pointer, copies ? pointer : i32, pointer], results: [], locals: [], code };
}

/** Before memory.init: (start, offset in the segment, size) given back as they are. */
export function beforeInit(memory64: boolean, chargeIndex: number, markIndex: number): InjectedFunction {
  const pointer = memory64 ? i64 : i32;
  const wideStart = [...get(0), ...(memory64 ? [] : [0xad])];
  const size = [...get(2), 0xad];
  const code = [
    ...size,
    ...call(chargeIndex),
    ...wideStart,
    ...size,
    ...call(markIndex),
    ...get(0),
    ...get(1),
    ...get(2),
  ];
  return { params: [pointer, i32, i32], results: [pointer, i32, i32], locals: [], code };
}

/** memory.grow: (pages) -> pages before, or -1. The host is asked only for what the maximum allows. */
export function grow(memory64: boolean, maximumPages: number, tryGrow: number): InjectedFunction {
  const pointer = memory64 ? i64 : i32;
  const constant = (value: number): number[] => [memory64 ? 0x42 : 0x41, ...signed(BigInt(value))];
  const narrow = memory64 ? [0xa7] : [];
  const pages = [0x3f, 0];
  const code = [
    ...[...constant(maximumPages), ...pages, memory64 ? 0x7d : 0x6b, ...get(0), memory64 ? 0x54 : 0x49],
    ...[...IF, ...constant(-1), 0x0f, ...END],
    ...[...pages, ...narrow, ...get(0), ...narrow, ...call(tryGrow), 0x45, ...IF, ...constant(-1), 0x0f, ...END],
    ...[...get(0), 0x40, 0, ...tee(1), ...constant(-1), memory64 ? 0x51 : 0x46],
    ...[...IF, ...pages, ...narrow, ...i32Const(-1), ...call(tryGrow), 0x1a, 0x00, ...END, ...get(1)],
  ];
  return { params: [pointer], results: [pointer], locals: [pointer], code };
}

/** Getter and setter of a float or vector global, with its bits as integers. */
export function accessors(type: "f32" | "f64" | "v128", global: number): [InjectedFunction, InjectedFunction] {
  if (type === "v128") {
    const lanes = [...getGlobal(global), 0xfd, 0x1d, 0, ...getGlobal(global), 0xfd, 0x1d, 1];
    const join = [...get(0), 0xfd, 0x12, ...get(1), 0xfd, 0x1e, 1, ...setGlobal(global)];
    return [
      { params: [], results: [i64, i64], locals: [], code: lanes },
      { params: [i64, i64], results: [], locals: [], code: join },
    ];
  }
  const [integer, fromFloat, toFloat] = type === "f32" ? [i32, 0xbc, 0xbe] : [i64, 0xbd, 0xbf];
  return [
    { params: [], results: [integer], locals: [], code: [...getGlobal(global), fromFloat] },
    { params: [integer], results: [], locals: [], code: [...get(0), toFloat, ...setGlobal(global)] },
  ];
}

export const HOOK_TYPES: readonly (readonly [name: string, params: readonly number[], results: readonly number[]])[] = [
  ["out_of_instructions", [], []],
  ["stack_overflow", [], []],
  ["try_grow_wasm_memory", [i32, i32], [i32]],
];
