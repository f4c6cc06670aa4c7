// HTTPS outcalls on many nodes: each makes the call and signs what it got, n - f that got the same make an answer, and
// where that can no longer be the canister is told so. Consensus and chain-key facts, section 1.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sha256 } from "@atoll/host-node";
import type { OutcallAnswer, OutcallClient, OutcallRequest, ResponsePayload } from "@atoll/types";
import { encodeOutcallShare, outcallShareBytes, outcallShareId } from "../../src/consensus/outcall-share.ts";
import { proposalHash } from "../../src/outcall-proposals.ts";
import {
  build,
  crypto,
  makeNodes,
  NOW,
  node,
  OWN,
  outcallRequest,
  pastOf,
  SECOND,
  type TestNodes,
  verdict,
} from "./payload-nodes.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const got = (text: string): OutcallAnswer => {
  return { kind: "reply", reply: { status: 200n, headers: [], body: new TextEncoder().encode(text) } };
};

/** Nodes that get these answers; undefined: never any. They have begun the outcalls at height 1. */
async function asked(
  answers: readonly (string | undefined)[],
  requests: readonly OutcallRequest[] = [outcallRequest(7)],
): Promise<TestNodes> {
  const outcalls = answers.map(
    (answer): OutcallClient =>
      () =>
        answer === undefined ? new Promise(() => undefined) : Promise.resolve(got(answer)),
  );
  const nodes = makeNodes(answers.length, { outcalls });
  nodes.executed({ height: 1, outcalls: { began: requests, ended: [] } });
  await settled();
  return nodes;
}

const at = { height: 2, context: { certifiedHeight: 1 } };

function built(nodes: TestNodes, by = 0, past: ReturnType<typeof pastOf>[] = []) {
  const { batch, payload } = build(nodes, { by, height: 2, past, certifiedHeight: 1 });
  const response = node(nodes).payloads.batchOf({
    ...{ height: 2, time: NOW, randomness: new Uint8Array(32), registryVersion: 1, batch, needsStateHash: false },
    ...{ remoteDkgs: [], blockmaker: node(nodes).id, failed: [] },
  }).outcallResponses;
  return { batch, payload, response };
}

describe("an outcall that all nodes make", () => {
  test("is answered when n - f got the same, by any of them, and others agree to the block", async () => {
    const nodes = await asked(["x", "x", "x", undefined]);
    const { batch, payload, response } = built(nodes);
    assert.equal(payload.outcalls[0]?.shares.length, 3);
    assert.equal(response?.[0]?.outcall, 7);
    assert.equal(response?.[0]?.result.kind, "reply");
    for (let by = 0; by < 4; by++) assert.equal(verdict(nodes, batch, { ...at, by }), "valid");
    assert.equal(built(nodes, 3).payload.outcalls.length, 0, "who has no answer has nothing to put into a block");
  });

  test("waits while too few have answered", async () => {
    for (const answers of [
      ["x", "x", undefined, undefined],
      ["x", "x", "y", undefined],
      ["x", "y", undefined, undefined],
    ]) {
      assert.equal(built(await asked(answers)).batch.length, 0, answers.join());
    }
  });

  test("ends without an answer when no n - f can agree any more, with the counts of all that was got", async () => {
    const nodes = await asked(["x", "x", "y", "z"]);
    const { batch, payload, response } = built(nodes);
    assert.equal(payload.divergent.length, 1);
    const result = response?.[0]?.result as ResponsePayload;
    assert.ok(result.kind === "reject");
    assert.match(
      result.message,
      /^No consensus could be reached\. .* request_id: 7, hashes: \[[0-9a-f]{64}: 2\], \[.*: 1\], \[.*: 1\]$/,
    );
    for (let by = 0; by < 4; by++) assert.equal(verdict(nodes, batch, { ...at, by }), "valid");
    assert.deepEqual(built(nodes, 2).response, response);
  });

  test("is in one block only, and in none that is made on a state without it", async () => {
    const nodes = await asked(["x", "x", "x", "x"]);
    const { batch } = built(nodes);
    const past = [pastOf(2, batch)];
    assert.equal(built(nodes, 0, past).batch.length, 0);
    assert.equal(verdict(nodes, batch, { ...at, height: 3, past }), "invalid");
    assert.equal(build(nodes, { height: 2 }).batch.length, 0);
    assert.equal(verdict(nodes, batch, { height: 2 }), "later");
    nodes.executed({ height: 2, outcalls: { began: [], ended: [7] } });
    assert.equal(built(nodes).batch.length, 0);
    assert.equal(verdict(nodes, batch, at), "valid", "for a block on the state in which it was open");
    assert.equal(nodes.published.size, 0, "the shares are no longer broadcast");
  });

  test("is not answered after a minute", async () => {
    const nodes = await asked(["x", "x", "x", "x"]);
    nodes.now += 60n * SECOND;
    assert.equal(built(nodes).payload.outcalls.length, 1);
    nodes.now += 1n;
    assert.equal(built(nodes).batch.length, 0);
  });
});

