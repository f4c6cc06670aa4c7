// Notes in AssemblyScript for clients that speak Candid: `append : (text) -> (text)`, `read : () -> (text) query`,
// `rings : () -> (nat64) query`, `ring : () -> ()`, `append_and_trap : (text) -> ()`. The notes survive an upgrade through
// stable memory, the rings do not. Candid by hand: a header without a type table, one argument or none.

@external("ic0", "msg_arg_data_size")
declare function msg_arg_data_size(): usize;
@external("ic0", "msg_arg_data_copy")
declare function msg_arg_data_copy(dst: usize, offset: usize, size: usize): void;
@external("ic0", "msg_reply_data_append")
declare function msg_reply_data_append(src: usize, size: usize): void;
@external("ic0", "msg_reply")
declare function msg_reply(): void;
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
@external("ic0", "global_timer_set")
declare function global_timer_set(timestamp: i64): i64;
@external("ic0", "trap")
declare function ic0_trap(src: usize, size: usize): void;

const NAT64: u8 = 0x78;
const TEXT: u8 = 0x71;

let notes: string[] = [];
let rings: u64 = 0;

function trapWith(text: string): void {
  const bytes = String.UTF8.encode(text);
  ic0_trap(changetype<usize>(bytes), bytes.byteLength);
}

/** The only argument, which must be a text. */
function argument(): string {
  const bytes = new Uint8Array(<i32>msg_arg_data_size());
  msg_arg_data_copy(bytes.dataStart, 0, bytes.byteLength);
  if (bytes.length < 8 || bytes[4] != 0 || bytes[5] != 1 || bytes[6] != TEXT) trapWith("one text is wanted");
  let length: i32 = 0;
  let at = 7;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    length |= (<i32>(byte & 127)) << shift;
    if (byte < 128) break;
  }
  return String.UTF8.decodeUnsafe(bytes.dataStart + at, length);
}

/** "DIDL", no types, `count` arguments of a primitive type. */
function header(count: u8, type: u8): void {
  const bytes = new Uint8Array(7);
  bytes[0] = 0x44;
  bytes[1] = 0x49;
  bytes[2] = 0x44;
  bytes[3] = 0x4c;
  bytes[5] = count;
  bytes[6] = type;
  msg_reply_data_append(bytes.dataStart, count == 0 ? 6 : 7);
}

function replyText(text: string): void {
  const bytes = String.UTF8.encode(text);
  header(1, TEXT);
  const length: u8[] = [];
  let rest = bytes.byteLength;
  while (rest >= 128) {
    length.push(<u8>(rest & 127) | 128);
    rest >>= 7;
  }
  length.push(<u8>rest);
  msg_reply_data_append(length.dataStart, length.length);
  msg_reply_data_append(changetype<usize>(bytes), bytes.byteLength);
  msg_reply();
}

function replyNothing(): void {
  header(0, 0);
  msg_reply();
}

export function update_append(): void {
  notes.push(argument());
  replyText(notes.join(","));
}

export function update_append_and_trap(): void {
  notes.push(argument());
  trapWith("as asked");
}

export function query_read(): void {
  replyText(notes.join(","));
}

export function update_ring(): void {
  global_timer_set(time());
  replyNothing();
}

export function canister_global_timer(): void {
  rings += 1;
}

export function query_rings(): void {
  const cell = new ArrayBuffer(8);
  store<u64>(changetype<usize>(cell), rings);
  header(1, NAT64);
  msg_reply_data_append(changetype<usize>(cell), 8);
  msg_reply();
}

export function canister_pre_upgrade(): void {
  const bytes = String.UTF8.encode(notes.join(","));
  const pages = <i64>(((<u64>bytes.byteLength) + 8 + 65535) >> 16);
  if (stable64_size() < pages) stable64_grow(pages - stable64_size());
  const cell = new ArrayBuffer(8);
  store<u64>(changetype<usize>(cell), bytes.byteLength);
  stable64_write(0, <i64>changetype<usize>(cell), 8);
  stable64_write(8, <i64>changetype<usize>(bytes), bytes.byteLength);
}

export function canister_post_upgrade(): void {
  const cell = new ArrayBuffer(8);
  stable64_read(<i64>changetype<usize>(cell), 0, 8);
  const bytes = new ArrayBuffer(<i32>load<u64>(changetype<usize>(cell)));
  stable64_read(<i64>changetype<usize>(bytes), 8, bytes.byteLength);
  notes = String.UTF8.decode(bytes).split(",");
}

/** What the compiler calls when an assertion or bounds check of its own fails. */
export function onAbort(message: string | null, _file: string | null, _line: u32, _column: u32): void {
  trapWith(message === null ? "abort" : message);
}
