// The sample before any network runs it: the module is valid and complete, its page certifies itself in the way a
// gateway will check, and the page keeps the element ids that tests and readers rely on.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Cbor, type HashTree, NodeType, reconstruct, requestIdOf } from "@icp-sdk/core/agent";
import { sha256 } from "@noble/hashes/sha2.js";
import { type Asset, certifySite } from "../certified-assets.ts";
import { loadSample } from "../sample.ts";

const ENCODER = new TextEncoder();

/** The paths of all leaves in the order of the tree; the library's own lookup mistakes the order of "" and other labels. */
function leavesOf(tree: HashTree, path: readonly Uint8Array[] = []): string[] {
  switch (tree[0]) {
    case NodeType.Fork:
      return [...leavesOf(tree[1], path), ...leavesOf(tree[2], path)];
    case NodeType.Labeled:
      return leavesOf(tree[2], [...path, tree[1]]);
    case NodeType.Leaf:
      return [nameOf(path)];
    default:
      throw new Error("a pruned or empty node");
  }
}

/** Hex labels joined with a character that sorts before any digit, as the end of a label does. */
function nameOf(path: readonly Uint8Array[]): string {
  return path.map((label) => Buffer.from(label).toString("hex")).join("/");
}

test("the module has the methods of its interface and can be installed without an argument", async () => {
  const { wasm, candid, initArg } = await loadSample();
  const module = new WebAssembly.Module(new Uint8Array(wasm));
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  for (const method of ["update increment", "update sign", "query counter", "query entries", "query http_request"]) {
    assert.ok(exported.has(`canister_${method}`), method);
  }
  assert.ok(exported.has("canister_inspect_message"));
  assert.match(candid, /increment: \(\) -> \(nat\)/);
  assert.equal(WebAssembly.Module.customSections(module, "icp:public candid:service").length, 1);
  assert.deepEqual(initArg, Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0));
  // Below the limit of one ingress message, so no chunked upload is needed.
  assert.ok(wasm.length < 2 * 1024 * 1024);
});

test("the page's files are in the module, byte by byte", async () => {
  const { wasm } = await loadSample();
  for (const name of ["index.html", "style.css", "favicon.svg", "not-found.html"]) {
    assert.ok(Buffer.from(wasm).includes(readFileSync(new URL(`../web/${name}`, import.meta.url))), name);
  }
});

describe("certification of the page", () => {
  const assets: Asset[] = [
    { path: "/", status: 200, headers: [["content-type", "text/html"]], body: ENCODER.encode("<p>front</p>") },
    { path: "/a.js", status: 200, headers: [["content-type", "text/javascript"]], body: ENCODER.encode("1;") },
    { path: null, status: 404, headers: [["content-type", "text/html"]], body: ENCODER.encode("none") },
  ];
  const site = certifySite(assets);
  const tree = Cbor.decode<HashTree>(site.tree);
  const leaves = leavesOf(tree);

  test("the tree's root hash, as the agent library computes it, is the certified data", async () => {
    assert.deepEqual(new Uint8Array(await reconstruct(tree)), new Uint8Array(site.rootHash));
    assert.equal(site.rootHash.length, 32);
  });

  test("every response has its leaf: path, expression, no request hash, response hash", () => {
    for (const asset of site.assets) {
      const exprPath = Cbor.decode<string[]>(asset.exprPath);
      const expected = ["http_expr", ...(asset.path === null ? ["<*>"] : [asset.path.slice(1), "<$>"])];
      assert.deepEqual(exprPath, expected);
      const headers = Object.fromEntries(asset.headers.map(([name, value]) => [name.toLowerCase(), value]));
      const expression = headers["ic-certificateexpression"] ?? "";
      // requestIdOf is the representation-independent hash of a map.
      const headerHash = requestIdOf({ ...headers, ":ic-cert-status": asset.status });
      const responseHash = sha256(Uint8Array.from([...headerHash, ...sha256(asset.body)]));
      const labels = exprPath.map((label) => ENCODER.encode(label));
      const path = [...labels, sha256(ENCODER.encode(expression)), new Uint8Array(), responseHash];
      assert.ok(leaves.includes(nameOf(path)), asset.path ?? "fallback");
      assert.match(expression, /certified_response_headers:ResponseHeaderList\{headers:\["content-type"\]\}/);
    }
  });

  test("nothing is pruned and labels ascend, so what is not there is provably absent and the fallback counts", () => {
    assert.equal(leaves.length, assets.length);
    assert.deepEqual(leaves, [...leaves].sort());
    assert.ok(
      !leaves.some((leaf) => leaf.startsWith(nameOf(["http_expr", "missing"].map((label) => ENCODER.encode(label))))),
    );
  });

  test("another body has another root hash", () => {
    const [front, ...rest] = assets as [Asset, ...Asset[]];
    const changed = certifySite([{ ...front, body: ENCODER.encode("<p>other</p>") }, ...rest]);
    assert.notDeepEqual(changed.rootHash, site.rootHash);
  });
});

test("the page names its elements and loads nothing from elsewhere", () => {
  const html = readFileSync(new URL("../web/index.html", import.meta.url), "utf8");
  for (const id of ["counter", "increment", "name", "message", "sign", "entries"]) {
    assert.ok(html.includes(`id="${id}"`), id);
  }
  assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//);
  assert.match(html, /<noscript>/);
});
