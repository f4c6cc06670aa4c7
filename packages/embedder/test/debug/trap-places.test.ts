// Files and lines of traps, from line tables of the versions that compilers write, through what the rewriter did to the
// code; and tables that nobody's compiler wrote.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { describeModule, InstancePool, prepareModule, runFunction, StableMemory } from "@atoll/embedder";
import fc from "fast-check";
import { findLines } from "../../src/debug/line-table.ts";
import { TrapPlaces } from "../../src/debug/trap-places.ts";
import { parseModule } from "../../src/wasm/parse.ts";
import { Writer } from "../../src/wasm/writer.ts";
import { assemble, CONTEXTS, type Context, input } from "../system-api/executing.ts";

const UPDATE = CONTEXTS.U?.[0] as Context;
const PAGES = { wasmPages: 0, read: () => undefined, pages: () => [], copyTo: () => undefined };

interface Row {
  readonly address: number;
  readonly file: number;
  readonly line: number;
}

const text = (value: string): number[] => [...new TextEncoder().encode(value), 0];
const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const u16 = (value: number): number[] => u32(value).slice(0, 2);
const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);
const sleb = (value: number): number[] =>
  value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...sleb(value >> 7)];

/** One sequence for each list of rows; its last row only ends it. */
function program(sequences: readonly (readonly Row[])[]): number[] {
  return sequences.flatMap((rows) => {
    const out: number[] = [];
    let [address, file, line] = [0, 1, 1];
    rows.forEach((row, i) => {
      if (i === 0) out.push(0, 5, 2, ...u32(row.address));
      else out.push(2, ...leb(row.address - address));
      if (row.file !== file) out.push(4, ...leb(row.file));
      if (row.line !== line) out.push(3, ...sleb(row.line - line));
      out.push(...(i === rows.length - 1 ? [0, 1, 1] : [1]));
      ({ address, file, line } = row);
    });
    return out;
  });
}

function unit(version: number, sequences: readonly (readonly Row[])[]): number[] {
  const names =
    version === 5
      ? [
          ...[1, 1, 0x1f, 2, ...u32(0), ...u32(5)],
          ...[2, 1, 8, 2, 0x0b, 3, ...text("main.rs"), 0, ...text("lib.rs"), 1, ...text("/abs.rs"), 1],
        ]
      : [...text("src"), 0, ...text("lib.rs"), 1, 0, 0, ...text("/abs.rs"), 1, 0, 0, 0];
  const rest = [1, ...(version >= 4 ? [1] : []), 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, ...names];
  const header = [...u16(version), ...(version === 5 ? [4, 0] : []), ...u32(rest.length), ...rest];
  const code = program(sequences);
  return [...u32(header.length + code.length), ...header, ...code];
}

const LINE_STRINGS = [...text("/tmp"), ...text("src")];

function withSections(wasm: Uint8Array, sections: Readonly<Record<string, readonly number[]>>): Uint8Array {
  const out = new Writer(wasm.length + 1000);
  out.raw(wasm);
  for (const [name, content] of Object.entries(sections)) {
    out.section(0, () => {
      out.name(name);
      out.raw(content);
    });
  }
  return out.finish();
}

/** `go` calls `outer`, that calls `inner`, each behind some stores and loops that the rewriter changes. */
const BEFORE = `(i32.store (i32.const 8) (i32.const 1)) (loop $l (br_if $l (i32.const 0)))
  (local.set 0 (f64.mul (local.get 0) (f64.const 2)))`;
const WASM = assemble(
  `(module (import "ic0" "trap" (func $trap (param i32 i32))) (memory 1)
    (func $inner (local f64) ${BEFORE} (unreachable))
    (func $outer (local f64) ${BEFORE} (call $inner) (call $inner))
    (func $go (export "canister_update go") (local f64) ${BEFORE} (call $outer)))`,
  true,
);

