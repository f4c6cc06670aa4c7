// Programs for the universal canister. Every function gives code, as bytes; code that stands for a number pushes one
// number, code that stands for a blob pushes address and length. Arguments are code as well, so programs nest:
//
//   seq(setSlot(0, add(getSlot(0), int(1))), reply(le64(getSlot(0))))
//   call({ callee: bytes(id), method: "update", arg: bytes(program), onReply: reply(argData()) })
//
// `ic0("name", …)` calls a function of the System API with raw numbers (bad addresses included); the functions named
// after what they read or do (argData, cyclesAccept, …) take care of memory. Slots 0 to 23 are free for tests.

import { ic0Functions, REPLICA_EXTRAS } from "./ic0-functions.ts";
import { ic0Opcode, OPCODES, type OpcodeName, STORED_PROGRAMS, type StoredProgram } from "./universal-opcodes.ts";

export { type UniversalOptions, universalModule, universalText } from "./universal-module.ts";

export type Code = Uint8Array;

// --- building blocks ---

export function seq(...parts: readonly Code[]): Code {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function op(name: OpcodeName, ...operands: readonly number[]): Code {
  return Uint8Array.of(OPCODES[name], ...operands);
}

/** A number of 64 bits; negative ones as two's complement. */
export function int(value: number | bigint): Code {
  const code = new Uint8Array(9);
  code[0] = OPCODES.pushInt;
  new DataView(code.buffer).setBigUint64(1, BigInt.asUintN(64, BigInt(value)), true);
  return code;
}

/** A literal blob; text is UTF-8. */
export function bytes(content: Uint8Array | string): Code {
  const blob = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return seq(op("pushBytes"), little32(blob.length), blob);
}

function little32(value: number): Code {
  const code = new Uint8Array(4);
  new DataView(code.buffer).setInt32(0, value, true);
  return code;
}

// --- numbers, blobs, memory ---

export const add = (a: Code, b: Code): Code => seq(a, b, op("add"));
export const sub = (a: Code, b: Code): Code => seq(a, b, op("sub"));
export const mul = (a: Code, b: Code): Code => seq(a, b, op("mul"));
export const div = (a: Code, b: Code): Code => seq(a, b, op("div"));
export const equal = (a: Code, b: Code): Code => seq(a, b, op("equal"));
export const less = (a: Code, b: Code): Code => seq(a, b, op("less"));
export const concat = (first: Code, ...rest: readonly Code[]): Code => {
  return rest.reduce((sum, part) => seq(sum, part, op("concat")), first);
};

export const getSlot = (slot: number): Code => op("getSlot", slot);
export const setSlot = (slot: number, value: Code): Code => seq(value, op("setSlot", slot));
/** A blob takes two slots, `slot` and `slot + 1`, and its bytes outlive the message. */
export const setBlobSlot = (slot: number, blob: Code): Code => {
  return seq(op("keep"), blob, op("setSlot", slot + 1), op("setSlot", slot));
};
export const getBlobSlot = (slot: number): Code => seq(getSlot(slot), getSlot(slot + 1));

/** The 8 bytes of a number, little-endian; and back. */
export const le64 = (value: Code): Code => {
  return seq(value, setScratch(0), int(8), op("alloc"), op("dup"), getScratch(0), op("store64"), int(8));
};
export const fromLe64 = (blob: Code): Code => seq(blob, op("drop"), op("load64"));
/** A blob's length (its address is dropped). */
export const lengthOf = (blob: Code): Code => seq(blob, op("swap"), op("drop"));
/** `length` bytes of one value. */
export const repeated = (byte: number, length: Code): Code => {
  const allocated = seq(length, op("dup"), setScratch(0), op("alloc"), op("dup"), int(byte), getScratch(0), op("fill"));
  return seq(allocated, getScratch(0));
};
export const memoryGrow = (pages: Code): Code => seq(pages, op("memoryGrow"));
export const memorySize = (): Code => op("memorySize");
export const load8 = (address: Code): Code => seq(address, op("load8"));
export const store8 = (address: Code, value: Code): Code => seq(address, value, op("store8"));
export const fill = (address: Code, byte: number, length: Code): Code => seq(address, int(byte), length, op("fill"));

// --- control ---

export function ifElse(condition: Code, then: Code, otherwise: Code = seq()): Code {
  const skip = seq(op("jump"), little32(otherwise.length));
  return seq(condition, op("jumpIfZero"), little32(then.length + skip.length), then, skip, otherwise);
}

export function whileTrue(condition: Code, body: Code): Code {
  const jumpLength = 5;
  const out = seq(condition, op("jumpIfZero"), little32(body.length + jumpLength), body);
  return seq(out, op("jump"), little32(-(out.length + jumpLength)));
}

export const run = (program: Code): Code => seq(program, op("run"));
/** Ends this program (in a nested one: only that one). */
export const end = (): Code => op("end");
export const unreachable = (): Code => op("unreachable");
/** An empty loop, a handful of instructions a turn. */
export const spin = (turns: number | bigint): Code => seq(int(turns), op("spin"));
export const spinForever = (): Code => spin(-1);
export const recurseForever = (): Code => op("recurseForever");
export const divideByZero = (): Code => seq(div(int(1), int(0)), op("drop"));
/** What this message allocates stays allocated. */
export const keep = (): Code => op("keep");
export const storeProgram = (which: StoredProgram, program: Code): Code => {
  return seq(bytes(program), op("storeProgram", STORED_PROGRAMS[which]));
};

// --- the System API ---

const PARAMETERS = new Map([...ic0Functions(32), ...REPLICA_EXTRAS].map(({ name, params }) => [name, params.length]));

/** A raw call: as many numbers as the function has parameters; pushes its result, if it has one. */
export function ic0(name: string, ...args: readonly (Code | number | bigint)[]): Code {
  const numbers = args.map((arg) => (arg instanceof Uint8Array ? arg : int(arg)));
  const wanted = PARAMETERS.get(name);
  if (numbers.length !== wanted) throw new RangeError(`ic0.${name} takes ${wanted} numbers, not ${numbers.length}`);
  return seq(...numbers, Uint8Array.of(ic0Opcode(name)));
}

/** For functions whose parameters are already on the stack, a blob counting as two. */
const callOn = (name: string, ...parts: readonly Code[]): Code => seq(...parts, Uint8Array.of(ic0Opcode(name)));

const SCRATCH = 24;
const getScratch = (index: number): Code => getSlot(SCRATCH + index);
function setScratch(index: number): Code {
  return op("setSlot", SCRATCH + index);
}

/** The pattern of `<name>_size` and `<name>_copy(dst, offset, size)`: the whole blob, or a part of it. */
function read(name: string, part?: { readonly offset: number; readonly size: number }): Code {
  const size = part === undefined ? callOn(`${name}_size`) : int(part.size);
  const start = seq(size, op("dup"), op("alloc"), op("swap"), op("dup2"));
  return callOn(`${name}_copy`, start, int(part?.offset ?? 0), op("swap"));
}

/** The pattern of a 128-bit result written to memory: a blob of 16 bytes. */
function write128(name: string, ...before: readonly Code[]): Code {
  const target = seq(int(16), op("alloc"), op("dup"), setScratch(1));
  return seq(callOn(name, ...before, target), getScratch(1), int(16));
}

/** High and low half of a 128-bit number, as the functions for cycles take it. */
function amount128(amount: bigint): Code {
  return seq(int(amount >> 64n), int(amount & 0xffff_ffff_ffff_ffffn));
}

export const argData = (part?: { offset: number; size: number }): Code => read("msg_arg_data", part);
export const caller = (): Code => read("msg_caller");
export const callerInfoData = (): Code => read("msg_caller_info_data");
export const callerInfoSigner = (): Code => read("msg_caller_info_signer");
export const rejectMessage = (): Code => read("msg_reject_msg");
export const rejectCode = (): Code => ic0("msg_reject_code");
export const methodName = (): Code => read("msg_method_name");
export const canisterSelf = (): Code => read("canister_self");
export const subnetSelf = (): Code => read("subnet_self");
export const rootKey = (): Code => read("root_key");
export const dataCertificate = (): Code => read("data_certificate");
export const cyclesAvailable = (): Code => write128("msg_cycles_available128");
export const cyclesRefunded = (): Code => write128("msg_cycles_refunded128");
export const cyclesAccept = (limit: bigint): Code => write128("msg_cycles_accept128", amount128(limit));
export const cyclesBurn = (amount: bigint): Code => write128("cycles_burn128", amount128(amount));
export const mintCycles = (amount: bigint): Code => write128("mint_cycles128", amount128(amount));
export const cycleBalance = (): Code => write128("canister_cycle_balance128");
export const liquidCycleBalance = (): Code => write128("canister_liquid_cycle_balance128");
export const costCall = (methodNameSize: number, payloadSize: number): Code => {
  return write128("cost_call", int(methodNameSize), int(payloadSize));
};
export const costCreateCanister = (): Code => write128("cost_create_canister");
export const costHttpRequest = (requestSize: number, maxResponseBytes: number): Code => {
  return write128("cost_http_request", int(requestSize), int(maxResponseBytes));
};
/** The status (8 bytes, little-endian), then the cost (16 bytes). */
export function costSign(
  name: "cost_sign_with_ecdsa" | "cost_sign_with_schnorr" | "cost_vetkd_derive_key",
  keyName: string,
  curve: number,
): Code {
  const cost = write128(name, bytes(keyName), int(curve));
  // The status lies below the blob: put the blob aside, turn the status into bytes, join.
  return concat(le64(seq(cost, setScratch(3), setScratch(2))), seq(getScratch(2), getScratch(3)));
}

export const replyData = (blob: Code): Code => callOn("msg_reply_data_append", blob);
export const reply = (blob: Code = bytes("")): Code => seq(replyData(blob), callOn("msg_reply"));
export const reject = (message: Code | string): Code => callOn("msg_reject", text(message));
export const trap = (message: Code | string): Code => callOn("trap", text(message));
export const debugPrint = (message: Code | string): Code => callOn("debug_print", text(message));
export const certifiedDataSet = (blob: Code): Code => callOn("certified_data_set", blob);
export const isController = (principal: Code): Code => callOn("is_controller", principal);
export const time = (): Code => ic0("time");
export const globalTimerSet = (at: Code): Code => seq(ic0("global_timer_set", at), op("drop"));
export const performanceCounter = (counter: number): Code => ic0("performance_counter", counter);
export const acceptMessage = (): Code => ic0("accept_message");

export const stableGrow = (pages: number | bigint): Code => seq(ic0("stable64_grow", pages), op("drop"));
export const stableSize = (): Code => ic0("stable64_size");
export const stableWrite = (offset: number | bigint, blob: Code): Code => {
  const aside = seq(blob, setScratch(1), setScratch(0));
  return seq(aside, ic0("stable64_write", offset, getScratch(0), getScratch(1)));
};
export const stableRead = (offset: number | bigint, size: number): Code => {
  const target = seq(int(size), op("alloc"), setScratch(0));
  return seq(target, ic0("stable64_read", getScratch(0), offset, size), getScratch(0), int(size));
};

export const envVarCount = (): Code => ic0("env_var_count");
export const envVarNameExists = (name: string): Code => callOn("env_var_name_exists", bytes(name));
export const envVarName = (index: number): Code => {
  const size = seq(ic0("env_var_name_size", index), setScratch(1), getScratch(1), op("alloc"), setScratch(0));
  return seq(size, ic0("env_var_name_copy", index, getScratch(0), 0, getScratch(1)), getScratch(0), getScratch(1));
};
export const envVarValue = (name: string): Code => {
  const size = seq(callOn("env_var_value_size", bytes(name)), setScratch(1), getScratch(1), op("alloc"), setScratch(0));
  const copy = callOn("env_var_value_copy", bytes(name), getScratch(0), int(0), getScratch(1));
  return seq(size, copy, getScratch(0), getScratch(1));
};

function text(message: Code | string): Code {
  return typeof message === "string" ? bytes(message) : message;
}

// --- calls ---

export interface CallOptions {
  /** Code of a blob; a Uint8Array from `bytes(...)`, `caller()`, … */
  readonly callee: Code;
  readonly method: string;
  /** Code of the argument blob. */
  readonly arg?: Code;
  /** Programs, run in the callbacks. Without one, a reply is passed on and so is the message of a reject. */
  readonly onReply?: Code;
  readonly onReject?: Code;
  readonly onCleanup?: Code;
  readonly cycles?: bigint;
  /** Seconds: makes it a call with a best-effort response. */
  readonly timeoutSeconds?: number;
}

/** The whole call; traps with a message if `call_perform` does not answer 0. */
export function call(options: CallOptions): Code {
  const failed = trap("call_perform failed");
  return seq(callBuild(options), ifElse(ic0("call_perform"), failed));
}

/** Everything but `call_perform`. */
export function callBuild(options: CallOptions): Code {
  const onReply = options.onReply ?? reply(argData());
  const onReject = options.onReject ?? reject(rejectMessage());
  return seq(
    callOn("call_new", options.callee, bytes(options.method), callback(onReply), callback(onReject)),
    options.onCleanup === undefined ? seq() : callOn("call_on_cleanup", callback(options.onCleanup)),
    options.arg === undefined ? seq() : callOn("call_data_append", options.arg),
    options.cycles === undefined ? seq() : callOn("call_cycles_add128", amount128(options.cycles)),
    options.timeoutSeconds === undefined ? seq() : ic0("call_with_best_effort_response", options.timeoutSeconds),
  );
}

/** Table index and environment of a callback that runs the program. */
export function callback(program: Code): Code {
  return seq(op("callbackFunction"), bytes(program), op("closure"));
}
