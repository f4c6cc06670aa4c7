// Requests that come together: good signatures are verified once, together; every verdict and every text is that of
// authenticating each alone; and whoever sends wrong ones causes hardly more work than before.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CryptoPort } from "@atoll/types";
import { Cbor, type SignIdentity } from "@icp-sdk/core/agent";
import { DelegationChain, DelegationIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { type Envelope, parseEnvelope } from "../src/envelope.ts";
import { authenticate } from "../src/request-auth.ts";
import { RequestBatches } from "../src/request-batch.ts";
import { createUniversalCrypto } from "../src/universal-port.ts";
import { type Body, bodyOf, contentOf, MINUTE, NOW } from "./agent-requests.ts";

const universal = createUniversalCrypto();
const users = Array.from({ length: 5 }, (_, i) => Ed25519KeyIdentity.generate(new Uint8Array(32).fill(i + 1)));
const alice = users[0] as SignIdentity;

function newBatches() {
  const counts = { alone: 0, together: 0 };
  // Which are good is known: what is counted is who asks for it.
  const answers = new Map<Uint8Array, boolean>();
  const crypto: CryptoPort = {
    ...universal,
    verify: (...args) => {
      counts.alone++;
      return universal.verify(...args);
    },
    verifyAllEd25519: (signed) => {
      counts.together += signed.length;
      return signed.every((one) => {
        const answer = answers.get(one.signature) ?? universal.verifyAllEd25519([one]);
        answers.set(one.signature, answer);
        return answer;
      });
    },
  };
  const batches = new RequestBatches(crypto);
  const verdict = (request: Envelope, isPrepared: boolean) =>
    authenticate(request, { now: NOW, crypto, rootKeys: [], ...(isPrepared && { verified: batches }) });
  return { batches, counts, verdict };
}

function read(body: Body): Envelope {
  const parsed = parseEnvelope(Cbor.encode(body), "call");
  assert.ok(parsed.ok);
  return parsed.envelope;
}

let nonce = 0;
const next = () => ({ nonce: Uint8Array.of(nonce >> 8, nonce++ & 255) });
const requests = async (count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => bodyOf(users[i % 5] as SignIdentity, "call", next())));
const wrong = (body: Body): Body => {
  const signature = body.sender_sig as Uint8Array;
  return { ...body, sender_sig: signature.with(40, (signature[40] as number) ^ 1) };
};

test("good requests are verified together, and not again", async () => {
  const { batches, counts, verdict } = newBatches();
  const all = (await requests(70)).map(read);
  batches.verify(all, NOW, "a");
  assert.deepEqual(counts, { alone: 0, together: 70 });
  const prepared = all.map((request) => verdict(request, true));
  assert.equal(counts.alone, 0);
  assert.deepEqual(
    prepared.slice(0, 5),
    all.slice(0, 5).map((request) => verdict(request, false)),
  );
  assert.ok(prepared.every(({ ok }) => ok));
  batches.verify(all, NOW, "a");
  assert.equal(counts.together, 70, "they are known");
});

test("another object of the same bytes is not known, and time is looked at again", async () => {
  const { batches, counts, verdict } = newBatches();
  const bodies = await requests(4);
  const all = bodies.map(read);
  batches.verify(all, NOW, "a");
  assert.equal(batches.has(read(bodies[0] as Body)), false);
  assert.equal(verdict(read(bodies[0] as Body), true).ok, true);
  assert.equal(counts.alone, 1);
  const late = authenticate(all[1] as Envelope, {
    now: NOW + 2n * MINUTE,
    crypto: universal,
    rootKeys: [],
    verified: batches,
  });
  assert.match(late.ok ? "" : late.error, /^Invalid request expiry/);
});

test("one wrong signature among many is refused with its text, the others are good and most are known", async () => {
  for (const at of [0, 21, 63]) {
    const { batches, counts, verdict } = newBatches();
    const bodies = await requests(64);
    const all = bodies.map((body, i) => read(i === at ? wrong(body) : body));
    batches.verify(all, NOW, "a");
    assert.ok(counts.together <= 3 * 64, `${counts.together}`);
    const verdicts = all.map((request) => verdict(request, true));
    assert.ok(counts.alone <= 6, `${counts.alone}`);
    for (const [i, one] of verdicts.entries()) assert.equal(one.ok, i !== at);
    assert.deepEqual(verdicts[at], verdict(all[at] as Envelope, false));
    assert.equal(batches.has(all[at] as Envelope), false);
  }
});

