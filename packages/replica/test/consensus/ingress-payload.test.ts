// Which messages of users come into blocks, and which blocks are refused for theirs: consensus and chain-key facts,
// sections 8.3 and 8.4, one sentence of them after the other.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeCbor, encodeCbor, MANAGEMENT_CANISTER, principalToBytes } from "@atoll/types";
import type { CborInput } from "@atoll/types/cbor";
import { AnonymousIdentity } from "@icp-sdk/core/agent";
import { DelegationChain, DelegationIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import fc from "fast-check";
import {
  A,
  B,
  build,
  C,
  ELSEWHERE,
  envelope,
  Impostor,
  makeNodes,
  NOBODY,
  NOW,
  node,
  pastOf,
  SECOND,
  verdict,
} from "./payload-nodes.ts";

const user = Ed25519KeyIdentity.generate();
const session = Ed25519KeyIdentity.generate();

async function delegated(options: { targets?: Principal[]; expiration?: bigint } = {}): Promise<DelegationIdentity> {
  const { targets, expiration = NOW + 1000n * SECOND } = options;
  const date = new Date(Number(expiration / 1_000_000n));
  const chain = await DelegationChain.create(user, session.getPublicKey(), date, targets && { targets });
  return DelegationIdentity.fromDelegation(session, chain);
}

describe("a block with such a message is refused", () => {
  const refused = (what: string, make: () => Promise<Uint8Array>) =>
    test(what, async () => {
      const nodes = makeNodes();
      assert.equal(verdict(nodes, { ingress: [await envelope(), await make()] }), "invalid");
      assert.equal(verdict(nodes, { ingress: [await envelope()] }), "valid", "the other message alone");
    });
  const changed = async (fields: Record<string, CborInput>): Promise<Uint8Array> => {
    const map = decodeCbor(await envelope({}, user)) as Map<string, CborInput>;
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined) map.delete(name);
      else map.set(name, value);
    }
    return encodeCbor(map, { selfDescribed: true });
  };

  refused("without signature and key", () => changed({ sender_pubkey: undefined, sender_sig: undefined }));
  refused("with the signature of something else", () => changed({ sender_sig: new Uint8Array(64).fill(5) }));
  refused("signed with another key", () => envelope({}, new Impostor(session, user)));
  refused("whose sender is not that of its key", () => changed({ sender_pubkey: session.getPublicKey().toDer() }));
  refused("that has expired", () => envelope({ expiry: NOW - 1n }));
  refused("that expires more than five minutes after the block", () => envelope({ expiry: NOW + 300n * SECOND + 1n }));
  refused("with an expired delegation", async () => envelope({}, await delegated({ expiration: NOW - SECOND })));
  refused("with a delegation for other canisters", async () => {
    return envelope({}, await delegated({ targets: [Principal.fromUint8Array(principalToBytes(B))] }));
  });
  refused("of more than 2 MiB", () => envelope({ arg: new Uint8Array(2 * 1024 * 1024) }));
  refused("to a canister of another subnet", () => envelope({ canister: ELSEWHERE }));
  refused("to a canister that does not exist", () => envelope({ canister: NOBODY }));
  refused("to the management canister about nothing", () => envelope({ canister: MANAGEMENT_CANISTER }));
  refused("that is no message", async () => Uint8Array.of(0xa0));
});

describe("what was authentic once", () => {
  test("is refused in a block after its own time, or that of a delegation, is over", async () => {
    const nodes = makeNodes();
    const short = await envelope({ expiry: NOW + 20n * SECOND });
    const lent = await envelope({}, await delegated({ expiration: NOW + 20n * SECOND }));
    const after = (seconds: bigint) => ({ context: { time: NOW + seconds * SECOND } });
    for (const message of [short, lent]) {
      assert.equal(node(nodes).payloads.submit(message), "accepted");
      assert.equal(verdict(nodes, { ingress: [message] }, after(20n)), "valid");
      assert.equal(verdict(nodes, { ingress: [message] }, after(21n)), "invalid");
    }
    assert.equal(build(nodes).payload.ingress.length, 2);
    nodes.now += 21n * SECOND;
    assert.equal(build(nodes).payload.ingress.length, 0);
  });
});

