// The signatures of consensus with real keys: alone, together, by threshold; keys that are dealt, shared anew to others and
// forgotten. Consensus and chain-key facts, sections 2, 13, 14 and invariant 11 of section 24.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  type ConsensusCrypto,
  createChainKeyCrypto,
  type DkgConfig,
  type DkgId,
  type DkgTranscript,
  dkgId as dkgIdCodec,
  dkgTranscript,
  verifiedSignatures,
} from "@atoll/consensus";
import { evaluatePolynomial, lagrangeWeights, modulo, scalarToBytes } from "@atoll/crypto";
import { chunksOf, encryptShares } from "@atoll/crypto/nidkg/create-dealing";
import { createChunkSearch, decryptShare } from "@atoll/crypto/nidkg/index";
import { createNodeCrypto } from "@atoll/host-node";
import { type CryptoPort, type PrincipalId, toHex } from "@atoll/types";
import { decodeWire, encodeWire, principal, record, uint } from "@atoll/types/wire";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { entropy, generate, idsOf, keysOf, makeNodes, signTogether, type TestNode } from "./key-generation.ts";

const subnet = "00" as PrincipalId;
const message = new TextEncoder().encode("beacon 7");
const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

let port: CryptoPort;
let nodes: TestNode[];
let others: TestNode[];
let all: TestNode[];
let fresh: DkgConfig;
let transcript: DkgTranscript;
let reshared: DkgTranscript;

before(async () => {
  port = await createNodeCrypto();
  nodes = makeNodes(4, port);
  others = makeNodes(3, port);
  all = [...nodes, ...others];
  fresh = {
    dkgId: { startHeight: 0, dealerSubnet: subnet, tag: "high", target: undefined },
    dealers: idsOf(nodes),
    receivers: idsOf(nodes),
    threshold: 3,
    collectionThreshold: 2,
    registryVersion: 1,
    resharing: undefined,
  };
  transcript = generate(fresh, nodes);
  for (const node of nodes) assert.equal(node.crypto.loadTranscript(transcript), true);
  const receivers = idsOf([...nodes.slice(2), ...others].sort((a, b) => (a.id < b.id ? -1 : 1)));
  reshared = generate(resharing(receivers, 4), all);
  for (const node of all) assert.equal(node.crypto.loadTranscript(reshared), receivers.includes(node.id));
});

function resharing(receivers: readonly PrincipalId[], threshold: number): DkgConfig {
  const dkgId = { startHeight: 10, dealerSubnet: subnet, tag: "high" as const, target: undefined };
  const config = { dkgId, dealers: transcript.receivers, receivers, threshold, registryVersion: 2 };
  return { ...config, collectionThreshold: transcript.threshold, resharing: transcript };
}

const keyOf = (of: DkgTranscript) => of.coefficients[0] as Uint8Array;

/** What nobody has: from the shares of three nodes. */
function reconstructedSecret(): bigint {
  const search = createChunkSearch(port.bls);
  const shares = nodes.slice(1).map(({ keys }, i) => {
    const receiver = { receivers: 4, threshold: 3, index: i + 1 };
    const parts = transcript.dealings.map(
      ({ content }) => decryptShare(content, receiver, keys.dealingSecret, port.bls, search, { steps: 0 }) as bigint,
    );
    return interpolate(
      parts,
      transcript.dealings.map(({ dealerIndex }) => dealerIndex + 1),
    );
  });
  return interpolate(shares, [2, 3, 4]);
}

function interpolate(values: readonly bigint[], points: readonly number[]): bigint {
  const weights = lagrangeWeights(points);
  return modulo(values.reduce((sum, value, i) => sum + value * (weights[i] as bigint), 0n));
}

function nobleVerifies(publicKey: Uint8Array, signature: Uint8Array): boolean {
  const { shortSignatures } = bls12_381;
  return shortSignatures.verify(signature, shortSignatures.hash(message, DST), publicKey);
}