test("who sends several wrong ones has batches verified singly, more each time; others have not", async () => {
  const { batches, counts, verdict } = newBatches();
  const bad = (await requests(64)).map((body, i) => read(i % 30 === 0 ? wrong(body) : body));
  const [good, more, last] = await Promise.all([8, 8, 8].map(async (count) => (await requests(count)).map(read)));
  const tried = (list: readonly Envelope[], source = "a") => {
    const before = counts.together;
    batches.verify(list, NOW, source);
    return counts.together - before;
  };
  let untried = 0;
  for (const pause of [0, 1, 2, 4, 8, 16, 16]) {
    for (let i = 0; i < pause; i++) untried += tried(good as Envelope[]);
    const count = tried(bad);
    assert.ok(count > 0 && count <= 2 * 64, `${count} after ${pause}`);
  }
  assert.equal(untried, 0);
  assert.equal(bad.filter((request) => verdict(request, true).ok).length, 61);
  assert.equal(tried(more as Envelope[], "b"), 8);
  for (let i = 0; i < 16; i++) assert.equal(tried(good as Envelope[]), 0);
  assert.equal(tried(good as Envelope[]), 8);
  assert.ok(tried(bad) > 0, "it is forgotten");
  assert.equal(tried(last as Envelope[]), 0);
  assert.equal(tried(last as Envelope[]), 8);
});

test("too few to be tried together neither use up the pause of their source nor end it", async () => {
  const { batches, counts } = newBatches();
  const bad = (await requests(64)).map((body, i) => read(i % 30 === 0 ? wrong(body) : body));
  const good = (await requests(8)).map(read);
  const unsigned = read({ content: (await requests(1))[0]?.content } as Body);
  const tried = async (list: readonly Envelope[]) => {
    batches.verify([unsigned, unsigned, ...(await requests(1)).map(read)], NOW, "a");
    const before = counts.together;
    batches.verify(list, NOW, "a");
    return counts.together - before;
  };
  assert.ok((await tried(bad)) > 0);
  assert.equal(await tried(good), 0);
  assert.ok((await tried(bad)) > 0);
  for (let i = 0; i < 2; i++) assert.equal(await tried(good), 0, `${i}`);
  assert.equal(await tried(good), 8);
});

test("what would be refused before its signature is looked at, or is signed in another way, is not tried", async () => {
  const { batches, counts, verdict } = newBatches();
  const [body] = (await requests(1)) as [Body];
  const delegated = DelegationIdentity.fromDelegation(
    users[1] as SignIdentity,
    await DelegationChain.create(
      alice,
      (users[1] as SignIdentity).getPublicKey(),
      new Date(Number((NOW + MINUTE) / 1_000_000n)),
    ),
  );
  const bodies: Body[] = [
    await bodyOf(alice, "call", { ingress_expiry: NOW - 1n }),
    await bodyOf(alice, "call", { ingress_expiry: NOW + 60n * MINUTE }),
    await bodyOf(alice, "call", { nonce: new Uint8Array(33) }),
    { ...body, content: contentOf("call", (users[2] as SignIdentity).getPrincipal() as never) },
    { ...body, sender_sig: new Uint8Array(63) },
    { ...body, sender_pubkey: (body.sender_pubkey as Uint8Array).subarray(1) },
    await bodyOf(Secp256k1KeyIdentity.generate(new Uint8Array(32).fill(3))),
    await bodyOf(delegated as never),
    { content: body.content },
  ];
  const all = bodies.map(read);
  batches.verify(all, NOW, "a");
  assert.equal(counts.together, 0);
  for (const request of all) assert.deepEqual(verdict(request, true), verdict(request, false));
  assert.equal(all.filter((request) => verdict(request, true).ok).length, 2);
});
