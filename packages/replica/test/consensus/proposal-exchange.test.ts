// Block proposals travel without the messages that their receivers have, and arrive whole: consensus and chain-key facts,
// section 21.4.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { artifactId, type BlockProposal, encodeArtifact, payloadHash } from "@atoll/consensus";
import { sha256 } from "@atoll/host-node";
import { type PrincipalId, toHex } from "@atoll/types";
import fc from "fast-check";
import { EMPTY_PAYLOAD, encodePayload } from "../../src/consensus/payload-codec.ts";
import { ProposalExchange } from "../../src/consensus/proposal-exchange.ts";
import { decodeStripped, fillProposal, stripProposal } from "../../src/consensus/stripped-proposal.ts";
import { envelope, NOW } from "./payload-nodes.ts";

const MAKER = "aa".repeat(29) as PrincipalId;

function proposalOf(ingress: readonly Uint8Array[], changes: { batch?: Uint8Array } = {}) {
  const slices = [{ source: "0c".repeat(29) as PrincipalId, certified: new Uint8Array(300).fill(1) }];
  const batch = changes.batch ?? encodePayload({ ...EMPTY_PAYLOAD, ingress, slices });
  const payload = { kind: "data", batch, dealings: [], remote: [] } as const;
  const proposal: BlockProposal = {
    kind: "block-proposal",
    block: {
      ...{ protocolVersion: "test", height: 7, parent: new Uint8Array(32), payloadHash: payloadHash(payload), payload },
      ...{ rank: 0, context: { registryVersion: 1, certifiedHeight: 5, time: NOW } },
    },
    ...{ signer: MAKER, signature: new Uint8Array(64).fill(9) },
  };
  const bytes = encodeArtifact(proposal);
  return { id: artifactId(proposal, bytes, sha256), bytes };
}

interface TestPeer {
  readonly exchange: ProposalExchange;
  readonly published: Map<string, Uint8Array>;
  readonly delivered: Uint8Array[];
  readonly asked: string[];
}

/** Peers by name; each has some envelopes in its pool. */
function makePeers(pools: Readonly<Record<string, readonly Uint8Array[]>>, silent: readonly string[] = []) {
  const peers = new Map<string, TestPeer>();
  for (const [name, envelopes] of Object.entries(pools)) {
    const pool = new Map(envelopes.map((each) => [toHex(sha256(each)), each]));
    const published = new Map<string, Uint8Array>();
    const delivered: Uint8Array[] = [];
    const asked: string[] = [];
    const exchange = new ProposalExchange({
      crypto: { sha256 },
      network: {
        publish: (id, artifact) => published.set(id, artifact),
        retract: (id) => published.delete(id),
      },
      ask: async (peer, question) => {
        asked.push(peer);
        if (silent.includes(peer)) return new Promise(() => undefined);
        const answer = peers.get(peer)?.exchange.serve(question);
        if (answer === undefined) throw new Error("refused");
        return answer;
      },
      envelope: (digest) => pool.get(digest),
      deliver: (_peer, proposal) => {
        delivered.push(proposal);
        return "taken";
      },
      isEarly: () => false,
      wants: () => delivered.length === 0,
    });
    peers.set(name, { exchange, published, delivered, asked });
  }
  return (name: string): TestPeer => peers.get(name) as TestPeer;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const only = (published: ReadonlyMap<string, Uint8Array>) => {
  const [entry] = published;
  assert.ok(entry !== undefined && published.size === 1);
  return { id: entry[0], artifact: entry[1] };
};

describe("a proposal", () => {
  test("is filled again to the byte, or not at all", () => {
    const envelopes = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(envelopes, envelopes, (ingress, others) => {
        const { id, bytes } = proposalOf(ingress);
        const result = stripProposal(id, bytes, sha256);
        const stripped = result && decodeStripped(result.stripped);
        assert.ok(result !== undefined && stripped !== undefined);
        assert.deepEqual(result.envelopes.map(toHex), ingress.map(toHex));
        assert.deepEqual(fillProposal(stripped, ingress, sha256), bytes);
        const isSame = toHex(proposalOf(others).bytes) === toHex(bytes);
        assert.equal(fillProposal(stripped, others, sha256) !== undefined, isSame);
      }),
    );
  });

  test("without messages, and everything that is no proposal, is broadcast as it is", () => {
    const { exchange, published } = makePeers({ a: [] })("a");
    for (const { id, bytes } of [proposalOf([]), proposalOf([], { batch: new Uint8Array() })]) {
      exchange.publish(id, bytes);
      assert.deepEqual(only(published), { id, artifact: bytes });
      exchange.retract(id);
      assert.equal(published.size, 0);
    }
    const undecodable = proposalOf([], { batch: new Uint8Array(9).fill(255) });
    exchange.publish(undecodable.id, undecodable.bytes);
    exchange.publish("notarization/1/aa", Uint8Array.of(2));
    assert.deepEqual([...published.keys()], [undecodable.id, "notarization/1/aa"]);
  });

  test("of a thousand messages has some tens of KB, and one of a few fits into the frame that offers it", async () => {
    const ingress = await Promise.all(Array.from({ length: 1000 }, () => envelope()));
    const { id, bytes } = proposalOf(ingress);
    const large = stripProposal(id, bytes, sha256)?.stripped.length ?? 0;
    assert.ok(bytes.length > 280_000 && large < 34_000, `${bytes.length} -> ${large}`);
    const batch = encodePayload({ ...EMPTY_PAYLOAD, ingress: ingress.slice(0, 15) });
    const few = proposalOf([], { batch });
    const small = stripProposal(few.id, few.bytes, sha256)?.stripped.length ?? 0;
    assert.ok(few.bytes.length > 4000 && small < 1024, `${few.bytes.length} -> ${small}`);
  });
});

