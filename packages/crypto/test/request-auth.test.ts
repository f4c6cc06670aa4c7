// Authentication of requests made and signed by the agent's own identities; each check with its text, in order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborInput, encodeCbor, toHex } from "@atoll/types";
import { AnonymousIdentity, Cbor, requestIdOf, type SignIdentity } from "@icp-sdk/core/agent";
import { ECDSAKeyIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import type { RequestKind } from "../src/envelope.ts";
import { type Body, bodyOf, contentOf, MINUTE, NOW, receive, receiveBytes, textOf } from "./agent-requests.ts";
import { bytes } from "./certified-tree.ts";

const alice = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(1));
const bob = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(2));
const anonymous = new AnonymousIdentity();
const KINDS: RequestKind[] = ["call", "query", "read_state"];

test("each identity of the agent, each kind of request", async () => {
  const identities: SignIdentity[] = [
    alice,
    Secp256k1KeyIdentity.generate(new Uint8Array(32).fill(3)),
    await ECDSAKeyIdentity.generate(),
  ];
  for (const identity of identities) {
    for (const kind of KINDS) {
      const body = await bodyOf(identity, kind, { nonce: new Uint8Array(16) });
      const result = receive(body, kind);
      assert.ok(result.ok, textOf(result));
      assert.equal(result.sender, identity.getPrincipal().toHex().toLowerCase());
      assert.equal(toHex(result.requestId), toHex(requestIdOf(body.content)));
      assert.equal(result.targets, undefined);
    }
  }
});

test("anonymous requests carry no signature", async () => {
  for (const kind of KINDS) {
    const body = await bodyOf(anonymous as never, kind);
    const result = receive(body, kind);
    assert.ok(result.ok, textOf(result));
    assert.equal(result.sender, "04");
    const { content } = await bodyOf(alice, kind);
    assert.match(textOf(receive({ content }, kind)), /^Missing signature from user: [a-z0-9-]+$/);
    const signed = { ...(await bodyOf(alice, kind)), content: contentOf(kind, Principal.anonymous()) };
    assert.equal(textOf(receive(signed, kind)), "Signature is not allowed for the anonymous user.");
  }
});

test("signatures that do not fit are refused", async () => {
  const body = await bodyOf(alice);
  const other = await bodyOf(bob);
  const signature = body.sender_sig as Uint8Array;
  const flipped = new Uint8Array(signature);
  flipped[5] = (flipped[5] as number) ^ 1;
  for (const sender_sig of [other.sender_sig, flipped, new Uint8Array(64)]) {
    assert.match(
      textOf(receive({ ...body, sender_sig })),
      /^Invalid signature: Invalid basic signature: Ed25519 signature could not be verified: public key [0-9a-f]+, signature /,
    );
  }
  for (const sender_sig of [signature.slice(1), new Uint8Array(), new Uint8Array(65)]) {
    assert.match(textOf(receive({ ...body, sender_sig })), /^Invalid signature: .*Malformed Ed25519 signature.*length/);
  }
  assert.match(
    textOf(receive({ ...body, sender_pubkey: other.sender_pubkey })),
    /^The user id '[a-z0-9-]+' does not match the public key '[0-9a-f]{88}'$/,
  );
  const changed = { ...body, content: { ...body.content, method_name: "other" } };
  assert.match(textOf(receive(changed)), /^Invalid signature/);
});

test("every field of the content is signed, unknown ones are not", async () => {
  const body = await bodyOf(alice, "call", { nonce: Uint8Array.of(1) });
  for (const field of ["canister_id", "method_name", "arg", "ingress_expiry", "nonce"]) {
    const content = { ...body.content };
    const value = content[field];
    content[field] =
      typeof value === "string" ? `${value}x` : typeof value === "bigint" ? value + 1n : Uint8Array.of(0, 1, 2);
    assert.match(textOf(receive({ ...body, content })), /^Invalid signature/, field);
  }
  // As in the replica, the id is made of known fields: one more inside the signed content breaks the signature ...
  assert.match(textOf(receive(await bodyOf(alice, "call", { extra: "x" }))), /^Invalid signature/);
  // ... and one more outside is ignored.
  assert.ok(receive({ ...body, content: { ...body.content, extra: "x" }, more: 1 }).ok);
});

test("expiry: now at the earliest, five and a half minutes ahead at the latest", async () => {
  const latest = NOW + 5n * MINUTE + MINUTE / 2n;
  for (const ingress_expiry of [NOW, NOW + MINUTE, latest]) {
    assert.ok(receive(await bodyOf(alice, "call", { ingress_expiry })).ok);
  }
  for (const kind of KINDS) {
    for (const ingress_expiry of [NOW - 1n, latest + 1n, 0n, (1n << 64n) - 1n]) {
      const text = textOf(receive(await bodyOf(alice, kind, { ingress_expiry }), kind));
      assert.match(
        text,
        /^Invalid request expiry: Specified ingress_expiry not within expected range: Minimum allowed/,
      );
      const anonymousText = textOf(receive(await bodyOf(anonymous as never, kind, { ingress_expiry }), kind));
      assert.equal(anonymousText === "accepted", kind !== "call");
    }
  }
  assert.equal(
    textOf(receive(await bodyOf(alice, "call", { ingress_expiry: NOW - 1_000_000n }))),
    "Invalid request expiry: Specified ingress_expiry not within expected range: " +
      "Minimum allowed expiry: 2023-11-14 22:13:20 UTC, Maximum allowed expiry: 2023-11-14 22:18:50 UTC, " +
      "Provided expiry:        2023-11-14 22:13:19.999 UTC",
  );
});