describe("signatures of single nodes and of several", () => {
  test("a node's own signature is good for it and for nobody else", () => {
    const [a, b] = nodes as [TestNode, TestNode];
    const signature = a.crypto.signBasic(message);
    assert.equal(b.crypto.verifyBasic(a.record, message, signature), true);
    assert.equal(b.crypto.verifyBasic(b.record, message, signature), false);
    assert.equal(b.crypto.verifyBasic(a.record, message.subarray(1), signature), false);
    assert.equal(b.crypto.verifyBasic({ ...a.record, signingKey: new Uint8Array(3) }, message, signature), false);
  });

  test("a sum of signatures is by exactly those who signed", () => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const [sa, sb, sc] = [a, b, c].map((node) => node.crypto.signMulti(message)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const sum = a.crypto.combineMulti([sa, sb, sc]) as Uint8Array;
    const verify = (signers: readonly TestNode[], signature = sum) =>
      c.crypto.verifyMulti(
        signers.map(({ record }) => record),
        message,
        signature,
      );
    assert.equal(verify([a, b, c]), true);
    assert.equal(verify([a, b, c]), true);
    assert.equal(verify([a, b]), false);
    assert.equal(verify([]), false);
    assert.equal(verify([a], sa), true);
    assert.equal(verify([b], sa), false);
    // One signature does not count for two.
    assert.equal(verify([a, a], a.crypto.combineMulti([sa, sa])), false);
    assert.equal(a.crypto.combineMulti([]), undefined);
    assert.equal(a.crypto.combineMulti([sa, new Uint8Array(48)]), undefined);
    assert.equal(a.crypto.combineMulti([sa, sb.subarray(1)]), undefined);
  });
});

describe("what is known to be good", () => {
  test("is not verified again, by the same node or by one that has it in common; what is wrong never becomes good", () => {
    let pairings = 0;
    const verify: CryptoPort["bls"]["verify"] = (...parts) => {
      pairings++;
      return port.bls.verify(...parts);
    };
    const ports = { crypto: { ...port, bls: { ...port.bls, verify } }, entropy, verified: verifiedSignatures() };
    const [a, b] = nodes.map(({ keys }) => createChainKeyCrypto(keys, ports)) as [ConsensusCrypto, ConsensusCrypto];
    const secret = scalarToBytes(77n);
    const publicKey = port.bls.publicKey(secret);
    const signature = port.bls.sign(secret, message);
    for (const crypto of [a, a, b, b]) assert.equal(crypto.verifyThreshold(publicKey, message, signature), true);
    assert.equal(pairings, 1);
    const other = port.bls.sign(secret, message.subarray(1));
    for (const crypto of [a, a, b]) assert.equal(crypto.verifyThreshold(publicKey, message, other), false);
    assert.equal(a.verifyThreshold(keyOf(transcript), message, signature), false);
    assert.equal(pairings, 5);
  });
});

describe("what will have to be verified", () => {
  const secret = scalarToBytes(77n);
  const texts = ["beacon", "tape", "certification", "other"].map((text) => new TextEncoder().encode(text));
  const [beacon, tape, certification, other] = texts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

  /** Counts the checks, each of which is one final exponentiation. */
  function counting() {
    const checks: string[] = [];
    const { bls } = port;
    const counted: CryptoPort["bls"] = {
      ...bls,
      verify: (...parts) => checks.push("one") > 0 && bls.verify(...parts),
      verifyAll: (statements, factors) => checks.push(`${statements.length}`) > 0 && bls.verifyAll(statements, factors),
    };
    const node = createChainKeyCrypto((nodes[0] as TestNode).keys, { crypto: { ...port, bls: counted }, entropy });
    return { node, checks, key: bls.publicKey(secret), sign: (text: Uint8Array) => bls.sign(secret, text) };
  }

  test("is verified along with what is asked, and then known", () => {
    const { node, checks, key, sign } = counting();
    node.expectThreshold(key, beacon, sign(beacon));
    node.expectThreshold(key, tape, sign(tape));
    assert.deepEqual(checks, []);
    assert.equal(node.verifyThreshold(key, certification, sign(certification)), true);
    for (const text of [beacon, tape, certification]) assert.equal(node.verifyThreshold(key, text, sign(text)), true);
    assert.deepEqual(checks, ["3"]);
    // What is asked before anything else is, waits for nothing and is not looked at twice.
    node.expectThreshold(key, other, sign(other));
    assert.equal(node.verifyThreshold(key, other, sign(other)), true);
    node.expectThreshold(key, other, sign(other));
    assert.equal(node.verifyThreshold(key, message, sign(message)), true);
    assert.deepEqual(checks, ["3", "one", "one"]);
  });

  test("spoils no other answer when it is wrong, and is taken along once", () => {
    const { node, checks, key, sign } = counting();
    for (const bytes of [sign(tape), new Uint8Array(48), new Uint8Array(3), new Uint8Array(0)]) {
      for (const text of [certification, other]) {
        node.expectThreshold(key, beacon, bytes);
        assert.equal(node.verifyThreshold(key, text, sign(tape)), false);
      }
      assert.equal(node.verifyThreshold(key, beacon, bytes), false);
    }
    assert.equal(checks.filter((check) => check === "2").length, 4);
    // A good one that waited beside what was wrong is good still; what was wrong never becomes good.
    node.expectThreshold(key, beacon, sign(beacon));
    assert.equal(node.verifyThreshold(key, other, sign(tape)), false);
    assert.equal(node.verifyThreshold(key, other, sign(other)), true);
    assert.equal(node.verifyThreshold(key, beacon, sign(beacon)), true);
    assert.equal(node.verifyThreshold(key, beacon, sign(tape)), false);
  });

  test("is a handful: a flood of it makes no check long", () => {
    const { node, checks, key, sign } = counting();
    for (let i = 0; i < 200; i++) node.expectThreshold(key, Uint8Array.of(i), sign(tape));
    assert.equal(node.verifyThreshold(key, tape, sign(tape)), true);
    assert.deepEqual(checks, ["5", "one"]);
  });
});

