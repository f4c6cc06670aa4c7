// Runs single WebAssembly operators: each alone in a function of its own, operands and result in a shared memory, so
// that what the interpreter computes is the engine's own definition of the operator, and bits stay bits.
import { isArithmetic, type Operator, type Type } from "./operators.ts";

/** i32 and bits of f32: a number; i64 and bits of f64: a bigint, signed; v128: a bigint, unsigned. */
export type Value = number | bigint;

const RESULT = 64;
/** Where the heap's bytes are copied for loads, and appear after stores. */
const HEAP = 128;
const LOAD: Readonly<Record<Type, readonly number[]>> = {
  i: [0x28],
  I: [0x29],
  f: [0x2a],
  F: [0x2b],
  v: [0xfd, 0],
};
const STORE: Readonly<Record<Type, readonly number[]>> = {
  i: [0x36],
  I: [0x37],
  f: [0x38],
  F: [0x39],
  v: [0xfd, 11],
};

const memory = new WebAssembly.Memory({ initial: 1 });
const view = new DataView(memory.buffer);
const bytes = new Uint8Array(memory.buffer);
const compiled = new Map<string, () => void>();

export function leb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    out.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return out;
}

export function signedLeb(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = value; ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const last = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
    out.push(last ? byte : byte | 0x80);
    if (last) return out;
  }
}

export function opcodeBytes(opcode: number): number[] {
  return opcode < 0x100 ? [opcode] : [opcode >> 8, ...leb(opcode & 0xff)];
}

export function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const address = (at: number): number[] => [0x41, ...signedLeb(BigInt(at))];

function compile(operator: Operator, lanes: readonly number[]): () => void {
  const { params, result, width, opcode } = operator;
  const operands = params.flatMap((type, i) => [...address(16 * i), ...LOAD[type], 0, 0]);
  const body = [
    ...(result === undefined ? [] : address(RESULT)),
    ...(width > 0 ? address(HEAP) : []),
    ...operands,
    ...opcodeBytes(opcode),
    ...(width > 0 ? [0, 0] : []),
    ...lanes,
    ...(result === undefined ? [] : [...STORE[result], 0, 0]),
    0x0b,
  ];
  const code = [0, ...body];
  const wasm = [
    ...HEADER,
    ...section(1, [1, 0x60, 0, 0]),
    ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ];
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(wasm)), { m: { m: memory } });
  return instance.exports.f as () => void;
}

/**
 * The result of an operator. `heap` is where it reads or writes `operator.width` bytes. Traps are the engine's own.
 */
export function applyOperator(
  operator: Operator,
  lanes: readonly number[],
  operands: readonly Value[],
  heap: Uint8Array,
): Value | undefined {
  const key = `${operator.opcode}:${lanes}`;
  let run = compiled.get(key);
  if (run === undefined) {
    run = compile(operator, lanes);
    compiled.set(key, run);
  }
  operator.params.forEach((type, i) => void put(16 * i, type, operands[i] as Value));
  if (operator.width > 0) bytes.set(heap, HEAP);
  run();
  if (operator.result === undefined) {
    heap.set(bytes.subarray(HEAP, HEAP + operator.width));
    return undefined;
  }
  if (isArithmetic(operator.name)) canonicalise(/^f(32|32x4)\./.test(operator.name) ? 4 : 8, operator.result);
  return take(operator.result);
}

function put(at: number, type: Type, value: Value): void {
  if (type === "i" || type === "f") view.setInt32(at, value as number, true);
  else if (type === "v") {
    view.setBigUint64(at, BigInt.asUintN(64, value as bigint), true);
    view.setBigUint64(at + 8, (value as bigint) >> 64n, true);
  } else view.setBigInt64(at, value as bigint, true);
}

function take(type: Type): Value {
  if (type === "i" || type === "f") return view.getInt32(RESULT, true);
  if (type === "v") return (view.getBigUint64(RESULT + 8, true) << 64n) | view.getBigUint64(RESULT, true);
  return view.getBigInt64(RESULT, true);
}

/** Each NaN in the result becomes the canonical one of its lane. */
function canonicalise(laneBytes: number, type: Type): void {
  const end = RESULT + (type === "v" ? 16 : laneBytes);
  for (let at = RESULT; at < end; at += laneBytes) {
    if (laneBytes === 4 && Number.isNaN(view.getFloat32(at, true))) view.setUint32(at, 0x7fc00000, true);
    if (laneBytes === 8 && Number.isNaN(view.getFloat64(at, true))) view.setBigUint64(at, 0x7ff8000000000000n, true);
  }
}
