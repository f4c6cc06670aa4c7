// Dealings of an honest dealer: everybody accepts them, receivers get the values of the committed polynomial, both curve
// libraries agree on every byte; and nothing else that is given as one is accepted. Groth 2021/339 in the form of section
// 14.2 of the consensus and chain-key facts.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { createNodeCrypto } from "@atoll/host-node";
import { type CryptoPort, fromHex, toHex } from "@atoll/types";
import { decodeWire, encodeWire } from "@atoll/types/wire";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import fc from "fast-check";
import { concatBytes } from "../../src/domain.ts";
import { dealingCodecs, dealingLength, sharesLength } from "../../src/nidkg/dealing.ts";
import {
  combinePolynomials,
  createDealing,
  dealingPublicKey,
  proveDealingKey,
  readCoefficients,
  sharePublicKeys,
  verifyDealing,
  verifyDealingKey,
} from "../../src/nidkg/index.ts";
import { lagrangeWeights, modulo, SCALAR_ORDER, scalarToBytes } from "../../src/scalar-field.ts";
import { sha256 } from "../../src/sha.ts";
import { universalBls } from "../../src/universal-bls.ts";
import { associatedData, deal, entropy, openShare, type Parties, parties } from "./dealing-parties.ts";

const RECEIVERS = 4;
const THRESHOLD = 3;
const SECRET = 0x1234567890abcdefn;

let mcl: CryptoPort;
let four: Parties;
let dealing: Uint8Array;

before(async () => {
  mcl = await createNodeCrypto();
  four = parties(RECEIVERS, THRESHOLD, mcl);
  dealing = deal(four.terms, SECRET, mcl);
});

/** The same bytes each time, unlike any others. */
function seededEntropy() {
  let drawn = 0;
  const block = () => sha256(new TextEncoder().encode(`entropy ${drawn++}`));
  return { randomBytes: (length: number) => concatBytes(block(), block()).subarray(0, length) };
}

const verify = (content: Uint8Array, terms = four.terms, constant?: Uint8Array) =>
  verifyDealing(terms, content, constant, mcl);

describe("a dealing", () => {
  test("is accepted, and its shares are values of a polynomial whose constant is the secret", () => {
    assert.equal(dealing.length, dealingLength(RECEIVERS, THRESHOLD));
    assert.equal(verify(dealing), true);
    const shares = four.secrets.map((_, i) => openShare(dealing, four, i, mcl) as bigint);
    for (const chosen of [
      [0, 1, 2],
      [3, 1, 2],
    ]) {
      const weights = lagrangeWeights(chosen.map((i) => i + 1));
      const sum = chosen.reduce((total, i, at) => total + (shares[i] as bigint) * (weights[at] as bigint), 0n);
      assert.equal(modulo(sum), SECRET);
    }
    const coefficients = readCoefficients(dealing, RECEIVERS, THRESHOLD) as Uint8Array[];
    const publicKeys = sharePublicKeys(coefficients, mcl.bls);
    // The other library's word for what the share's key is.
    for (const [i, share] of shares.entries()) {
      const expected = bls12_381.G2.Point.BASE.multiply(share).toBytes();
      assert.equal(toHex(publicKeys?.(i) as Uint8Array), toHex(expected));
    }
    assert.equal(toHex(coefficients[0] as Uint8Array), toHex(mcl.bls.publicKey(scalarToBytes(SECRET))));
  });

  test("is for its receivers, threshold, key generation and constant alone", () => {
    const { terms } = four;
    const [first, ...rest] = terms.receivers as [Uint8Array, ...Uint8Array[]];
    assert.equal(verify(dealing, { ...terms, associatedData: associatedData.subarray(1) }), false);
    assert.equal(verify(dealing, { ...terms, receivers: [...rest, first] }), false);
    assert.equal(verify(dealing, { ...terms, receivers: rest }), false);
    assert.equal(verify(dealing, { ...terms, threshold: 2 }), false);
    assert.equal(verify(dealing, { ...terms, receivers: [new Uint8Array(48), ...rest] }), false);
    const constant = mcl.bls.publicKey(scalarToBytes(SECRET));
    assert.equal(verify(dealing, terms, constant), true);
    assert.equal(verify(dealing, terms, mcl.bls.publicKey(scalarToBytes(SECRET + 1n))), false);
    assert.equal(verify(dealing, terms, constant.subarray(1)), false);
    assert.equal(verify(dealing, terms, new Uint8Array()), false);
  });

  test("of a random secret differs each time", () => {
    const [a, b] = [deal(four.terms, undefined, mcl), deal(four.terms, undefined, mcl)] as const;
    assert.notDeepEqual(a.subarray(0, 96), b.subarray(0, 96));
    assert.equal(verify(a), true);
    assert.equal(verify(b), true);
  });

  test("is the same bytes in plain JavaScript and in mcl, and stays the same: blocks carry it", () => {
    const plain = { sha256, bls: universalBls };
    const secret = scalarToBytes(SECRET);
    const terms = { receivers: [dealingPublicKey(secret, plain)], threshold: 1, associatedData };
    const own = createDealing(terms, SECRET, plain, seededEntropy());
    assert.equal(toHex(createDealing(terms, SECRET, mcl, seededEntropy())), toHex(own));
    assert.equal(verifyDealing(terms, own, undefined, plain), true);
    assert.equal(openShare(own, { secrets: [secret], terms }, 0, plain), SECRET);
    assert.equal(toHex(sha256(own)), "879932f9b5cad88e00d50961c33ad201d98b0ca62e8fee148af28f3d4b7ded30");
  });

  test("cannot be made for keys or numbers that make no sense", () => {
    const { terms } = four;
    assert.throws(() => deal({ ...terms, threshold: 0 }, undefined, mcl), RangeError);
    assert.throws(() => deal({ ...terms, threshold: 5 }, undefined, mcl), RangeError);
    assert.throws(() => deal({ ...terms, receivers: [new Uint8Array(48)], threshold: 1 }, undefined, mcl), RangeError);
  });
});

