// What a person reads when a module is refused: code, sentence and advice, word for word as the replica puts them. The
// rules themselves are in validation.test.ts. Checklist 3.1; instruction costs, section 8.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { codeOf, prepareModule, toUserError } from "@atoll/embedder";
import { canisterIdFromIndex } from "@atoll/types";
import { Writer } from "../../src/wasm/writer.ts";
import { fromText } from "./running.ts";

const SELF = canisterIdFromIndex(7n);
const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

function told(bytes: Uint8Array): string {
  const prepared = prepareModule(bytes, { sha256 });
  if (prepared.ok) return "";
  return `IC0${codeOf(prepared.error)} ${toUserError(prepared.error, SELF).message}`;
}

const TOOLCHAIN =
  "If you are running this canister in a test environment (e.g., dfx), make sure the test environment is up to date. " +
  "Otherwise, this is likely an error with the compiler/CDK toolchain being used to build the canister. Please report " +
  "the error to IC devs on the forum: https://forum.dfinity.org and include which language/CDK was used to create the " +
  "canister.";
const PAGES = "https://internetcomputer.org/docs/current/references/execution-errors#wasm-module-";

const begins = "Error from Canister rdmx6-jaaaa-aaaaa-aaadq-cai:";
const invalid = (what: string, advice = TOOLCHAIN) =>
  `IC0505 ${begins} Canister's Wasm module is not valid: ${what}.\n${advice}`;
const advised = (what: string, suggestion: string, page: string) =>
  invalid(what, `${suggestion} See documentation: ${PAGES}${page}`);

const repeat = (count: number, each: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => each(i)).join(" ");
const text = (module: string) => told(fromText(module));

test("refusals without advice of their own", () => {
  assert.equal(
    text('(module (import "ic0" "foo" (func)))'),
    invalid(
      "Wasm module has an invalid import section. Module imports function 'foo' from 'ic0' that is not exported by the runtime.",
    ),
  );
  assert.equal(
    text('(module (func (export "canister_init") (param i64)))'),
    invalid("Wasm module has an invalid function signature. Expected input params [] for 'canister_init', got [I64]."),
  );
  assert.equal(
    text('(module (func (export "canister_foo")))'),
    invalid(
      `Wasm module has an invalid export section. Exporting reserved function 'canister_foo' with "canister_" prefix`,
    ),
  );
  assert.equal(
    text(
      '(module (import "ic0" "time" (func (result i64))) (table $t 1 funcref) (func (table.set $t (i32.const 0) (ref.null func))))',
    ),
    invalid("Wasm module contains a function at index 1 with unsupported instruction table.set."),
  );
});

test("refusals that say what to do", () => {
  assert.equal(
    text('(module (func $f) (export "canister_query x" (func $f)) (export "canister_update x" (func $f)))'),
    advised(
      "Duplicate function 'x' exported multiple times with different call types: update, query, or composite_query.",
      "Try defining different versions of the function for each call type, e.g. `x_update`, `x_query`, etc.",
      "duplicate-exports",
    ),
  );
  const methods = (count: number, name: (i: number) => string) =>
    `(module (func $f) ${repeat(count, (i) => `(export "canister_query ${name(i)}" (func $f))`)})`;
  const kinds = "called `canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>`";
  assert.equal(
    text(methods(1001, String)),
    advised(
      `The number of exported functions ${kinds} is 1001 which exceeds 1000.`,
      "Try combining multiple endpoints into a single endpoint.",
      "exports-too-many-methods",
    ),
  );
  assert.equal(
    text(methods(1, () => "x".repeat(20_001))),
    advised(
      `The sum of \`<name>\` lengths in exported functions ${kinds} is 20001 which exceeds the allowed limit of 20000.`,
      "Try using shorter method names.",
      "sum-of-exported-name-lengths-too-large",
    ),
  );
  assert.equal(
    text(`(module ${"(global i32 (i32.const 0))".repeat(1001)})`),
    advised(
      "Wasm module defined 1001 globals which exceeds the maximum number allowed 1000.",
      "Try collecting multiple globals into a single structured which can be stored on the heap.",
      "too-many-globals",
    ),
  );
  assert.equal(
    text(`(module ${"(func)".repeat(50_001)})`),
    advised(
      "Wasm module defined 50001 functions which exceeds the maximum number allowed 50000.",
      "Try spliting this canister into multiple canisters.",
      "too-many-functions",
    ),
  );
  assert.equal(
    text("(module (memory i64 98306))"),
    advised(
      "Wasm module declares an initial Wasm64 heap memory size of 98306 pages which exceeds the maximum allowed size of 98304 pages.",
      "Try reducing the initial Wasm64 heap memory size.",
      "initial-wasm64-memory-too-large",
    ),
  );
});

/** A module of one function with this many `nop`s. */
function nops(count: number): Uint8Array {
  const out = new Writer(count + 100);
  out.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0]);
  out.section(10, () => {
    out.byte(1);
    const length = out.openLength();
    out.byte(0);
    for (let i = 0; i < count; i++) out.byte(1);
    out.byte(0x0b);
    out.closeLength(length);
  });
  return out.finish();
}

