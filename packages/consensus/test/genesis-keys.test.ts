// The first keys of a subnet come from its nodes' own dealings, the same on every host, and clients verify what the subnet
// signs with them. Node records are taken in only when their keys are the node's own. Sections 2, 12.6 and 15.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  checkNodeRecord,
  createChainKeyCrypto,
  createGenesisDealings,
  createNodeKeys,
  type GenesisDealings,
  type GenesisKeys,
  genesisDealingsCodec,
  genesisKeys,
  nodeKeysCodec,
  nodePublicKeys,
} from "@atoll/consensus";
import { reconstructRoot, stateRootMessage, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto } from "@atoll/host-node";
import { type CryptoPort, encodeCertificate, fromHex, type HashTree, type PrincipalId, toHex } from "@atoll/types";
import { decodeWire, encodeWire } from "@atoll/types/wire";
import { Certificate } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import fc from "fast-check";
import { entropy, makeNodes, signTogether, type TestNode } from "./key-generation.ts";

let port: CryptoPort;
let nodes: TestNode[];
let dealings: GenesisDealings[];
const records = () => nodes.map(({ record }) => record);

before(async () => {
  port = await createNodeCrypto();
  nodes = makeNodes(4, port);
  dealings = nodes.map((node) => deal(node));
});

function deal(node: TestNode): GenesisDealings {
  return createGenesisDealings(node.id, records(), 1, node.crypto) as GenesisDealings;
}

function keysAt(node: TestNode, parts: readonly GenesisDealings[]): GenesisKeys {
  const result = genesisKeys(records(), 1, parts, { crypto: port, consensusCrypto: node.crypto });
  if (!result.ok) throw new Error(result.error);
  return result.keys;
}

function errorOf(parts: readonly GenesisDealings[], of = records(), version = 1): string {
  const result = genesisKeys(of, version, parts, { crypto: port, consensusCrypto: (nodes[0] as TestNode).crypto });
  return result.ok ? "no error" : result.error;
}

describe("the first keys", () => {
  test("are the same on all nodes, and every node can sign with them", () => {
    const keys = [keysAt(nodes[0] as TestNode, dealings), keysAt(nodes[3] as TestNode, dealings.toReversed())];
    assert.deepEqual(keys[1], keys[0]);
    const { low, high, subnetId, publicKey } = keys[0] as GenesisKeys;
    assert.deepEqual([low.threshold, high.threshold, low.dealings.length], [2, 3, 2]);
    assert.notDeepEqual(low.coefficients[0], high.coefficients[0]);
    assert.equal(subnetId, Principal.selfAuthenticating(subnetKeyToDer(publicKey)).toHex().toLowerCase());
    for (const node of nodes) {
      assert.ok(node.crypto.loadTranscript(low));
      assert.ok(node.crypto.loadTranscript(high));
    }
  });

  test("sign certificates that the agent takes, and two of four nodes sign none", async () => {
    const { high, publicKey } = keysAt(nodes[0] as TestNode, dealings);
    for (const node of nodes) node.crypto.loadTranscript(high);
    const time = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    const child: HashTree = { kind: "leaf", value: time };
    const tree: HashTree = { kind: "labeled", label: new TextEncoder().encode("time"), child };
    const message = stateRootMessage(reconstructRoot(tree, port.sha256));
    assert.equal(signTogether(high, nodes.slice(2), message), undefined);
    const signature = signTogether(high, nodes.slice(1), message) as Uint8Array;
    const options = {
      rootKey: subnetKeyToDer(publicKey),
      principal: { canisterId: Principal.managementCanister() },
      disableTimeVerification: true,
    };
    await Certificate.create({ ...options, certificate: encodeCertificate({ tree, signature }) });
    signature[20] = (signature[20] as number) ^ 1;
    await assert.rejects(Certificate.create({ ...options, certificate: encodeCertificate({ tree, signature }) }));
  });

  test("take as many nodes as can include an honest one, and no part that is wrong", () => {
    const [a, b, c] = dealings as [GenesisDealings, GenesisDealings, GenesisDealings];
    const [nodeA, nodeB] = nodes as [TestNode, TestNode];
    assert.equal(errorOf([a, b]), "no error");
    assert.match(errorOf([a]), /dealings of 1 nodes, and it takes 2/);
    assert.match(errorOf([a, a]), new RegExp(`Node ${nodeA.id} dealt twice`));
    assert.match(errorOf([a, { ...b, high: c.high }, c]), new RegExp(`Node ${(nodes[2] as TestNode).id} dealt twice`));
    assert.match(errorOf([a, { low: b.high, high: b.high }]), new RegExp(`Node ${nodeB.id} did not sign its low`));
    const unsigned = { ...b, low: { ...b.low, signature: a.low.signature } };
    assert.match(errorOf([a, unsigned]), /did not sign/);
    assert.match(errorOf([a, { ...b, low: { ...b.low, dealer: nodeA.id } }]), /dealt twice/);
    assert.match(errorOf([a, b], records().slice(1)), /none of the nodes/);
    assert.match(errorOf([a, b], records(), 2), /is wrong/);
    assert.match(errorOf([a, b], []), /no nodes/);
    assert.match(errorOf([a, b], [...records(), ...records()]), /twice/);
    const [first, ...rest] = records();
    assert.match(errorOf([a, b], [{ ...first, dealingKey: rest[0]?.dealingKey } as never, ...rest]), /dealing key/);
    const [outsider] = makeNodes(1, port) as [TestNode];
    assert.equal(createGenesisDealings(outsider.id, records(), 1, outsider.crypto), undefined);
  });

  test("a subnet of one node deals to itself", () => {
    const [node] = makeNodes(1, port) as [TestNode];
    const own = createGenesisDealings(node.id, [node.record], 1, node.crypto) as GenesisDealings;
    const result = genesisKeys([node.record], 1, [own], { crypto: port, consensusCrypto: node.crypto });
    assert.ok(result.ok);
    assert.ok(node.crypto.loadTranscript(result.keys.high));
    const message = new Uint8Array(5);
    const signature = signTogether(result.keys.high, [node], message) as Uint8Array;
    assert.ok(port.bls.verify(result.keys.publicKey, message, signature));
  });
});

