// A node that ends while it fetches a state goes on where it was: what is whole on its disk is not asked for again, what is not is,
// whatever a crash has left of it and whoever lies meanwhile; and nothing of it stays. Consensus and chain-key facts, 11.3.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { MachineStopped, type MemoryStorage } from "@atoll/state/store/memory-storage";
import { type Batch, EnvironmentError } from "@atoll/types";
import { decodeChunks, decodeRequest, encodeChunks } from "../../src/state-sync/messages.ts";
import { randomFrom } from "../subnet.ts";
import { bulkyBatches, MIB } from "./bulky-batches.ts";
import { type Answer, fetching, peersOf, TestNode } from "./nodes.ts";

let history: Batch[];
let source: TestNode;
/** Bytes of all chunks of the state of height 6, as a node without any state asks for them. */
let whole = 0;

before(async () => {
  history = bulkyBatches();
  source = await new TestNode().start();
  await source.execute(history, 6);
  const all = counting();
  await finish(await new TestNode().start(), 6, all.answer);
  whole = all.bytes();
  assert.ok(whole > 8 * MIB);
});

/** The honest peer, which gives so many bytes of chunks and no more. */
function counting(most = Number.POSITIVE_INFINITY) {
  const names: string[] = [];
  let bytes = 0;
  const answer: Answer = async (question) => {
    const request = decodeRequest(question);
    if (request?.kind !== "chunks") return source.executor.serveState(question);
    if (bytes >= most) return undefined;
    const found = await source.executor.serveState(question);
    bytes += found?.length ?? 0;
    if (found !== undefined) names.push(...request.chunks.map(({ path, offset }) => `${path} ${offset}`));
    return found;
  };
  return { answer, names, bytes: () => bytes };
}

async function finish(node: TestNode, height: number, ...answers: Answer[]): Promise<void> {
  const { sync, finish: finished } = fetching(node, peersOf(...answers));
  sync.fetch(height, source.hashAt(height));
  await finished();
  const taken = await sync.install();
  assert.ok(taken !== undefined && taken !== "later");
  await node.take(taken);
  assert.deepEqual(left(node.storage), []);
}

/** A node that has some of the state of height 6. */
async function interrupted(most = 4 * MIB, node?: TestNode) {
  const begun = node ?? (await new TestNode().start());
  const first = counting(most);
  const { sync, finish: finished } = fetching(begun, peersOf(first.answer));
  sync.fetch(6, source.hashAt(6));
  await assert.rejects(finished(2));
  return { node: begun, ...first };
}

const left = (storage: MemoryStorage): string[] => storage.list().filter((name) => name.startsWith("fetched-"));

test("what is here is not asked for again", async () => {
  const { node, names, bytes } = await interrupted();
  assert.ok(bytes() > 3 * MIB);
  await node.restart("kill");
  const second = counting();
  await finish(node, 6, second.answer);
  assert.deepEqual(
    second.names.filter((name) => names.includes(name)),
    [],
  );
  assert.ok(second.bytes() <= whole - bytes() + 1000, `${bytes()} and ${second.bytes()} of ${whole}`);
  await node.execute(history, 12);
  const steady = await new TestNode().start();
  await steady.execute(history, 12);
  assert.equal(node.hashes.get(12), steady.hashes.get(12));
});

test("a damaged chunk is asked for again, and no other", async () => {
  const { node, bytes } = await interrupted();
  const [name = ""] = left(node.storage);
  const content = node.storage.read(name, 0, node.storage.size(name) ?? 0);
  const middle = content.length >> 1;
  content[middle] = (content[middle] ?? 0) ^ 1;
  node.storage.replace(name, content);
  await node.restart("kill");
  const second = counting();
  await finish(node, 6, second.answer);
  assert.ok(second.bytes() < whole - bytes() + 1.2 * MIB, `${bytes()} and ${second.bytes()} of ${whole}`);
});

test("files of which nothing is to be read are of no use and do no harm", async () => {
  const { node } = await interrupted();
  for (const [i, bytes] of [new Uint8Array(), new Uint8Array(5e6), new Uint8Array(3000).fill(255)].entries())
    node.storage.replace(`fetched-0000000${i}.chunks`, bytes);
  await node.restart("kill");
  await finish(node, 6, counting().answer);
});

test("a file that the disk does not give back keeps no state from being fetched", async () => {
  const { node, bytes } = await interrupted();
  await node.restart("kill");
  const [name = ""] = left(node.storage);
  const { storage } = node;
  const read = storage.read.bind(storage);
  storage.read = (file, offset, length) => {
    if (file === name && offset > MIB) throw new EnvironmentError("EIO", "The disk does not give it.");
    return read(file, offset, length);
  };
  const second = counting();
  await finish(node, 6, second.answer);
  assert.ok(second.bytes() < whole && second.bytes() > whole - bytes(), `${second.bytes()} of ${whole}`);
});

test("what was fetched of a state that nobody has any more serves the next one", async () => {
  const { node, bytes } = await interrupted();
  await node.restart("kill");
  const later = source;
  source = await new TestNode().start();
  await source.execute(history, 18);
  const second = counting();
  await finish(node, 12, second.answer);
  source = later;
  assert.ok(second.bytes() < whole - bytes() + 3.5 * MIB, `${bytes()} and ${second.bytes()} of ${whole}`);
});

test("wherever a node stops, again and again, beside a liar, it gets the state in the end and keeps its disk small", async () => {
  const liar: Answer = async (question) => {
    const answer = await source.executor.serveState(question);
    if (decodeRequest(question)?.kind !== "chunks") return answer;
    return encodeChunks((decodeChunks(answer as Uint8Array) ?? []).map((chunk) => chunk.map((byte) => byte ^ 1)));
  };
  for (let seed = 1; seed <= 3; seed++) {
    const random = randomFrom(seed);
    let node = await new TestNode().start();
    for (let stop = 0; stop < 3; stop++) {
      node.storage.stopAfter(random(4), random);
      await stopped(node, counting(2 * MIB).answer, liar);
      node.storage.crash({ keep: (["all", "torn", "synced"] as const)[random(3)] ?? "all", random });
      node = await new TestNode(node.storage).start();
      const used = left(node.storage).reduce((sum, name) => sum + (node.storage.size(name) ?? 0), 0);
      assert.ok(used < 2 * whole, `${used} bytes, seed ${seed}`);
    }
    await finish(node, 6, counting().answer, liar);
    assert.equal(node.height, 6, `seed ${seed}`);
  }
});

/** Fetches until the machine stops or nothing more comes. */
async function stopped(node: TestNode, ...answers: Answer[]): Promise<void> {
  const executor = node.executor;
  const fetchState = executor.fetchState.bind(executor);
  // The machine has stopped: nobody hears of it any more.
  executor.fetchState = (step) =>
    fetchState(step).catch((error: unknown) => {
      if (!(error instanceof MachineStopped)) throw error;
      return new Promise(() => undefined);
    });
  const { sync, finish: finished } = fetching(node, peersOf(...answers));
  sync.fetch(6, source.hashAt(6));
  await assert.rejects(finished(2));
}
