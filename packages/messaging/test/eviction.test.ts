// Live instances are a cache: machines with room for all of them, for two, for one, or for a few pages execute the same
// random batches and answer the same queries, and agree on every byte that a checkpoint holds, on the certified root,
// on instructions and on answers. One of them is stopped and started from its checkpoint every few rounds as well.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstancePool, InstancePoolOptions } from "@atoll/embedder";
import { describeWholeState } from "@atoll/messaging";
import {
  applyChanges,
  CheckpointStore,
  Checkpoints,
  EMPTY_TREE,
  type Labels,
  MemoryStorage,
  rootHash,
} from "@atoll/state";
import { type CanisterId, canisterIdFromIndex, type IngressMessage, MANAGEMENT_CANISTER, toHex } from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import { wat } from "../../execution/test/canisters/wat.ts";
import { sha256 } from "../../execution/test/management/subnet.ts";
import * as s from "../../execution/test/semantics/machine.ts";

const PAGE = 4096;
const POOLS: readonly InstancePoolOptions[] = [
  {},
  { maxInstances: 1, maxModules: 1 },
  { maxInstances: 2 },
  { maxBytes: 6 * PAGE },
];
const IDS = Array.from({ length: 5 }, (_, i) => canisterIdFromIndex(BigInt(0x10 + i)));

/** Forgets a passive segment, keeps a table, has globals of all kinds and data in the middle of nowhere. */
const ODD = wat(`
  (module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (memory 3)
    (data $once "once")
    (data (i32.const 70000) "here")
    (global $a (mut i32) (i32.const -1))
    (global $b (mut i64) (i64.const -2))
    (global $c (mut f64) (f64.const -0.0))
    (global $d (mut f32) (f32.const nan))
    (func $step
      (global.set $a (i32.add (global.get $a) (i32.const 7)))
      (global.set $b (i64.mul (global.get $b) (i64.const 3)))
      (global.set $c (f64.add (global.get $c) (f64.const 0.1)))
      (memory.init $once (i32.const 4094) (i32.const 0) (i32.const 4))
      (data.drop $once)
      (i32.store (i32.const 0) (global.get $a))
      (i64.store (i32.const 8190) (global.get $b))
      (f64.store (i32.const 16) (global.get $c))
      (f32.store (i32.const 24) (global.get $d)))
    (func $tell (call $append (i32.const 0) (i32.const 8200)) (call $reply))
    (func (export "canister_update update") (call $step) (call $tell))
    (func (export "canister_update bad") (call $step) (unreachable))
    (func (export "canister_update peek") (call $tell))
    (func (export "canister_query query") (call $step) (call $tell))
    (func (export "canister_query look") (call $tell)))`);

interface Subnet {
  m: s.Machine;
  tree: Labels;
  readonly pools: s.Pools;
  readonly storage: MemoryStorage;
  checkpoints: Checkpoints;
}

function newSubnet(pools: s.Pools): Subnet {
  const storage = new MemoryStorage();
  const m = s.newMachine({}, pools);
  const checkpoints = new Checkpoints(CheckpointStore.open(storage));
  return { m, tree: applyChanges(EMPTY_TREE, m.last.treeChanges), pools, storage, checkpoints };
}

/** The process ends and another one goes on from the checkpoint. */
function restart(subnet: Subnet): void {
  const { height, time } = subnet.m;
  subnet.m = s.newMachine({}, subnet.pools, { isEmpty: true });
  subnet.checkpoints = new Checkpoints(CheckpointStore.open(subnet.storage));
  subnet.checkpoints.load(subnet.m.machine.state);
  Object.assign(subnet.m, { height, time });
  const whole = describeWholeState(subnet.m.machine);
  subnet.m.queries.apply(whole.delta);
  assert.equal(hashOf(applyChanges(EMPTY_TREE, whole.treeChanges)), hashOf(subnet.tree), "the tree after a restart");
}

const hashOf = (tree: Labels): string => toHex(rootHash(tree, sha256));

function disk({ storage }: Subnet): string {
  return storage
    .list()
    .map((name) => `${name} ${toHex(sha256(storage.read(name, 0, storage.size(name) ?? 0)))}`)
    .join("\n");
}

/** One batch on all of them; they must agree on everything that comes out of it. */
function roundOnAll(subnets: readonly Subnet[], ingress: readonly IngressMessage[]): void {
  const outputs = subnets.map((subnet) => {
    const output = s.round(subnet.m, ingress);
    subnet.tree = applyChanges(subnet.tree, output.treeChanges);
    subnet.checkpoints.save(subnet.m.machine.state);
    const { instructions, hasMoreWork, wakeAt, events } = output;
    return { instructions, hasMoreWork, wakeAt, events, root: hashOf(subnet.tree), disk: disk(subnet) };
  });
  for (const output of outputs.slice(1)) assert.deepEqual(output, outputs[0]);
}

// --- the workload ---

type Random = (below: number) => number;
const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

const topOfHeap = (): u.Code => u.mul(u.memorySize(), u.int(65_536));

