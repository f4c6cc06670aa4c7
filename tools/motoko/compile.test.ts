// The compile tool against the real compiler: metadata as the platform's own tools emit it, both widths, imports,
// embedded text, diagnostics, and a cache that depends on every file that goes in.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { compileMotoko, MotokoError } from "./compile.ts";
import { collectSources } from "./sources.ts";

const folder = mkdtempSync(join(tmpdir(), "motoko-"));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const LIBRARY = `import Nat "mo:core/Nat"; module { public func say(n : Nat) : Text { "said " # Nat.toText(n) } }`;
const MAIN = `import Library "library";
import page "blob:file:page.txt";
persistent actor { var n = 7; public query func get() : async (Text, Blob) { n += 1; (Library.say(n), page) } }`;

describe("compileMotoko", () => {
  file("library.mo", LIBRARY);
  const source = file("main.mo", MAIN);
  file("page.txt", "embedded: é€");

  for (const width of [64, 32] as const) {
    test(`${width}-bit: a valid module with its metadata, imports and embedded text`, async () => {
      const { wasm, candid, stableTypes } = await compileMotoko({ source, width });
      const module = new WebAssembly.Module(new Uint8Array(wasm));
      const section = (name: string) => {
        return WebAssembly.Module.customSections(module, name).map((content) => new TextDecoder().decode(content));
      };
      assert.deepEqual(section("icp:public candid:service"), [candid]);
      assert.deepEqual(section("icp:public candid:args"), ["()"]);
      assert.deepEqual(section("icp:private motoko:stable-types"), [stableTypes]);
      assert.match(stableTypes, /stable var n : Nat/);
      assert.equal(section("icp:private enhanced-orthogonal-persistence").length, width === 64 ? 1 : 0);
      assert.match(candid, /get: \(\) -> \(text, blob\) query/);
      assert.ok(Buffer.from(wasm).includes("embedded: é€"));
    });
  }

  test("the same input gives the same bytes, another embedded file others", async () => {
    const first = await compileMotoko({ source, width: 32 });
    assert.deepEqual(await compileMotoko({ source, width: 32 }), first);
    const changed = new Map([[join(folder, "page.txt"), "changed text"]]);
    const second = await compileMotoko({ source, width: 32, options: { files: changed } });
    assert.ok(Buffer.from(second.wasm).includes("changed text"));
    assert.ok(!Buffer.from(second.wasm).includes("embedded: é€"));
  });

  test("a collector of classical persistence has code of its own", async () => {
    // The one that is there by itself, one whose name is another in the compiler, and one whose name is the same.
    const given = [{}, { gc: "compacting" }, { gc: "generational" }] as const;
    const compiled = await Promise.all(given.map((options) => compileMotoko({ source, width: 32, options })));
    assert.equal(new Set(compiled.map(({ wasm }) => createHash("sha256").update(wasm).digest("hex"))).size, 3);
  });

  test("the environment unlocks primitives", async () => {
    const locked = file(
      "locked.mo",
      `persistent actor { public func f() : async Text { (prim "rts_version" : () -> Text)() } }`,
    );
    await assert.rejects(compileMotoko({ source: locked, width: 32 }), MotokoError);
    const environment = { MOC_UNLOCK_PRIM: "yesplease" };
    assert.ok((await compileMotoko({ source: locked, width: 32, options: { environment } })).wasm.length > 0);
  });

  test("a collection after every message is another program", async () => {
    const forced = await compileMotoko({ source, width: 32, options: { forceGc: true } });
    assert.notDeepEqual(forced.wasm, (await compileMotoko({ source, width: 32 })).wasm);
  });

  test("a program that does not compile is reported with file, line and column", async () => {
    const wrong = file("wrong.mo", `persistent actor {\n  public func f() : async Nat { "text" }\n}`);
    await assert.rejects(compileMotoko({ source: wrong, width: 32 }), (error) => {
      return error instanceof MotokoError && /wrong\.mo:2:\d+: /.test(error.message);
    });
  });

  test("a missing import is the compiler's complaint, a missing source is ours", async () => {
    const lost = file("lost.mo", `import Gone "gone"; persistent actor {}`);
    await assert.rejects(compileMotoko({ source: lost, width: 32 }), MotokoError);
    await assert.rejects(compileMotoko({ source: join(folder, "nothing.mo"), width: 32 }), /ENOENT/);
  });
});

test("the sources of a program are its relative imports, wherever they lie", () => {
  const main = file(
    "tree.mo",
    `import { say } "library"; import C "canister:other"; import L "mo:core/List";\nactor {}`,
  );
  const { main: name, files } = collectSources(main);
  assert.equal(name, "/source/tree.mo");
  assert.deepEqual(Object.keys(files), ["/source/library.mo", "/source/tree.mo"]);
});