test("large functions, code sections and names", () => {
  assert.equal(
    told(nops(1_000_000)),
    advised(
      "Wasm module contains a function at index 0 with complexity 1000001 which exceeds the maximum complexity allowed 1000000.",
      "Try breaking large functions up into multiple smaller functions.",
      "function-complexity-too-high",
    ),
  );
  const size = 12 * 1024 * 1024;
  const code = told(nops(size));
  const shrink =
    "Try shrinking the module code section using tools like `ic-wasm` or splitting the logic across multiple canisters.";
  assert.match(code, /Wasm module code section size of 125829\d\d exceeds the maximum allowed size of 12582912\.\.\n/);
  assert.ok(code.endsWith(`${shrink} See documentation: ${PAGES}code-section-too-large`));
  const named = (length: number) => {
    const out = new Writer(length + 100);
    out.raw(nops(0));
    out.section(0, () => {
      out.name("name");
      out.byte(1);
      const section = out.openLength();
      out.raw([1, 0]);
      out.name("A".repeat(length));
      out.closeLength(section);
    });
    return told(out.finish());
  };
  assert.equal(named(1024 * 1024), "");
  assert.equal(
    named(1024 * 1024 + 10),
    advised(
      `Wasm module contains a function at index 0 with name '${"A".repeat(100)}...' of size 1048586 bytes that exceeds the maximum allowed size of 1048576 bytes.`,
      "Try using shorter function names.",
      "function-name-too-large",
    ),
  );
});

test("refusals of later steps: instrumentation, and the first instance", () => {
  assert.equal(
    text('(module (memory 1) (data (i32.const 65534) "abc"))'),
    `IC0505 ${begins} Could not instrument wasm module of canister: Wasm module has invalid data segment of 3 bytes at 65534.\n${TOOLCHAIN}`,
  );
  assert.equal(
    text(`(module ${"(table 0 funcref)".repeat(100)})`),
    `IC0521 ${begins} Canister encountered a Wasm engine error: Failed to instantiate module: resource limit exceeded: table count too high at 100`,
  );
});

describe("what is uploaded", () => {
  const undecodable = (reason: string) => invalid(`Failed to decode wasm module: ${reason}`);
  const wasm = fromText("(module (func))");
  const tooLarge = (size: number) =>
    advised(
      `Wasm module size of ${size} exceeds the maximum allowed size of 104857600.`,
      "Try shrinking the module using tools like `ic-wasm` or splitting the logic across multiple canisters.",
      "too-large",
    );

  test("is a Wasm module, or one packed with gzip", () => {
    assert.equal(told(wasm), "");
    assert.equal(told(gzipSync(wasm)), "");
    for (const other of [[], [0], [0, 0x61, 0x73], [0x50, 0x4b, 3, 4], [0x1f, 0x8b, 9, 0], [0x1f, 0x8b]]) {
      assert.equal(told(Uint8Array.from(other)), undecodable("unsupported canister module format"), String(other));
    }
    assert.match(told(gzipSync(gzipSync(wasm))), /magic header not detected/);
  });

  test("is at most 100 MiB, unpacked as well; the trailer is believed", () => {
    const large = new Uint8Array(100 * 1024 * 1024 + 1);
    large.set(wasm);
    assert.equal(told(large), tooLarge(large.length));
    const bomb = gzipSync(wasm);
    new DataView(bomb.buffer, bomb.byteOffset).setUint32(bomb.length - 4, 0xffff_ffff, true);
    assert.equal(told(bomb), tooLarge(0xffff_ffff));
  });

  test("has the size that its trailer says", () => {
    const trailer = (size: number) => {
      const packed = gzipSync(wasm);
      new DataView(packed.buffer, packed.byteOffset).setUint32(packed.length - 4, size, true);
      return told(packed);
    };
    const differs = (stated: number, real: number) =>
      undecodable(`specified uncompressed size ${stated} does not match extracted size ${real}`);
    assert.equal(trailer(wasm.length + 5), differs(wasm.length + 5, wasm.length));
    assert.equal(trailer(3), differs(3, 4));
    assert.equal(trailer(0), differs(0, 1));
  });

  test("is whole", () => {
    const packed = gzipSync(wasm);
    const short = undecodable("invalid Wasm module: gzip stream is too short");
    assert.equal(told(packed.subarray(0, 15)), short);
    assert.equal(told(packed.subarray(0, 3)), short);
    for (let length = 16; length < packed.length; length++) {
      assert.match(told(packed.subarray(0, length)), /^IC0505 .*: Failed to decode wasm module: |^IC0505 .*exceeds/);
    }
    const damaged = Uint8Array.from(packed);
    damaged[damaged.length - 8] = (damaged[damaged.length - 8] ?? 0) ^ 1;
    assert.match(told(damaged), /Failed to decode wasm module: failed to decode compressed Wasm module: /);
  });
});
