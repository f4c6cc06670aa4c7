// What a canister may name as a callback: a function of table 0 that takes one pointer-sized number and gives nothing.
// Everything else is refused when the response arrives, with the code and the words of the replica.
// Specification, "Callbacks".
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { wat } from "../canisters/wat.ts";
import * as s from "../semantics/machine.ts";

interface Callback {
  readonly index?: number | bigint;
  readonly table?: string;
  readonly callback?: string;
}

/** An update that calls the management canister's raw_rand and is called back at `index`. */
function calling(width: 32 | 64, { index = 1, table, callback = "" }: Callback): Uint8Array {
  const p = width === 64 ? "i64" : "i32";
  const numbers = (count: number, type: string) => Array.from({ length: count }, () => type).join(" ");
  return wat(`(module
    (import "ic0" "call_new" (func $new (param ${numbers(8, p)})))
    (import "ic0" "call_data_append" (func $append (param ${p} ${p})))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (import "ic0" "msg_reply" (func $reply))
    (memory ${width === 64 ? "i64 " : ""}1) (data (${p}.const 0) "raw_randDIDL\\00\\00")
    ${table ?? "(table 3 funcref) (elem (i32.const 1) func $callback)"}
    (func $callback ${callback})
    (func (export "canister_update go")
      (call $new (${p}.const 0) (${p}.const 0) (${p}.const 0) (${p}.const 8)
        (${p}.const ${index}) (${p}.const 7) (${p}.const ${index}) (${p}.const 7))
      (call $append (${p}.const 8) (${p}.const 6))
      (drop (call $perform))))`);
}

const m = s.newMachine();

function outcome(width: 32 | 64, callback: Callback): string {
  const id = s.newUniversal(m, { wasm: calling(width, callback) });
  const status = s.send(m, id, new Uint8Array(), { method: "go" });
  if (status.state !== "rejected") return status.state;
  const { code, message } = status.error;
  return `IC0${code} ${message.split("\n")[0]?.replace(/^.*?: /, "")}`;
}

const MISMATCH = "IC0504 Canister violated contract: function invocation does not match its signature.";

for (const width of [32, 64] as const) {
  describe(`a callback, ${width}-bit`, () => {
    const pointer = `i${width}`;

    test("is called with its environment", () => {
      const answers = `(param $env ${pointer}) (if (${pointer}.eq (local.get $env) (${pointer}.const 7)) (then (call $reply)))`;
      assert.equal(outcome(width, { callback: answers }), "replied");
    });

    test("takes one pointer-sized number and gives nothing", () => {
      const other = width === 64 ? "i32" : "i64";
      const shapes = [
        ...["f32", "f64", "v128", "externref", "funcref", other, `${pointer} ${pointer}`].map(
          (type) => `(param ${type}) (call $reply)`,
        ),
        "(call $reply)",
        `(param ${pointer}) (result ${pointer}) (call $reply) (local.get 0)`,
      ];
      for (const callback of shapes) assert.equal(outcome(width, { callback }), MISMATCH, callback);
    });

    test("its own calls through the table: another type is a violation, no function at all a trap", () => {
      const calls = (index: number) =>
        outcome(width, {
          callback: `(param ${pointer}) (call_indirect (param f32) (f32.const 0) (i32.const ${index}))`,
        });
      assert.equal(calls(1), MISMATCH);
      assert.equal(calls(2), "IC0502 Canister trapped: unknown.");
      assert.equal(calls(3), "IC0502 Canister trapped: table out of bounds.");
    });

    test("is a function of the table", () => {
      const missing = (index: number) =>
        `IC0513 Canister requested to invoke a non-existent Wasm function ${index} from table 0.`;
      assert.equal(outcome(width, { index: 3 }), missing(3));
      assert.equal(outcome(width, { index: -1 }), missing(4294967295));
      const unset = "IC0504 Canister violated contract: unexpected null function reference.";
      assert.equal(outcome(width, { index: 2 }), unset);
      assert.equal(outcome(width, { table: "" }), "IC0504 Canister violated contract: table not found.");
    });

    test("that is no function by intention, as one-way calls name it, is no news at the terminal", () => {
      const failures = (index: number) => {
        outcome(width, { index });
        return m.last.events.filter((event) => event.kind === "failed").length;
      };
      assert.equal(failures(3), 1);
      assert.equal(failures(-1), 0);
    });

    test("also in tables with 64-bit indexes", () => {
      const table = "(table i64 3 funcref) (elem (i64.const 1) func $callback)";
      assert.equal(outcome(width, { table, callback: `(param ${pointer}) (call $reply)` }), "replied");
      assert.equal(outcome(width, { table, callback: "(param f32) (call $reply)" }), MISMATCH);
    });
  });
}
