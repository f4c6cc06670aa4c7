// Canister signatures, as Internet Identity makes them, under requests, delegations and sender info.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CborInput,
  decodeCertificate,
  encodeCbor,
  encodeCertificate,
  encodeHashTree,
  type HashTree,
  principalToBytes,
} from "@atoll/types";
import { hashOfMap } from "@icp-sdk/core/agent";
import { Delegation, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { SignatureCache } from "../src/certificate.ts";
import { reconstructRoot } from "../src/hash-tree.ts";
import { canisterKeyToDer } from "../src/public-key.ts";
import { selfAuthenticatingId } from "../src/subnet-key.ts";
import { type Content, contentOf, MINUTE, NOW, ROOT, receive, requestId, textOf } from "./agent-requests.ts";
import { bytes, certify, crypto, type Entry, keyOf, treeOf } from "./certified-tree.ts";

const SUBNET = 2;
const IDENTITY_CANISTER = Principal.fromHex("00000000000000070101").toUint8Array();
const SEED = bytes("seed of a user");
const KEY = canisterKeyToDer(IDENTITY_CANISTER, SEED);
const USER = Principal.selfAuthenticating(KEY);
const separated = (name: string, data: Uint8Array) => Uint8Array.of(name.length, ...bytes(name), ...data);

interface Signing {
  readonly canister?: Uint8Array;
  readonly seed?: Uint8Array;
  readonly leaf?: Uint8Array;
  readonly certify?: (entries: Entry[]) => Uint8Array;
  readonly certified?: (root: Uint8Array) => Uint8Array;
  readonly selfDescribed?: boolean;
}

// CBOR of a tree, taken from its own encoding without the tag.
function signatureCbor(certificate: Uint8Array, tree: HashTree, selfDescribed: boolean): Uint8Array {
  const map = encodeCbor({ certificate, tree: null });
  const body = Uint8Array.of(...map.subarray(0, -1), ...encodeHashTree(tree).subarray(3));
  return selfDescribed ? Uint8Array.of(0xd9, 0xd9, 0xf7, ...body) : body;
}

function sign(message: Uint8Array, how: Signing = {}): Uint8Array {
  const { sha256 } = crypto;
  const path = ["sig", sha256(how.seed ?? SEED), sha256(message)];
  const tree = treeOf([[path, how.leaf ?? new Uint8Array()]]);
  const root = reconstructRoot(tree, sha256);
  const entry: Entry = [
    ["canister", how.canister ?? IDENTITY_CANISTER, "certified_data"],
    (how.certified ?? ((r) => r))(root),
  ];
  const certificate = (how.certify ?? ((entries) => certify(ROOT, entries)))([entry]);
  return signatureCbor(certificate, tree, how.selfDescribed ?? true);
}

function request(how: Signing = {}, more: Parameters<typeof receive>[2] = {}): string {
  const content = contentOf("call", USER);
  const sender_sig = sign(separated("ic-request", requestId(content)), how);
  return textOf(receive({ content, sender_pubkey: KEY, sender_sig }, "call", more));
}

test("a request signed by a canister of the root subnet", () => {
  assert.equal(request(), "accepted");
});

const sid = principalToBytes(selfAuthenticatingId(keyOf(SUBNET), crypto.sha224));
const list = encodeCbor([[IDENTITY_CANISTER, IDENTITY_CANISTER]]);

function bySubnet(type: string | undefined, ranges = list) {
  const delegation: Entry[] = [
    [["subnet", sid, "public_key"], keyOf(SUBNET)],
    [["subnet", sid, "canister_ranges"], ranges],
    ...(type === undefined ? [] : ([[["subnet", sid, "type"], bytes(type)]] as Entry[])),
  ];
  const certificate = certify(ROOT, delegation);
  return { certify: (entries: Entry[]) => certify(SUBNET, entries, { subnetId: sid, certificate }) };
}

test("a canister of another subnet, unless that is a cloud engine or of unknown type", () => {
  assert.equal(request(bySubnet("application")), "accepted");
  assert.equal(request(bySubnet("system")), "accepted");
  const untrusted = /^Invalid signature: Invalid canister signature: .*not trusted for delegations/;
  assert.match(request(bySubnet("cloud_engine")), untrusted);
  assert.match(request(bySubnet(undefined)), untrusted);
  assert.match(request(bySubnet("application", encodeCbor([]))), /canister id range/);
});

test("signatures that do not hold", () => {
  const cases: [Signing, RegExp][] = [
    [{ seed: bytes("other") }, /doesn't contain sig/],
    [{ leaf: bytes("x") }, /doesn't contain sig/],
    [{ canister: Uint8Array.of(1) }, /cannot find certified_data/],
    [{ certified: (root) => root.map((byte) => byte ^ 1) }, /certified data values do not match/],
    [{ certify: (entries) => certify(SUBNET, entries) }, /verify threshold signature/],
    [{ selfDescribed: false }, /self-describing/],
  ];
  for (const [how, text] of cases) {
    const result = request(how);
    assert.match(result, /^Invalid signature: Invalid canister signature: /);
    assert.match(result, text);
  }
  const message = bytes("another message");
  const content = contentOf("call", USER);
  const body = { content, sender_pubkey: KEY, sender_sig: sign(separated("ic-request", message)) };
  assert.match(textOf(receive(body)), /doesn't contain sig/);
});

test("signatures that are no such CBOR", () => {
  const content = contentOf("call", USER);
  const good = sign(separated("ic-request", requestId(content)));
  const parse = (sender_sig: Uint8Array) => textOf(receive({ content, sender_pubkey: KEY, sender_sig }));
  const encode = (value: CborInput) => encodeCbor(value, { selfDescribed: true });
  for (const bad of [
    new Uint8Array(),
    encode([]),
    encode({ certificate: good }),
    encode({ tree: [0] }),
    encode({ certificate: "x", tree: [0] }),
    encode({ certificate: bytes("x"), tree: [0] }),
    encode({ certificate: certify(ROOT, []), tree: [9] }),
    encode({ certificate: certify(ROOT, []), tree: [1, [2, bytes("b"), [0]], [2, bytes("a"), [0]]] }),
  ]) {
    assert.match(parse(bad), /^Invalid signature: Invalid canister signature: /);
  }
  for (let cut = 0; cut < good.length; cut += 7) {
    assert.match(parse(good.subarray(0, cut)), /^Invalid signature: Invalid canister signature: /);
  }
});

test("a second root key may be trusted, for identities of mainnet", () => {
  const foreign = { certify: (entries: Entry[]) => certify(3, entries) };
  assert.match(request(foreign), /^Invalid signature/);
  assert.equal(request(foreign, { rootKeys: [keyOf(ROOT), keyOf(3)] }), "accepted");
  assert.match(request({}, { rootKeys: [] }), /no root key/);
});

test("a delegation by Internet Identity to a session key; its certificate is verified once", async () => {
  const session = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(5));
  const delegation = new Delegation(session.getPublicKey().toDer(), NOW + 5n * MINUTE);
  const hash = hashOfMap({ pubkey: delegation.pubkey, expiration: delegation.expiration });
  const signature = sign(separated("ic-request-auth-delegation", hash), bySubnet("system"));
  let verifications = 0;
  const counting = {
    ...crypto,
    bls: {
      ...crypto.bls,
      verify(...parameters: Parameters<typeof crypto.bls.verify>) {
        verifications++;
        return crypto.bls.verify(...parameters);
      },
    },
  };
  const cache = new SignatureCache();
  for (const method_name of ["first", "second"]) {
    const content = contentOf("call", USER, { method_name });
    const sender_sig = await session.sign(separated("ic-request", requestId(content)));
    const sender_delegation = [
      { delegation: { pubkey: delegation.pubkey, expiration: delegation.expiration }, signature },
    ];
    const body = { content, sender_pubkey: KEY, sender_sig, sender_delegation };
    assert.equal(textOf(receive(body, "call", { crypto: counting, cache })), "accepted");
  }
  assert.equal(verifications, 2);
});

function withInfo(
  senderInfo: object,
  key = KEY,
): { content: Content; sender_pubkey: Uint8Array; sender_sig: Uint8Array } {
  const content = contentOf("call", Principal.selfAuthenticating(key), { sender_info: senderInfo });
  return { content, sender_pubkey: key, sender_sig: sign(separated("ic-request", requestId(content))) };
}

test("sender info by the canister whose key the sender has", () => {
  const info = bytes("attributes");
  const sig = sign(separated("ic-sender-info", info));
  const result = receive(withInfo({ info, signer: IDENTITY_CANISTER, sig }));
  assert.ok(result.ok, textOf(result));
  assert.deepEqual(result.callerInfo, { data: info, signer: "00000000000000070101" });
});

test("sender info that nobody vouches for", async () => {
  const info = bytes("attributes");
  const sig = sign(separated("ic-sender-info", info));
  const cases: [object, RegExp][] = [
    [{ info, signer: Uint8Array.of(1), sig }, /signer \S+ does not match canister ID \S+ in sender_pubkey/],
    [{ info: bytes("other"), signer: IDENTITY_CANISTER, sig }, /signature verification failed/],
    [{ info, signer: IDENTITY_CANISTER, sig: sign(separated("ic-request", info)) }, /signature verification failed/],
    [{ info, signer: IDENTITY_CANISTER, sig: bytes("x") }, /signature verification failed/],
  ];
  for (const [senderInfo, text] of cases) {
    const result = textOf(receive(withInfo(senderInfo)));
    assert.match(result, /^Invalid sender info: /);
    assert.match(result, text);
  }
  const sender_info = { info, signer: IDENTITY_CANISTER, sig };
  const anonymous = contentOf("call", Principal.anonymous(), { sender_info });
  assert.match(textOf(receive({ content: anonymous })), /^Invalid sender info: sender_info requires an authenticated/);
  const user = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(6));
  const content = contentOf("call", user.getPrincipal(), { sender_info });
  const sender_sig = await user.sign(separated("ic-request", requestId(content)));
  const body = { content, sender_pubkey: user.getPublicKey().toDer(), sender_sig };
  assert.match(
    textOf(receive(body)),
    /^Invalid sender info: sender_pubkey is not a valid canister signature public key/,
  );
});

test("sender info is part of what is signed", () => {
  const info = bytes("attributes");
  const sig = sign(separated("ic-sender-info", info));
  const body = withInfo({ info, signer: IDENTITY_CANISTER, sig });
  const { sender_info: _, ...content } = body.content;
  assert.match(textOf(receive({ ...body, content })), /^Invalid signature/);
});

test("in read_state, sender info is an unknown field", () => {
  const content = contentOf("read_state", USER);
  const sender_sig = sign(separated("ic-request", requestId(content)));
  const body = { content: { ...content, sender_info: 7 }, sender_pubkey: KEY, sender_sig };
  assert.equal(textOf(receive(body, "read_state")), "accepted");
});

test("plain RSA keys sign delegations, not requests", async () => {
  const { generateKeyPairSync, sign: rsaSign } = await import("node:crypto");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = new Uint8Array(rsa.publicKey.export({ format: "der", type: "spki" }));
  const content = contentOf("call", Principal.selfAuthenticating(key));
  const message = separated("ic-request", requestId(content));
  const direct = {
    content,
    sender_pubkey: key,
    sender_sig: new Uint8Array(rsaSign("sha256", message, rsa.privateKey)),
  };
  assert.match(textOf(receive(direct)), /RSA signatures are not allowed except in webauthn context$/);
  const session = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(5));
  const delegation = { pubkey: session.getPublicKey().toDer(), expiration: NOW + MINUTE };
  const signed = separated("ic-request-auth-delegation", hashOfMap(delegation));
  const signature = new Uint8Array(rsaSign("sha256", signed, rsa.privateKey));
  const sender_sig = await session.sign(message);
  const body = { content, sender_pubkey: key, sender_sig, sender_delegation: [{ delegation, signature }] };
  assert.equal(textOf(receive(body)), "accepted");
  signature[9] = (signature[9] as number) ^ 1;
  assert.match(textOf(receive(body)), /^Invalid delegation: Invalid basic signature: RsaSha256 signature could not/);
});

test("a certificate decoded and encoded again signs the same", () => {
  const again = { certify: (entries: Entry[]) => encodeCertificate(decodeCertificate(certify(ROOT, entries))) };
  assert.equal(request(again), "accepted");
});