describe("between nodes", () => {
  const messages = Promise.all(Array.from({ length: 5 }, () => envelope()));

  test("a node that has all messages asks nobody", async () => {
    const ingress = await messages;
    const peer = makePeers({ maker: ingress, other: ingress });
    const { id, bytes } = proposalOf(ingress);
    peer("maker").exchange.publish(id, bytes);
    const offer = only(peer("maker").published);
    const { exchange, delivered, asked } = peer("other");
    assert.equal(exchange.idOf(offer.artifact), offer.id);
    assert.equal(exchange.wants(offer.id), true);
    assert.equal(exchange.receive("maker" as PrincipalId, offer.id, offer.artifact), "taken");
    assert.deepEqual(delivered, [bytes]);
    assert.deepEqual(asked, []);
    assert.equal(exchange.wants(offer.id), false);
    peer("maker").exchange.retract(id);
    assert.equal(peer("maker").published.size, 0);
  });

  test("a node that lacks some asks for those, once", async () => {
    const ingress = await messages;
    const peer = makePeers({ maker: ingress, other: ingress.slice(2, 4) });
    const { id, bytes } = proposalOf(ingress);
    peer("maker").exchange.publish(id, bytes);
    const offer = only(peer("maker").published);
    const { exchange, delivered, asked } = peer("other");
    for (let i = 0; i < 3; i++) {
      assert.equal(exchange.receive("maker" as PrincipalId, offer.id, offer.artifact), "unwanted");
    }
    await settled();
    assert.deepEqual(delivered, [bytes]);
    assert.deepEqual(asked, ["maker"]);
  });

  test("a peer that does not answer, or refuses, holds up nobody: another one is asked", async () => {
    const ingress = await messages;
    const peer = makePeers({ maker: ingress, relay: ingress, other: [], stranger: [] }, ["maker"]);
    const { id, bytes } = proposalOf(ingress);
    peer("maker").exchange.publish(id, bytes);
    peer("relay").exchange.publish(id, bytes);
    const offer = only(peer("maker").published);
    assert.deepEqual(only(peer("relay").published), offer, "both strip it alike");
    const { exchange, delivered, asked } = peer("other");
    for (const from of ["maker", "stranger", "relay"]) {
      exchange.receive(from as PrincipalId, offer.id, offer.artifact);
      await settled();
    }
    assert.deepEqual(asked, ["maker", "stranger", "relay"]);
    assert.deepEqual(delivered, [bytes]);
  });

  test("what a faulty peer makes of it is no proposal, and keeps nobody from the right one", async () => {
    const ingress = await messages;
    const peer = makePeers({ maker: ingress, other: ingress });
    const { id, bytes } = proposalOf(ingress);
    peer("maker").exchange.publish(id, bytes);
    const offer = only(peer("maker").published);
    const { exchange, delivered } = peer("other");
    for (let at = 0; at < offer.artifact.length; at += 13) {
      const artifact = offer.artifact.with(at, (offer.artifact[at] as number) ^ 1);
      const claimed = exchange.idOf(artifact);
      assert.notEqual(claimed, offer.id);
      assert.equal(exchange.receive("faulty" as PrincipalId, offer.id, artifact), "invalid");
      const outcome = exchange.receive("faulty" as PrincipalId, claimed, artifact);
      // A hash that nobody has an envelope for has to be asked for.
      assert.ok(outcome === "invalid" || (outcome === "unwanted" && at > 600), `${at}: ${outcome}`);
    }
    await settled();
    assert.equal(delivered.length, 0);
    assert.equal(exchange.receive("maker" as PrincipalId, offer.id, offer.artifact), "taken");
    assert.deepEqual(delivered, [bytes]);
  });

  test("many faulty peers together do not keep out the one that has the right one", async () => {
    const message = await envelope();
    const right = proposalOf([message]);
    const faulty = Array.from({ length: 13 }, (_, i) => `faulty ${i}`);
    const peer = makePeers({ honest: [message], victim: [] }, faulty);
    peer("honest").exchange.publish(right.id, right.bytes);
    const { id, artifact } = only(peer("honest").published);
    const fakes = makePeers({ maker: [] })("maker");
    for (let i = 0; i < 8 * faulty.length; i++) {
      const fake = proposalOf([message, new Uint8Array(20).fill(i)]);
      fakes.exchange.publish(fake.id, fake.bytes);
    }
    const { exchange, delivered } = peer("victim");
    for (const [place, [fakeId, fake]] of [...fakes.published].entries())
      exchange.receive(faulty[place % faulty.length] as PrincipalId, fakeId, fake);
    exchange.receive("honest" as PrincipalId, id, artifact);
    await settled();
    assert.deepEqual(delivered, [right.bytes]);
  });

  test("questions are answered for what is broadcast only, and hostile ones not at all", async () => {
    const ingress = await messages;
    const { exchange } = makePeers({ maker: ingress })("maker");
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => exchange.serve(bytes) === undefined));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.equal(exchange.receive("x" as PrincipalId, exchange.idOf(bytes), bytes), "invalid");
      }),
    );
  });
});