describe("node keys", () => {
  test("are kept as 96 bytes, from which the same record follows", () => {
    const keys = createNodeKeys(entropy);
    const bytes = encodeWire(nodeKeysCodec, keys);
    assert.equal(bytes.length, 96);
    assert.deepEqual(nodePublicKeys(decodeWire(nodeKeysCodec, bytes), port), nodePublicKeys(keys, port));
    const again = createChainKeyCrypto(decodeWire(nodeKeysCodec, bytes), { crypto: port, entropy });
    const record = { ...nodePublicKeys(keys, port), address: "", httpAddress: "" };
    assert.ok(again.verifyMulti([record], bytes, again.signMulti(bytes)));
  });

  test("a record is refused when any of its keys is not the node's own", () => {
    const [a, b] = records() as [TestNode["record"], TestNode["record"]];
    assert.equal(checkNodeRecord(a, port), undefined);
    const { signingKey, committeeKey, committeeKeyProof, dealingKey, dealingKeyProof } = b;
    assert.match(checkNodeRecord({ ...a, nodeId: b.nodeId }, port) ?? "", /id/);
    assert.match(checkNodeRecord({ ...a, signingKey }, port) ?? "", /id/);
    assert.match(checkNodeRecord({ ...a, signingKey: new Uint8Array(31) }, port) ?? "", /signing key/);
    // Another's key with another's proof: its signatures would count twice.
    assert.match(checkNodeRecord({ ...a, committeeKey, committeeKeyProof }, port) ?? "", /committee key/);
    assert.match(checkNodeRecord({ ...a, committeeKeyProof }, port) ?? "", /committee key/);
    assert.match(checkNodeRecord({ ...a, dealingKey, dealingKeyProof }, port) ?? "", /dealing key/);
    assert.match(checkNodeRecord({ ...a, dealingKeyProof }, port) ?? "", /dealing key/);
    const zero = fromHex(`c0${"00".repeat(47)}`);
    assert.match(checkNodeRecord({ ...a, dealingKey: zero }, port) ?? "", /dealing key/);
    assert.match(checkNodeRecord({ ...a, committeeKeyProof: zero }, port) ?? "", /committee key/);
  });

  test("a record of any bytes is refused and never throws", () => {
    const [a] = records() as [TestNode["record"]];
    const names = ["signingKey", "committeeKey", "committeeKeyProof", "dealingKey", "dealingKeyProof"] as const;
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 130 }), fc.nat(), (name, bytes, at) => {
        const changed = a[name].slice();
        changed[at % changed.length] = (changed[at % changed.length] as number) ^ (1 << (at % 8));
        assert.notEqual(checkNodeRecord({ ...a, [name]: changed }, port), undefined);
        assert.notEqual(checkNodeRecord({ ...a, [name]: bytes }, port), undefined);
      }),
      { numRuns: 40 },
    );
  });

  test("the parts of genesis survive their encoding; what is cut or longer does not decode", () => {
    const bytes = encodeWire(genesisDealingsCodec, dealings[0] as GenesisDealings);
    assert.equal(toHex(encodeWire(genesisDealingsCodec, decodeWire(genesisDealingsCodec, bytes))), toHex(bytes));
    assert.throws(() => decodeWire(genesisDealingsCodec, bytes.subarray(1)));
    assert.throws(() => decodeWire(genesisDealingsCodec, Uint8Array.of(...bytes, 0)));
    assert.equal((dealings[0] as GenesisDealings).low.dealer, (nodes[0] as TestNode).id satisfies PrincipalId);
  });
});