describe("bytes that are no dealing", () => {
  test("a changed bit anywhere is refused", () => {
    fc.assert(
      fc.property(fc.nat({ max: dealing.length * 8 - 1 }), (bit) => {
        const changed = dealing.slice();
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        assert.equal(verify(changed), false);
      }),
      { numRuns: 25, examples: [[0], [8 * 96 * THRESHOLD], [8 * (dealing.length - 1)]] },
    );
  });

  test("other lengths, random bytes and points outside the group are refused by all who read them", () => {
    const read = (content: Uint8Array) => {
      assert.equal(verify(content), false);
      assert.equal(openShare(content, four, 0, mcl), undefined);
    };
    read(dealing.subarray(1));
    read(Uint8Array.of(...dealing, 0));
    read(new Uint8Array());
    read(new Uint8Array(dealing.length));
    // On the curve of G1 with another order, and zero, where the first randomizer is.
    for (const hex of [`a0${"00".repeat(46)}04`, `c0${"00".repeat(47)}`]) {
      const changed = dealing.slice();
      changed.set(fromHex(hex), 96 * THRESHOLD);
      read(changed);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: dealing.length, maxLength: dealing.length }), (bytes) => {
        read(bytes);
        // Long enough to look like points: the flag of the compressed form.
        for (let at = 0; at < bytes.length; at += 48) bytes[at] = ((bytes[at] as number) & 0x1f) | 0x80;
        read(bytes);
      }),
      { numRuns: 10 },
    );
    assert.equal(readCoefficients(dealing.subarray(1), RECEIVERS, THRESHOLD), undefined);
  });

  test("a scalar has one encoding: the same plus the order is refused", () => {
    const codecs = dealingCodecs(mcl.bls, RECEIVERS, THRESHOLD);
    const sharing = dealing.subarray(dealing.length - 64);
    const value = BigInt(`0x${toHex(sharing.subarray(32))}`);
    const changed = dealing.slice();
    if (value + SCALAR_ORDER < 1n << 256n) {
      changed.set(fromHex((value + SCALAR_ORDER).toString(16).padStart(64, "0")), dealing.length - 32);
      assert.throws(() => decodeWire(codecs.dealing, changed));
    }
    changed.fill(0xff, dealing.length - 32);
    assert.equal(verify(changed), false);
    assert.equal(toHex(encodeWire(codecs.dealing, decodeWire(codecs.dealing, dealing))), toHex(dealing));
    assert.ok(sharesLength(RECEIVERS, THRESHOLD) < dealing.length);
  });

  test("polynomials that do not fit, or are no points, combine to nothing", () => {
    const coefficients = readCoefficients(dealing, RECEIVERS, THRESHOLD) as Uint8Array[];
    const { bls } = mcl;
    assert.deepEqual(combinePolynomials([coefficients], [1n], bls), coefficients);
    assert.equal(combinePolynomials([coefficients, coefficients], [1n, SCALAR_ORDER - 1n], bls), undefined);
    assert.equal(combinePolynomials([coefficients, coefficients.slice(1)], [1n, 1n], bls), undefined);
    assert.equal(combinePolynomials([coefficients], [1n, 1n], bls), undefined);
    assert.equal(combinePolynomials([], [], bls), undefined);
    assert.equal(combinePolynomials([[new Uint8Array(96)]], [1n], bls), undefined);
    assert.equal(sharePublicKeys([new Uint8Array(96)], bls), undefined);
    assert.equal(sharePublicKeys([], bls), undefined);
    // A polynomial that is zero at the place of the first receiver gives it no key.
    const line = [SECRET, SCALAR_ORDER - SECRET].map((value) => bls.publicKey(scalarToBytes(value)));
    assert.equal(sharePublicKeys(line, bls)?.(0), undefined);
    assert.notEqual(sharePublicKeys(line, bls)?.(1), undefined);
  });
});

describe("dealing keys", () => {
  test("a proof of possession is for its key and its owner alone", () => {
    const [secret] = four.secrets as [Uint8Array];
    const [key, other] = four.terms.receivers as [Uint8Array, Uint8Array];
    const owner = entropy.randomBytes(32);
    const proof = proveDealingKey(secret, owner, mcl);
    assert.equal(verifyDealingKey(key, proof, owner, mcl), true);
    assert.equal(verifyDealingKey(key, proof, owner, { sha256, bls: universalBls }), true);
    assert.deepEqual(proveDealingKey(secret, owner, { sha256, bls: universalBls }), proof);
    assert.equal(verifyDealingKey(other, proof, owner, mcl), false);
    assert.equal(verifyDealingKey(key, proof, entropy.randomBytes(32), mcl), false);
    assert.throws(() => proveDealingKey(new Uint8Array(32), owner, mcl), RangeError);
    fc.assert(
      fc.property(fc.nat({ max: proof.length * 8 - 1 }), fc.uint8Array({ maxLength: 120 }), (bit, bytes) => {
        const changed = proof.slice();
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        assert.equal(verifyDealingKey(key, changed, owner, mcl), false);
        assert.equal(verifyDealingKey(key, bytes, owner, mcl), false);
        assert.equal(verifyDealingKey(bytes, proof, owner, mcl), false);
      }),
      { numRuns: 40 },
    );
  });
});
