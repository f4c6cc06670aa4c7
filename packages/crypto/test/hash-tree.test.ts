// The specification's example tree and its lookups, and the agent as oracle for random trees.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type HashTree, toHex } from "@atoll/types";
import { type HashTree as AgentTree, lookup_path, reconstruct } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { lookupPath, lookupSubtree, reconstructRoot } from "../src/hash-tree.ts";
import { sha256 } from "../src/sha.ts";
import { bytes } from "./certified-tree.ts";

const leaf = (text: string): HashTree => ({ kind: "leaf", value: bytes(text) });
const labeled = (label: string, child: HashTree): HashTree => ({ kind: "labeled", label: bytes(label), child });
const fork = (left: HashTree, right: HashTree): HashTree => ({ kind: "fork", left, right });
const pruned = (tree: HashTree): HashTree => ({ kind: "pruned", hash: reconstructRoot(tree, sha256) });
const empty: HashTree = { kind: "empty" };

// Interface specification, "Example": the tree with labels a, b, c, d.
const x = labeled("x", leaf("hello"));
const y = labeled("y", leaf("world"));
const a = labeled("a", fork(fork(x, empty), y));
const b = labeled("b", leaf("good"));
const c = labeled("c", empty);
const d = labeled("d", leaf("morning"));
const EXAMPLE = fork(fork(a, b), fork(c, d));
const ROOT = "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0";
// The pruned form that the specification shows, with only /a/y, /c and /d open.
const PRUNED = fork(fork(labeled("a", fork(pruned(fork(x, empty)), y)), pruned(b)), fork(c, d));

test("root hash of the specification's example, whole and pruned", () => {
  assert.equal(toHex(reconstructRoot(EXAMPLE, sha256)), ROOT);
  assert.equal(toHex(reconstructRoot(PRUNED, sha256)), ROOT);
});

test("lookups in the specification's example", () => {
  const at = (tree: HashTree, ...path: string[]) => {
    const result = lookupPath(tree, path.map(bytes));
    return result.status === "found" ? new TextDecoder().decode(result.value) : result.status;
  };
  assert.equal(at(EXAMPLE, "a", "x"), "hello");
  assert.equal(at(PRUNED, "a", "x"), "unknown");
  assert.equal(at(PRUNED, "a", "y"), "world");
  assert.equal(at(PRUNED, "a", "z"), "absent");
  assert.equal(at(PRUNED, "a", "a"), "unknown");
  assert.equal(at(PRUNED, "aa"), "unknown");
  assert.equal(at(PRUNED, "ax"), "unknown");
  assert.equal(at(PRUNED, "b"), "unknown");
  assert.equal(at(PRUNED, "bb"), "unknown");
  assert.equal(at(PRUNED, "c"), "absent");
  assert.equal(at(PRUNED, "ca"), "absent");
  assert.equal(at(PRUNED, "d"), "morning");
  assert.equal(at(PRUNED, "d", "x"), "absent");
  assert.equal(at(PRUNED, "e"), "absent");
  assert.equal(at(EXAMPLE, "a"), "error");
  assert.equal(at(EXAMPLE), "error");
  assert.equal(at(leaf("x")), "x");
  assert.equal(at(pruned(a)), "unknown");
});

test("a subtree is found with what is below it", () => {
  assert.deepEqual(lookupSubtree(EXAMPLE, [bytes("a"), bytes("y")]), { status: "found", tree: leaf("world") });
  assert.deepEqual(lookupSubtree(PRUNED, [bytes("b")]), { status: "unknown" });
  assert.deepEqual(lookupSubtree(PRUNED, [bytes("c"), bytes("x")]), { status: "absent" });
});

function forAgent(tree: HashTree): AgentTree {
  const agent = (node: HashTree): unknown => {
    if (node.kind === "fork") return [1, agent(node.left), agent(node.right)];
    if (node.kind === "labeled") return [2, node.label, agent(node.child)];
    if (node.kind === "leaf") return [3, node.value];
    return node.kind === "pruned" ? [4, node.hash] : [0];
  };
  return agent(tree) as AgentTree;
}

// One-byte labels, because the agent does not compare longer ones lexicographically.
const levels = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 });
function arrange(labels: number[], depth: number, seed: () => number): HashTree {
  const nodes: HashTree[] = [...labels].sort().map((label) => {
    const child: HashTree =
      depth === 0 || seed() % 3 === 0
        ? { kind: "leaf", value: Uint8Array.of(label) }
        : arrange(labels, depth - 1, seed);
    const node: HashTree = { kind: "labeled", label: Uint8Array.of(label), child };
    return seed() % 4 === 0 ? pruned(node) : node;
  });
  while (nodes.length > 1) {
    const at = seed() % (nodes.length - 1);
    const [left, right] = nodes.splice(at, 2) as [HashTree, HashTree];
    nodes.splice(at, 0, fork(left, right));
  }
  return nodes[0] as HashTree;
}

test("the agent finds the same roots and values in random pruned trees", async () => {
  await fc.assert(
    fc.asyncProperty(
      levels,
      fc.infiniteStream(fc.nat({ max: 1000 })),
      fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }), { minLength: 3, maxLength: 8 }),
      async (labels, stream, paths) => {
        const tree = arrange(labels, 2, () => stream.next().value);
        const agentTree = forAgent(tree);
        assert.deepEqual(reconstructRoot(tree, sha256), new Uint8Array(await reconstruct(agentTree)));
        for (const path of paths) {
          const labelPath = path.map((label) => Uint8Array.of(label));
          const ours = lookupPath(tree, labelPath);
          const theirs = lookup_path(labelPath, agentTree);
          assert.equal(ours.status, theirs.status.toLowerCase());
          if (ours.status === "found") assert.deepEqual([...ours.value], [...(theirs as { value: Uint8Array }).value]);
        }
      },
    ),
  );
});
