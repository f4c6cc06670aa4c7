// A subnet without a disk is the same subnet: the same batches lead to the same hashes as with one. And it keeps nothing
// but its state: rounds by the thousand leave no trace.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MemoryStorage } from "@atoll/state";
import type { CanisterId, IngressMessage } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import { batches, IDS, ingress, newSubnet, type Subnet } from "./subnet.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const heapBytes = (): number => {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

test("a state in memory only has the hashes of one on a disk", async () => {
  const memory = await newSubnet();
  const disk = await newSubnet({ storage: new MemoryStorage(), checkpointBatches: 7 });
  for (const batch of batches(1, 40)) {
    const [here, there] = [await memory.execute(batch), await disk.execute(batch)];
    assert.equal(here, there, `height ${batch.height}`);
  }
  assert.equal(memory.executor.durable.checkpointHeight, undefined);
  assert.ok(Number(disk.executor.durable.checkpointHeight) > 30);
  await memory.executor.stop();
  await disk.executor.stop();
});

test("rounds leave nothing behind", async () => {
  const subnet = await newSubnet();
  for (const batch of batches(2, 60)) await subnet.execute(batch);
  const call = (time: bigint): IngressMessage[] => [ingress(time, IDS[0] as CanisterId, "update", u.reply())];
  // An hour and more: charges are kept for so long.
  await idle(subnet, 4000, call);
  // The engine compiles and forgets now and then, so single rounds cannot be told apart.
  const before = heapBytes();
  await idle(subnet, 4000, call);
  const grown = heapBytes() - before;
  assert.ok(grown < 400_000, `${grown} bytes more after 4,000 rounds`);
  const { state } = subnet.executor.durable.machine;
  const kept = [...state.changedSinceCheckpoint, ...state.modules.takeChanges()];
  assert.deepEqual([...kept, ...state.ingressHistory.takeBucketChanges().keys()], []);
  await subnet.executor.stop();
});

test("an idle state takes next to nothing", async () => {
  const subnets: Subnet[] = [];
  const make = async (): Promise<void> => {
    const subnet = await newSubnet();
    await idle(subnet, 2);
    subnets.push(subnet);
  };
  for (let i = 0; i < 20; i++) await make();
  const before = heapBytes();
  for (let i = 0; i < 100; i++) await make();
  const each = (heapBytes() - before) / 100;
  assert.ok(each < 100_000, `${each} bytes for a subnet in which nothing happened`);
});

/** So many rounds, a second each: what was answered is forgotten on the way. */
async function idle(
  subnet: Subnet,
  rounds: number,
  content: (time: bigint) => IngressMessage[] = () => [],
): Promise<void> {
  const { state } = subnet.executor.durable.machine;
  for (let i = 0; i < rounds; i++) {
    const [height, time] = [state.height + 1, state.time + 1_000_000_000n];
    await subnet.execute({ height, time, randomness: new Uint8Array(32), ingress: content(time) });
  }
}
