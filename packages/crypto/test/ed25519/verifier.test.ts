// Ed25519 signatures verified together, against @noble/curves with its rule of ZIP-215: all kinds of points, scalars and
// lengths that tell one rule from another, good and wrong signatures in batches of all sizes.
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { test } from "node:test";
import { fromHex } from "@atoll/types";
import { ed25519 } from "@noble/curves/ed25519.js";
import { Curve } from "../../src/ed25519/curve.ts";
import { Ed25519Verifier, type RawSignature } from "../../src/ed25519/verifier.ts";

const sha512 = (data: Uint8Array) => new Uint8Array(createHash("sha512").update(data).digest());
const verifier = new Ed25519Verifier(sha512);
const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;
const PRIME = 2n ** 255n - 19n;
const bytes = (text: string) => new TextEncoder().encode(text);
const littleEndian = (value: bigint) => fromHex(value.toString(16).padStart(64, "0")).reverse();
const number = (input: Uint8Array) => BigInt(`0x${Buffer.from(input).reverse().toString("hex")}`);

function noble({ publicKey, message, signature }: RawSignature): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: true });
  } catch {
    return false;
  }
}

function signer(seed: number): (message: Uint8Array) => RawSignature {
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = createPrivateKey({
    key: Buffer.concat([prefix, sha512(bytes(`${seed}`)).subarray(32)]),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" })).subarray(12);
  return (message) => ({ publicKey, message, signature: new Uint8Array(sign(null, message, key)) });
}

const good = Array.from({ length: 300 }, (_, i) => signer(i)(bytes(`message ${i}`.repeat(i % 4))));
const [some] = good as [RawSignature];

/** Alone, and in the middle of good ones: the answer is noble's. */
function check(one: RawSignature, expected = noble(one)): void {
  assert.equal(noble(one), expected, "noble");
  assert.equal(verifier.verifyAll([one]), expected, "alone");
  assert.equal(verifier.verifyAll([...good.slice(0, 3), one, ...good.slice(5, 8)]), expected, "among others");
}

test("RFC 8032, section 7.1", () => {
  for (const [publicKey, message, signature] of [
    [
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
  ] as const) {
    const vector = { publicKey: fromHex(publicKey), message: fromHex(message), signature: fromHex(signature) };
    check(vector, true);
    check({ ...vector, message: bytes("other") }, false);
  }
});

/** All encodings of the eight points of small order: y also above the prime, and with the sign of an x that is 0. */
function smallEncodings(): Uint8Array[] {
  const eighth = Point.fromBytes(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));
  const encodings: Uint8Array[] = [];
  for (let i = 0; i < 8; i++) {
    const { x, y } = i === 0 ? Point.ZERO : eighth.multiplyUnsafe(BigInt(i));
    for (const same of [y, y + PRIME].filter((value) => value < 2n ** 255n)) {
      const signs = x === 0n ? [0n, 1n] : [x & 1n];
      for (const bit of signs) encodings.push(littleEndian(same | (bit << 255n)));
    }
  }
  return encodings;
}

test("ZIP-215: all pairs of points of small order, however they are encoded, and s = 0", () => {
  const encodings = smallEncodings();
  assert.equal(encodings.length, 14);
  const zero = new Uint8Array(32);
  const all = encodings.flatMap((publicKey) =>
    encodings.map((r) => ({ publicKey, message: bytes("Zcash"), signature: Uint8Array.of(...r, ...zero) })),
  );
  assert.equal(all.length, 196);
  for (const one of all) {
    assert.equal(noble(one), true);
    assert.equal(verifier.verifyAll([one]), true);
  }
  assert.equal(verifier.verifyAll(all), true);
  assert.equal(verifier.verifyAll([...all, ...good]), true);
  for (const one of all.slice(0, 20)) check({ ...one, signature: one.signature.with(32, 1) }, false);
});

test("keys and nonces with a part of small order: good alone, and in whatever batch", () => {
  const eighth = Point.fromBytes(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));
  const multiple = (n: number) => (n === 0 ? Point.ZERO : eighth.multiplyUnsafe(BigInt(n)));
  const [secret, nonce] = [123_456_789n, 77_777n];
  const made = Array.from({ length: 24 }, (_, i) => {
    const publicKey = Point.BASE.multiply(secret)
      .add(multiple(i & 7))
      .toBytes();
    const r = Point.BASE.multiply(nonce)
      .add(multiple((i * 5 + (i >> 3)) & 7))
      .toBytes();
    const message = bytes(`m${i}`);
    const k = number(sha512(Uint8Array.of(...r, ...publicKey, ...message)));
    return { publicKey, message, signature: Uint8Array.of(...r, ...littleEndian((nonce + k * secret) % ORDER)) };
  });
  for (const one of made) assert.equal(verifier.verifyAll([one]) && noble(one), true);
  for (let i = 0; i < made.length; i++) {
    for (const size of [2, 5, 24]) {
      assert.equal(verifier.verifyAll([...made.slice(i), ...made.slice(0, i)].slice(0, size)), true);
    }
  }
  assert.equal(verifier.verifyAll([...made, { ...(made[3] as RawSignature), message: bytes("x") }]), false);
});

test("what is no point, not below the order, too long, too short or nothing", () => {
  const { publicKey, message, signature } = some;
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const withS = (value: bigint) => ({ ...some, signature: Uint8Array.of(...r, ...littleEndian(value)) });
  check(some, true);
  for (const value of [number(s) + ORDER, ORDER, ORDER - 1n, ORDER + 1n, 2n ** 253n, 2n ** 256n - 1n, 0n]) {
    check(withS(value), false);
  }
  for (const y of [2n, 7n, PRIME + 2n, 2n ** 255n - 1n - 16n, 2n ** 255n - 1n]) {
    for (const bit of [0n, 1n]) {
      const point = littleEndian(y | (bit << 255n));
      check({ ...some, publicKey: point }, false);
      check({ ...some, signature: Uint8Array.of(...point, ...s) }, false);
    }
  }
  for (const length of [0, 1, 31, 33, 64]) check({ ...some, publicKey: new Uint8Array(length) }, false);
  for (const length of [0, 32, 63, 65, 128]) check({ ...some, signature: new Uint8Array(length) }, false);
  check({ publicKey: publicKey.with(31, (publicKey[31] as number) ^ 0x80), message, signature }, false);
  check({ publicKey, message, signature: signature.with(31, (signature[31] as number) ^ 0x80) }, false);
  check({ publicKey: new Uint8Array(32), message, signature: new Uint8Array(64) });
  check({ publicKey, message, signature: new Uint8Array(64) }, false);
  check({ publicKey, message, signature: new Uint8Array(64).fill(0xff) }, false);
  assert.equal(verifier.verifyAll([]), true);
});

test("bytes are a point, or none, as ZIP-215 says", () => {
  const curve = new Curve(1);
  for (const start of [0n, PRIME - 20n, PRIME, 2n ** 254n]) {
    for (let y = start; y < start + 19n; y++) {
      for (const bit of [0n, 1n]) {
        const encoding = littleEndian(y | (bit << 255n));
        let isPoint = true;
        try {
          Point.fromBytes(encoding, true);
        } catch {
          isPoint = false;
        }
        assert.equal(curve.load(0, encoding), isPoint, `${y} ${bit}`);
      }
    }
  }
});

test("batches of all sizes, and one wrong signature anywhere", () => {
  for (const one of good.filter((_, i) => i % 15 === 0)) assert.equal(noble(one), true);
  for (const [i, size] of [1, 2, 3, 4, 5, 8, 17, 64, 127, 128, 129, 130, 256, 300].entries()) {
    const batch = good.slice(0, size);
    assert.equal(verifier.verifyAll(batch), true, `${size} good ones`);
    for (const at of new Set([0, size >> 1, size - 1])) {
      const part = (["message", "signature", "publicKey"] as const)[(i + at) % 3] as keyof RawSignature;
      const one = batch[at] as RawSignature;
      const other = good[(at + 1) % 300] as RawSignature;
      assert.equal(
        verifier.verifyAll(batch.with(at, { ...one, [part]: other[part] })),
        false,
        `${part} ${at} of ${size}`,
      );
    }
  }
});

test("two that are wrong by the same amount do not cancel", () => {
  const [one, other] = good as [RawSignature, RawSignature];
  const shift = (signature: Uint8Array, by: bigint) => {
    const s = (number(signature.subarray(32)) + by + ORDER) % ORDER;
    return Uint8Array.of(...signature.subarray(0, 32), ...littleEndian(s));
  };
  for (const by of [1n, 2n ** 100n]) {
    const pair = [
      { ...one, signature: shift(one.signature, by) },
      { ...other, signature: shift(other.signature, -by) },
    ];
    assert.equal(verifier.verifyAll(pair), false);
    assert.equal(verifier.verifyAll(pair.toReversed()), false);
  }
});

test("the same keys many times, the same signature twice, and more keys than are kept", () => {
  const few = [1, 2, 3].map((seed) => signer(seed));
  const batch = Array.from({ length: 100 }, (_, i) => (few[i % 3] as (typeof few)[0])(bytes(`again ${i}`)));
  assert.equal(verifier.verifyAll(batch), true);
  assert.equal(verifier.verifyAll(batch.with(50, { ...(batch[50] as RawSignature), message: bytes("") })), false);
  assert.equal(verifier.verifyAll([some, some, some]), true);
  const small = new Ed25519Verifier(sha512, 256);
  for (let i = 0; i < 3; i++) assert.equal(small.verifyAll(good), true);
  assert.equal(small.verifyAll(good.with(299, { ...(good[299] as RawSignature), message: bytes("x") })), false);
});
