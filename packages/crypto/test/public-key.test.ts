// DER of public keys: OpenSSL and the agent make them, we read them; each deviation from the one encoding is refused.
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { encodeCbor, fromHex, principalFromBytes, toHex } from "@atoll/types";
import { DER_COSE_OID, wrapDER } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { ecdsaSignatureFromDer, readPublicKeyInfo, readTwoIntegers, writeTwoIntegers } from "../src/der.ts";
import {
  canisterKeyToDer,
  coseKeyToDer,
  ecdsaKeyToDer,
  ed25519KeyToDer,
  parsePublicKey,
  rawPublicKey,
} from "../src/public-key.ts";
import { bytes } from "./certified-tree.ts";

const derOf = (key: KeyObject) => new Uint8Array(key.export({ format: "der", type: "spki" }));
const ed25519 = derOf(generateKeyPairSync("ed25519").publicKey);
const p256 = derOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey);
const secp256k1 = derOf(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey);
const rsa = derOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey);

function kindOf(der: Uint8Array): string {
  const parsed = parsePublicKey(der);
  if (!parsed.ok) return "refused";
  return parsed.key.kind === "canister" ? "canister" : `${parsed.key.kind} ${parsed.key.algorithm}`;
}

test("keys that OpenSSL made", () => {
  assert.equal(kindOf(ed25519), "plain ed25519");
  assert.equal(kindOf(p256), "plain p256");
  assert.equal(kindOf(secp256k1), "plain secp256k1");
  assert.equal(kindOf(rsa), "plain rsa-pkcs1-sha256");
  assert.deepEqual(ed25519KeyToDer(rawPublicKey(ed25519) as Uint8Array), ed25519);
  assert.deepEqual(ecdsaKeyToDer("p256", rawPublicKey(p256) as Uint8Array), p256);
  assert.deepEqual(ecdsaKeyToDer("secp256k1", rawPublicKey(secp256k1) as Uint8Array), secp256k1);
});

test("every key cut short, prolonged, or with one byte of its frame changed is refused", () => {
  const frames: [Uint8Array, number][] = [
    [ed25519, 12],
    [p256, 27],
    [secp256k1, 24],
    [rsa, 32],
  ];
  for (const [der, frame] of frames) {
    const kind = kindOf(der);
    for (let cut = 0; cut < der.length; cut++) assert.equal(kindOf(der.subarray(0, cut)), "refused");
    assert.equal(kindOf(Uint8Array.of(...der, 0)), "refused");
    for (let at = 0; at < frame; at++) {
      const changed = der.slice();
      changed[at] = (changed[at] as number) ^ 0x01;
      assert.notEqual(kindOf(changed), kind, `byte ${at} of ${kind}`);
    }
  }
});

test("compressed points, other curves and small RSA keys are refused", () => {
  const compressed = new Uint8Array(fromHex("3039301306072a8648ce3d020106082a8648ce3d030107032200").length + 33);
  compressed.set(fromHex("3039301306072a8648ce3d020106082a8648ce3d030107032200"));
  compressed[26] = 2;
  assert.equal(kindOf(compressed), "refused");
  assert.equal(kindOf(derOf(generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey)), "refused");
  assert.equal(kindOf(derOf(generateKeyPairSync("x25519").publicKey)), "refused");
  assert.equal(kindOf(derOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey)), "refused");
  for (const [n, e] of [
    [new Uint8Array(256).fill(0xfe), Uint8Array.of(1, 0, 1)],
    [new Uint8Array(256).fill(0xff), Uint8Array.of(1)],
    [new Uint8Array(256).fill(0xff), Uint8Array.of(2)],
    [new Uint8Array(256).fill(0xff), Uint8Array.of(1, 0, 0, 0, 1)],
    [new Uint8Array(1025).fill(0xff), Uint8Array.of(1, 0, 1)],
  ] as const) {
    assert.equal(kindOf(coseKeyToDer(encodeCbor(coseRsa(n, e)))), "refused");
  }
});

const coseRsa = (n: Uint8Array, e: Uint8Array) =>
  new Map<number, number | Uint8Array>([
    [1, 3],
    [3, -257],
    [-1, n],
    [-2, e],
  ]);
const point = rawPublicKey(p256) as Uint8Array;
const coseP256 = (more: [number, number | string | Uint8Array][] = []) =>
  new Map<number, number | string | Uint8Array>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, point.subarray(1, 33)],
    [-3, point.subarray(33)],
    ...more,
  ]);

