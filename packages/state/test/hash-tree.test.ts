// The state tree against a nested Map and against other people's code: hashes as the client library computes them,
// witnesses that prove what they must and show nothing else, and the cost of a root hash after one change.
// Interface specification, "Certificate"; checklist section 2.2.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { lookupPath, lookupSubtree, reconstructRoot } from "@atoll/crypto";
import {
  canisterIdFromIndex,
  encodeHashTree,
  isWellFormed,
  type Path,
  principalToBytes,
  type TreeChange,
} from "@atoll/types";
import { Cbor, lookup_path, reconstruct } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { applyChanges, EMPTY_TREE, findSubtree, type Labels, rootHash, witness } from "../src/hash-tree.ts";

type AgentTree = Parameters<typeof reconstruct>[0];

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(data).digest());
const text = (label: string): Uint8Array => new TextEncoder().encode(label);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const change = (path: string, value: string | null): TreeChange => {
  return { path: path.split("/").map(text), value: value === null ? null : text(value) };
};

/** The whole tree in clear, as a client would receive it. */
function forAgent(tree: Labels, paths: readonly Path[] = [[]]): AgentTree {
  return Cbor.decode<AgentTree>(encodeHashTree(witness(tree, paths, sha256)));
}

describe("root hash", () => {
  test("of the specification's example, in the shape that its content has here", async () => {
    // The example's shape is another one (and its empty label c cannot be set), but leaves and labels hash alike.
    const tree = applyChanges(EMPTY_TREE, [
      change("a/x", "hello"),
      change("a/y", "world"),
      change("b", "good"),
      change("d", "morning"),
    ]);
    assert.deepEqual(rootHash(tree, sha256), new Uint8Array(await reconstruct(forAgent(tree))));
    const labeled = (name: string, child: unknown) => [2, text(name), child];
    const a = labeled("a", [1, labeled("x", [3, text("hello")]), labeled("y", [3, text("world")])]);
    // a and b differ from d in an earlier bit (0x61, 0x62; 0x64) than from each other.
    const shape = [1, [1, a, labeled("b", [3, text("good")])], labeled("d", [3, text("morning")])];
    assert.equal(hex(rootHash(tree, sha256)), hex(await reconstruct(shape as AgentTree)));
  });

  test("of nothing", async () => {
    assert.deepEqual(rootHash(EMPTY_TREE, sha256), new Uint8Array(await reconstruct([0])));
    const emptied = applyChanges(EMPTY_TREE, [change("a/b/c", "x"), change("a/b/c", null)]);
    assert.deepEqual(rootHash(emptied, sha256), rootHash(EMPTY_TREE, sha256));
  });
});

// --- random trees against a nested Map ---

type Model = Map<string, Model | Uint8Array>;

/** Few labels, some of which begin others: the hard cases come up often. */
const LABELS = ["", "\0", "a", "ab", "abc", "abd", "b", "a\0", "\xff", "\xff\xff", "canister", "canister_ranges"];
const bytesOf = (label: string): Uint8Array => new Uint8Array(Buffer.from(label, "latin1"));
const label = fc.constantFrom(...LABELS);
const path = fc.array(label, { minLength: 1, maxLength: 4 });
const edit = fc.record({ path, value: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: null, freq: 3 }) });
const edits = fc.array(edit, { maxLength: 40 });
type Edit = { path: string[]; value: Uint8Array | null };

const asChange = ({ path, value }: Edit): TreeChange => ({ path: path.map(bytesOf), value });

function applyToModel(model: Model, { path, value }: Edit): void {
  const [first, ...rest] = path as [string, ...string[]];
  const below = model.get(first);
  if (rest.length === 0) {
    if (value === null) model.delete(first);
    else model.set(first, value);
    return;
  }
  if (value === null) {
    if (!(below instanceof Map)) return;
    applyToModel(below, { path: rest, value });
    if (below.size === 0) model.delete(first);
    return;
  }
  const child = below instanceof Map ? below : new Map();
  model.set(first, child);
  applyToModel(child, { path: rest, value });
}

function leavesOf(model: Model, prefix: readonly string[] = []): { path: string[]; value: Uint8Array }[] {
  return [...model].flatMap(([name, child]) => {
    const path = [...prefix, name];
    return child instanceof Map ? leavesOf(child, path) : [{ path, value: child }];
  });
}

function inModel(model: Model, path: readonly string[]): Model | Uint8Array | undefined {
  let current: Model | Uint8Array | undefined = model;
  for (const name of path) current = current instanceof Map ? current.get(name) : undefined;
  return current;
}