describe("keys that are dealt", () => {
  test("every three of four make one signature, which is that of the reconstructed secret", () => {
    const signatures = nodes.map((left) =>
      signTogether(
        transcript,
        nodes.filter((node) => node !== left),
        message,
      ),
    );
    for (const signature of signatures) assert.deepEqual(signature, signatures[0]);
    const signature = signatures[0] as Uint8Array;
    assert.equal((nodes[0] as TestNode).crypto.verifyThreshold(keyOf(transcript), message, signature), true);
    assert.equal(nobleVerifies(keyOf(transcript), signature), true);
    const { shortSignatures } = bls12_381;
    const whole = shortSignatures.sign(shortSignatures.hash(message, DST), scalarToBytes(reconstructedSecret()));
    assert.equal(toHex(whole.toBytes()), toHex(signature));
  });

  test("two make none, and shares that are wrong make a wrong one", () => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    assert.equal(signTogether(transcript, [a, b], message), undefined);
    assert.equal(signTogether(transcript, [a, b, b], message), undefined);
    const forged = (transcript.receivers as readonly PrincipalId[]).slice(0, 3).map((_, index) => ({
      index,
      signature: port.bls.sign(scalarToBytes(BigInt(index + 3)), message),
    }));
    const combined = a.crypto.combineThreshold(transcript, forged) as Uint8Array;
    assert.equal(c.crypto.verifyThreshold(keyOf(transcript), message, combined), false);
    assert.equal(
      a.crypto.combineThreshold(
        transcript,
        forged.map((share) => ({ ...share, signature: new Uint8Array(2) })),
      ),
      undefined,
    );
    assert.equal(
      a.crypto.combineThreshold(
        transcript,
        forged.map((share) => ({ ...share, index: share.index + 2 })),
      ),
      undefined,
    );
  });

  test("a share is good for its place alone", () => {
    const [a, b] = nodes as [TestNode, TestNode];
    const signature = a.crypto.signThreshold(transcript.dkgId, message) as Uint8Array;
    assert.equal(b.crypto.verifyThresholdShare(transcript, 0, message, signature), true);
    assert.equal(b.crypto.verifyThresholdShare(transcript, 1, message, signature), false);
    assert.equal(b.crypto.verifyThresholdShare(transcript, 0, message.subarray(1), signature), false);
    assert.equal(b.crypto.verifyThresholdShare(reshared, 0, message, signature), false);
    for (const index of [-1, 4, 0.5, Number.NaN]) {
      assert.equal(b.crypto.verifyThresholdShare(transcript, index, message, signature), false);
    }
  });

  test("the key stays the same when it is shared anew to others with another threshold", () => {
    assert.deepEqual(keyOf(reshared), keyOf(transcript));
    const holders = all.filter(({ id }) => reshared.receivers.includes(id));
    const before = signTogether(transcript, nodes.slice(0, 3), message);
    assert.deepEqual(signTogether(reshared, holders.slice(1), message), before);
    assert.equal(signTogether(reshared, holders.slice(2), message), undefined);
  });

  test("old shares and new ones do not combine", () => {
    const share = (of: DkgTranscript, node: TestNode) => ({
      index: of.receivers.indexOf(node.id),
      signature: node.crypto.signThreshold(of.dkgId, message) as Uint8Array,
    });
    const holders = all.filter(({ id }) => reshared.receivers.includes(id));
    const old = share(transcript, nodes[0] as TestNode);
    const mixed = [old, ...holders.map((node) => share(reshared, node)).filter(({ index }) => index !== old.index)];
    const { crypto } = holders[0] as TestNode;
    const combined = crypto.combineThreshold(reshared, mixed) as Uint8Array;
    assert.equal(crypto.verifyThreshold(keyOf(reshared), message, combined), false);
  });

  test("who is no receiver, or has lost its key, loads nothing; what is not retained is forgotten", () => {
    const [outsider] = others as [TestNode];
    assert.equal(outsider.crypto.loadTranscript(transcript), false);
    assert.equal(outsider.crypto.signThreshold(transcript.dkgId, message), undefined);
    const [node] = makeNodes(1, port) as [TestNode];
    const receivers = [node.id];
    assert.equal(node.crypto.loadTranscript({ ...transcript, receivers, threshold: 1 }), false);
    const [holder] = nodes as [TestNode];
    const low = generate({ ...fresh, dkgId: { ...fresh.dkgId, tag: "low" }, threshold: 2 }, nodes);
    assert.equal(holder.crypto.loadTranscript(low), true);
    holder.crypto.retainTranscripts([transcript.dkgId, reshared.dkgId]);
    assert.equal(holder.crypto.signThreshold(low.dkgId, message), undefined);
    assert.notEqual(holder.crypto.signThreshold(transcript.dkgId, message), undefined);
  });

  test("a dealer whose chunks got past the proof keeps nobody from its share", () => {
    const [a, b] = nodes as [TestNode, TestNode];
    const receivers = fresh.receivers.map((id) => keysOf(nodes)(id)?.dealingKey as Uint8Array);
    const dkgId = { ...fresh.dkgId, startHeight: 3 };
    const config = { ...fresh, dkgId };
    const context = record<{ dkgId: DkgId; dealer: PrincipalId; epoch: number }>({
      dkgId: dkgIdCodec,
      dealer: principal,
      epoch: uint(),
    });
    const associatedData = encodeWire(context, { dkgId, dealer: a.id, epoch: 1 });
    const polynomial = [11n, 22n, 33n];
    const carried = receivers.map((_, i) => {
      const share = evaluatePolynomial(polynomial, BigInt(i + 1));
      return chunksOf(share).map((chunk, j) => chunk + (j === 9 ? -1n : j === 10 ? 65_536n : 0n));
    });
    const terms = { receivers, threshold: 3, associatedData };
    const content = encryptShares(terms, polynomial, carried, port, entropy);
    assert.equal(b.crypto.verifyDealing(config, keysOf(nodes), a.id, content), true);
    const other = b.crypto.createDealing(config, keysOf(nodes)) as Uint8Array;
    const made = b.crypto.createTranscript(config, [
      { dealer: a.id, content },
      { dealer: b.id, content: other },
    ]) as DkgTranscript;
    assert.equal(b.crypto.loadTranscript(made), true);
    const signature = b.crypto.signThreshold(dkgId, message) as Uint8Array;
    assert.equal(a.crypto.verifyThresholdShare(made, 1, message, signature), true);
  });

  test("a transcript survives its encoding and a change in it does not load", () => {
    const [node] = makeNodes(1, port) as [TestNode];
    const config = { ...fresh, dealers: [node.id], receivers: [node.id], threshold: 1, collectionThreshold: 1 };
    const own = decodeWire(dkgTranscript, encodeWire(dkgTranscript, generate(config, [node])));
    const wrong = { ...own, coefficients: transcript.coefficients.slice(0, 1) };
    assert.equal(node.crypto.loadTranscript(wrong), false);
    assert.equal(node.crypto.loadTranscript({ ...own, dealings: [] }), false);
    assert.equal(node.crypto.loadTranscript({ ...own, dealings: [...own.dealings, ...own.dealings] }), false);
    // That nothing can be had of it is remembered by the polynomial, which is its own.
    const [again] = [own].map((value) => ({ ...value, dkgId: { ...value.dkgId, startHeight: 5 } }));
    assert.equal(node.crypto.loadTranscript(again as DkgTranscript), true);
  });
});