function step(random: Random, depth: number): u.Code {
  const byte = 1 + random(255);
  const size = u.int(1 + random(3 * PAGE));
  switch (random(depth > 0 ? 11 : 9)) {
    case 0:
      return u.setSlot(random(8), u.add(u.getSlot(random(8)), u.int(byte)));
    case 1:
      return u.seq(u.memoryGrow(u.int(random(3))), u.op("drop"));
    case 2:
      return u.fill(u.sub(topOfHeap(), size), byte, size);
    case 3:
      return u.stableGrow(random(3));
    case 4:
      return u.stableWrite(random(2 * 65_536), u.repeated(byte, size));
    case 5:
      return u.setBlobSlot(10, u.repeated(byte, size));
    case 6:
      return u.certifiedDataSet(u.bytes(Uint8Array.of(byte)));
    case 7:
      return u.seq(u.storeProgram("globalTimer", u.setSlot(9, u.time())), u.globalTimerSet(u.add(u.time(), u.int(1))));
    case 8:
      return u.debugPrint(`line ${byte}`);
    default: {
      const method = pick(random, ["update", "update", "query"]);
      const arg = u.bytes(program(random, depth - 1));
      const onReply = u.seq(u.setSlot(8, u.int(byte)), pick(random, [u.reply(u.argData()), u.unreachable()]));
      return u.call({ callee: s.idBytes(pick(random, IDS)), method, arg, onReply });
    }
  }
}

const tell = (): u.Code => {
  const slots = Array.from({ length: 10 }, (_, slot) => u.le64(u.getSlot(slot)));
  const heap = u.le64(u.load8(u.sub(topOfHeap(), u.int(1))));
  return u.reply(u.concat(u.le64(u.memorySize()), u.le64(u.stableSize()), heap, ...slots));
};

function program(random: Random, depth: number): u.Code {
  const steps = Array.from({ length: 1 + random(4) }, () => step(random, depth));
  const ends = [tell(), tell(), tell(), u.reject("no"), u.trap("no"), u.unreachable(), u.reply(u.getBlobSlot(10))];
  return u.seq(...steps, pick(random, ends));
}

function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function setUp(subnets: readonly Subnet[]): void {
  const { m } = subnets[0] as Subnet;
  const create = { amount: [10n ** 15n], settings: [s.NO_SETTINGS], specified_id: [], sender_canister_version: [] };
  const method = "provisional_create_canister_with_cycles";
  const make = IDS.map((id) => s.message(m, MANAGEMENT_CANISTER, method, s.candid(method, create), { effective: id }));
  roundOnAll(subnets, make);
  const modules = [s.universal({ width: 32 }), s.universal({ width: 64 }), ODD];
  const install = IDS.map((id, i) => {
    const value = { mode: { install: null }, wasm_module: modules[i % 3], arg: new Uint8Array() };
    const arg = s.candid("install_code", { ...value, ...s.onCanister(id), sender_canister_version: [] });
    return s.message(m, MANAGEMENT_CANISTER, "install_code", arg, { effective: id });
  });
  roundOnAll(subnets, install);
  for (const id of IDS) assert.notEqual(s.canisterOf(m, id).execution, undefined);
}

function queriesOnAll(subnets: readonly Subnet[], random: Random): number {
  let replies = 0;
  for (let left = random(4); left > 0; left--) {
    const method = pick(random, ["query", "query", "look"]);
    const id: CanisterId = pick(random, method === "query" ? IDS : IDS.slice(2, 3));
    const arg = program(random, 0);
    const answers = subnets.map(({ m }) => s.query(m, id, arg, { method }));
    for (const answer of answers.slice(1)) assert.deepEqual(answer, answers[0]);
    if (answers[0]?.kind === "replied") replies++;
  }
  return replies;
}

test("what is kept alive changes no result", () => {
  let replies = 0;
  let answered = 0;
  const run = (seed: number): void => {
    const random = randomFrom(seed);
    const subnets = POOLS.map((execution, i) => newSubnet({ execution, queries: POOLS.at(-i) ?? {} }));
    setUp(subnets);
    const { m } = subnets[0] as Subnet;
    const sent: IngressMessage[] = [];
    for (let round = 0; round < 6; round++) {
      const messages = Array.from({ length: random(5) }, () => {
        const name = pick(random, ["update", "update", "update", "bad", "peek"]);
        const id = pick(random, name === "update" ? IDS : IDS.slice(2, 3));
        return s.message(m, id, name, program(random, 2));
      });
      sent.push(...messages);
      roundOnAll(subnets, messages);
      answered += queriesOnAll(subnets, random);
      if (round % 2 === 1) restart(subnets[2] as Subnet);
    }
    replies += sent.filter((each) => s.statusOf(m, each)?.state === "replied").length;
    const [all, one] = subnets.map((subnet) => subnet.m.machine.pool) as [InstancePool, InstancePool];
    assert.ok(all.size > one.size, "the caches do differ");
  };
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 }), run), { numRuns: Number(process.env.RUNS ?? 12) });
  assert.ok(replies > 30 && answered > 10, `${replies} replies, ${answered} answered queries`);
});
