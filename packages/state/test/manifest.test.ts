// The manifest of a checkpoint: equal content gives equal roots, whatever led to it, and what a node takes over from
// another one by its manifest is that checkpoint. Consensus and chain-key facts, 11.2 and 11.3.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { InvariantViolation, toHex } from "@atoll/types";
import fc from "fast-check";
import { applyManifest, eachMissingChunk } from "../src/manifest/apply-manifest.ts";
import { type ChunkRow, chunkBytes, rowsOf } from "../src/manifest/file-entry.ts";
import { filesOf, type Manifest, manifestOfTable, subManifestHashes } from "../src/manifest/manifest.ts";
import { ManifestKeeper } from "../src/manifest/manifest-keeper.ts";
import { CheckpointStore } from "../src/store/checkpoint-store.ts";
import type { CheckpointView } from "../src/store/checkpoint-view.ts";
import { MemoryStorage } from "../src/store/memory-storage.ts";

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(data).digest());
const PAGE = 4096;
const MIB = 1024 * 1024;
const OPTIONS = { segmentBytes: 256 * 1024, bufferBytes: 64 * 1024, keepsPrevious: true };

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** A store with the hashes of its last checkpoint. */
class Node {
  storage = new MemoryStorage();
  store = CheckpointStore.open(this.storage, OPTIONS);
  keeper = new ManifestKeeper(sha256);
  height = 0;

  commit(act: (store: CheckpointStore) => void, meta = "meta"): Manifest {
    this.store.begin();
    act(this.store);
    this.store.commit(++this.height, new TextEncoder().encode(meta));
    return this.manifest();
  }

  manifest(): Manifest {
    return finish(this.keeper.manifest(this.view, this.store.takeTouched()));
  }

  /** As a node that knows nothing but the checkpoint. */
  anew(): Manifest {
    return finish(new ManifestKeeper(sha256).manifest(this.view));
  }

  restart(): void {
    this.store = CheckpointStore.open(this.storage, OPTIONS);
    this.keeper = new ManifestKeeper(sha256);
    this.manifest();
  }

  get view(): CheckpointView {
    const view = this.store.view();
    assert.ok(view);
    return view;
  }
}

const filled = (byte: number): Uint8Array => new Uint8Array(PAGE).fill(byte);
const root = ({ root: hash }: Manifest): string => toHex(hash);

describe("the hashes", () => {
  test("are those of the specification's formulas", () => {
    const node = new Node();
    const value = new Uint8Array(MIB + 3).fill(7);
    const { table, metaManifest, root: hash } = node.commit((store) => store.put("canister/01", value));
    const named = (name: string, ...parts: Uint8Array[]): Buffer => {
      return createHash("sha256").update(Uint8Array.of(name.length)).update(name).update(Buffer.concat(parts)).digest();
    };
    const number = (bytes: 2 | 4 | 8, value: number): Buffer => {
      const out = Buffer.alloc(8);
      out.writeBigUInt64BE(BigInt(value));
      return out.subarray(8 - bytes);
    };
    const file = (path: string, content: Uint8Array): Buffer => {
      const rows: Buffer[] = [];
      for (let at = 0; at < content.length; at += MIB) {
        const chunk = content.subarray(at, at + MIB);
        rows.push(Buffer.concat([number(4, chunk.length), number(8, at), named("ic-state-chunk", chunk)]));
      }
      const counted = Buffer.concat([number(4, rows.length), ...rows]);
      return Buffer.concat([number(2, path.length), Buffer.from(path), named("ic-state-file", counted), counted]);
    };
    const expected = Buffer.concat([file("canister/01", value), file("meta", Buffer.from("meta"))]);
    assert.equal(toHex(table), expected.toString("hex"));
    const meta = Buffer.concat([number(4, 1), number(4, 1), named("ic-state-sub-manifest", expected)]);
    assert.equal(toHex(metaManifest), meta.toString("hex"));
    assert.equal(toHex(hash), named("ic-state-meta-manifest", meta).toString("hex"));
  });

  test("of a memory follow the pages that are not zeros, wherever they are", () => {
    const node = new Node();
    const far = 500 * 1024 * 256 - 1;
    node.commit((store) => {
      store.putPage("a", 3, filled(1));
      store.putPage("a", 4, filled(0));
      store.putPage("a", far, filled(2));
      store.putPage("zeros", 9, filled(0));
    });
    assert.deepEqual([...node.keeper.files.keys()], ["meta", "memory/a"]);
    const rows = [...rowsOf(node.keeper.files.get("memory/a") as Uint8Array)];
    assert.deepEqual(
      rows.map(({ offset, size }) => [offset, size]),
      [
        [0, 32 + PAGE],
        [(500 * 1024 - 1) * MIB, 32 + PAGE],
      ],
    );
    const [first] = rows as [ChunkRow];
    const chunk = chunkBytes(node.view, "memory/a", first.offset) as Uint8Array;
    assert.deepEqual(
      chunk.subarray(0, 32),
      Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0b1000 : 0)),
    );
    assert.deepEqual(chunk.subarray(32), filled(1));
  });

  test("leave out what is a node's own matter", () => {
    const node = new Node();
    const before = node.commit((store) => store.put("canister/01", Uint8Array.of(1)));
    assert.equal(root(node.commit((store) => store.put("local/prepared/aa", Uint8Array.of(1)))), root(before));
  });

  test("of what did not change are looked at again in turn, and a difference halts", () => {
    const node = new Node();
    node.commit((store) => {
      for (let i = 0; i < 40; i++) store.put(`canister/${100 + i}`, new Uint8Array(MIB + 1).fill(i));
    });
    const files = node.keeper.files as Map<string, Uint8Array>;
    const wrong = (files.get("canister/120") as Uint8Array).map((byte, i) => (i > 47 && i % 44 < 12 ? byte ^ 1 : byte));
    files.set("canister/120", wrong);
    const turns = () => {
      for (let i = 0; i < 41; i++) node.commit(() => undefined);
    };
    assert.throws(turns, InvariantViolation);
  });
});

