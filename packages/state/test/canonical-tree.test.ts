// What the state tree says of a state: the paths of the specification, and, round by round, exactly the changes that
// lead to the tree that the same state would be given from nothing, as every restart does.
// Interface specification, "The system state tree"; checklist 2.1 and 2.5.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import {
  type CanisterRange,
  decodeStreamHeader,
  decodeStreamMessage,
  ErrorCode,
  encodeCbor,
  fromHex,
  type IngressStatus,
  type NetworkTopology,
  type PrincipalId,
  principalToBytes,
  type SubnetNode,
  type SubnetRecord,
  toHex,
  userError,
} from "@atoll/types";
import fc from "fast-check";
import type { CanisterState } from "../src/canister-state.ts";
import { CanonicalTree } from "../src/canonical-tree.ts";
import { applyChanges, EMPTY_TREE, findSubtree, type Labels, rootHash, type Subtree } from "../src/hash-tree.ts";
import {
  discardMessagesBefore,
  discardSignalsBefore,
  endOf,
  pushMessage,
  pushSignal,
  streamTo,
} from "../src/stream.ts";
import { forgetCanister, type SubnetState, touch } from "../src/subnet-state.ts";
import {
  ALICE,
  addCanister,
  BOB,
  CONFIG,
  emptyState,
  fullState,
  hashOf,
  idAt,
  install,
  moduleNamed,
  TIME,
} from "./full-state.ts";

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(data).digest());
const label = (name: string | Uint8Array): Uint8Array =>
  typeof name === "string" ? new TextEncoder().encode(name) : name;
const utf8 = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

/** The tree of a state from nothing. */
function treeOf(state: SubnetState): Labels {
  for (const id of state.canisters.keys()) state.touched.add(id);
  for (const id of state.streams.keys()) state.touchedStreams.add(id);
  state.ingressHistory.noteAll();
  return applyChanges(EMPTY_TREE, takeChanges(new CanonicalTree(), state));
}

function takeChanges(tree: CanonicalTree, state: SubnetState) {
  const changes = tree.changes(state, state.ingressHistory.takeChanges());
  state.touched.clear();
  state.touchedStreams.clear();
  return changes;
}

function at(tree: Labels, ...path: (string | Uint8Array)[]): Uint8Array | undefined {
  const found = findSubtree(tree, path.map(label));
  return found?.kind === "leaf" ? found.value : undefined;
}

type Node = Exclude<Labels["root"], undefined>;

/** Labels below a path, hex where they are not ASCII. */
function below(tree: Labels, ...path: (string | Uint8Array)[]): string[] {
  const names: string[] = [];
  const walk = (node: Node): void => {
    if (node.kind === "labeled") names.push(utf8(node.label) as string);
    else for (const child of [node.left, node.right]) walk(child);
  };
  const found = findSubtree(tree, path.map(label));
  if (found?.kind === "labels" && found.root !== undefined) walk(found.root);
  return names;
}

test("other subnets are shown with what all need to know of them, at most five ranges a leaf", () => {
  const state = fullState();
  state.topology = networkOf(state, [1, 2], 12);
  const tree = treeOf(state);
  const [one] = state.topology.subnets as [SubnetRecord];
  const id = principalToBytes(one.subnetId);
  assert.deepEqual(below(tree, "subnet", id), ["canister_ranges", "public_key", "type"]);
  assert.equal(utf8(at(tree, "subnet", id, "type")), "system");
  assert.equal(below(tree, "canister_ranges", id).length, 3);
  const bytes = one.canisterRanges.map((range) => range.map(principalToBytes));
  const leaf = at(tree, "canister_ranges", id, principalToBytes((one.canisterRanges[5] as CanisterRange)[0]));
  assert.deepEqual(leaf, encodeCbor(bytes.slice(5, 10), { selfDescribed: true }));
  state.topology = networkOf(state, [3], 0);
  const alone = treeOf(state);
  const third = principalToBytes("03".repeat(29) as PrincipalId);
  assert.deepEqual(
    at(alone, "canister_ranges", third, principalToBytes(idAt(0))),
    Uint8Array.of(0xd9, 0xd9, 0xf7, 0x80),
  );
});

