// Web authentication: the agent's WebAuthnIdentity over an authenticator made of OpenSSL keys, and what must not pass.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { type CborInput, encodeCbor } from "@atoll/types";
import { WebAuthnIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { readTwoIntegers } from "../src/der.ts";
import { coseKeyToDer, rawPublicKey } from "../src/public-key.ts";
import { bodyOf, type Content, contentOf, receive, requestId, textOf } from "./agent-requests.ts";
import { bytes } from "./certified-tree.ts";

const AUTHENTICATOR_DATA = new Uint8Array(37).fill(7);
const spki = (key: KeyObject) => new Uint8Array(key.export({ format: "der", type: "spki" }));

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const point = rawPublicKey(spki(p256.publicKey)) as Uint8Array;
const P256_COSE = encodeCbor(
  new Map<number, number | Uint8Array>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, point.subarray(1, 33)],
    [-3, point.subarray(33)],
  ]),
);

function clientData(challenge: Uint8Array, more: object = {}): string {
  const data = {
    type: "webauthn.get",
    challenge: Buffer.from(challenge).toString("base64url"),
    origin: "https://x.org",
  };
  return JSON.stringify({ ...data, ...more });
}

/** What an authenticator signs, with whichever key and hash function. */
function assertion(json: string, key: KeyObject): Uint8Array {
  const signed = Buffer.concat([AUTHENTICATOR_DATA, createHash("sha256").update(json).digest()]);
  const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return new Uint8Array(sign(hash, signed, key));
}

const before = Object.getOwnPropertyDescriptor(globalThis, "navigator") as PropertyDescriptor;
beforeEach(() => {
  const get = async ({ publicKey }: { publicKey: { challenge: Uint8Array } }) => {
    const json = clientData(publicKey.challenge);
    const response = {
      clientDataJSON: bytes(json).buffer,
      authenticatorData: AUTHENTICATOR_DATA,
      signature: assertion(json, p256.privateKey),
    };
    return { authenticatorAttachment: null, response };
  };
  Object.defineProperty(globalThis, "navigator", { value: { credentials: { get } }, configurable: true });
});
afterEach(() => Object.defineProperty(globalThis, "navigator", before));

test("a request that the agent's WebAuthnIdentity signed", async () => {
  const identity = new WebAuthnIdentity(new Uint8Array(16), P256_COSE, undefined);
  const result = receive(await bodyOf(identity));
  assert.ok(result.ok, textOf(result));
  assert.equal(result.sender, identity.getPrincipal().toHex().toLowerCase());
});

interface Signing {
  readonly cose: Uint8Array;
  readonly key: KeyObject;
  readonly json?: (challenge: Uint8Array) => string;
  readonly signature?: (good: Uint8Array) => Uint8Array;
  readonly fields?: Record<string, CborInput>;
}

function request({ cose, key, json = clientData, signature = (good) => good, fields = {} }: Signing): string {
  const der = coseKeyToDer(cose);
  const content: Content = contentOf("call", Principal.selfAuthenticating(der));
  const challenge = Uint8Array.of(10, ...bytes("ic-request"), ...requestId(content));
  const text = json(challenge);
  const sender_sig = encodeCbor({
    authenticator_data: AUTHENTICATOR_DATA,
    client_data_json: text,
    signature: signature(assertion(text, key)),
    ...fields,
  });
  return textOf(receive({ content, sender_pubkey: der, sender_sig }));
}

test("RSA and Ed25519 authenticators", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const [n, e] = readTwoIntegers(rawPublicKey(spki(rsa.publicKey)) as Uint8Array) as [Uint8Array, Uint8Array];
  const rsaCose = encodeCbor(
    new Map<number, number | Uint8Array>([
      [1, 3],
      [3, -257],
      [-1, n],
      [-2, e],
    ]),
  );
  assert.equal(request({ cose: rsaCose, key: rsa.privateKey }), "accepted");
  const ed25519 = generateKeyPairSync("ed25519");
  const okp = encodeCbor(
    new Map<number, number | Uint8Array>([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, rawPublicKey(spki(ed25519.publicKey)) as Uint8Array],
    ]),
  );
  assert.equal(request({ cose: okp, key: ed25519.privateKey }), "accepted");
  for (const [cose, key] of [
    [rsaCose, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey],
    [okp, generateKeyPairSync("ed25519").privateKey],
    [P256_COSE, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey],
  ] as const) {
    assert.match(request({ cose, key }), /^Invalid signature: WebAuthn error: Verifying signature failed/);
  }
});

const good: Signing = { cose: P256_COSE, key: p256.privateKey };

test("the client data as bytes, more fields in it, and no tag are fine", () => {
  assert.equal(request(good), "accepted");
  const more = (challenge: Uint8Array) => clientData(challenge, { crossOrigin: false });
  assert.equal(request({ ...good, json: more }), "accepted");
});

test("a challenge that is not ours", () => {
  for (const json of [
    () => clientData(bytes("other")),
    (challenge: Uint8Array) => clientData(challenge.subarray(1)),
    (challenge: Uint8Array) => clientData(Uint8Array.of(...challenge, 0)),
  ]) {
    assert.match(request({ ...good, json }), /^Invalid signature: WebAuthn error: Challenge in webauthn is /);
  }
});

test("client data that is no such JSON", () => {
  const base64 = (challenge: Uint8Array) => Buffer.from(challenge).toString("base64url");
  for (const json of [
    () => "",
    () => "[]",
    () => "null",
    () => "7",
    (c: Uint8Array) => JSON.stringify({ challenge: base64(c), origin: "x" }),
    (c: Uint8Array) => JSON.stringify({ type: "x", challenge: base64(c) }),
    (c: Uint8Array) => clientData(c, { origin: 5 }),
    (c: Uint8Array) => clientData(c, { challenge: `${base64(c)}=` }),
    (c: Uint8Array) => clientData(c, { challenge: `${base64(c)} ` }),
    (c: Uint8Array) => clientData(c, { challenge: `+${base64(c).slice(1)}` }),
    (c: Uint8Array) => clientData(c, { challenge: `${base64(c)}AAA` }),
  ]) {
    assert.match(request({ ...good, json }), /^Invalid signature: WebAuthn error: WebAuthn envelope creation failed: /);
  }
});

test("signatures of another form", () => {
  const raw = (der: Uint8Array) => {
    const [r, s] = readTwoIntegers(der) as [Uint8Array, Uint8Array];
    const bytes64 = new Uint8Array(64);
    bytes64.set(r, 32 - r.length);
    bytes64.set(s, 64 - s.length);
    return bytes64;
  };
  for (const signature of [raw, (der: Uint8Array) => der.subarray(1), () => new Uint8Array()]) {
    assert.match(request({ ...good, signature }), /^Invalid signature: WebAuthn error: Failed to parse EcdsaP256/);
  }
  for (const fields of [{ signature: "x" }, { authenticator_data: undefined }, { client_data_json: 5 }]) {
    assert.match(request({ ...good, fields }), /^Invalid signature: WebAuthn error: Signature CBOR parsing failed/);
  }
  const changed = { authenticator_data: new Uint8Array(37) };
  assert.match(request({ ...good, fields: changed }), /^Invalid signature: WebAuthn error: Verifying signature failed/);
});
