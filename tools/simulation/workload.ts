// The canister that the clients of simulated runs call: a number that can be counted up, read, and replaced, straight against the
// System API. Answers are four bytes, the lowest first.
import { wat } from "../../packages/execution/test/canisters/wat.ts";

export function workloadModule(): Uint8Array {
  return wat(`
    (module
      (import "ic0" "msg_reply" (func $reply))
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
      (memory 1)
      (func $answer (param $at i32)
        (call $append (local.get $at) (i32.const 4))
        (call $reply))
      (func $inc
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (call $answer (i32.const 0)))
      (func $get (call $answer (i32.const 0)))
      (func $put
        (i32.store (i32.const 8) (i32.load (i32.const 0)))
        (call $arg (i32.const 0) (i32.const 0) (i32.const 4))
        (call $answer (i32.const 8)))
      (export "canister_update inc" (func $inc))
      (export "canister_update get" (func $get))
      (export "canister_update put" (func $put))
      (export "canister_query peek" (func $get)))
  `);
}
