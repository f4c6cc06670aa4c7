// The two crypto ports against each other: the same answer for every input, good, bad or malicious.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";
import { ed25519KeyToDer, rawPublicKey } from "@atoll/crypto";
import { createUniversalCrypto } from "@atoll/crypto/universal-port";
import { fromHex, type SignatureAlgorithm, toHex } from "@atoll/types";
import { blsVerify } from "@icp-sdk/core/agent";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import fc from "fast-check";
import { createNodeCrypto } from "../src/crypto-node.ts";

const node = await createNodeCrypto();
const universal = createUniversalCrypto();
const bytes = (text: string) => new TextEncoder().encode(text);
const flip = (input: Uint8Array, at: number) => input.map((byte, i) => (i === at ? byte ^ 1 : byte));

test("hashes of every small length and some large ones", () => {
  for (const length of [...Array(130).keys(), 1000, 4096, 100_000]) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
    for (const [name, hash] of [
      ["sha256", "sha256"],
      ["sha224", "sha224"],
    ] as const) {
      const expected = createHash(hash).update(data).digest("hex");
      assert.equal(toHex(node[name](data)), expected);
      assert.equal(toHex(universal[name](data)), expected);
      assert.equal(node[name](data).constructor, Uint8Array);
    }
  }
});

interface Scheme {
  readonly algorithm: SignatureAlgorithm;
  readonly der: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

function scheme(algorithm: SignatureAlgorithm, pair: { publicKey: KeyObject; privateKey: KeyObject }): Scheme {
  const hash = algorithm === "ed25519" ? null : "sha256";
  return {
    algorithm,
    der: new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })),
    sign: (message) => new Uint8Array(sign(hash, message, { key: pair.privateKey, dsaEncoding: "ieee-p1363" })),
  };
}

const lowS = (signature: Uint8Array) => {
  const parsed = secp256k1.Signature.fromBytes(signature);
  return parsed.hasHighS() ? new secp256k1.Signature(parsed.r, secp256k1.Point.Fn.neg(parsed.s)).toBytes() : signature;
};
const secp = scheme("secp256k1", generateKeyPairSync("ec", { namedCurve: "secp256k1" }));
const SCHEMES: Scheme[] = [
  scheme("ed25519", generateKeyPairSync("ed25519")),
  scheme("p256", generateKeyPairSync("ec", { namedCurve: "P-256" })),
  { ...secp, sign: (message) => lowS(secp.sign(message)) },
  scheme("rsa-pkcs1-sha256", generateKeyPairSync("rsa", { modulusLength: 2048 })),
];

function both(algorithm: SignatureAlgorithm, der: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const answer = node.verify(algorithm, der, message, signature);
  const place = `${algorithm} ${toHex(der)} ${toHex(message)} ${toHex(signature)}`;
  if (algorithm === "ed25519") {
    for (const port of [node, universal]) {
      assert.equal(port.verifyAllEd25519([{ publicKeyDer: der, message, signature }]), answer, place);
    }
  }
  assert.equal(universal.verify(algorithm, der, message, signature), answer, place);
  return answer;
}

test("good signatures, and each kind of bad one", () => {
  for (const { algorithm, der, sign: make } of SCHEMES) {
    for (const message of [new Uint8Array(), bytes("message"), new Uint8Array(10_000)]) {
      const signature = make(message);
      assert.equal(both(algorithm, der, message, signature), true);
      assert.equal(both(algorithm, der, bytes("other"), signature), false);
      assert.equal(both(algorithm, der, message, new Uint8Array(signature.length)), false);
      assert.equal(both(algorithm, der, message, new Uint8Array(signature.length).fill(0xff)), false);
      assert.equal(both(algorithm, der, message, signature.subarray(1)), false);
      assert.equal(both(algorithm, der, message, new Uint8Array()), false);
      assert.equal(both(algorithm, der, message, Uint8Array.of(...signature, 0)), false);
      for (const at of [0, 31, 32, 63]) assert.equal(both(algorithm, der, message, flip(signature, at)), false);
      for (const other of SCHEMES) {
        if (other.algorithm === algorithm) continue;
        assert.equal(both(algorithm, other.der, message, signature), false);
        assert.equal(both(other.algorithm, der, message, signature), false);
      }
    }
  }
});

test("malformed keys are false, not exceptions, also when they were seen before", () => {
  const message = bytes("m");
  for (const { algorithm, der, sign: make } of SCHEMES) {
    const signature = make(message);
    for (const bad of [
      new Uint8Array(),
      der.subarray(1),
      der.subarray(0, -1),
      Uint8Array.of(...der, 0),
      rawPublicKey(der) as Uint8Array,
    ]) {
      assert.equal(both(algorithm, bad, message, signature), false);
      assert.equal(both(algorithm, bad, message, signature), false);
    }
    if (algorithm === "p256" || algorithm === "secp256k1") {
      assert.equal(both(algorithm, flip(der, der.length - 1), message, signature), false, "not on the curve");
    }
  }
});