// --- any history against any other ---

const page = fc.oneof(fc.nat(3), fc.integer({ min: 250, max: 260 }), fc.constant(2 ** 27));
const memory = fc.constantFrom("a", "b", "c");
const change = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    key: fc.nat(3),
    size: fc.constantFrom(0, 5, MIB, MIB + 1),
    byte: fc.nat(3),
  }),
  fc.record({ kind: fc.constant("delete" as const), key: fc.nat(3) }),
  fc.record({ kind: fc.constant("page" as const), memory, page, byte: fc.nat(2) }),
  fc.record({ kind: fc.constant("drop" as const), memory }),
  fc.record({ kind: fc.constant("clone" as const), memory, source: memory }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

interface Model {
  readonly keys: Map<string, Uint8Array>;
  readonly memories: Map<string, Map<number, number>>;
}

const emptyModel = (): Model => ({ keys: new Map(), memories: new Map() });

/** One transaction: clones come first, as the store demands. */
function transact(store: CheckpointStore, model: Model, changes: readonly Change[]): void {
  const touched = new Set<string>();
  for (const each of changes.toSorted((a, b) => Number(b.kind === "clone") - Number(a.kind === "clone"))) {
    switch (each.kind) {
      case "put": {
        const value = new Uint8Array(each.size).fill(each.byte);
        store.put(`key/${each.key}`, value);
        model.keys.set(`key/${each.key}`, value);
        break;
      }
      case "delete":
        store.delete(`key/${each.key}`);
        model.keys.delete(`key/${each.key}`);
        break;
      case "page": {
        store.putPage(each.memory, each.page, filled(each.byte));
        const pages = model.memories.get(each.memory) ?? new Map();
        model.memories.set(each.memory, pages.set(each.page, each.byte));
        break;
      }
      case "drop":
        store.dropMemory(each.memory);
        model.memories.delete(each.memory);
        break;
      case "clone": {
        const source = model.memories.get(each.source);
        if (source === undefined || touched.has(each.source)) break;
        // A memory of zeros alone is in no manifest, and a store that was made from the content does not know it.
        if (!store.memories().includes(each.source)) break;
        if (model.memories.has(each.memory)) break;
        store.cloneMemory(each.memory, each.source);
        model.memories.set(each.memory, new Map(source));
        touched.add(each.memory);
      }
    }
  }
}

/** The content of a model in a store of its own, by one commit. */
function nodeOf(model: Model): Node {
  const node = new Node();
  node.commit((store) => {
    for (const [key, value] of [...model.keys].reverse()) store.put(key, value);
    for (const [name, pages] of model.memories) {
      for (const [index, byte] of [...pages].reverse()) if (byte !== 0) store.putPage(name, index, filled(byte));
    }
  });
  return node;
}

const transaction = fc.record({
  changes: fc.array(change, { maxLength: 8 }),
  restarts: fc.boolean(),
  compacts: fc.boolean(),
});
const history = fc.array(transaction, { maxLength: 6 });

function live(
  node: Node,
  transactions: readonly (typeof transaction extends fc.Arbitrary<infer T> ? T : never)[],
): Model {
  const model = emptyModel();
  for (const { changes, restarts, compacts } of transactions) {
    const manifest = node.commit((store) => transact(store, model, changes));
    if (compacts) node.store.compactStep();
    assert.equal(root(manifest), root(node.anew()), "made from what changed, and from nothing");
    if (restarts) node.restart();
  }
  return model;
}

test("equal content has equal roots, whatever the history", () => {
  const property = fc.property(history, (transactions) => {
    const node = new Node();
    node.commit(() => undefined);
    const model = live(node, transactions);
    assert.equal(root(node.anew()), root(nodeOf(model).anew()));
  });
  fc.assert(property, { numRuns: 40 });
});

test("other content has another root", () => {
  const property = fc.property(history, change, (transactions, last) => {
    const model = live(new Node(), transactions);
    const before = nodeOf(model);
    const after = nodeOf(model);
    const changed = after.commit((store) => transact(store, model, [last]));
    assert.equal(root(changed) === root(before.anew()), isEqualContent(before.view, after.view));
  });
  fc.assert(property, { numRuns: 20 });
});

function isEqualContent(one: CheckpointView, other: CheckpointView): boolean {
  const text = (view: CheckpointView): string => {
    const keys = [...view.keys()].sort().map((key) => `${key} ${toHex(sha256(view.value(key) as Uint8Array))}`);
    const memories = [...view.memories()].sort().map((name) => {
      return view
        .regions(name)
        .map((region) => `${name} ${region} ${toHex(sha256(view.region(name, region) as Uint8Array))}`);
    });
    return [...keys, ...memories.flat()].join("\n");
  };
  return text(one) === text(other);
}

describe("taking over", () => {
  test("makes any checkpoint out of any other, with nothing but the chunks that differ", () => {
    const property = fc.property(history, history, (here, there) => {
      const [node, peer] = [new Node(), new Node()];
      for (const each of [node, peer]) each.commit(() => undefined);
      live(node, here);
      live(peer, there);
      const target = filesOf(peer.anew().table, sha256);
      assert.ok(target);
      const base = new Map(node.keeper.files);
      const missing = new Map<string, Uint8Array>();
      eachMissingChunk(base, target, ({ hash, offset }, path) => {
        missing.set(toHex(hash), chunkBytes(peer.view, path, offset) as Uint8Array);
      });
      applyManifest(node.store, 100, base, target, ({ hash }) => missing.get(toHex(hash)) as Uint8Array);
      assert.equal(root(node.anew()), root(peer.anew()));
      node.store = CheckpointStore.open(node.storage, OPTIONS);
      assert.equal(node.store.height, 100);
      assert.equal(root(node.anew()), root(peer.anew()), "also when it is read from the disk");
    });
    fc.assert(property, { numRuns: 25 });
  });

  test("leaves the checkpoint as it was when the disk is full", () => {
    const [node, peer] = [new Node(), new Node()];
    const before = node.commit((store) => store.put("key/1", Uint8Array.of(1)));
    peer.commit((store) => store.put("key/1", new Uint8Array(MIB).fill(9)));
    const target = filesOf(peer.anew().table, sha256);
    assert.ok(target);
    node.storage.capacity = 200_000;
    const take = () => applyManifest(node.store, 9, node.keeper.files, target, () => new Uint8Array(MIB).fill(9));
    assert.throws(take, { code: "ENOSPC" });
    assert.equal(root(node.anew()), root(before));
  });
});

test("the checkpoint before the last one can be read until the next, also while compaction moves its records", () => {
  const property = fc.property(history, (transactions) => {
    const node = new Node();
    node.commit(() => undefined);
    const model = emptyModel();
    for (const { changes, compacts } of transactions) {
      const before = node.keeper.files;
      const known = new Map([...before].map(([path, entry]) => [path, entry]));
      node.commit((store) => transact(store, model, changes));
      for (let i = 0; compacts && i < 3; i++) node.store.compactStep();
      const previous = node.store.previous();
      assert.ok(previous);
      assert.equal(previous.height, node.height - 1);
      for (const [path, entry] of known) {
        for (const { offset, hash, size } of rowsOf(entry)) {
          const bytes = chunkBytes(previous, path, offset);
          assert.equal(bytes?.length, size, path);
          assert.equal(toHex(hashOfChunk(bytes)), toHex(hash), path);
        }
      }
    }
  });
  fc.assert(property, { numRuns: 25 });
});

function hashOfChunk(bytes: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([Uint8Array.of(14), Buffer.from("ic-state-chunk"), bytes]));
}

test("no bytes make a table or a meta-manifest that could do harm", () => {
  const node = new Node();
  const { table, metaManifest } = node.commit((store) => {
    store.put("canister/01", new Uint8Array(MIB + 5).fill(3));
    store.putPage("a", 300, filled(1));
  });
  assert.ok(filesOf(table, sha256));
  for (let i = 0; i < table.length; i++) {
    for (const bytes of [table.subarray(0, i), table.map((byte, at) => (at === i ? byte ^ 0x81 : byte))]) {
      const files = filesOf(bytes, sha256);
      // Another path is another manifest, which another root would name.
      if (files !== undefined) assert.notEqual(toHex(manifestOfTable(bytes, sha256).root), toHex(node.anew().root));
    }
  }
  assert.equal(subManifestHashes(metaManifest)?.length, 1);
  for (let i = 0; i < metaManifest.length; i++) assert.equal(subManifestHashes(metaManifest.subarray(0, i)), undefined);
  const huge = metaManifest.slice();
  huge.fill(255, 4, 8);
  assert.equal(subManifestHashes(huge), undefined);
});