describe("a block is refused", () => {
  test("with too few shares, one twice, a forged one, one of a stranger, or shares for something else", async () => {
    const nodes = await asked(["x", "x", "x", "x"]);
    const [agreed] = built(nodes).payload.outcalls;
    assert.ok(agreed !== undefined);
    const { shares } = agreed;
    const [first, second, third] = shares as [(typeof shares)[0], (typeof shares)[0], (typeof shares)[0]];
    const refused = (changes: Partial<typeof agreed>): void => {
      assert.equal(verdict(nodes, { outcalls: [{ ...agreed, ...changes }] }, at), "invalid");
    };
    assert.equal(verdict(nodes, { outcalls: [agreed] }, at), "valid");
    refused({ shares: [first, second] });
    refused({ shares: [first, second, second] });
    refused({ shares: [first, second, { ...third, signature: second.signature }] });
    refused({
      shares: [first, second, { ...third, signer: `${"ab".repeat(28)}02` as never }].sort((a, b) =>
        a.signer < b.signer ? -1 : 1,
      ),
    });
    refused({ result: { kind: "reply", data: Uint8Array.of(1) } });
    const unknown = { ...agreed, outcall: 8 };
    assert.equal(verdict(nodes, { outcalls: [unknown] }, at), "later");
    assert.equal(verdict(nodes, { divergent: [{ outcall: 7, shares: [] }] }, at), "invalid");
    const hash = proposalHash(7, agreed.result, sha256);
    const same = shares.map((share) => ({ ...share, hash }));
    assert.equal(verdict(nodes, { divergent: [{ outcall: 7, shares: same }] }, at), "invalid", "they do agree");
    assert.equal(verdict(nodes, { outcalls: [agreed], divergent: [{ outcall: 7, shares: same }] }, at), "invalid");
  });
});

describe("an outcall that one node makes", () => {
  const single = async (answers: readonly (string | undefined)[]): Promise<TestNodes> => {
    const maker = node(makeNodes()).id;
    return asked(answers, [outcallRequest(7, { node: maker })]);
  };

  test("is answered by its share alone, in the block of any node", async () => {
    const nodes = await single(["x", "y", "y", "y"]);
    for (let by = 0; by < 4; by++) {
      const { batch, payload } = built(nodes, by);
      assert.deepEqual(
        payload.outcalls[0]?.shares.map(({ signer }) => signer),
        [node(nodes).id],
      );
      assert.equal(verdict(nodes, batch, { ...at, by: (by + 1) % 4 }), "valid");
    }
  });

  test("has no answer from others", async () => {
    assert.equal(built(await single([undefined, "y", "y", "y"])).batch.length, 0);
  });
});

describe("shares of peers", () => {
  const share = (by: number, fields: { outcall?: number; signer?: string; result?: ResponsePayload } = {}) => {
    const { outcall = 7, result } = fields;
    const hash = proposalHash(outcall, { kind: "reply", data: Uint8Array.of(1) }, sha256);
    const signature = crypto.signEd25519(
      new Uint8Array(32).fill(by + 1),
      outcallShareBytes({ subnetId: OWN, outcall, hash }),
    );
    const signer = (fields.signer ?? node(makeNodes(), by).id) as never;
    const artifact = encodeOutcallShare({ outcall, hash, signer, signature, result });
    return { id: outcallShareId(outcall, artifact, sha256), artifact };
  };

  test("are taken from their signers only, once each, for outcalls that are open", async () => {
    const nodes = await asked([undefined, undefined, undefined, undefined]);
    const { payloads } = node(nodes);
    const peer = node(nodes, 1).id;
    const receive = ({ id, artifact }: ReturnType<typeof share>, from = peer) => payloads.receive(from, id, artifact);
    assert.equal(receive(share(2)), "invalid");
    assert.equal(receive(share(2, { signer: peer })), "invalid", "a forged signature");
    assert.equal(receive({ ...share(1), id: share(1, { outcall: 8 }).id }), "invalid");
    assert.equal(
      receive(share(1, { result: { kind: "reply", data: Uint8Array.of(1) } })),
      "invalid",
      "it is replicated",
    );
    assert.equal(receive(share(1, { outcall: 8 })), "unwanted", "this node has not got that far");
    assert.equal(receive(share(1, { outcall: 6 })), "taken", "it has ended");
    assert.equal(payloads.wants(share(1).id), true);
    assert.equal(payloads.wants(share(1, { outcall: 8 }).id), false);
    assert.equal(payloads.idOf(share(1).artifact), share(1).id);
    assert.equal(receive(share(1)), "taken");
    assert.equal(receive(share(1)), "taken");
    for (let length = 0; length < share(1).artifact.length; length += 7) {
      const artifact = share(1).artifact.slice(0, length);
      assert.equal(receive({ id: share(1).id, artifact }), "invalid");
    }
  });
});