test("a high s is accepted with P-256 and refused with secp256k1, as in the replica", () => {
  const message = bytes("malleable");
  const order = (hex: string) => BigInt(`0x${hex}`);
  const orders = {
    p256: order("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    secp256k1: secp256k1.Point.Fn.ORDER,
  };
  for (const { algorithm, der, sign: make } of SCHEMES) {
    if (algorithm !== "p256" && algorithm !== "secp256k1") continue;
    const signature = make(message);
    const s = BigInt(`0x${toHex(signature.subarray(32))}`);
    const other = fromHex(toHex(signature.subarray(0, 32)) + (orders[algorithm] - s).toString(16).padStart(64, "0"));
    const [low, high] = s * 2n < orders[algorithm] ? [signature, other] : [other, signature];
    assert.equal(both(algorithm, der, message, low), true);
    assert.equal(both(algorithm, der, message, high), algorithm === "p256");
  }
});

test("signatures of RFC 8032, section 7.1", () => {
  const vectors = [
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
  ] as const;
  for (const [seed, key, message, signature] of vectors) {
    for (const port of [node, universal]) {
      assert.equal(toHex(port.ed25519PublicKey(fromHex(seed))), key);
      assert.equal(toHex(port.signEd25519(fromHex(seed), fromHex(message))), signature);
    }
    assert.equal(both("ed25519", ed25519KeyToDer(fromHex(key)), fromHex(message), fromHex(signature)), true);
  }
  assert.throws(() => node.signEd25519(new Uint8Array(31), new Uint8Array()));
});

test("malicious Ed25519: small orders, encodings that are not canonical, s beyond the order", () => {
  const points = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  ];
  const order = ed25519.Point.Fn.ORDER;
  const littleEndian = (value: bigint) => fromHex(value.toString(16).padStart(64, "0")).reverse();
  for (const key of points) {
    for (const r of points) {
      for (const s of [0n, order]) {
        const signature = Uint8Array.of(...fromHex(r), ...littleEndian(s));
        for (const message of ["a", "b"]) {
          assert.equal(both("ed25519", ed25519KeyToDer(fromHex(key)), bytes(message), signature), s === 0n);
        }
      }
    }
  }
  const { der, sign: make } = SCHEMES[0] as Scheme;
  const good = make(bytes("m"));
  const s = BigInt(`0x${toHex(good.slice(32).reverse())}`);
  const beyond = Uint8Array.of(...good.subarray(0, 32), ...littleEndian(s + order));
  assert.equal(both("ed25519", der, bytes("m"), beyond), false);
});

test("Ed25519 keys and nonces with a part of small order: the rule with the cofactor", () => {
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  const eighth = Point.fromBytes(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));
  const number = (input: Uint8Array) => BigInt(`0x${toHex(input.slice().reverse())}`);
  const secret = 123_456_789n;
  const count = (smallInKey: number, nonce: bigint) => {
    const key = Point.BASE.multiply(secret).add(multiple(smallInKey)).toBytes();
    let accepted = 0;
    for (let i = 0; i < 8 * 8; i++) {
      const message = bytes(`m${i >> 3}`);
      const r = (nonce === 0n ? Point.ZERO : Point.BASE.multiply(nonce)).add(multiple(i & 7)).toBytes();
      const k = number(createHash("sha512").update(r).update(key).update(message).digest()) % order;
      const s = ((nonce + k * secret) % order).toString(16).padStart(64, "0");
      if (both("ed25519", ed25519KeyToDer(key), message, Uint8Array.of(...r, ...fromHex(s).reverse()))) accepted++;
    }
    return accepted;
  };
  const multiple = (n: number) => (n === 0 ? Point.ZERO : eighth.multiplyUnsafe(BigInt(n)));
  for (const [smallInKey, nonce] of [
    [0, 77n],
    [1, 77n],
    [0, 0n],
    [3, 0n],
  ] as const) {
    assert.equal(count(smallInKey, nonce), 64);
  }
});

test("BLS: both ports make the same keys and signatures, and accept each other's", () => {
  for (let i = 1; i <= 6; i++) {
    const secret = createHash("sha256").update(`secret ${i}`).digest();
    secret[0] = 0;
    const message = bytes(`message ${i}`.repeat(i * 7));
    const [key, signature] = [node.bls.publicKey(secret), node.bls.sign(secret, message)];
    assert.equal(toHex(universal.bls.publicKey(secret)), toHex(key));
    assert.equal(toHex(universal.bls.sign(secret, message)), toHex(signature));
    assert.equal(universal.bls.verify(key, message, signature), true);
    assert.equal(node.bls.verify(key, message, signature), true);
    assert.equal(blsVerify(key, signature, message), true);
    assert.equal(key.constructor, Uint8Array);
  }
});

