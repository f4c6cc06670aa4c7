// Every test canister is what the network will be asked to run: a valid module, imports from ic0 only, the entry
// points of its source, metadata as the real toolchains emit it.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { type CanisterName, canister, MOTOKO_CANISTERS } from "./build.ts";
import { customSections } from "./custom-section.ts";
import { ic0Functions } from "./ic0-functions.ts";
import { readLock, sha256, sourcesHash } from "./rust/lock.ts";

/** Entry points beyond the public methods that the Candid interface lists. */
const SYSTEM_METHODS: Partial<Record<CanisterName, readonly string[]>> = {
  heartbeat: ["canister_heartbeat"],
  inspect: ["canister_inspect_message"],
  timers: ["canister_global_timer"],
  "global-timer": ["canister_global_timer"],
  "stable-v1": ["canister_pre_upgrade", "canister_post_upgrade"],
};

function checkImports(module: WebAssembly.Module, width: 32 | 64): void {
  const known = new Set(ic0Functions(width).map(({ name }) => name));
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    assert.deepEqual({ from, kind, known: known.has(name) }, { from: "ic0", kind: "function", known: true }, name);
  }
}

function exportsOf(module: WebAssembly.Module): Set<string> {
  return new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
}

test("the list of Motoko canisters is the folder's", () => {
  const files = readdirSync(new URL("motoko/", import.meta.url)).map((file) => file.replace(/\.mo$/, ""));
  assert.deepEqual(files.sort(), [...MOTOKO_CANISTERS]);
});

/** No test runs them at 32 bits, but with WIDTHS=all: what a width changes is seen in the others. */
const WIDE_ONLY: ReadonlySet<string> = new Set(
  process.env.WIDTHS === "all"
    ? []
    : ["global-timer", "heartbeat", "http", "init-arg", "inspect", "outcalls", "randomness", "timers"],
);

for (const width of [64, 32] as const) {
  describe(`Motoko, ${width}-bit`, { concurrency: true }, () => {
    for (const name of MOTOKO_CANISTERS.filter((each) => width === 64 || !WIDE_ONLY.has(each))) {
      test(name, async () => {
        const { wasm, candid } = await canister(name, { width });
        const module = new WebAssembly.Module(new Uint8Array(wasm));
        checkImports(module, width);
        const exported = exportsOf(module);
        for (const wanted of ["canister_init", ...(SYSTEM_METHODS[name] ?? [])])
          assert.ok(exported.has(wanted), wanted);
        const sections = new Map(customSections(wasm).map((section) => [section.name, section.content]));
        const service = new TextDecoder().decode(sections.get("icp:public candid:service"));
        assert.ok(candid.includes("service"), "an interface");
        assert.equal(service.includes("service"), true);
        assert.ok(sections.has("icp:public candid:args"));
        assert.ok(sections.has("icp:private motoko:stable-types"));
        assert.equal(sections.has("icp:private enhanced-orthogonal-persistence"), width === 64);
      });
    }
  });
}

test("AssemblyScript: methods have the names of the specification", async () => {
  const { wasm } = await canister("assemblyscript-counter");
  const module = new WebAssembly.Module(new Uint8Array(wasm));
  checkImports(module, 32);
  const exported = exportsOf(module);
  for (const wanted of ["canister_init", "canister_update inc", "canister_query get"])
    assert.ok(exported.has(wanted), wanted);
  assert.deepEqual(
    [...exported].filter((name) => !name.startsWith("canister_") && name !== "memory"),
    [],
  );
});

test("Rust: the fixture is the one its sources were built into", async () => {
  const { wasm, candid } = await canister("rust-counter");
  const lock = readLock();
  assert.equal(sha256(wasm), lock.wasm, "fixture.wasm is not the locked one: run rust/rebuild.ts");
  assert.equal(sha256(candid), lock.candid, "fixture.did is not the locked one: run rust/rebuild.ts");
  assert.equal(sourcesHash(), lock.sources, "the sources changed after the fixture was built: run rust/rebuild.ts");
  assert.ok(wasm.length < 500_000);
  const module = new WebAssembly.Module(new Uint8Array(wasm));
  checkImports(module, 32);
  const exported = exportsOf(module);
  for (const entry of ["heartbeat", "inspect_message", "pre_upgrade", "post_upgrade", "global_timer", "update inc"]) {
    assert.ok(exported.has(`canister_${entry}`), entry);
  }
});
