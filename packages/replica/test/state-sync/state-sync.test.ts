// Taking over a state from peers who may say anything: what is wrong is never taken, whoever says it; one honest peer is
// enough; only what differs is fetched, and nothing twice; a newer state takes the place of an older one without losing
// what is here; and queries see what was taken over. Consensus and chain-key facts, 11.3 and 24.1.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setStateAside } from "@atoll/state";
import { ANONYMOUS, type Batch, EnvironmentError } from "@atoll/types";
import fc from "fast-check";
import * as u from "../../../execution/test/canisters/universal.ts";
import { decodeChunks, decodeRequest, encodeChunks, encodeRequest } from "../../src/state-sync/messages.ts";
import { IDS, ingress } from "../subnet.ts";
import { bulkyBatches, MIB } from "./bulky-batches.ts";
import { type Answer, agreedBatches, fetching, honest, peersOf, syncTo, TestNode } from "./nodes.ts";

const HEIGHT = 12;
let history: Batch[];
let good: TestNode;

before(async () => {
  history = agreedBatches(3, 24, 6);
  good = await new TestNode().start();
  await good.execute(history, HEIGHT);
});

const hash = (): Uint8Array => good.hashAt(HEIGHT);
const kindOf = (question: Uint8Array) => decodeRequest(question)?.kind;
const isChunks = (question: Uint8Array): boolean => kindOf(question) === "chunks";

/** An honest answer, changed. */
function changed(change: (answer: Uint8Array, question: Uint8Array) => Uint8Array | undefined): Answer {
  return async (question) => {
    const answer = await good.executor.serveState(question);
    return answer && change(answer, question);
  };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
}

const HOSTILE: Readonly<Record<string, Answer>> = {
  "a wrong meta-manifest": changed((answer, question) => (kindOf(question) === "meta" ? flipped(answer, 9) : answer)),
  "a wrong sub-manifest": changed((answer, question) => (kindOf(question) === "part" ? flipped(answer, 5) : answer)),
  "wrong chunks": changed((answer, question) => (isChunks(question) ? flipped(answer, answer.length - 1) : answer)),
  "chunks that are cut short": changed((answer, question) => (isChunks(question) ? answer.subarray(0, -1) : answer)),
  "one chunk too few": changed((answer, question) =>
    isChunks(question) ? encodeChunks((decodeChunks(answer) ?? []).slice(1)) : answer,
  ),
  "chunks in another order": changed((answer, question) =>
    isChunks(question) ? encodeChunks([...(decodeChunks(answer) ?? [])].reverse()) : answer,
  ),
  "a huge answer": changed(() => new Uint8Array(20 * 1024 * 1024)),
  "nothing at all": changed(() => new Uint8Array()),
  "the meta-manifest as a sub-manifest": async (question) => {
    const height = decodeRequest(question)?.height ?? 0;
    return good.executor.serveState(encodeRequest({ kind: "meta", height }));
  },
};

describe("a peer that answers", () => {
  for (const [what, answer] of Object.entries(HOSTILE)) {
    test(`${what} is not asked again, and nothing of it is taken`, async () => {
      const node = await new TestNode().start();
      const peers = peersOf(answer, honest(good));
      const traffic = await syncTo(node, HEIGHT, hash(), peers);
      assert.ok((traffic.asked.get(peers.ids[0] as never) ?? 0) <= 10, "no more than were asked at once");
      await node.execute(history, 18);
      await good.execute(history, 18);
      assert.equal(node.hashes.get(18), good.hashes.get(18));
    });
  }
});

describe("peers without an answer", () => {
  for (const [what, answer] of Object.entries<Answer>({
    "never end": () => new Promise(() => undefined),
    refuse: async () => undefined,
  })) {
    test(`that ${what} keep nobody from getting the state from another one`, async () => {
      const node = await new TestNode().start();
      await syncTo(node, HEIGHT, hash(), peersOf(answer, answer, honest(good)));
      assert.equal(node.height, HEIGHT);
    });
  }

  test("are asked again when they have it", async () => {
    const node = await new TestNode().start();
    let isReady = false;
    const peers = peersOf(async (question) => (isReady ? good.executor.serveState(question) : undefined));
    const { sync, finish } = fetching(node, peers);
    sync.fetch(HEIGHT, hash());
    await assert.rejects(finish(5));
    isReady = true;
    await finish();
    assert.ok(await sync.install());
  });
});

