// The instruction set of the universal canister: numbers shared by the module (universal-module.ts) and the assembler
// (universal.ts). The machine has one stack of 64-bit integers. A blob is two of them, address and length, because
// that is how the System API takes it. From IC0_BASE on, an opcode calls a function of ic0: it pops the parameters and
// pushes the result.

import { type Ic0Function, ic0Functions, REPLICA_EXTRAS } from "./ic0-functions.ts";

/** Name -> code. Comments give the stack before and after. */
export const OPCODES = {
  end: 0, //            ->                    end of this program
  pushInt: 1, //        -> n                  8 bytes follow, little-endian
  pushBytes: 2, //      -> address length     4 bytes of length and the bytes follow
  drop: 3, //           n ->
  dup: 4, //            n -> n n
  dup2: 5, //           a b -> a b a b
  swap: 6, //           a b -> b a
  add: 7, //            a b -> a+b            and so on, modulo 2^64, unsigned
  sub: 8,
  mul: 9,
  div: 10, //                                 traps on division by zero, as Wasm does
  and: 11,
  equal: 12, //         a b -> 0 or 1
  less: 13,
  jump: 14, //          ->                    4 bytes follow: signed distance from the next instruction
  jumpIfZero: 15, //    n ->
  getSlot: 16, //       -> n                  1 byte follows: the slot
  setSlot: 17, //       n ->
  alloc: 18, //         length -> address     zeroed only if never used before
  concat: 19, //        a la b lb -> c lc
  load8: 20, //         address -> byte
  store8: 21, //        address byte ->
  load64: 22, //        address -> n
  store64: 23, //       address n ->
  fill: 24, //          address byte length ->
  copy: 25, //          to from length ->
  memoryGrow: 26, //    pages -> previous or -1
  memorySize: 27, //    -> pages
  run: 28, //           address length ->     a program within this one
  closure: 29, //       address length -> env of a callback that runs this program
  callbackFunction: 30, // -> index in the table of the function to go with it
  storeProgram: 31, //  address length ->     1 byte follows: for which entry point
  keep: 32, //          ->                    what this message allocates outlives it
  unreachable: 33,
  spin: 34, //          n ->                  n turns of an empty loop
  recurseForever: 35,
} as const;

export type OpcodeName = keyof typeof OPCODES;

export const IC0_BASE = 64;

/** Entry points that run a program stored beforehand. */
export const STORED_PROGRAMS = {
  preUpgrade: 0,
  heartbeat: 1,
  globalTimer: 2,
  inspectMessage: 3,
  onLowWasmMemory: 4,
  transform: 5,
} as const;

export type StoredProgram = keyof typeof STORED_PROGRAMS;

/** One numbering for both widths: the functions of 32-bit modules, then the extras. */
const NUMBERED: readonly Ic0Function[] = [...ic0Functions(32), ...REPLICA_EXTRAS];

export function ic0Opcode(name: string): number {
  const index = NUMBERED.findIndex((candidate) => candidate.name === name);
  if (index < 0) throw new RangeError(`ic0 has no function ${name}`);
  return IC0_BASE + index;
}

export const OPCODE_COUNT = IC0_BASE + NUMBERED.length;