describe("paths", () => {
  const tree = treeOf(fullState());
  const subnet = principalToBytes(CONFIG.subnetId);
  const canister = (index: number) => principalToBytes(idAt(index));

  test("of the subnet", () => {
    const top = ["canister", "canister_ranges", "metadata", "request_status", "streams", "subnet", "time"];
    assert.deepEqual(below(tree), top);
    assert.deepEqual(below(tree, "subnet", subnet), ["canister_ranges", "metrics", "node", "public_key", "type"]);
    assert.deepEqual(at(tree, "subnet", subnet, "public_key"), CONFIG.publicKey);
    assert.equal(utf8(at(tree, "subnet", subnet, "type")), "application");
    const [node] = CONFIG.nodes;
    assert.deepEqual(at(tree, "subnet", subnet, "node", principalToBytes(ALICE), "public_key"), node?.publicKey);
    const ranges = encodeCbor([[canister(0), canister(0xfffff)]], { selfDescribed: true });
    assert.deepEqual(at(tree, "subnet", subnet, "canister_ranges"), ranges);
    assert.deepEqual(at(tree, "canister_ranges", subnet, canister(0)), ranges);
    const metrics = at(tree, "subnet", subnet, "metrics") as Uint8Array;
    assert.deepEqual(
      metrics.subarray(0, 8),
      Uint8Array.of(0xd9, 0xd9, 0xf7, 0xa4, 0, 4, 1, 0),
      "0: four canisters, 1: 0",
    );
  });

  test("of a stream: header and messages under their indices", () => {
    const other = principalToBytes(BOB);
    assert.deepEqual(below(tree, "streams", other), ["header", "messages"]);
    const header = decodeStreamHeader(at(tree, "streams", other, "header") as Uint8Array);
    const rejectSignals = [{ reason: "queue_full", index: 1 }];
    assert.deepEqual(header, { begin: 7, end: 11, signalsEnd: 3, rejectSignals, flags: 0 });
    const index = (number: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, number);
    const kinds = [7, 8, 9, 10].map((i) => {
      return decodeStreamMessage(at(tree, "streams", other, "messages", index(i)) as Uint8Array).kind;
    });
    assert.deepEqual(kinds, ["request", "response", "response", "refund"]);
    assert.equal(below(tree, "streams", other, "messages").length, 4);
  });

  test("of time, as LEB128", () => {
    let time = 0n;
    for (const byte of (at(tree, "time") as Uint8Array).toReversed()) time = (time << 7n) | BigInt(byte & 127);
    assert.equal(time, TIME);
  });

  test("of a canister with code", () => {
    const one = canister(1);
    assert.deepEqual(below(tree, "canister", one), ["certified_data", "controllers", "metadata", "module_hash"]);
    const controllers = encodeCbor([principalToBytes(ALICE), principalToBytes(BOB)], { selfDescribed: true });
    assert.deepEqual(at(tree, "canister", one, "controllers"), controllers);
    assert.deepEqual(at(tree, "canister", one, "module_hash"), fromHex(hashOf("one")));
    assert.deepEqual(at(tree, "canister", one, "certified_data"), new Uint8Array(32).fill(6));
    assert.deepEqual(below(tree, "canister", one, "metadata"), ["candid:service", "notes"]);
    assert.equal(utf8(at(tree, "canister", one, "metadata", "candid:service")), "one");
  });

  test("of an empty canister: controllers and nothing else", () => {
    assert.deepEqual(below(tree, "canister", canister(4)), ["controllers"]);
  });

  test("of the height, as LEB128, and of the root hash before it", () => {
    const state = fullState();
    state.height = 624_485;
    const tree = treeOf(state);
    assert.deepEqual(below(tree, "metadata"), ["height", "prev_state_hash"]);
    assert.deepEqual(at(tree, "metadata", "height"), Uint8Array.of(0xe5, 0x8e, 0x26));
    assert.deepEqual(at(tree, "metadata", "prev_state_hash"), new Uint8Array(32).fill(3));
  });

  test("of requests, by how far they are", () => {
    const request = (digit: string) => fromHex(digit.repeat(64));
    const expected = [
      ["status"],
      ["status"],
      ["reply", "status"],
      ["error_code", "reject_code", "reject_message", "status"],
      ["status"],
    ];
    for (const [i, labels] of expected.entries())
      assert.deepEqual(below(tree, "request_status", request(`${i}`)), labels);
    assert.deepEqual(at(tree, "request_status", request("2"), "reply"), Uint8Array.of(1, 2));
    assert.deepEqual(at(tree, "request_status", request("3"), "reject_code"), Uint8Array.of(5));
    assert.equal(utf8(at(tree, "request_status", request("3"), "error_code")), "IC0503");
    assert.equal(utf8(at(tree, "request_status", request("4"), "status")), "done");
  });

  test("of a network that has no canister yet", () => {
    const tree = treeOf(emptyState());
    assert.deepEqual(below(tree), ["canister_ranges", "metadata", "subnet", "time"]);
    assert.deepEqual(below(tree, "metadata"), ["height"], "there is no height before the first");
    assert.deepEqual(below(tree, "subnet", subnet), ["canister_ranges", "metrics", "node", "public_key", "type"]);
  });
});

