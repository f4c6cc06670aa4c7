// Modules from files: what a test gets when the file is there, and what it is told when it is not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmFile } from "@atoll/test-kit";

test("a module is read by path and by URL", () => {
  const url = new URL("../../execution/test/canisters/rust/fixture.wasm", import.meta.url);
  const wasm = wasmFile(url);
  assert.deepEqual([...wasm.subarray(0, 4)], [0, 97, 115, 109]);
  assert.equal(wasm.constructor, Uint8Array);
});

test("a module that was not built is said in words", () => {
  assert.throws(() => wasmFile("no/such.wasm"), {
    code: "ENOENT",
    message: /^The module no\/such\.wasm cannot be read: .*Was the canister built\?$/,
  });
});