test("a hash that no peer has leads to nothing, and what is here stays", async () => {
  const node = await new TestNode().start();
  await node.execute(history, 7);
  const { sync, finish } = fetching(node, peersOf(honest(good)));
  sync.fetch(HEIGHT, new Uint8Array(32));
  await assert.rejects(finish(30));
  assert.equal(await sync.install(), undefined);
  sync.abandon();
  assert.equal(sync.status(), undefined);
  await node.execute(history, HEIGHT);
  assert.equal(node.hashes.get(HEIGHT), good.hashes.get(HEIGHT));
});

test("whoever is wrong once in a while is forgiven when nobody else is left", async () => {
  const node = await new TestNode().start();
  let wrong = 3;
  const peers = peersOf(changed((answer) => (wrong-- > 0 ? flipped(answer, 0) : answer)));
  await syncTo(node, HEIGHT, hash(), peers);
  assert.equal(node.height, HEIGHT);
});

test("only what differs is fetched", async () => {
  const bulky = bulkyBatches();
  const [source, whole, part] = [new TestNode(), new TestNode(), new TestNode()];
  for (const node of [source, whole, part]) await node.start();
  await source.execute(bulky, 12);
  const peers = peersOf(honest(source));
  const all = await syncTo(whole, 12, source.hashAt(12), peers);
  assert.ok(all.bytes > 8 * MIB);
  await part.execute(bulky, 6);
  const some = await syncTo(part, 12, source.hashAt(12), peers);
  // A region of the stable memory, the two of the heap that it came from, and some records.
  assert.ok(some.bytes < 3.5 * MIB && all.bytes > 4 * some.bytes, `${some.bytes} of ${all.bytes} bytes`);
});

test("a newer state takes the place of an older one, and what was fetched for that is not fetched again", async () => {
  const bulky = bulkyBatches();
  const source = await new TestNode().start();
  await source.execute(bulky, 6);
  const node = await new TestNode().start();
  let bytes = 0;
  let answers = 0;
  const peers = peersOf(async (question) => {
    // The first answers go through, then nothing more of the older state comes.
    if (++answers > 6 && decodeRequest(question)?.height === 6) return undefined;
    const answer = await source.executor.serveState(question);
    if (isChunks(question)) bytes += answer?.length ?? 0;
    return answer;
  });
  const { sync, finish } = fetching(node, peers);
  sync.fetch(6, source.hashAt(6));
  await assert.rejects(finish(3));
  const fetched = bytes;
  assert.ok(fetched > 2 * MIB, "some chunks of the older state are here");
  assert.ok((sync.status()?.chunks ?? 0) > 0 && (sync.status()?.chunks ?? 0) < (sync.status()?.of ?? 0));
  await source.execute(bulky, 12);
  sync.fetch(12, source.hashAt(12));
  sync.fetch(6, source.hashAt(6));
  assert.equal(sync.status()?.height, 12, "the older one is not asked for any more");
  await finish();
  const whole = await sync.install();
  assert.ok(whole !== undefined && whole !== "later");
  await node.take(whole);
  const fresh = await syncTo(await new TestNode().start(), 12, source.hashAt(12), peersOf(honest(source)));
  assert.ok(bytes < fresh.bytes + fetched / 2, `${bytes} bytes, ${fetched} of them for the older state`);
  await node.execute(bulky);
  await source.execute(bulky);
  assert.equal(node.hashes.get(24), source.hashes.get(24));
});

test("a node goes on executing while it fetches, and takes over what is newer than what it has", async () => {
  const source = await new TestNode().start();
  await source.execute(history, 18);
  const node = await new TestNode().start();
  const { sync, finish } = fetching(node, peersOf(honest(source)));
  sync.fetch(18, source.hashAt(18));
  for (let height = 1; height <= 13; height++) {
    await node.execute(history, height);
    sync.step(BigInt(height));
  }
  await finish();
  let whole = await sync.install();
  if (whole === undefined) {
    // Its own checkpoint replaced what the fetched state had in common with the one before.
    await finish();
    whole = await sync.install();
  }
  assert.ok(whole !== undefined && whole !== "later");
  await node.take(whole);
  assert.equal(node.height, 18);
  await node.execute(history);
  await source.execute(history);
  assert.equal(node.hashes.get(24), source.hashes.get(24));
});

test("a state is not taken over by a node that is as far already", async () => {
  const node = await new TestNode().start();
  const { sync, finish } = fetching(node, peersOf(honest(good)));
  sync.fetch(HEIGHT, hash());
  await finish();
  await node.execute(history, HEIGHT);
  assert.equal(await sync.install(), undefined);
  assert.equal(node.executor.durable.machine.state.height, HEIGHT);
});

