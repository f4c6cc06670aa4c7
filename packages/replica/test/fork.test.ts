// A fork is a second subnet with the same history: given the same batches it stays equal to the byte, given others it
// is what a subnet with that history is, whatever its parent, its own forks and its siblings do, and whoever of them
// has gone. Queries answer from it alone, and a thousand of them leave no trace.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MemoryStorage } from "@atoll/state";
import { ANONYMOUS, type Batch, type CanisterId, EnvironmentError, type IngressMessage } from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import {
  batchAt,
  batches,
  fingerprint,
  IDS,
  ingress,
  newSubnet,
  type Random,
  randomFrom,
  type Subnet,
  shown,
  spin,
  subnetOf,
} from "./subnet.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

interface Branch {
  readonly subnet: Subnet;
  readonly history: Batch[];
  readonly hashes: string[];
}

const fork = ({ executor, whole, tree }: Subnet): Subnet => subnetOf(executor.fork(), whole, tree);

const forkBranch = ({ subnet, history, hashes }: Branch): Branch => {
  return { subnet: fork(subnet), history: [...history], hashes: [...hashes] };
};

async function execute(branch: Branch, batch: Batch): Promise<void> {
  branch.history.push(batch);
  branch.hashes.push(await branch.subnet.execute(batch));
}

/** What each canister answers to somebody who reads its memory. */
async function answers({ executor }: Subnet): Promise<string> {
  // It grows a memory that is too small; no query leaves a trace.
  const arg = u.seq(u.stableGrow(1), u.reply(u.stableRead(0, 65_000)));
  const all = IDS.map((id) => executor.query({ sender: ANONYMOUS, receiver: id, methodName: "query", arg }));
  return shown(await Promise.all(all));
}

async function assertEqual(one: Branch, other: Branch, what: string): Promise<void> {
  assert.deepEqual(one.hashes, other.hashes, what);
  assert.equal(fingerprint(one.subnet), fingerprint(other.subnet), what);
  assert.equal(await answers(one.subnet), await answers(other.subnet), what);
}

async function scenario(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const next = ({ history }: Branch): Batch => batchAt(random, history.length + 1);
  let branches: Branch[] = [{ subnet: await newSubnet(), history: [], hashes: [] }];
  for (let i = 0; i < 6; i++) await execute(branches[0] as Branch, next(branches[0] as Branch));
  for (let i = 0; i < 40; i++) {
    const branch = branches[random(branches.length)] as Branch;
    switch (random(4)) {
      case 0: {
        const child = forkBranch(branch);
        await assertEqual(child, branch, `seed ${seed}: a fork`);
        for (let k = random(4); k > 0; k--) {
          const batch = next(branch);
          for (const each of random(2) === 0 ? [branch, child] : [child, branch]) await execute(each, batch);
          await assertEqual(child, branch, `seed ${seed}: the same batches`);
        }
        branches.push(child);
        break;
      }
      case 1:
        if (branches.length < 4) break;
        await branch.subnet.executor.stop();
        branches = branches.filter((each) => each !== branch);
        break;
      default:
        await execute(branch, next(branch));
    }
  }
  for (const branch of branches) {
    const fresh: Branch = { subnet: await newSubnet(), history: [], hashes: [] };
    for (const batch of branch.history) await execute(fresh, batch);
    await assertEqual(branch, fresh, `seed ${seed}: the same history`);
  }
}

