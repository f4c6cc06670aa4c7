// What each System API function costs, read off performance_counter on both sides of the call: the cost of the code
// around it is charged at the start of its block, so the difference is the function's own cost and the counter's 200.
// Instruction costs, section 4.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ic0Functions } from "../canisters/ic0-functions.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "../semantics/machine.ts";

const SIZE = 3;
/** name, arguments, cost. In the update context, so only what may be called there. */
const COSTS: readonly (readonly [name: string, args: readonly number[], cost: number])[] = [
  ["msg_arg_data_size", [], 500],
  ["msg_arg_data_copy", [0, 0, SIZE], 500 + SIZE],
  ["msg_caller_size", [], 500],
  ["msg_caller_copy", [0, 0, SIZE], 500 + SIZE],
  ["msg_caller_info_data_size", [], 500],
  ["msg_caller_info_signer_copy", [0, 0, 0], 500],
  ["msg_deadline", [], 500],
  ["msg_reply_data_append", [0, SIZE], 500 + 50 * SIZE],
  ["msg_reply", [], 500],
  ["msg_reject", [0, SIZE], 500 + 50 * SIZE],
  ["msg_cycles_available128", [0], 500],
  ["msg_cycles_accept128", [0, 0, 0], 500],
  ["cycles_burn128", [0, 0, 0], 500],
  ["canister_self_size", [], 500],
  ["canister_self_copy", [0, 0, SIZE], 500 + SIZE],
  ["subnet_self_copy", [0, 0, SIZE], 500 + SIZE],
  ["canister_cycle_balance128", [0], 500],
  ["canister_liquid_cycle_balance128", [0], 500],
  ["canister_status", [], 500],
  ["canister_version", [], 500],
  ["call_new", [0, SIZE, 0, SIZE, 0, 0, 0, 0], 1500 + 2 * SIZE],
  ["stable64_size", [], 0],
  ["stable64_grow", [1], 100],
  ["stable64_read", [0, 0, SIZE], 20 + SIZE],
  ["stable64_write", [0, 0, SIZE], 20 + SIZE + 1000],
  ["root_key_copy", [0, 0, SIZE], 500 + SIZE],
  ["certified_data_set", [0, SIZE], 500 + SIZE],
  ["data_certificate_present", [], 500],
  ["time", [], 500],
  ["global_timer_set", [0], 500],
  ["performance_counter", [0], 200],
  ["is_controller", [0, SIZE], 1000 + SIZE],
  ["in_replicated_execution", [], 500],
  ["cost_call", [1, 1, 0], 500],
  ["cost_create_canister", [0], 500],
  ["cost_http_request", [1, 1, 0], 500],
  ["cost_sign_with_ecdsa", [0, SIZE, 0, 0], 500 + SIZE],
  ["env_var_count", [], 500],
  ["env_var_name_exists", [0, SIZE], 500],
  ["debug_print", [0, SIZE], 100 + 52 * SIZE],
];

function probe(width: 32 | 64, name: string, args: readonly number[]): Uint8Array {
  const declared = ic0Functions(width).find((candidate) => candidate.name === name);
  if (declared === undefined) throw new Error(name);
  const native = (type: string): string => (type !== "P" ? type : width === 64 ? "i64" : "i32");
  const pointer = native("P");
  const result = declared.result === null ? "" : ` (result ${native(declared.result)})`;
  const values = declared.params.map((type, i) => `(${native(type)}.const ${args[i]})`).join(" ");
  const call = `(call $f ${values})`;
  const imports = [
    `(import "ic0" "performance_counter" (func $counter (param i32) (result i64)))`,
    `(import "ic0" "debug_print" (func $print (param ${pointer} ${pointer})))`,
    `(import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))`,
    `(import "ic0" "${name}" (func $f (param ${declared.params.map(native).join(" ")})${result}))`,
  ];
  return wat(`(module ${imports.join("\n")}
    (memory ${width === 64 ? "i64 " : ""}1)
    (global $before (mut i64) (i64.const 0))
    (func (export "canister_update go")
      (drop (call $grow (i64.const 1)))
      (global.set $before (call $counter (i32.const 0)))
      ${declared.result === null ? call : `(drop ${call})`}
      (i64.store (${pointer}.const 1024) (i64.sub (call $counter (i32.const 0)) (global.get $before)))
      (call $print (${pointer}.const 1024) (${pointer}.const 8))))`);
}

for (const width of [32, 64] as const) {
  describe(`the cost of a system call, ${width}-bit`, () => {
    const m = s.newMachine();
    const id = s.createCanister(m);

    test("is its fixed part and its part per byte, taken in full", () => {
      for (const [name, args, cost] of COSTS) {
        s.replyOf(s.install(m, id, probe(width, name, args), { mode: { reinstall: null } }));
        s.send(m, id, new Uint8Array(SIZE), { method: "go" });
        const record = s.canisterOf(m, id).logs.records.at(-1);
        assert.ok(record !== undefined, name);
        assert.equal(Number(s.numberOf(record.content)) - 200, cost, name);
      }
    });
  });
}

describe("heap pages", () => {
  const touching = (width: 32 | 64, pages: number): Uint8Array => {
    const pointer = width === 64 ? "i64" : "i32";
    const stores = Array.from({ length: pages }, (_, i) => `(i32.store8 (${pointer}.const ${i * 4096}) (i32.const 1))`);
    return wat(`(module (import "ic0" "msg_reply" (func $reply)) (memory ${width === 64 ? "i64 " : ""}1)
      (func (export "canister_update go") ${stores.join(" ")} (call $reply))
      (func (export "canister_query look") ${stores.join(" ")} (call $reply)))`);
  };
  const spent = (width: 32 | 64, pages: number, method: string): bigint => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { wasm: touching(width, pages) });
    const before = s.canisterOf(m, id).cycles;
    s.replyOf(s.send(m, id, new Uint8Array(), { method }));
    return before - s.canisterOf(m, id).cycles;
  };

  test("that an update dirtied cost 1000 instructions each, 4000 with 64 bits (at twice the rate)", () => {
    const store32 = 1n + 1n + 1n;
    const store64 = 1n + 2n + 1n;
    assert.equal(spent(32, 5, "go") - spent(32, 1, "go"), 4n * (1000n + store32));
    assert.equal(spent(64, 5, "go") - spent(64, 1, "go"), 2n * 4n * (4000n + store64));
  });

  test("that a replicated query dirtied cost nothing", () => {
    assert.equal(spent(32, 5, "look") - spent(32, 1, "look"), 4n * 3n);
  });
});