// --- incremental against from nothing ---

const STATUSES: readonly IngressStatus[] = [
  { state: "received" },
  { state: "processing" },
  { state: "replied", reply: Uint8Array.of(1) },
  { state: "replied", reply: new Uint8Array() },
  { state: "rejected", error: userError(ErrorCode.CanisterTrapped, "no") },
  { state: "done" },
];
/** What may follow what. */
const NEXT: Record<IngressStatus["state"], IngressStatus["state"][]> = {
  received: ["processing", "replied", "rejected"],
  processing: ["replied", "rejected"],
  replied: ["done"],
  rejected: ["done"],
  done: [],
};
const MODULES = ["aa", "bb", "cc"].map((name, i) => {
  const module = moduleNamed(name);
  return { ...module, summary: { ...module.summary, metadata: module.summary.metadata.slice(i) } };
});

const index = fc.integer({ min: 0, max: 4 });
const action = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), index }),
  fc.record({ kind: fc.constant("install" as const), index, module: fc.constantFrom(...MODULES) }),
  fc.record({ kind: fc.constant("uninstall" as const), index }),
  fc.record({ kind: fc.constant("delete" as const), index }),
  fc.record({ kind: fc.constant("certify" as const), index, data: fc.uint8Array({ maxLength: 2 }) }),
  fc.record({ kind: fc.constant("control" as const), index, by: fc.subarray([ALICE, BOB]) }),
  fc.record({ kind: fc.constant("request" as const), index, status: fc.constantFrom(...STATUSES) }),
  fc.record({ kind: fc.constant("stream" as const), index, sent: fc.nat(3), arrived: fc.nat(3), signal: fc.boolean() }),
  fc.record({ kind: fc.constant("topology" as const), subnets: fc.subarray([1, 2, 3]), ranges: fc.nat(12) }),
  fc.record({ kind: fc.constant("nodes" as const), nodes: fc.subarray([1, 2, 3]), key: fc.nat(1) }),
  fc.record({ kind: fc.constant("hash" as const), byte: fc.option(fc.nat(1), { nil: undefined }) }),
  fc.record({ kind: fc.constant("pass" as const), seconds: fc.bigInt({ min: 1n, max: 500n }) }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function actOnStream(state: SubnetState, { index, sent, arrived, signal }: Extract<Action, { kind: "stream" }>): void {
  const stream = streamTo(state, idAt(index));
  for (let i = 0; i < sent; i++) pushMessage(stream, { kind: "refund", receiver: idAt(i), cycles: BigInt(i) });
  discardMessagesBefore(stream, Math.min(stream.begin + arrived, endOf(stream)), []);
  pushSignal(stream, signal ? "accept" : "unknown");
  discardSignalsBefore(stream, stream.signalsEnd - 2);
}

/** Some other subnets, which host so many ranges each. */
function networkOf(state: SubnetState, others: readonly number[], ranges: number): NetworkTopology {
  const { subnetId, type, publicKey, canisterRanges } = CONFIG;
  const records: SubnetRecord[] = others.map((number) => ({
    subnetId: `0${number}`.repeat(29) as PrincipalId,
    type: ranges % 2 === 0 ? "system" : "application",
    publicKey: new Uint8Array(133).fill(number),
    canisterRanges: Array.from({ length: ranges }, (_, i) => {
      const first = number * 0x1000000 + i * 16;
      return [idAt(first), idAt(first + 1 + ranges)];
    }),
  }));
  const subnets = [...records, { subnetId, type, publicKey, canisterRanges }];
  return { version: state.topology.version + 1, rootSubnetId: subnetId, subnets };
}

function act(state: SubnetState, action: Action): void {
  if (action.kind === "stream") {
    actOnStream(state, action);
    return;
  }
  if (action.kind === "nodes" || action.kind === "hash") {
    actOnMetadata(state, action);
    return;
  }
  if (action.kind === "topology") {
    state.topology = networkOf(state, action.subnets, action.ranges);
    return;
  }
  if (action.kind === "pass") {
    state.time += action.seconds * 1_000_000_000n;
    state.ingressHistory.prune(state.time);
    return;
  }
  if (action.kind === "request") {
    const id = `${action.index}`.repeat(64);
    const known = state.ingressHistory.get(id)?.status.state;
    if (known === undefined)
      state.ingressHistory.add(id, { sender: BOB, receiver: idAt(1) }, action.status, state.time);
    else if (NEXT[known].includes(action.status.state)) state.ingressHistory.set(id, action.status, state.time);
    return;
  }
  const canister = state.canisters.get(idAt(action.index));
  if (canister === undefined) {
    if (action.kind === "create") addCanister(state, action.index);
    return;
  }
  actOnCanister(state, canister, action);
  if (action.kind !== "delete") touch(state, canister);
}

const nodeAt = (number: number, key = 0): SubnetNode => ({
  nodeId: `0${number}`.repeat(29) as PrincipalId,
  publicKey: new Uint8Array(44).fill(number + key),
});

function actOnMetadata(state: SubnetState, action: Extract<Action, { kind: "nodes" | "hash" }>): void {
  if (action.kind === "nodes") state.nodes = action.nodes.map((number) => nodeAt(number, action.key));
  else state.prevStateHash = action.byte === undefined ? undefined : new Uint8Array(32).fill(action.byte);
}

function actOnCanister(state: SubnetState, canister: CanisterState, action: Action): void {
  if (action.kind === "install") install(state, canister, action.module);
  if (action.kind === "certify" && canister.execution !== undefined) canister.certifiedData = action.data;
  if (action.kind === "control") canister.settings.controllers = [...action.by].sort();
  if (action.kind !== "uninstall" && action.kind !== "delete") return;
  if (canister.execution !== undefined) state.modules.leave(canister.execution.moduleHash, canister.id);
  canister.execution = undefined;
  canister.certifiedData = new Uint8Array();
  if (action.kind === "delete") forgetCanister(state, canister.id);
}

test("the changes of each round lead to the tree that the state has from nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.array(action, { maxLength: 6 }), { maxLength: 12 }), (rounds) => {
      const state = emptyState();
      state.time = TIME;
      const canonical = new CanonicalTree();
      let tree = EMPTY_TREE;
      for (const actions of rounds) {
        state.height++;
        // As in a round: what has expired is forgotten at the end.
        for (const action of actions.toSorted((a, b) => Number(a.kind === "pass") - Number(b.kind === "pass"))) {
          act(state, action);
        }
        tree = applyChanges(tree, takeChanges(canonical, state));
        const anew = treeOf(state);
        // Shown only when they differ: the hashes decide, the leaves explain.
        if (toHex(rootHash(tree, sha256)) === toHex(rootHash(anew, sha256))) continue;
        assert.deepEqual(leavesOf(tree), leavesOf(anew));
        assert.fail("the same leaves, but another shape");
      }
    }),
    { numRuns: 300 },
  );
});

