// What the root subnet says of another one stands in every certificate of that one, so it is made seldom; and yet it is
// never old, and never says what is no longer so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@atoll/host-node/crypto-node";
import { type Path, type PrincipalId, principalToBytes, type TreeChange } from "@atoll/types";
import { certifiedState, NO_STATE, nextTree, type TreeAtHeight } from "../src/certified-tree.ts";
import { delegationSource } from "../src/delegation.ts";

const SUBNET = "0102030405" as PrincipalId;
const MINUTE = 60_000_000_000n;
const text = new TextEncoder();
const path = (...labels: string[]): Path => labels.map((label) => text.encode(label));
const field = (name: string): Path => [text.encode("subnet"), principalToBytes(SUBNET), text.encode(name)];

function rootSubnet() {
  let tree: TreeAtHeight = NO_STATE;
  let signatures = 0;
  const sign = (): Uint8Array => {
    signatures++;
    return new Uint8Array(48);
  };
  let state: ReturnType<typeof certifiedState> | undefined;
  return {
    state: () => state,
    signatures: () => signatures,
    next(time: bigint, changes: readonly TreeChange[] = []) {
      const treeChanges = [{ path: path("time"), value: text.encode(String(time)) }, ...changes];
      tree = nextTree(tree, { height: tree.height + 1, time, treeChanges });
      state = certifiedState(tree, sign, () => undefined, sha256);
    },
  };
}

const facts: readonly TreeChange[] = [
  { path: field("public_key"), value: Uint8Array.of(1) },
  { path: field("type"), value: Uint8Array.of(2) },
  { path: field("canister_ranges"), value: Uint8Array.of(3) },
  {
    path: [text.encode("canister_ranges"), principalToBytes(SUBNET), Uint8Array.of(0)],
    value: Uint8Array.of(3),
  },
];

test("there is none before the root subnet knows the subnet", () => {
  const root = rootSubnet();
  const delegation = delegationSource(root.state, SUBNET);
  assert.equal(delegation("flat"), undefined);
  root.next(1n);
  assert.equal(delegation("flat"), undefined);
  root.next(2n, facts);
  assert.ok(delegation("flat"));
  root.next(3n, [{ path: [text.encode("subnet"), principalToBytes(SUBNET)], value: null }]);
  assert.equal(delegation("flat"), undefined);
});

test("one serves for a minute, in each style", () => {
  const root = rootSubnet();
  const delegation = delegationSource(root.state, SUBNET);
  root.next(1n, facts);
  const first = (["flat", "sharded", "none"] as const).map((style) => delegation(style)?.certificate);
  assert.equal(new Set(first.map((bytes) => bytes?.join())).size, 3);
  for (let time = 2n; time < MINUTE; time += MINUTE / 10n) {
    root.next(time);
    for (const [i, style] of (["flat", "sharded", "none"] as const).entries()) {
      assert.equal(delegation(style)?.certificate, first[i]);
    }
  }
  assert.equal(root.signatures(), 1);
  root.next(MINUTE + 1n);
  assert.notDeepEqual(delegation("flat")?.certificate, first[0]);
  assert.equal(root.signatures(), 2);
});

test("one that is no longer so is replaced at once", () => {
  const root = rootSubnet();
  const delegation = delegationSource(root.state, SUBNET);
  root.next(1n, facts);
  const before = delegation("sharded")?.certificate;
  root.next(2n, [{ path: field("canister_ranges"), value: Uint8Array.of(4) }]);
  const after = delegation("sharded")?.certificate;
  assert.notDeepEqual(after, before);
  assert.equal(delegation("sharded")?.certificate, after);
});
