// Long executions on an engine that cannot suspend a Wasm stack: all that is said of them in long-executions.test.ts
// holds there too, and the state is the same after every round.
import { giveSuspension, takeSuspension } from "./engine-without-suspension.ts";
import "./long-executions.test.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyChanges, EMPTY_TREE, type Labels, rootHash } from "@atoll/state";
import { type CanisterId, type IngressMessage, MANAGEMENT_CANISTER, toHex } from "@atoll/types";
import { wat } from "../canisters/wat.ts";
import { sha256 } from "../management/subnet.ts";
import {
  candid,
  createCanister,
  install,
  type Machine,
  message,
  newMachine,
  principal,
  replyOf,
  roundAfterSlice,
} from "./machine.ts";

/** Counts to 200,000, keeps the sum, and answers or traps. */
const count = (start: string): Uint8Array =>
  wat(`
  (module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
    (memory 1)
    (func $count
      (local $left i32)
      (local.set $left (i32.const 200000))
      (loop $again
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $left)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $certify (i32.const 0) (i32.const 4)))
    (func (export "canister_update count") (call $count) (call $reply))
    (func (export "canister_update trap") (call $count) (unreachable))
    (func (export "canister_init") ${start}))`);
const COUNT = count("");
const COUNT_AT_START = count("(call $count)");

const ROUNDS = 90;

interface Followed {
  readonly m: Machine;
  readonly ids: readonly CanisterId[];
  tree: Labels;
}

/** Three canisters, the last without code. */
function prepare(): Followed {
  const m = newMachine({}, { long: { slices: { slice: 100_000, operation: 100_000 } } });
  const ids = [createCanister(m), createCanister(m), createCanister(m)];
  for (const id of ids.slice(0, 2)) replyOf(install(m, id, COUNT));
  return { m, ids, tree: EMPTY_TREE };
}

async function follow(followed: Followed, messages: readonly IngressMessage[]): Promise<string> {
  const { instructions, treeChanges } = await roundAfterSlice(followed.m, messages);
  followed.tree = applyChanges(followed.tree, treeChanges);
  return `${toHex(rootHash(followed.tree, sha256))} after ${instructions} instructions`;
}

function busyMessages({ m, ids }: Followed): IngressMessage[] {
  const [a, b, c] = ids as [CanisterId, CanisterId, CanisterId];
  const nothing = new Uint8Array();
  const code = {
    mode: { reinstall: null },
    canister_id: principal(c),
    wasm_module: COUNT_AT_START,
    arg: nothing,
    sender_canister_version: [],
  };
  return [
    message(m, a, "count", nothing),
    message(m, b, "trap", nothing),
    message(m, MANAGEMENT_CANISTER, "install_code", candid("install_code", code), { effective: c }),
  ];
}

test("the state is the same after every round as where stacks are suspended", async () => {
  const [without, suspended] = [prepare(), prepare()];
  const hashes = new Set<string>();
  for (let i = 0; i < ROUNDS; i++) {
    const messages = i % 45 === 0 ? busyMessages(without) : [];
    assert.equal((WebAssembly as { Suspending?: unknown }).Suspending, undefined);
    const hash = await follow(without, messages);
    giveSuspension();
    const expected = await follow(suspended, messages);
    takeSuspension();
    assert.equal(hash, expected, `round ${i}`);
    assert.equal(without.m.machine.long.size, suspended.m.machine.long.size, `round ${i}`);
    if (without.m.machine.long.size > 0) hashes.add(hash);
  }
  assert.ok(hashes.size > ROUNDS / 2, `${hashes.size} rounds with long executions`);
});