// x-coordinates on the curve, but outside the subgroup: the first few that decode.
function outsideSubgroup(): Uint8Array {
  for (let x = 1; ; x++) {
    const encoded = new Uint8Array(48);
    encoded[0] = 0x80;
    encoded[47] = x;
    try {
      if (!bls12_381.G1.Point.fromBytes(encoded).isTorsionFree()) return encoded;
    } catch (error) {
      if (/subgroup|order/.test(String(error))) return encoded;
    }
  }
}

test("BLS: what is not a good signature", () => {
  const secret = new Uint8Array(32).fill(9);
  const message = bytes("message");
  const [key, signature] = [node.bls.publicKey(secret), node.bls.sign(secret, message)];
  const otherKey = node.bls.publicKey(new Uint8Array(32).fill(8));
  const infinity = (length: number) => Uint8Array.of(0xc0, ...new Uint8Array(length - 1));
  const modulus = "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
  const notReduced = fromHex(modulus);
  notReduced[0] = (notReduced[0] as number) | 0x80;
  const keys = [
    key,
    otherKey,
    infinity(96),
    new Uint8Array(96),
    key.subarray(1),
    flip(key, 95),
    flip(key, 0),
    new Uint8Array(96).fill(0xff),
  ];
  const negated = signature.map((byte, i) => (i === 0 ? byte ^ 0x20 : byte));
  const signatures = [
    signature,
    node.bls.sign(secret, bytes("other")),
    negated,
    infinity(48),
    Uint8Array.of(0xe0, ...new Uint8Array(47)),
    Uint8Array.of(0xc0, ...new Uint8Array(46), 1),
    new Uint8Array(48),
    new Uint8Array(48).fill(0xff),
    signature.subarray(1),
    flip(signature, 47),
    signature.map((byte, i) => (i === 0 ? byte & 0x7f : byte)),
    notReduced,
    outsideSubgroup(),
  ];
  for (const k of keys) {
    for (const s of signatures) {
      const expected = k === key && s === signature;
      assert.equal(node.bls.verify(k, message, s), expected, `mcl ${toHex(k)} ${toHex(s)}`);
      assert.equal(universal.bls.verify(k, message, s), expected, `noble ${toHex(k)} ${toHex(s)}`);
    }
  }
});

test("BLS: secrets that are no scalars throw in both", () => {
  const order = fromHex("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
  for (const secret of [
    new Uint8Array(32),
    order,
    new Uint8Array(32).fill(0xff),
    new Uint8Array(31).fill(1),
    new Uint8Array(33),
  ]) {
    for (const { bls } of [node, universal]) {
      assert.throws(() => bls.publicKey(secret));
      assert.throws(() => bls.sign(secret, bytes("m")));
    }
  }
});

test("BLS: combining shares", () => {
  const message = bytes("m");
  const shares = [3, 1, 28].map((index) => ({
    index,
    signature: node.bls.sign(new Uint8Array(32).fill((index * index + 7) & 63), message),
  }));
  assert.equal(toHex(node.bls.combine(shares)), toHex(universal.bls.combine(shares)));
  const [first] = shares as [{ index: number; signature: Uint8Array }];
  for (const { bls } of [node, universal]) {
    assert.equal(toHex(bls.combine([first])), toHex(first.signature));
    assert.throws(() => bls.combine([first, first]));
    assert.throws(() => bls.combine([{ index: 0, signature: first.signature }]));
    assert.throws(() => bls.combine([{ index: 1.5, signature: first.signature }]));
    assert.throws(() => bls.combine([]));
    assert.throws(() => bls.combine([{ index: 1, signature: new Uint8Array(48) }]));
  }
});

test("BLS: shares outside the group make no signature", () => {
  const share = { index: 1, signature: outsideSubgroup() };
  assert.throws(() => universal.bls.combine([share]));
  // What is combined is looked at when it is verified, not before.
  const combined = node.bls.combine([share]);
  assert.equal(node.bls.verify(node.bls.publicKey(new Uint8Array(32).fill(1)), bytes("m"), combined), false);
  assert.equal(node.bls.g1.fromBytes(combined), undefined);
});

test("BLS: many keys do not exhaust the library's memory", () => {
  const message = bytes("m");
  for (let i = 1; i <= 40; i++) {
    const secret = new Uint8Array(32).fill(i);
    assert.equal(
      node.bls.verify(node.bls.publicKey(secret), message, node.bls.sign(secret, message)),
      true,
      `key ${i}`,
    );
  }
});

test("random bytes as keys and signatures are false in both", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 70 }), (der, signature) => {
      for (const { algorithm } of SCHEMES) assert.equal(both(algorithm, der, bytes("m"), signature), false);
      assert.equal(node.bls.verify(der, bytes("m"), signature), false);
    }),
  );
});

test("secp256k1 is native here, or this test says so", (context) => {
  try {
    createRequire(import.meta.url)("secp256k1/bindings.js");
  } catch {
    context.skip("the native addon does not load on this machine");
  }
});
