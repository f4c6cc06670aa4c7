// A canister written straight against the System API, in AssemblyScript: a counter, and bytes in and out without
// Candid. Exported functions become methods by their name: `update_inc` is "canister_update inc", `canister_init` stays.
// The compiler's own 32-bit memory manager and garbage collector run inside.

@external("ic0", "msg_arg_data_size")
declare function msg_arg_data_size(): usize;
@external("ic0", "msg_arg_data_copy")
declare function msg_arg_data_copy(dst: usize, offset: usize, size: usize): void;
@external("ic0", "msg_caller_size")
declare function msg_caller_size(): usize;
@external("ic0", "msg_caller_copy")
declare function msg_caller_copy(dst: usize, offset: usize, size: usize): void;
@external("ic0", "msg_reply_data_append")
declare function msg_reply_data_append(src: usize, size: usize): void;
@external("ic0", "msg_reply")
declare function msg_reply(): void;
@external("ic0", "msg_reject")
declare function msg_reject(src: usize, size: usize): void;
@external("ic0", "stable64_size")
declare function stable64_size(): i64;
@external("ic0", "stable64_grow")
declare function stable64_grow(pages: i64): i64;
@external("ic0", "stable64_write")
declare function stable64_write(offset: i64, src: i64, size: i64): void;
@external("ic0", "stable64_read")
declare function stable64_read(dst: i64, offset: i64, size: i64): void;
@external("ic0", "time")
declare function time(): i64;
@external("ic0", "debug_print")
declare function debug_print(src: usize, size: usize): void;
@external("ic0", "trap")
declare function ic0_trap(src: usize, size: usize): void;

let count: u64 = 0;
const names: string[] = [];

function replyBytes(bytes: ArrayBuffer): void {
  msg_reply_data_append(changetype<usize>(bytes), bytes.byteLength);
  msg_reply();
}

function replyText(text: string): void {
  replyBytes(String.UTF8.encode(text));
}

function argument(): ArrayBuffer {
  const bytes = new ArrayBuffer(<i32>msg_arg_data_size());
  msg_arg_data_copy(changetype<usize>(bytes), 0, bytes.byteLength);
  return bytes;
}

export function canister_init(): void {
  const text = String.UTF8.encode("installed");
  debug_print(changetype<usize>(text), text.byteLength);
}

export function canister_pre_upgrade(): void {
  if (stable64_size() == 0) stable64_grow(1);
  const cell = new ArrayBuffer(8);
  store<u64>(changetype<usize>(cell), count);
  stable64_write(0, <i64>changetype<usize>(cell), 8);
}

export function canister_post_upgrade(): void {
  const cell = new ArrayBuffer(8);
  stable64_read(<i64>changetype<usize>(cell), 0, 8);
  count = load<u64>(changetype<usize>(cell));
}

export function update_inc(): void {
  count += 1;
  replyText(count.toString());
}

export function query_get(): void {
  replyText(count.toString());
}

export function query_echo(): void {
  replyBytes(argument());
}

export function query_caller(): void {
  const bytes = new ArrayBuffer(<i32>msg_caller_size());
  msg_caller_copy(changetype<usize>(bytes), 0, bytes.byteLength);
  replyBytes(bytes);
}

export function query_time(): void {
  replyText(time().toString());
}

/** Keeps garbage and data apart: the collector has work to do. */
export function update_remember(): void {
  names.push(String.UTF8.decode(argument()));
  replyText(names.join(","));
}

export function update_reject(): void {
  const bytes = argument();
  msg_reject(changetype<usize>(bytes), bytes.byteLength);
}

export function update_trap(): void {
  count += 1;
  const bytes = argument();
  ic0_trap(changetype<usize>(bytes), bytes.byteLength);
}

/** Answers nothing at all. */
export function update_silent(): void {
  count += 1;
}

/** What the compiler calls when an assertion or bounds check of its own fails. */
export function onAbort(message: string | null, _file: string | null, _line: u32, _column: u32): void {
  const text = String.UTF8.encode(message === null ? "abort" : message);
  ic0_trap(changetype<usize>(text), text.byteLength);
}
