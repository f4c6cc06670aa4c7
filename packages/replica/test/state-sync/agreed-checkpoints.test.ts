// Nodes with the same batches have the same state hashes, whatever else happened to them: restarts in order and out of
// order, states taken over from others, long absences. And who took over a state goes on like those who computed it.
// Consensus and chain-key facts, section 11.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { sha256 } from "@atoll/host-node";
import { CheckpointStore, type CheckpointView, ManifestKeeper } from "@atoll/state";
import { MachineStopped } from "@atoll/state/store/memory-storage";
import { toHex } from "@atoll/types";
import fc from "fast-check";
import { randomFrom } from "../subnet.ts";
import { agreedBatches, honest, peersOf, syncTo, TestNode } from "./nodes.ts";

const INTERVAL = 6;

test("state hashes are equal on all nodes, whatever their histories", async () => {
  const seen = { syncs: 0, hashes: 0, restarts: 0, crashes: 0 };
  const property = fc.asyncProperty(fc.noShrink(fc.integer({ min: 0, max: 2 ** 30 })), async (seed) => {
    const random = randomFrom(seed);
    const history = agreedBatches(seed, 30, INTERVAL);
    const steady = await new TestNode().start();
    const restless = await new TestNode().start();
    let joins = await new TestNode().start();
    for (const { height } of history) {
      const root = await steady.execute(history, height);
      assert.equal(
        await executeThroughCrashes(restless, history, height, random, seen),
        root,
        `seed ${seed}, ${height}`,
      );
      if (random(3) === 0) {
        await restless.restart(random(2) === 0 ? "stop" : "kill");
        seen.restarts++;
      }
      if (height % INTERVAL !== 0) continue;
      assert.equal(restless.hashes.get(height), steady.hashes.get(height), `seed ${seed}, state hash of ${height}`);
      if (joins.height >= height) {
        assert.equal(joins.hashes.get(height), steady.hashes.get(height), `seed ${seed}, of who joined, ${height}`);
        seen.hashes++;
      } else {
        await syncTo(joins, height, steady.hashAt(height), peersOf(honest(steady), honest(restless)));
        seen.syncs++;
        assert.equal(hashAnew(joins), steady.hashes.get(height), `seed ${seed}, what was taken over at ${height}`);
      }
      if (random(4) === 0) joins = await new TestNode().start();
      // From now on by itself, for a while or until the next checkpoint.
      else assert.ok(await joins.execute(history, height + random(2 * INTERVAL)));
      if (joins.height === steady.height) assert.equal(await joins.execute([]), root, `seed ${seed}, the tree`);
    }
  });
  await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 3), seed: Number(process.env.SEED ?? 5) });
  assert.ok(seen.syncs > 3 && seen.hashes > 3 && seen.restarts > 5 && seen.crashes > 3, JSON.stringify(seen));
});

/** Of what is on the disk, made from nothing. */
function hashAnew({ storage }: TestNode): string {
  const store = CheckpointStore.open(storage.clone(), { crc32 });
  const steps = new ManifestKeeper(sha256).manifest(store.view() as CheckpointView);
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return toHex(step.value.root);
}

/** Now and then the machine stops in the middle of an operation on the disk. */
async function executeThroughCrashes(
  node: TestNode,
  history: Parameters<TestNode["execute"]>[0],
  to: number,
  random: (below: number) => number,
  seen: { crashes: number },
): Promise<string> {
  const before = node.height;
  if (random(4) === 0) node.storage.stopAfter(random(12), random);
  try {
    return await node.execute(history, to);
  } catch (error) {
    if (!(error instanceof MachineStopped)) throw error;
    seen.crashes++;
    node.storage.crash({ keep: random(2) === 0 ? "all" : "torn", random });
    await node.restart("kill");
    assert.ok(node.height >= before);
    return await node.execute(history, to);
  } finally {
    node.storage.stopAfter(Number.MAX_SAFE_INTEGER, random);
  }
}