describe("a fork", () => {
  test("and its parent go the same way with the same batches, and their own with others", async () => {
    const runs = Number(process.env.RUNS ?? 5);
    const property = fc.asyncProperty(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 })), scenario);
    await fc.assert(property, { numRuns: runs, seed: Number(process.env.SEED ?? 20_261_121) });
  });

  test("of a state on disk lives in memory, and the disk does not notice", async () => {
    const disk = await newSubnet({ storage: new MemoryStorage(), checkpointBatches: 5 });
    const all = [...batches(3, 30)];
    for (const batch of all.slice(0, 12)) await disk.execute(batch);
    const child = fork(disk);
    for (const batch of all.slice(12)) assert.equal(await child.execute(batch), await disk.execute(batch));
    assert.equal(child.executor.durable.checkpointHeight, undefined);
  });

  test("tells its whole state to who starts it", async () => {
    const subnet = await newSubnet();
    const all = [...batches(4, 24)];
    for (const batch of all.slice(0, 12)) await subnet.execute(batch);
    const executor = subnet.executor.fork();
    const whole = await executor.start();
    executor.advance(whole.height);
    const child = subnetOf(executor, whole);
    for (const batch of all.slice(12)) assert.equal(await child.execute(batch), await subnet.execute(batch));
    assert.equal(await answers(child), await answers(subnet));
  });

  test("begins long executions again; its parent goes on with them", async () => {
    const slices = { slice: 100_000, operation: 400_000 };
    const random = randomFrom(5);
    const all = [...batches(5, 2)];
    const subnet = await newSubnet({ slices });
    for (const batch of all) await subnet.execute(batch);
    const time = (all[1] as Batch).time;
    const at = (height: number, messages: IngressMessage[] = []): Batch => {
      const ns = BigInt(height) * 1_000_000_000n;
      return { height, time: time + ns, randomness: new Uint8Array(32), ingress: messages };
    };
    const message = ingress(time, IDS[0] as CanisterId, "update", u.seq(spin(random, 20), u.reply()));
    await subnet.execute(at(3, [message]));
    for (const height of [4, 5]) await subnet.execute(at(height));
    const statusOf = ({ executor }: Subnet): string | undefined =>
      executor.durable.machine.state.ingressHistory.get(message.requestId)?.status.state;
    assert.equal(subnet.executor.durable.machine.long.size, 1);
    const [one, other] = [fork(subnet), fork(subnet)];
    let ends: number[] = [];
    for (let height = 6; ends.length < 3 && height < 200; height++) {
      const [first, second] = [await one.execute(at(height)), await other.execute(at(height))];
      assert.equal(first, second, "two forks of one moment are equal");
      await subnet.execute(at(height));
      ends = [subnet, one, other].flatMap((each) => (statusOf(each) === "replied" ? [height] : []));
    }
    assert.equal(ends.length, 3);
    // As after a checkpoint: a node that is told to begin again at that height is equal to the forks.
    const node = await newSubnet({ slices });
    const again = [...all, at(3, [message]), at(4), { ...at(5), isCheckpoint: true }];
    for (const batch of again) await node.execute(batch);
    for (let height = 6; height <= one.executor.durable.machine.state.height; height++) await node.execute(at(height));
    assert.equal(fingerprint(node), fingerprint(one));
    assert.equal(fingerprint(other), fingerprint(one));
  });

  test("cannot be made of what was stopped, nor asked", async () => {
    const subnet = await newSubnet();
    await subnet.executor.stop();
    assert.throws(() => subnet.executor.fork(), EnvironmentError);
    await assert.rejects(answers(subnet), EnvironmentError);
  });
});

describe("forks by the thousand", () => {
  const heapBytes = (): number => {
    collectGarbage();
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };

  for (const [how, isStopped] of [
    ["stopped", true],
    ["forgotten", false],
  ] as const) {
    test(`leave nothing behind when they are ${how}`, async () => {
      const random: Random = randomFrom(6);
      const subnet = await newSubnet();
      let height = 0;
      const next = async (): Promise<void> => {
        await subnet.execute(batchAt(random, ++height));
      };
      while (height < 30) await next();
      const make = async (): Promise<void> => {
        const child = fork(subnet);
        if (height % 3 === 0) await child.execute(batchAt(randomFrom(height), height + 1));
        if (isStopped) await child.executor.stop();
      };
      const thousand = async (): Promise<number> => {
        for (let i = 0; i < 1000; i++) {
          if (i % 10 === 0) await next();
          await make();
        }
        return heapBytes();
      };
      const before = await thousand();
      const grown = (await thousand()) - before;
      assert.ok(grown < 4_000_000, `${grown} bytes more after 1,000 forks`);
    });
  }
});
