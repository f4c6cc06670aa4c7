// Two nodes with threads of their own: one has executed, the other takes over its state and goes on from there, and its
// queries see what was taken over.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeEntropy } from "@atoll/host-node";
import { type ExecutedRound, type Executor, StateSync } from "@atoll/replica";
import { ANONYMOUS, type Batch, type Height, type PrincipalId, toHex } from "@atoll/types";
import * as u from "../../../packages/execution/test/canisters/universal.ts";
import { batches, CONFIG, IDS, ingress } from "../../../packages/replica/test/subnet.ts";
import { startQueryThread } from "../src/threads/query-calls.ts";
import { createThreadExecutor } from "../src/threads/thread-executor.ts";

const log = { log: () => undefined };
const INTERVAL = 5;

test("a node takes over the state of another one, and goes on", { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-"));
  const crashes: Error[] = [];
  const onCrash = (error: Error): void => void crashes.push(error);
  const queries = startQueryThread(onCrash);
  const open = (): Executor =>
    createThreadExecutor({
      config: CONFIG,
      rootKey: new Uint8Array(133).fill(7),
      storagePath: mkdtempSync(join(folder, "node-")),
      recording: undefined,
      subnetCount: 1,
      checkpointBatches: undefined,
      agreedCheckpoints: true,
      log,
      queries,
      onCrash,
    });
  const [one, other] = [open(), open()];
  try {
    const [first, second] = [hashesOf(one), hashesOf(other)];
    await one.start();
    await other.start();
    const history = agreed();
    for (const batch of history.slice(0, INTERVAL)) one.advance((await one.execute(batch)).height);
    const whole = await takeOver(other, one, INTERVAL, Buffer.from(await first(INTERVAL), "hex"));
    assert.equal(whole.height, INTERVAL);
    other.advance(INTERVAL);
    assert.deepEqual(await stored(other), [7]);
    for (const batch of history.slice(INTERVAL)) {
      const rounds = [await one.execute(batch), await other.execute(batch)] as const;
      assert.deepEqual(rounds[1].treeChanges, rounds[0].treeChanges);
      for (const executor of [one, other]) executor.advance(batch.height);
    }
    assert.deepEqual(await stored(other), [9]);
    assert.equal(await second(2 * INTERVAL), await first(2 * INTERVAL));
  } finally {
    await one.stop();
    await other.stop();
    await queries.stop();
    rmSync(folder, { recursive: true });
  }
  assert.deepEqual(crashes, []);
});

/** A checkpoint each fifth height; a byte in the stable memory of the first canister is 7, and later 9. */
function agreed(): Batch[] {
  const [id] = IDS as [PrincipalId];
  return [...batches(6, 2 * INTERVAL)].map((batch) => {
    if (batch.height <= 2) return batch;
    const program = u.seq(
      u.stableGrow(1),
      u.stableWrite(0, u.bytes(Uint8Array.of(batch.height < 6 ? 7 : 9))),
      u.reply(),
    );
    if (batch.height === 3 || batch.height === 7)
      return { ...batch, ingress: [ingress(batch.time, id, "update", program)] };
    return { ...batch, ingress: [], ...(batch.height % INTERVAL === 0 && { isCheckpoint: true }) };
  });
}

async function stored(executor: Executor): Promise<number[] | string> {
  const [receiver] = IDS as [PrincipalId];
  const arg = u.reply(u.stableRead(0, 1));
  const outcome = await executor.query({ sender: ANONYMOUS, receiver, methodName: "query", arg });
  return outcome.kind === "replied" ? [...outcome.reply] : outcome.kind;
}

/** Gives the state hash of a height, once it is there. */
function hashesOf(executor: Executor): (height: Height) => Promise<string> {
  const hashes = new Map<Height, ReturnType<typeof Promise.withResolvers<string>>>();
  const at = (height: Height) => {
    const known = hashes.get(height) ?? Promise.withResolvers<string>();
    hashes.set(height, known);
    return known;
  };
  executor.onStateHash = (height, hash) => at(height).resolve(toHex(hash));
  return (height) => at(height).promise;
}

async function takeOver(to: Executor, from: Executor, height: Height, hash: Uint8Array): Promise<ExecutedRound> {
  const ask = async (_: PrincipalId, question: Uint8Array): Promise<Uint8Array> => {
    const answer = await from.serveState(question);
    assert.ok(answer, "the other node has it");
    return answer;
  };
  const clock = { now: () => process.hrtime.bigint() };
  const peers = () => ["01".repeat(29) as PrincipalId];
  const sync = new StateSync({ executor: to, ask, peers, clock, entropy: nodeEntropy, log });
  await new Promise<void>((resolve) => {
    sync.onDone = () => resolve();
    sync.fetch(height, hash);
  });
  const whole = await sync.install();
  assert.ok(whole !== undefined && whole !== "later");
  return whole;
}