test("a state for which there is no room is taken over later, and no start finds half of it", async () => {
  let waits = 0;
  for (let writes = 0; ; writes++) {
    const node = await new TestNode().start();
    await node.execute(history, 3);
    const fetch = fetching(node, peersOf(honest(good)));
    fetch.sync.fetch(HEIGHT, hash());
    await fetch.finish();
    const { storage } = node;
    let left = writes;
    const whenFull =
      <T extends unknown[]>(act: (...args: T) => void) =>
      (...args: T) => {
        if (left-- <= 0) throw new EnvironmentError("ENOSPC", "The disk is full.");
        act.apply(storage, args);
      };
    storage.append = whenFull(storage.append);
    storage.replace = whenFull(storage.replace);
    const first = await fetch.sync.install();
    for (const method of ["append", "replace"]) Reflect.deleteProperty(storage, method);
    const found = await new TestNode(storage.clone()).start();
    assert.ok([3, HEIGHT].includes(found.height), `a start finds height ${found.height}`);
    await found.execute(history, HEIGHT);
    assert.equal(found.hashes.get(HEIGHT), good.hashes.get(HEIGHT));
    if (first === "later") {
      waits++;
      await fetch.finish();
    }
    const whole = first === "later" ? await fetch.sync.install() : first;
    assert.ok(whole !== undefined && whole !== "later", `after ${writes} writes`);
    await node.take(whole);
    await node.execute(history);
    assert.equal(node.height, history.length);
    if (first !== "later") break;
  }
  assert.ok(waits > 2, `the disk was full at ${waits} writes`);
});

test("queries see the old state until its height is certified, and then the new one", async () => {
  const source = await new TestNode().start();
  const [id] = IDS as [(typeof IDS)[0]];
  const program = u.seq(u.stableGrow(1), u.stableWrite(0, u.bytes(Uint8Array.of(7))), u.reply());
  const batches = agreedBatches(4, 6, 6);
  const [, , third] = batches as [Batch, Batch, Batch];
  batches[2] = { ...third, ingress: [ingress(third.time, id, "update", program)] };
  await source.execute(batches);
  const node = await new TestNode().start();
  await node.execute(batches, 2);
  const ask = async () => {
    const arg = u.reply(u.stableRead(0, 1));
    const outcome = await node.executor.query({ sender: ANONYMOUS, receiver: id, methodName: "query", arg });
    return outcome.kind === "replied" ? [...outcome.reply] : outcome.kind;
  };
  const { sync, finish } = fetching(node, peersOf(honest(source)));
  sync.fetch(6, source.hashAt(6));
  await finish();
  const whole = await sync.install();
  assert.ok(whole);
  assert.equal(await ask(), "rejected", "there is no stable memory yet");
  node.executor.advance(6);
  assert.deepEqual(await ask(), [7]);
  await node.executor.stop();
});

test("a damaged state is found at the start, set aside, and had from the others again", async () => {
  const node = await new TestNode().start();
  await node.execute(history, HEIGHT);
  await node.executor.stop();
  const segment = node.storage.list().find((name) => /^state-.*seg$/.test(name)) as string;
  const content = node.storage.read(segment, 0, 1e9);
  node.storage.replace(segment, flipped(content, content.length >> 1));
  await assert.rejects(new TestNode(node.storage).start(), { code: "STATE_CORRUPT" });
  setStateAside(node.storage);
  const again = await new TestNode(node.storage).start();
  assert.equal(again.height, 0);
  await syncTo(again, HEIGHT, hash(), peersOf(honest(good)));
  assert.equal(again.height, HEIGHT);
});

test("no question harms the node that is asked", async () => {
  const request = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .record({ height: fc.constantFrom(0, 6, HEIGHT, 2 ** 40), part: fc.nat(3) })
      .map(({ height, part }) => encodeRequest({ kind: "part", height, part })),
    fc
      .record({
        height: fc.constantFrom(6, HEIGHT),
        path: fc.constantFrom("meta", "local/fetched", "memory/", "memory/x", "canister/", "__proto__", ""),
        offset: fc.constantFrom(0, 1, 2 ** 20, 2 ** 50, Number.MAX_SAFE_INTEGER),
      })
      .map(({ height, ...chunk }) => encodeRequest({ kind: "chunks", height, chunks: [chunk, chunk] })),
  );
  const property = fc.asyncProperty(request, async (question) => {
    const answer = await good.executor.serveState(question);
    assert.ok(answer === undefined || answer.length <= 3 * 1024 * 1024);
  });
  await fc.assert(property, { numRuns: 300 });
  const meta = { path: "meta", offset: 0 };
  const many = encodeRequest({ kind: "chunks", height: good.height, chunks: Array.from({ length: 1024 }, () => meta) });
  assert.ok(((await good.executor.serveState(many))?.length ?? 0) <= 3 * 1024 * 1024);
});