test("COSE keys become the keys they stand for, in the agent's wrapping", () => {
  const cose = encodeCbor(coseP256());
  assert.deepEqual(coseKeyToDer(cose), new Uint8Array(wrapDER(cose, DER_COSE_OID)));
  assert.deepEqual(parsePublicKey(coseKeyToDer(cose)), {
    ok: true,
    key: { kind: "webauthn", algorithm: "p256", der: p256 },
  });
  const [n, e] = readTwoIntegers(rawPublicKey(rsa) as Uint8Array) as [Uint8Array, Uint8Array];
  assert.deepEqual(parsePublicKey(coseKeyToDer(encodeCbor(coseRsa(n, e)))), {
    ok: true,
    key: { kind: "webauthn", algorithm: "rsa-pkcs1-sha256", der: rsa },
  });
  const okp = new Map<number, number | Uint8Array>([
    [1, 1],
    [3, -8],
    [-1, 6],
    [-2, rawPublicKey(ed25519) as Uint8Array],
  ]);
  assert.deepEqual(parsePublicKey(coseKeyToDer(encodeCbor(okp))), {
    ok: true,
    key: { kind: "webauthn", algorithm: "ed25519", der: ed25519 },
  });
  assert.equal(kindOf(coseKeyToDer(encodeCbor(coseP256([[4, "verify"]])))), "webauthn p256");
});

test("COSE keys of other kinds or shapes are refused", () => {
  for (const change of [
    [1, 1],
    [1, "2"],
    [3, -8],
    [3, -257],
    [4, "sign"],
    [-1, 2],
    [-2, point.subarray(0, 31)],
    [-3, 5],
  ] as [number, number | string | Uint8Array][]) {
    assert.equal(kindOf(coseKeyToDer(encodeCbor(coseP256([change])))), "refused", String(change));
  }
  for (const cose of [bytes(""), bytes("x"), encodeCbor([]), encodeCbor(new Map())]) {
    assert.equal(kindOf(coseKeyToDer(cose)), "refused");
  }
});

test("keys of canister signatures: length, canister id, seed", () => {
  const id = fromHex("00000000000000050101");
  const parsed = parsePublicKey(canisterKeyToDer(id, bytes("seed")));
  assert.deepEqual(parsed, {
    ok: true,
    key: { kind: "canister", canisterId: principalFromBytes(id), seed: bytes("seed") },
  });
  // Interface specification, "Canister signatures": the object identifier 1.3.6.1.4.1.56387.1.2.
  assert.equal(toHex(canisterKeyToDer(id, bytes(""))), "301c300c060a2b0601040183b8430102030c000a00000000000000050101");
  const frame = (key: Uint8Array) => {
    const der = canisterKeyToDer(new Uint8Array(), key);
    return Uint8Array.of(0x30, (der[1] as number) - 1, ...der.subarray(2, 16), 3, key.length + 1, 0, ...key);
  };
  assert.equal(kindOf(frame(Uint8Array.of(0))), "canister");
  assert.equal(kindOf(frame(bytes(""))), "refused");
  assert.equal(kindOf(frame(Uint8Array.of(5, 1, 2, 3, 4))), "refused");
  assert.equal(kindOf(frame(Uint8Array.of(30, ...new Uint8Array(30)))), "refused");
});

test("two integers in DER come back in their shortest form", () => {
  const magnitude = fc.uint8Array({ minLength: 1, maxLength: 300 });
  const trim = (value: Uint8Array) =>
    value.subarray(Math.min(value.findIndex((byte) => byte !== 0) >>> 0, value.length - 1));
  fc.assert(
    fc.property(magnitude, magnitude, (a, b) => {
      assert.deepEqual(readTwoIntegers(writeTwoIntegers(a, b)), [trim(a), trim(b)]);
    }),
  );
  for (const hex of [
    "3006020100020200ff00",
    "30060201ff020101",
    "300702020001020101",
    "30060201010201",
    "3081060201010201 01".replace(" ", ""),
  ]) {
    assert.equal(readTwoIntegers(fromHex(hex)), undefined, hex);
  }
  assert.equal(
    toHex(ecdsaSignatureFromDer(fromHex("3006020101020102")) as Uint8Array),
    `${"0".repeat(63)}1${"0".repeat(63)}2`,
  );
  assert.equal(ecdsaSignatureFromDer(writeTwoIntegers(new Uint8Array(33).fill(1), Uint8Array.of(1))), undefined);
});

test("random bytes never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (der) => {
      parsePublicKey(der);
      readPublicKeyInfo(Uint8Array.of(0x30, der.length, ...der));
    }),
    { numRuns: 2000 },
  );
});