describe("a block is valid", () => {
  test("with messages of all sorts of senders, at the edges of their time", async () => {
    const nodes = makeNodes();
    const messages = [
      await envelope({}, new AnonymousIdentity()),
      await envelope({ expiry: NOW }),
      await envelope({ expiry: NOW + 300n * SECOND }),
      await envelope({}, await delegated({ targets: [Principal.fromUint8Array(principalToBytes(A))] })),
    ];
    assert.equal(verdict(nodes, { ingress: messages }), "valid");
  });

  test("on a system subnet with a message of 3 MiB", async () => {
    const nodes = makeNodes(4, { type: "system" });
    assert.equal(verdict(nodes, { ingress: [await envelope({ arg: new Uint8Array(3 * 1024 * 1024) })] }), "valid");
  });
});

describe("no message is executed twice", () => {
  test("a block that has one twice is refused, also under two signatures", async () => {
    const nodes = makeNodes();
    const once = await envelope({}, user);
    assert.equal(verdict(nodes, { ingress: [once, once.slice()] }), "invalid");
    // The request id covers no field that we do not know.
    const map = decodeCbor(once) as Map<string, CborInput>;
    const again = encodeCbor(map.set("unknown", 1), { selfDescribed: true });
    assert.equal(verdict(nodes, { ingress: [again] }), "valid");
    assert.equal(verdict(nodes, { ingress: [once, again] }), "invalid");
  });

  test("a block that repeats one of a block before is refused, and none is built", async () => {
    const nodes = makeNodes();
    for (let i = 0; i < 3; i++) node(nodes).payloads.submit(await envelope());
    const first = build(nodes);
    assert.equal(first.payload.ingress.length, 3);
    const past = [pastOf(1, first.batch)];
    assert.equal(build(nodes, { height: 2, past }).payload.ingress.length, 0);
    assert.equal(verdict(nodes, first.batch, { height: 2, past }), "invalid");
    assert.equal(verdict(nodes, first.batch, { height: 2, past: [pastOf(1, new Uint8Array())] }), "valid");
  });

  test("of a block that stands on a state before the one that was loaded nobody is blamed", async () => {
    const nodes = makeNodes();
    const message = await envelope();
    node(nodes).payloads.submit(message);
    const { batch } = build(nodes, { height: 3 });
    const requests = node(nodes)
      .payloads.batchOf(delivered(batch))
      .ingress.map(({ requestId: id }) => ({ id, origin: { receiver: A } as never, isFinal: true }));
    const canisters = [B].map((id) => ({ id, controllers: [], privateSections: [], admitsAnyIngress: true }));
    // The canister was deleted, and a message executed, since the state that the block stands on.
    nodes.executed({ height: 5, access: { canisters, requests } }, { whole: true });
    const on = (certifiedHeight: number) => ({ height: 6, context: { certifiedHeight } });
    const toA = await envelope();
    assert.equal(verdict(nodes, { ingress: [toA] }, on(4)), "later");
    assert.equal(verdict(nodes, { ingress: [toA] }, on(5)), "invalid");
    assert.equal(verdict(nodes, batch, { height: 4, context: { certifiedHeight: 5 } }), "later", "executed already");
    assert.equal(verdict(nodes, { ingress: [await envelope({ canister: B })] }, on(4)), "valid");
  });

  test("a block with one that was executed is refused, and the pools have let go of it", async () => {
    const nodes = makeNodes();
    node(nodes).payloads.submit(await envelope());
    const { batch, payload } = build(nodes);
    const executed = node(nodes).payloads.batchOf(delivered(batch)).ingress;
    assert.equal(nodes.published.size, 1);
    const origin = { sender: user.getPrincipal().toText(), receiver: A } as never;
    const requests = executed.map(({ requestId: id }) => ({ id, origin, isFinal: true }));
    nodes.executed({ height: 1, access: { canisters: [], requests } });
    assert.equal(verdict(nodes, batch, { height: 2 }), "invalid");
    assert.deepEqual(
      nodes.nodes.map(({ payloads }) => payloads.waitingIngress),
      [0, 0, 0, 0],
    );
    assert.equal(nodes.published.size, 0);
    const [again] = payload.ingress;
    assert.equal(node(nodes, 1).payloads.submit(again as Uint8Array), "duplicate");
  });

  const delivered = (batch: Uint8Array) => ({
    ...{ height: 1, time: NOW, randomness: new Uint8Array(32), registryVersion: 1, batch, needsStateHash: false },
    ...{ remoteDkgs: [], blockmaker: "aa" as never, failed: [] },
  });
});

