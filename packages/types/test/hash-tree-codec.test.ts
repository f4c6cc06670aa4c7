// Hash trees and certificates as bytes: the agent's decoder as oracle, round trips, hostile input.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cbor } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { CborError, encodeCbor } from "../src/cbor.ts";
import type { HashTree } from "../src/hash-tree.ts";
import {
  decodeCertificate,
  decodeHashTree,
  encodeCertificate,
  encodeHashTree,
  isWellFormed,
} from "../src/hash-tree-codec.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const leaf = (text: string): HashTree => ({ kind: "leaf", value: bytes(text) });
const labeled = (label: string, child: HashTree): HashTree => ({ kind: "labeled", label: bytes(label), child });
const fork = (left: HashTree, right: HashTree): HashTree => ({ kind: "fork", left, right });
const pruned: HashTree = { kind: "pruned", hash: new Uint8Array(32).fill(9) };
const empty: HashTree = { kind: "empty" };

const { tree } = fc.letrec<{ tree: HashTree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 8 },
    fc.constant(empty),
    fc.constant(pruned),
    fc.uint8Array({ maxLength: 80 }).map((value): HashTree => ({ kind: "leaf", value })),
    fc
      .tuple(fc.uint8Array({ maxLength: 80 }), tie("tree"))
      .map(([label, child]): HashTree => ({ kind: "labeled", label, child })),
    fc.tuple(tie("tree"), tie("tree")).map(([left, right]) => fork(left, right)),
  ),
}));

function asArrays(node: HashTree): unknown {
  switch (node.kind) {
    case "empty":
      return [0];
    case "fork":
      return [1, asArrays(node.left), asArrays(node.right)];
    case "labeled":
      return [2, node.label, asArrays(node.child)];
    case "leaf":
      return [3, node.value];
    case "pruned":
      return [4, node.hash];
  }
}

test("trees come back, and the agent reads the same arrays", () => {
  fc.assert(
    fc.property(tree, (value) => {
      const encoded = encodeHashTree(value);
      assert.deepEqual(decodeHashTree(encoded), value);
      assert.deepEqual(Cbor.decode(encoded), asArrays(value));
    }),
  );
});

test("certificates come back, with and without delegation", () => {
  const plain = { tree: labeled("time", leaf("x")), signature: new Uint8Array(48).fill(1) };
  const delegated = { ...plain, delegation: { subnetId: Uint8Array.of(1, 2), certificate: new Uint8Array(100) } };
  for (const certificate of [plain, delegated]) {
    const encoded = encodeCertificate(certificate);
    assert.deepEqual([...encoded.subarray(0, 3)], [0xd9, 0xd9, 0xf7]);
    assert.deepEqual(decodeCertificate(encoded), certificate);
    for (let cut = 0; cut < encoded.length; cut++) {
      assert.throws(() => decodeCertificate(encoded.subarray(0, cut)), CborError);
    }
  }
});

test("bytes that are no tree or certificate are refused", () => {
  const hash = new Uint8Array(32);
  for (const value of [
    null,
    [],
    [5],
    [-1],
    ["length", hash, hash, hash, hash],
    [0, 0],
    [1, [0]],
    [1, [0], [0], [0]],
    [2, "text", [0]],
    [2, hash],
    [3],
    [3, "text"],
    [4, new Uint8Array(31)],
    [4, [0]],
    new Map(),
  ]) {
    assert.throws(() => decodeHashTree(encodeCbor(value)), CborError, JSON.stringify(value));
  }
  const good = { tree: [0], signature: new Uint8Array(48) };
  assert.doesNotThrow(() => decodeCertificate(encodeCbor(good)));
  for (const certificate of [
    [],
    { signature: good.signature },
    { tree: [0] },
    { ...good, signature: "text" },
    { ...good, delegation: [] },
    { ...good, delegation: { subnet_id: hash } },
    { ...good, delegation: { certificate: hash } },
  ]) {
    assert.throws(() => decodeCertificate(encodeCbor(certificate)), CborError);
  }
});

test("depth is bounded", () => {
  const deep = (depth: number): HashTree => {
    let node: HashTree = empty;
    for (let i = 1; i < depth; i++) node = labeled("a", node);
    return node;
  };
  assert.deepEqual(decodeHashTree(encodeHashTree(deep(128))), deep(128));
  assert.throws(() => decodeHashTree(encodeHashTree(deep(129))), CborError);
  assert.throws(() => decodeHashTree(encodeHashTree(deep(5000))), CborError);
});

test("well-formed: labels grow strictly, a leaf stands alone, also inside", () => {
  const good = [
    empty,
    pruned,
    leaf("x"),
    labeled("a", leaf("x")),
    fork(labeled("a", empty), labeled("b", empty)),
    fork(fork(labeled("a", empty), pruned), labeled("b", empty)),
    fork(labeled("a", leaf("x")), fork(labeled("aa", pruned), labeled("b", leaf("y")))),
  ];
  const bad = [
    fork(labeled("b", empty), labeled("a", empty)),
    fork(labeled("a", empty), labeled("a", empty)),
    fork(leaf("x"), labeled("a", empty)),
    fork(leaf("x"), pruned),
    fork(labeled("a", empty), fork(pruned, labeled("a", empty))),
    labeled("a", fork(labeled("b", empty), labeled("a", empty))),
  ];
  for (const value of good) assert.equal(isWellFormed(value), true);
  for (const value of bad) assert.equal(isWellFormed(value), false);
});