describe("a random history of changes", () => {
  test("leads to what a map of maps holds, and hashes as the client library says", async () => {
    await fc.assert(
      fc.asyncProperty(edits, fc.array(path, { maxLength: 10 }), async (history, asked) => {
        const model: Model = new Map();
        for (const step of history) applyToModel(model, step);
        const tree = applyChanges(EMPTY_TREE, history.map(asChange));
        const leaves = leavesOf(model);
        for (const { path, value } of leaves) {
          const found = findSubtree(tree, path.map(bytesOf));
          assert.deepEqual(found?.kind === "leaf" ? found.value : undefined, value);
        }
        for (const path of asked) {
          assert.equal(findSubtree(tree, path.map(bytesOf)) !== undefined, inModel(model, path) !== undefined);
        }
        assert.deepEqual(rootHash(tree, sha256), new Uint8Array(await reconstruct(forAgent(tree))));
        const shuffled = leaves.toSorted((a, b) =>
          hex(sha256(text(a.path.join()))) < hex(sha256(text(b.path.join()))) ? -1 : 1,
        );
        const anew = applyChanges(EMPTY_TREE, shuffled.map(asChange));
        assert.equal(hex(rootHash(anew, sha256)), hex(rootHash(tree, sha256)), "the content alone decides");
      }),
      { numRuns: 200 },
    );
  });

  test("leaves every earlier tree as it was", () => {
    fc.assert(
      fc.property(edits, (history) => {
        const roots: { tree: Labels; root: string }[] = [];
        let tree = EMPTY_TREE;
        for (const step of history) {
          tree = applyChanges(tree, [asChange(step)]);
          roots.push({ tree, root: hex(rootHash(tree, sha256)) });
        }
        for (const { tree, root } of roots) {
          assert.equal(hex(reconstructRoot(witness(tree, [[]], sha256), sha256)), root);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("a witness", () => {
  test("proves what is there and what is not, and shows no other value", async () => {
    await fc.assert(
      fc.asyncProperty(edits, fc.array(path, { minLength: 1, maxLength: 5 }), async (history, asked) => {
        const model: Model = new Map();
        for (const step of history) applyToModel(model, step);
        const tree = applyChanges(EMPTY_TREE, history.map(asChange));
        const proof = witness(
          tree,
          asked.map((path) => path.map(bytesOf)),
          sha256,
        );
        assert.ok(isWellFormed(proof));
        assert.equal(hex(reconstructRoot(proof, sha256)), hex(rootHash(tree, sha256)));
        const atClient = await reconstruct(Cbor.decode<AgentTree>(encodeHashTree(proof)));
        assert.equal(hex(atClient), hex(rootHash(tree, sha256)));
        for (const path of asked) {
          const expected = inModel(model, path);
          const found = lookupSubtree(proof, path.map(bytesOf));
          if (expected === undefined) assert.equal(found.status, "absent", path.join("/"));
          else assert.equal(found.status, "found", path.join("/"));
          for (const leaf of expected instanceof Map ? leavesOf(expected, path) : []) {
            assert.deepEqual(lookupPath(proof, leaf.path.map(bytesOf)), { status: "found", value: leaf.value });
          }
        }
        for (const leaf of leavesOf(model)) {
          // A leaf may be shown in full when a path goes on below it: that is the proof that nothing is there.
          const isAsked = asked.some((path) => leaf.path.every((name, i) => i >= path.length || name === path[i]));
          if (!isAsked) assert.notEqual(lookupPath(proof, leaf.path.map(bytesOf)).status, "found");
        }
      }),
      { numRuns: 300 },
    );
  });

  test("is understood by the client library", () => {
    const ids = Array.from({ length: 50 }, (_, i) => principalToBytes(canisterIdFromIndex(BigInt(i * 3))));
    const hash = text("module_hash");
    const base = text("canister");
    const changes = ids.map((id, i) => ({ path: [base, id, hash], value: text(`module ${i}`) }));
    const tree = applyChanges(EMPTY_TREE, changes);
    for (const [i, id] of ids.entries()) {
      const other = principalToBytes(canisterIdFromIndex(BigInt(i * 3 + 1)));
      const asked = [base, id, hash];
      const proof = forAgent(tree, [asked, [base, other, hash]]);
      const found = lookup_path(asked, proof);
      assert.deepEqual(found.status === "Found" ? Buffer.from(found.value).toString() : found.status, `module ${i}`);
      assert.equal(lookup_path([base, other, hash], proof).status, "Absent");
    }
  });

  test("of an absent label has the two labels next to it, values pruned", () => {
    const tree = applyChanges(
      EMPTY_TREE,
      ["b", "d", "f", "h"].map((name) => change(name, `value of ${name}`)),
    );
    const shown = (name: string) => JSON.stringify(forAgent(tree, [[text(name)]]), (_, value) => value);
    const labels = (name: string) => {
      const found: string[] = [];
      const walk = (node: AgentTree): void => {
        if (node[0] === 1) for (const child of [node[1], node[2]]) walk(child);
        if (node[0] !== 2) return;
        found.push(Buffer.from(node[1]).toString());
        assert.equal(node[2][0], 4, "the value is pruned");
      };
      walk(forAgent(tree, [[text(name)]]));
      return found;
    };
    assert.deepEqual(labels("e"), ["d", "f"]);
    assert.deepEqual(labels("a"), ["b"]);
    assert.deepEqual(labels("z"), ["h"]);
    assert.deepEqual(labels("dd"), ["d", "f"]);
    assert.ok(!shown("e").includes("value"));
  });

  test("of labels that begin one another", () => {
    const names = ["", "a", "aa", "aaa", "aaaa", "aaaa\0", "aaab"];
    const tree = applyChanges(
      EMPTY_TREE,
      names.map((name) => ({ path: [bytesOf(name)], value: text(`= ${name}`) })),
    );
    for (const name of names) {
      const proof = witness(tree, [[bytesOf(name)]], sha256);
      assert.deepEqual(lookupPath(proof, [bytesOf(name)]), { status: "found", value: text(`= ${name}`) });
    }
    for (const name of ["\0", "a\0", "aaaaa", "ab", "b"]) {
      assert.equal(lookupPath(witness(tree, [[bytesOf(name)]], sha256), [bytesOf(name)]).status, "absent");
    }
  });
});

describe("removal", () => {
  test("of the last label below takes the label above with it", () => {
    const tree = applyChanges(EMPTY_TREE, [change("a/b/c", "1"), change("d", "2"), change("a/b/c", null)]);
    assert.equal(findSubtree(tree, [text("a")]), undefined);
    assert.equal(hex(rootHash(tree, sha256)), hex(rootHash(applyChanges(EMPTY_TREE, [change("d", "2")]), sha256)));
  });

  test("of what is not there changes nothing", () => {
    const tree = applyChanges(EMPTY_TREE, [change("a/b", "1")]);
    for (const path of ["x", "a/x", "a/b/c", "x/y/z"]) assert.equal(applyChanges(tree, [change(path, null)]), tree);
  });

  test("of a whole subtree, and a value in its place", () => {
    const tree = applyChanges(EMPTY_TREE, [change("a/b", "1"), change("a/c", "2"), change("a", "3")]);
    assert.equal(hex(rootHash(tree, sha256)), hex(rootHash(applyChanges(EMPTY_TREE, [change("a", "3")]), sha256)));
    assert.equal(applyChanges(tree, [change("a", null)]).root, undefined);
  });
});

describe("cost", () => {
  const canisterTree = (count: number): Labels => {
    const changes: TreeChange[] = [{ path: [text("time")], value: Uint8Array.of(1) }];
    for (let i = 0; i < count; i++) {
      const base = [text("canister"), principalToBytes(canisterIdFromIndex(BigInt(i)))];
      for (const name of ["controllers", "module_hash"])
        changes.push({ path: [...base, text(name)], value: text(`${i}`) });
    }
    return applyChanges(EMPTY_TREE, changes);
  };

  const hashesAfterOneChange = (count: number): { first: number; next: number; again: number } => {
    let calls = 0;
    const counting = (data: Uint8Array): Uint8Array => {
      calls++;
      return sha256(data);
    };
    const hashes = (tree: Labels): number => {
      calls = 0;
      rootHash(tree, counting);
      return calls;
    };
    const tree = canisterTree(count);
    const first = hashes(tree);
    const id = principalToBytes(canisterIdFromIndex(BigInt(Math.floor(count / 2))));
    const changed = applyChanges(tree, [
      { path: [text("time")], value: Uint8Array.of(2) },
      { path: [text("canister"), id, text("module_hash")], value: text("another") },
    ]);
    return { first, next: hashes(changed), again: hashes(tree) + hashes(changed) };
  };

  test("of a root hash is what changed, whatever the number of canisters", () => {
    const few = hashesAfterOneChange(10);
    const many = hashesAfterOneChange(10_000);
    assert.ok(many.first > 60_000, "everything is hashed once");
    assert.ok(few.next <= 20, `${few.next} hashes with 10 canisters`);
    assert.ok(many.next <= few.next + 12, `${many.next} hashes with 10,000 canisters, ${few.next} with 10`);
    assert.equal(few.again + many.again, 0, "a known root costs nothing");
  });

  test("of a witness is its own depth, once the root is known", () => {
    const tree = canisterTree(10_000);
    rootHash(tree, sha256);
    let calls = 0;
    const id = principalToBytes(canisterIdFromIndex(4_711n));
    const proof = witness(tree, [[text("canister"), id, text("controllers")]], (data) => {
      calls++;
      return sha256(data);
    });
    assert.equal(calls, 0);
    assert.ok(encodeHashTree(proof).length < 1_200);
  });
});