describe("what dealings and transcripts have to fit", () => {
  const deal = (config: DkgConfig, dealer: TestNode) => ({
    dealer: dealer.id,
    content: dealer.crypto.createDealing(config, keysOf(all)) as Uint8Array,
  });

  test("a dealing is good for its dealer, key generation and registry version alone", () => {
    const [a, b] = nodes as [TestNode, TestNode];
    const { content } = deal(fresh, a);
    const verify = (config: DkgConfig, dealer = a.id) => b.crypto.verifyDealing(config, keysOf(all), dealer, content);
    assert.equal(verify(fresh), true);
    assert.equal(verify(fresh, b.id), false);
    assert.equal(verify(fresh, (others[0] as TestNode).id), false);
    assert.equal(verify({ ...fresh, dkgId: { ...fresh.dkgId, startHeight: 1 } }), false);
    assert.equal(verify({ ...fresh, dkgId: { ...fresh.dkgId, tag: "low" } }), false);
    assert.equal(verify({ ...fresh, dkgId: { ...fresh.dkgId, target: new Uint8Array(32) } }), false);
    assert.equal(verify({ ...fresh, registryVersion: 2 }), false);
    assert.equal(verify({ ...fresh, threshold: 2 }), false);
    assert.equal(verify({ ...fresh, receivers: [...fresh.receivers].reverse() }), false);
    assert.equal(verify({ ...fresh, resharing: transcript }), false);
    assert.equal(b.crypto.verifyDealing(fresh, keysOf(nodes.slice(1)), a.id, content), false);
  });

  test("a wrong constant is refused, and without the share there is no dealing", () => {
    const [a, b] = nodes as [TestNode, TestNode];
    const config = resharing(idsOf(nodes), 3);
    assert.equal(b.crypto.verifyDealing(config, keysOf(all), a.id, deal(config, a).content), true);
    const wrong = deal({ ...config, resharing: undefined }, a).content;
    assert.equal(b.crypto.verifyDealing(config, keysOf(all), a.id, wrong), false);
    const [outsider] = others as [TestNode];
    const foreign = { ...config, dealers: [...config.dealers, outsider.id] };
    assert.equal(outsider.crypto.createDealing(foreign, keysOf(all)), undefined);
    assert.equal(b.crypto.verifyDealing(foreign, keysOf(all), outsider.id, wrong), false);
    assert.equal(a.crypto.createDealing({ ...fresh, dealers: [b.id] }, keysOf(all)), undefined);
  });

  test("a transcript takes exactly so many dealings of different dealers", () => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const [da, db, dc] = [deal(fresh, a), deal(fresh, b), deal(fresh, c)];
    const make = (...dealings: (typeof da)[]) => c.crypto.createTranscript(fresh, dealings);
    assert.notEqual(make(da, db), undefined);
    assert.deepEqual(make(da, db), a.crypto.createTranscript(fresh, [da, db]));
    assert.equal(make(da), undefined);
    assert.equal(make(da, db, dc), undefined);
    assert.equal(make(da, da), undefined);
    assert.equal(make(da, { ...db, dealer: (others[0] as TestNode).id }), undefined);
    assert.equal(make(da, { ...db, content: db.content.subarray(1) }), undefined);
    // Shared anew, dealings of another key do not give the old one.
    const config = resharing(idsOf(nodes), 3);
    const strangers = nodes.slice(0, 3).map((node) => deal({ ...config, resharing: undefined }, node));
    assert.equal(c.crypto.createTranscript(config, strangers), undefined);
  });

  test("dealings and shares say nothing of secrets in their text", () => {
    const [a] = nodes as [TestNode];
    const text = toHex(deal(fresh, a).content);
    for (const secret of Object.values(a.keys)) assert.equal(text.includes(toHex(secret)), false);
  });
});