describe("selection", () => {
  test("a node that lags behind cannot tell yet", async () => {
    const nodes = makeNodes();
    const ingress = [await envelope()];
    assert.equal(verdict(nodes, { ingress }, { context: { certifiedHeight: 1 } }), "later");
    assert.equal(verdict(nodes, { ingress }, { context: { registryVersion: 2 } }), "later");
  });

  test("takes at most as many messages as the registry says", async () => {
    const nodes = makeNodes(4, { settings: { maxIngressPerBlock: 3 } });
    const messages = await Promise.all(Array.from({ length: 5 }, () => envelope()));
    for (const message of messages) node(nodes).payloads.submit(message);
    assert.equal(build(nodes).payload.ingress.length, 3);
    assert.equal(verdict(nodes, { ingress: messages.slice(0, 3) }), "valid");
    assert.equal(verdict(nodes, { ingress: messages.slice(0, 4) }), "invalid");
  });

  test("keeps to 4 MiB, and refuses what has more than twice that", async () => {
    const nodes = makeNodes();
    for (let i = 0; i < 6; i++) node(nodes).payloads.submit(await envelope({ arg: new Uint8Array(1_000_000) }));
    const { batch, payload } = build(nodes);
    assert.equal(payload.ingress.length, 4);
    assert.ok(batch.length <= 4 * 1024 * 1024);
    const large = await Promise.all(Array.from({ length: 5 }, () => envelope({ arg: new Uint8Array(1_900_000) })));
    assert.equal(verdict(nodes, { ingress: large.slice(0, 4) }), "valid", "above the limit, and below twice");
    assert.equal(verdict(nodes, { ingress: large }), "invalid");
  });

  test("gives each canister its part: a flood for one keeps out none of another's", async () => {
    const nodes = makeNodes();
    const { payloads } = node(nodes);
    for (let i = 0; i < 30; i++) payloads.submit(await envelope({ canister: A, arg: new Uint8Array(200_000) }));
    for (let i = 0; i < 5; i++) payloads.submit(await envelope({ canister: B, arg: new Uint8Array(200_000) }));
    payloads.submit(await envelope({ canister: C, arg: new Uint8Array(1_500_000) }));
    // Another canister is first at each height.
    for (const height of [1, 2, 3]) {
      const { batch } = build(nodes, { height });
      const { ingress } = payloads.batchOf({ ...emptyBatch, batch });
      const count = (id: string): number => ingress.filter(({ receiver }) => receiver === id).length;
      assert.equal(count(B), 5);
      assert.equal(count(C), 1, "the first message of a canister may be larger than its part");
      assert.ok(count(A) >= 5 && count(A) <= 9, `${count(A)}`);
      const total = ingress.reduce((sum, { byteSize }) => sum + byteSize, 0);
      assert.ok(total > 3_800_000, "and the block is full");
    }
  });

  const emptyBatch = {
    ...{ height: 1, time: NOW, randomness: new Uint8Array(32), registryVersion: 1, needsStateHash: false },
    ...{ remoteDkgs: [], blockmaker: "aa" as never, failed: [], batch: undefined },
  };

  test("what a node builds every other node takes, and a chain of blocks has no message twice", async () => {
    const pool = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        envelope({ canister: [A, B, C][i % 3] as never, expiry: NOW + BigInt(i) * 10n * SECOND }),
      ),
    );
    const step = fc.record({
      by: fc.nat(3),
      submit: fc.array(fc.record({ message: fc.nat(39), to: fc.nat(3) }), { maxLength: 6 }),
      seconds: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const fresh = makeNodes(4, { settings: { maxIngressPerBlock: 7 } });
        const past: ReturnType<typeof pastOf>[] = [];
        const seen = new Set<string>();
        for (const [i, { by, submit, seconds }] of steps.entries()) {
          fresh.now += BigInt(seconds) * SECOND;
          for (const { message, to } of submit) node(fresh, to).payloads.submit(pool[message] as Uint8Array);
          const { batch } = build(fresh, { by, height: i + 1, past });
          for (let other = 0; other < 4; other++) {
            assert.equal(verdict(fresh, batch, { by: other, height: i + 1, past }), "valid");
          }
          for (const { requestId } of node(fresh).payloads.batchOf({ ...emptyBatch, batch }).ingress) {
            assert.ok(!seen.has(requestId));
            seen.add(requestId);
          }
          past.push(pastOf(i + 1, batch));
        }
        assert.deepEqual(
          fresh.nodes.flatMap(({ logged }) => logged),
          [],
        );
      }),
      { numRuns: 40 },
    );
  });
});
