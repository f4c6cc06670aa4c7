// As much of WebAssembly's binary format as straight arithmetic over one memory takes: functions of i32 pointers that give
// nothing, with locals of 64 bits. Code is put together from pieces, which are flattened once at the end.

/** Bytes, in order. It leaves a value, or does something. */
export type Code = readonly (number | Code)[];

export interface FunctionCode {
  readonly name: string;
  /** Pointers, or a count: locals from 0 on. */
  readonly parameters: number;
  /** i64 locals after them. */
  readonly locals: number;
  readonly body: Code;
}

const I32 = 0x7f;
const I64 = 0x7e;
const VOID = 0x40;

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)];
export const pointer = (address: number): Code => [0x41, signed(address)];
export const constant = (value: number): Code => [0x42, signed(value)];
export const add = (a: Code, b: Code): Code => [a, b, 0x7c];
export const subtract = (a: Code, b: Code): Code => [a, b, 0x7d];
export const multiply = (a: Code, b: Code): Code => [a, b, 0x7e];
export const and = (a: Code, b: Code): Code => [a, b, 0x83];
/** Rounds down. */
export const shiftRight = (a: Code, bits: number): Code => [a, constant(bits), 0x87];
/** A signed number of 32 bits, `offset` bytes from the address on. */
export const load = (address: Code, offset: number): Code => [address, 0x34, 2, unsigned(offset)];
export const store = (address: Code, offset: number, value: Code): Code => [address, value, 0x3e, 2, unsigned(offset)];
export const offsetBy = (address: Code, offset: number): Code => [address, pointer(offset), 0x6a];
export const call = (index: number, ...values: readonly Code[]): Code => [values, 0x10, unsigned(index)];
/** Runs `body` as often as the i32 local says, once at least. The local ends as 0. */
export const repeat = (local: number, body: Code): Code => [
  [0x03, VOID, body],
  [get(local), pointer(1), 0x6b, 0x22, unsigned(local), 0x0d, 0, 0x0b],
];

/** A module of these functions, all exported, which call each other by their place and use the memory `host.memory`. */
export function assemble(functions: readonly FunctionCode[], pages: number): Uint8Array<ArrayBuffer> {
  const name = (text: string): Code => [text.length, [...new TextEncoder().encode(text)]];
  const list = (items: readonly Code[]): Code => [unsigned(items.length), items];
  const sized = (code: Code): Code => {
    const bytes = flatten(code);
    return [unsigned(bytes.length), bytes];
  };
  const types = functions.map(({ parameters }) => [0x60, parameters, Array<number>(parameters).fill(I32), 0]);
  const bodies = functions.map(({ locals, body }) => sized([1, unsigned(locals), I64, body, 0x0b]));
  const sections: readonly Code[] = [
    [1, sized(list(types))],
    [2, sized(list([[name("host"), name("memory"), 2, 0, unsigned(pages)]]))],
    [3, sized(list(functions.map((_, i) => unsigned(i))))],
    [7, sized(list(functions.map((one, i) => [name(one.name), 0, unsigned(i)])))],
    [10, sized(list(bodies))],
  ];
  return Uint8Array.from(flatten([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections]));
}

function flatten(code: Code, bytes: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === "number") bytes.push(part);
    else flatten(part, bytes);
  }
  return bytes;
}