/** Rows for each function: its code is line 10 (20, 30), what begins at its trap or first call 11 (21, 31). */
function rows(file: number): Row[][] {
  const { bodies, sections, bytes } = parseModule(WASM);
  const code = sections.find(({ id }) => id === 10)?.start ?? 0;
  return [0, 1, 2].map((index) => {
    const [start = 0, end = 0] = bodies.subarray(2 * index, 2 * index + 2);
    // Before the `end`: unreachable, two calls, one call.
    const length = [1, 4, 2][index] ?? 0;
    const at = end - 1 - length;
    assert.equal(bytes[at], index === 0 ? 0 : 0x10);
    const line = 10 * (index + 1);
    return [
      { address: start - code, file, line },
      { address: at - code, file, line: line + 1 },
      { address: at - code + (index === 1 ? 2 : length), file, line: line + 2 },
      { address: end - code, file, line: line + 2 },
    ];
  });
}

function placesOf(uploaded: Uint8Array): string[] | undefined {
  const prepared = prepareModule(uploaded, {
    sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()),
  });
  assert.ok(prepared.ok);
  const { stored } = prepared.module;
  const live = new InstancePool().fresh({ module: stored, heap: PAGES });
  const entry = { kind: "export", name: "canister_update go" } as const;
  const { trap } = runFunction(live, entry, input(UPDATE), new StableMemory(PAGES, 10), PAGES);
  assert.equal(trap !== undefined, describeModule(stored).hasLines);
  return trap && new TrapPlaces().of(trap);
}

describe("the places of a trap", () => {
  const expected = (file: string) => [`inner (${file}:11)`, `outer (${file}:21)`, `go (${file}:31)`];

  for (const version of [2, 3, 4, 5]) {
    test(`from a line table of version ${version}`, () => {
      const sections = { ".debug_line": unit(version, rows(1)), ".debug_line_str": LINE_STRINGS };
      assert.deepEqual(placesOf(withSections(WASM, sections)), expected("src/lib.rs"));
      const absolute = { ".debug_line": unit(version, rows(2)), ".debug_line_str": LINE_STRINGS };
      assert.deepEqual(placesOf(withSections(WASM, absolute)), expected("/abs.rs"));
    });
  }

  test("of a packed module, from the unit that knows, in whichever order its sequences are", () => {
    const removed = [
      [
        { address: 0, file: 2, line: 5 },
        { address: 5000, file: 2, line: 6 },
      ],
    ];
    const units = [...unit(4, removed), ...unit(5, []), ...unit(4, rows(1).reverse())];
    const sections = { ".debug_line": units, ".debug_line_str": LINE_STRINGS };
    assert.deepEqual(placesOf(gzipSync(withSections(WASM, sections))), expected("src/lib.rs"));
  });

  test("are not there without a table, or for code that it does not have", () => {
    assert.equal(placesOf(WASM), undefined);
    assert.equal(placesOf(withSections(WASM, { ".debug_line": [] })), undefined);
    const [, outer = []] = rows(1);
    assert.deepEqual(placesOf(withSections(WASM, { ".debug_line": unit(4, [outer]) })), ["outer (src/lib.rs:21)"]);
  });
});

describe("hostile line tables", () => {
  const good = [unit(4, rows(1)), unit(5, rows(1))];
  const find = (bytes: readonly number[], address = 60) =>
    findLines({ line: Uint8Array.from(bytes), lineStrings: Uint8Array.from(LINE_STRINGS) }, [address]).get(address);

  test("of any bytes end, whatever is asked for", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5000), (bytes, address) => void find([...bytes], address)),
      { numRuns: 300 },
    );
  });

  test("with some bytes changed, or cut, end too", () => {
    for (const table of good) {
      for (let length = 0; length < table.length; length++) find(table.slice(0, length));
      const change = fc.tuple(fc.nat(table.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
          const copy = table.slice();
          for (const [at, value] of changes) copy[at] = value;
          find(copy);
        }),
        { numRuns: 300 },
      );
    }
  });

  test("promising billions of files, or numbers without end, are left", () => {
    const header = [...u16(5), 4, 0, ...u32(1000), 1, 1, 1, 0xfb, 14, 1];
    const endless = new Array<number>(1000).fill(0xff);
    for (const rest of [
      [0, ...leb(0xffff_fff), 0, 0],
      [0, ...endless],
      [1, 1, 8, ...endless],
    ]) {
      assert.equal(find([...u32(header.length + rest.length), ...header, ...rest]), undefined);
    }
    assert.equal(find([0xff, 0xff, 0xff, 0xff, ...endless]), undefined);
  });
});