function leavesOf(tree: Subtree, path = ""): string[] {
  if (tree.kind === "leaf") return [`${path} = ${toHex(tree.value)}`];
  const walk = (node: Node): string[] =>
    node.kind === "labeled"
      ? leavesOf(node.child, `${path}/${utf8(node.label)}`)
      : [...walk(node.left), ...walk(node.right)];
  return tree.root === undefined ? [] : walk(tree.root);
}

test("the nodes of the subnet are those that the last batch named", () => {
  const state = emptyState();
  const canonical = new CanonicalTree();
  let tree = applyChanges(EMPTY_TREE, takeChanges(canonical, state));
  state.nodes = [nodeAt(2), nodeAt(3)];
  tree = applyChanges(tree, takeChanges(canonical, state));
  const base = ["subnet", principalToBytes(CONFIG.subnetId), "node"];
  assert.equal(below(tree, ...base).length, 2);
  for (const { nodeId, publicKey } of state.nodes)
    assert.deepEqual(at(tree, ...base, principalToBytes(nodeId), "public_key"), publicKey);
  assert.equal(at(tree, ...base, principalToBytes(ALICE), "public_key"), undefined, "it is no node any more");
});

test("a round without work changes the time and the height only", () => {
  const state = fullState();
  const canonical = new CanonicalTree();
  takeChanges(canonical, state);
  const changes = takeChanges(canonical, state);
  assert.deepEqual(
    changes.map(({ path }) => path.map(utf8)),
    [["time"], ["metadata", "height"]],
  );
});
