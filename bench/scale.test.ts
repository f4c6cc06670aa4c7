// Many canisters on one subnet: a round costs what it touches, idle ones are left alone, timers and heartbeats of a
// tenth each run, and a start brings all of them back. 100 canisters here; the figures of ten thousand are printed by
//   CANISTERS=10000 bin/node --expose-gc --test bench/scale.test.ts
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import { createNodeCrypto, nodeEntropy } from "@atoll/host-node";
import { NodeStorage } from "@atoll/host-node/storage-node";
import { makeSecrets } from "@atoll/replica";
import { type CanisterId, toHex } from "@atoll/types";
import { wat } from "../packages/execution/test/canisters/wat.ts";
import { ownCpu } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";

const CANISTERS = Number(process.env.CANISTERS ?? 100);
const TENTH = CANISTERS / 10;
const NOTHING = new Uint8Array();

const COUNT = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
const canister = (exports: string): Uint8Array =>
  wat(`(module
    (import "ic0" "global_timer_set" (func $set (param i64) (result i64)))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (memory 1)
    (data (i32.const 8192) "something")
    (func (export "canister_update inc") ${COUNT} (call $append (i32.const 0) (i32.const 4)) (call $reply))
    ${exports})`);
const PLAIN = canister("");
const BEATING = canister(`(func (export "canister_heartbeat") ${COUNT})`);
const TIMED = canister(`
  (func (export "canister_init") (drop (call $set (i64.const 9000000000000000000))))
  (func (export "canister_update wake") (drop (call $set (i64.const 1))) (call $reply))
  (func (export "canister_global_timer") ${COUNT})`);

const folder = mkdtempSync(join(tmpdir(), "atoll-scale-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const secrets = makeSecrets(nodeEntropy, await createNodeCrypto());
const open = (): Promise<BenchSubnet> => BenchSubnet.create({ storage: new NodeStorage(folder), secrets });

function megabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 1024 ** 2;
}

async function measured<T>(t: TestContext, what: string, act: () => Promise<T>): Promise<T> {
  const [cpu, memory] = [ownCpu(), megabytes()];
  const result = await act();
  const milliseconds = (ownCpu() - cpu) / 1000;
  t.diagnostic(`${what}: ${milliseconds.toFixed(1)} ms of CPU, ${(megabytes() - memory).toFixed(0)} MiB more`);
  return result;
}

const counter = (subnet: BenchSubnet, id: CanisterId): number => {
  const page = subnet.machine.state.canisters.get(id)?.execution?.heap.read(0);
  return page === undefined ? 0 : new DataView(page.buffer, page.byteOffset).getInt32(0, true);
};

/** Canisters that the readers are told of in a round of these messages. */
async function touchedBy(subnet: BenchSubnet, ...round: Parameters<BenchSubnet["round"]>): Promise<number> {
  const before = subnet.tree;
  await subnet.round(...round);
  assert.notEqual(subnet.tree, before);
  return subnet.lastRound?.access.canisters.length ?? 0;
}

describe(`${CANISTERS} canisters`, () => {
  let subnet: BenchSubnet;
  let plain: CanisterId[] = [];
  let timed: CanisterId[] = [];
  let beating: CanisterId[] = [];

  test("are created and installed", async (t) => {
    subnet = await open();
    plain = await measured(t, "idle ones", () => subnet.deploy(CANISTERS - 2 * TENTH, PLAIN));
    timed = await measured(t, "with timers", () => subnet.deploy(TENTH, TIMED));
    assert.equal(subnet.machine.state.canisters.size, CANISTERS - TENTH);
  });

  test("are left alone by a round that is not about them", async (t) => {
    assert.equal(await touchedBy(subnet, []), 0);
    const id = plain[7] as CanisterId;
    assert.equal(await touchedBy(subnet, [subnet.message(id, "inc", NOTHING)]), 1);
    assert.equal(counter(subnet, id), 1);
    await measured(t, "100 empty rounds", async () => {
      for (let i = 0; i < 100; i++) await subnet.round([]);
    });
  });

  test("have their timers in one round", async (t) => {
    await subnet.call(timed.map((id) => subnet.message(id, "wake", NOTHING)));
    await measured(t, `a round of ${TENTH} timers`, () => subnet.round([]));
    for (let i = 0; i < 5; i++) await subnet.round([]);
    assert.ok(timed.every((id) => counter(subnet, id) === 1));
    assert.equal(await touchedBy(subnet, []), 0, "they sleep again");
  });

  test("have their heartbeats round by round; that alone is no reason for a checkpoint", async (t) => {
    beating = await subnet.deploy(TENTH, BEATING);
    subnet.executor.durable.checkpoint();
    const { height } = subnet.machine.state;
    const before = beating.map((id) => counter(subnet, id));
    const rounds = Math.ceil(2000 / TENTH);
    await measured(t, `${rounds} rounds of ${TENTH} heartbeats`, async () => {
      for (let i = 0; i < rounds; i++) await subnet.round([]);
    });
    assert.ok(beating.every((id, i) => counter(subnet, id) === (before[i] as number) + rounds));
    assert.equal(subnet.executor.durable.checkpointHeight, height);
  });

  test("are all there after a start", async (t) => {
    const root = toHex(subnet.rootHash());
    const { time } = subnet.machine.state;
    await measured(t, "a checkpoint", () => subnet.executor.stop());
    const again = await measured(t, "the start", open);
    assert.equal(again.machine.state.canisters.size, CANISTERS);
    assert.equal(again.machine.state.time, time);
    assert.equal(toHex(again.rootHash()), root);
    const id = plain[7] as CanisterId;
    await again.call([again.message(id, "inc", NOTHING)]);
    assert.equal(counter(again, id), 2);
    await again.executor.stop();
  });
});
