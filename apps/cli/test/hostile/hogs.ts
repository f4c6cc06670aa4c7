// Canisters that use up what they are given as fast as they can: bulk operations cost one instruction a byte and take
// a fraction of the time of other instructions, so a limit of billions is reached in a second.
import { wat } from "../../../../packages/execution/test/canisters/wat.ts";

const FILLS_FOREVER = `
  (loop $again
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))
    (br $again))`;

/** Fills a MiB of its memory again and again: `burn` as update, `look` as query; `more` are further functions. */
export function hog(more = ""): Uint8Array {
  return wat(`(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "debug_print" (func $print (param i32 i32)))
    (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
    (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (memory 16)
    (func (export "canister_update burn") ${FILLS_FOREVER})
    (func (export "canister_query look") ${FILLS_FOREVER})
    ${more})`);
}

export const HEARTBEAT = `(func (export "canister_heartbeat") ${FILLS_FOREVER})`;
export const INSPECT = `(func (export "canister_inspect_message") ${FILLS_FOREVER})`;
export const INIT = `(func (export "canister_init") ${FILLS_FOREVER})`;

/** Prints 32 KiB fifty thousand times, which is more than any machine should keep. */
export const PRINTER = `
  (func (export "canister_update print") (local $left i32)
    (local.set $left (i32.const 50000))
    (loop $again
      (call $print (i32.const 0) (i32.const 32768))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))`;

/** 500 GiB of stable memory, the most there is; then a byte of each page. */
export const STABLE = `
  (func $each (param $writes i32) (local $at i64)
    (drop (call $grow (i64.const 8192000)))
    (if (i64.ne (call $grow (i64.const 1)) (i64.const -1)) (then (unreachable)))
    (if (i64.ne (call $grow (i64.const -1)) (i64.const -1)) (then (unreachable)))
    (local.set $at (i64.const 536870911999))
    (loop $again
      (if (local.get $writes)
        (then (call $write (local.get $at) (i64.const 0) (i64.const 1)))
        (else (call $read (i64.const 0) (local.get $at) (i64.const 1))))
      (local.set $at (i64.sub (local.get $at) (i64.const 4096)))
      (br $again)))
  (func (export "canister_update readAll") (call $each (i32.const 0)))
  (func (export "canister_update writeAll") (call $each (i32.const 1)))
  (func (export "canister_query peekAll") (call $each (i32.const 0)))`;

/** Calls canisters that do not exist, another one each time, until a call is refused; answers with how many. */
export const CALLER = wat(`(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table 1 funcref)
  (elem (i32.const 0) $nothing)
  (func $nothing (param i32))
  (func (export "canister_update callAll")
    (loop $again
      (call $new (i32.const 0) (i32.const 10) (i32.const 100) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (br_if $again (i32.eqz (call $perform))))
    (call $append (i32.const 0) (i32.const 4))
    (call $reply)))`);