test("nonce and read_state paths are bounded", async () => {
  assert.ok(receive(await bodyOf(alice, "call", { nonce: new Uint8Array(32) })).ok);
  assert.equal(
    textOf(receive(await bodyOf(alice, "call", { nonce: new Uint8Array(33) }))),
    "Nonce in request is too big: got 33 bytes, but at most 32 are allowed.",
  );
  const path = [bytes("time")];
  assert.ok(receive(await bodyOf(alice, "read_state", { paths: Array(1000).fill(path) }), "read_state").ok);
  assert.equal(
    textOf(receive(await bodyOf(alice, "read_state", { paths: Array(1001).fill(path) }), "read_state")),
    "Too many paths in read state request: got 1001 paths, but at most 1000 are allowed.",
  );
  const long = (length: number) => [Array(length).fill(bytes("x"))];
  assert.ok(receive(await bodyOf(alice, "read_state", { paths: long(127) }), "read_state").ok);
  assert.equal(
    textOf(receive(await bodyOf(alice, "read_state", { paths: long(128) }), "read_state")),
    "At least one path in read state request is too deep: got 128 labels, but at most 127 are allowed.",
  );
});

test("the order of the checks: the first that fails is told", async () => {
  const broken = { ingress_expiry: 0n, nonce: new Uint8Array(33) };
  const wrongUser = { ...(await bodyOf(bob, "call", broken)), sender_pubkey: alice.getPublicKey().toDer() };
  assert.match(textOf(receive(wrongUser)), /^Invalid request expiry/);
  const wrongNonce = {
    ...(await bodyOf(bob, "call", { nonce: new Uint8Array(33) })),
    sender_pubkey: new Uint8Array(3),
  };
  assert.match(textOf(receive(wrongNonce)), /^Nonce/);
  const wrongKey = { ...(await bodyOf(bob)), sender_pubkey: new Uint8Array(3), sender_sig: new Uint8Array(3) };
  assert.match(textOf(receive(wrongKey)), /^The user id/);
});

test("keys that nobody can parse", async () => {
  for (const key of [
    new Uint8Array(),
    bytes("hello"),
    alice.getPublicKey().toDer().slice(1),
    alice.getPublicKey().toRaw(),
  ]) {
    const sender = Principal.selfAuthenticating(new Uint8Array(key)).toUint8Array();
    const content = contentOf("call", alice.getPrincipal(), { sender });
    const body = { content, sender_pubkey: key, sender_sig: new Uint8Array(64) };
    assert.match(textOf(receive(body)), /^Invalid signature: Invalid public key: Malformed Unspecified public key: /);
  }
});

test("bodies of the wrong shape", async () => {
  const body = await bodyOf(alice);
  const { content } = body;
  const without = (field: string) => ({ ...body, content: { ...content, [field]: null } });
  const wrong = (more: object): Body => ({ ...body, content: { ...content, ...more } });
  const shape = /^Failed to deserialize cbor request: /;
  for (const bad of [
    1,
    [],
    {},
    { content: 1 },
    without("canister_id"),
    without("method_name"),
    without("arg"),
    without("sender"),
    without("ingress_expiry"),
    without("request_type"),
    wrong({ request_type: "query" }),
    wrong({ method_name: bytes("x") }),
    wrong({ arg: "text" }),
    wrong({ ingress_expiry: -1 }),
    wrong({ ingress_expiry: 1n << 64n }),
    wrong({ ingress_expiry: "now" }),
    wrong({ nonce: 1 }),
    wrong({ sender_info: 1 }),
    wrong({ sender_info: { info: bytes("x") } }),
    { ...body, sender_sig: "x" },
    { ...body, sender_delegation: 1 },
    { ...body, sender_delegation: [1] },
    { ...body, sender_delegation: [{ delegation: {}, signature: bytes("") }] },
  ]) {
    assert.match(textOf(receiveBytes(encodeCbor(bad as CborInput))), shape);
  }
  for (const kind of KINDS.filter((other) => other !== "call")) assert.match(textOf(receive(body, kind)), shape);
});

test("parts of a signature missing, and principals too long, have texts of their own", async () => {
  const body = await bodyOf(alice);
  const { content, sender_pubkey, sender_sig } = body as Body & Record<string, unknown>;
  for (const bad of [
    { content, sender_pubkey },
    { content, sender_sig },
    { content, sender_delegation: [] },
    { content, sender_pubkey, sender_delegation: [] },
  ]) {
    assert.match(textOf(receive(bad)), /^Could not parse body as call message: missing pubkey or signature/);
  }
  const query = { ...(await bodyOf(alice, "query")), sender_sig: null };
  assert.match(textOf(receive(query, "query")), /^Malformed request: missing pubkey or signature/);
  assert.ok(receive({ content, sender_pubkey, sender_sig, sender_delegation: null }).ok);
  for (const field of ["sender", "canister_id"]) {
    const bad = { ...body, content: { ...content, [field]: new Uint8Array(30) } };
    assert.match(textOf(receive(bad)), /^Could not parse body as call message: .*PrincipalId/);
  }
});

test("bytes cut or changed anywhere are refused with a text, and never accepted", async () => {
  const encoded = Cbor.encode(await bodyOf(alice, "call", { nonce: new Uint8Array(8) }));
  for (let at = 0; at < encoded.length; at++) {
    assert.equal(receiveBytes(encoded.subarray(0, at)).ok, false);
    if (at < 3 || at % 5 !== 0) continue;
    const changed = encoded.slice();
    changed[at] = (changed[at] as number) ^ 0x11;
    const result = receiveBytes(changed);
    assert.equal(result.ok, false, `byte ${at}`);
  }
});
