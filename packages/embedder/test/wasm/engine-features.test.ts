// What a module needs and an engine lacks is said in one sentence. The engine of these tests has everything, so it is
// made to refuse what an older one refuses.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { engineHas, lackOf } from "../../src/wasm/engine-features.ts";
import { validateModule } from "../../src/wasm/index.ts";

const { validate } = WebAssembly;
afterEach(() => {
  WebAssembly.validate = validate;
});

/** (module (memory i64 1)) */
const WIDE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1);
/** (module (memory 1) (table i64 1 funcref)) */
const WIDE_TABLE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 4, 4, 1, 0x70, 4, 1, 5, 3, 1, 0, 1);

/** An engine that knows no flag of 64 bits in a table or memory. */
function forget64(): void {
  WebAssembly.validate = (bytes) => !(bytes as Uint8Array).includes(4, 11) && validate(bytes);
}

function refusalOf(module: Uint8Array): string | undefined {
  const result = validateModule(module);
  return result.ok ? undefined : result.refusal.text;
}

test("this engine has all that canisters may need", () => {
  for (const feature of ["severalMemories", "memory64", "table64"] as const) assert.ok(engineHas(feature), feature);
  assert.equal(lackOf(["severalMemories", "memory64", "table64"]), undefined);
  assert.equal(refusalOf(WIDE), undefined);
});

test("a module for 64-bit memory on an engine without says what to do", () => {
  forget64();
  assert.match(refusalOf(WIDE) ?? "", /^This host's WebAssembly has no memories with 64-bit addresses/);
  assert.match(refusalOf(WIDE_TABLE) ?? "", /^This host's WebAssembly has no tables with 64-bit indexes/);
});

test("a module that is wrong in itself is still called wrong", () => {
  forget64();
  const wrong = Uint8Array.of(
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    4,
    1,
    0x60,
    0,
    0,
    3,
    2,
    1,
    0,
    10,
    5,
    1,
    3,
    0,
    0x6a,
    0x0b,
  );
  assert.match(refusalOf(wrong) ?? "", /type mismatch or malformed section/);
});

test("an engine with one memory for each module can run no canister", () => {
  WebAssembly.validate = () => false;
  assert.match(lackOf(["severalMemories"]) ?? "", /several memories, which every canister here needs/);
});
