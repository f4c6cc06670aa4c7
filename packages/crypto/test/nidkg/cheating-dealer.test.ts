// Dealers that cheat (section 24.1 of the consensus and chain-key facts): what the proofs refuse, and what they let through
// and receivers must find nevertheless. The cheats are made with the dealer's own tools, so that only what they are about
// is wrong.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { createNodeCrypto } from "@atoll/host-node";
import type { CryptoPort, G1Point } from "@atoll/types";
import { decodeWire, encodeWire } from "@atoll/types/wire";
import { chunkingBound, proveChunking } from "../../src/nidkg/chunking-proof.ts";
import { chunksOf, encryptShares, joinChunks, readReceivers, statementOf } from "../../src/nidkg/create-dealing.ts";
import { type Dealing, type DealingCodecs, dealingCodecs } from "../../src/nidkg/dealing.ts";
import { verifyDealing } from "../../src/nidkg/index.ts";
import { allHold } from "../../src/nidkg/relation.ts";
import { proveSharing } from "../../src/nidkg/sharing-proof.ts";
import { evaluatePolynomial, invert, modulo, randomScalar, SCALAR_ORDER } from "../../src/scalar-field.ts";
import { deal, entropy, openShare, type Parties, parties, searchOf } from "./dealing-parties.ts";

const RECEIVERS = 4;
const THRESHOLD = 2;

let port: CryptoPort;
let four: Parties;
let codecs: DealingCodecs;
let polynomial: readonly bigint[];
let shares: bigint[];
let honest: Dealing;

before(async () => {
  port = await createNodeCrypto();
  four = parties(RECEIVERS, THRESHOLD, port);
  codecs = dealingCodecs(port.bls, RECEIVERS, THRESHOLD);
  polynomial = [randomScalar(entropy), randomScalar(entropy)];
  shares = Array.from({ length: RECEIVERS }, (_, i) => evaluatePolynomial(polynomial, BigInt(i + 1)));
  honest = decodeWire(codecs.dealing, deal(four.terms, undefined, port));
});

const encrypt = (chunks: readonly (readonly bigint[])[]) =>
  encryptShares(four.terms, polynomial, chunks, port, entropy);
const accepted = (dealing: Uint8Array | Dealing, terms = four.terms) =>
  verifyDealing(terms, dealing instanceof Uint8Array ? dealing : encodeWire(codecs.dealing, dealing), undefined, port);

describe("a dealer that cheats is refused", () => {
  test("when one receiver's share is another", () => {
    assert.equal(accepted(encrypt(shares.map(chunksOf))), true);
    for (const victim of [0, 3]) {
      const wrong = shares.map((share, i) => (i === victim ? modulo(share + 1n) : share));
      assert.equal(accepted(encrypt(wrong.map(chunksOf))), false);
    }
  });

  test("when two receivers' shares are exchanged, or wrong so that the errors cancel in a plain sum", () => {
    const [a, b, ...rest] = shares as [bigint, bigint, ...bigint[]];
    assert.equal(accepted(encrypt([b, a, ...rest].map(chunksOf))), false);
    assert.equal(accepted(encrypt([modulo(a + 9n), modulo(b - 9n), ...rest].map(chunksOf))), false);
  });

  test("when a chunk is far out of range, though the share is right", () => {
    const chunks = shares.map(chunksOf) as bigint[][];
    const row = chunks[1] as bigint[];
    // The same share in other chunks: the proof of sharing has nothing to say against that, and what is shown is true.
    const large = row.map((chunk, j) => (j === 15 ? chunk + (1n << 48n) : j === 12 ? chunk - 1n : chunk));
    assert.equal(joinChunks(large), shares[1]);
    assert.equal(accepted(withoutRangeCheck(chunks.map((each, i) => (i === 1 ? large : each)))), false);
    assert.equal(accepted(withoutRangeCheck(chunks)), true);
  });

  test("when the commitments are to another polynomial", () => {
    const other = encryptShares(
      four.terms,
      [randomScalar(entropy), ...polynomial.slice(1)],
      shares.map(chunksOf),
      port,
      entropy,
    );
    assert.equal(accepted(other), false);
    const { coefficients } = honest.shares;
    assert.equal(accepted({ ...honest, shares: { ...honest.shares, coefficients: coefficients.toReversed() } }), false);
  });

  test("when any part of a proof is of another dealing", () => {
    const other = decodeWire(codecs.dealing, deal(four.terms, undefined, port));
    assert.equal(accepted(honest), true);
    for (const name of ["commitments", "sums", "masks", "responses", "blinding"] as const) {
      assert.equal(
        accepted({ ...honest, chunking: { ...honest.chunking, [name]: other.chunking[name] } }),
        false,
        name,
      );
    }
    for (const name of ["commitments", "randomness", "share"] as const) {
      assert.equal(accepted({ ...honest, sharing: { ...honest.sharing, [name]: other.sharing[name] } }), false, name);
    }
    for (const name of ["coefficients", "randomizers", "ciphertexts"] as const) {
      assert.equal(accepted({ ...honest, shares: { ...honest.shares, [name]: other.shares[name] } }), false, name);
    }
  });

  test("when it copies or changes the dealing of another", () => {
    const mine = { ...four.terms, associatedData: new TextEncoder().encode("key generation 7, dealer 3") };
    assert.equal(accepted(honest, mine), false);
    // Ciphertexts of the other with proofs of its own: it does not know what it would prove.
    const own = decodeWire(codecs.dealing, encryptShares(mine, polynomial, shares.map(chunksOf), port, entropy));
    assert.equal(accepted(own, mine), true);
    assert.equal(accepted({ ...own, shares: honest.shares }, mine), false);
    // The other's share plus one, which group arithmetic gives without knowing it.
    const { g1, g2 } = port.bls;
    const shift = (point: G1Point) => g1.sum([point, g1.generator], [1n, 1n]);
    const ciphertexts = honest.shares.ciphertexts.map((row) =>
      row.map((point, j) => (j === 15 ? shift(point) : point)),
    );
    const [constant, ...rest] = honest.shares.coefficients;
    const coefficients = [g2.sum([constant as never, g2.generator], [1n, 1n]), ...rest];
    assert.equal(accepted({ ...honest, shares: { ...honest.shares, ciphertexts, coefficients } }), false);
    assert.equal(accepted({ ...own, shares: { ...honest.shares, ciphertexts, coefficients } }, mine), false);
  });

  test("when a shown sum is as large as the bound", () => {
    const sums = honest.chunking.sums.map((sum, k) => (k === 7 ? chunkingBound(RECEIVERS) : sum));
    assert.equal(accepted({ ...honest, chunking: { ...honest.chunking, sums } }), false);
  });
});

/** The dealing of a dealer that does not look whether what it shows is in range. */
function withoutRangeCheck(chunks: readonly (readonly bigint[])[]): Uint8Array {
  const small = chunks.map((row) => row.map((chunk) => modulo(chunk)));
  const receivers = readReceivers(four.terms, port) as G1Point[];
  const { g1, g2 } = port.bls;
  const randomness = Array.from({ length: 16 }, () => randomScalar(entropy));
  const encrypted = {
    coefficients: polynomial.map((coefficient) => g2.sum([g2.generator], [coefficient])),
    randomizers: randomness.map((r) => g1.sum([g1.generator], [r])),
    ciphertexts: receivers.map((key, i) =>
      randomness.map((r, j) => g1.sum([key, g1.generator], [r, small[i]?.[j] as bigint])),
    ),
  };
  const encoded = encodeWire(codecs.shares, encrypted);
  const statement = statementOf(four.terms, receivers, encrypted, encoded, port.sha256);
  const ports = { bls: port.bls, sha256: port.sha256, codecs };
  const chunking = proveChunking(statement, chunks, randomness, entropy, ports, (sum) => sum >= 0n);
  const sharing = proveSharing(statement, chunks.map(joinChunks), randomness, entropy, ports);
  return encodeWire(codecs.dealing, { shares: encrypted, chunking, sharing });
}

test("relations that only hold together do not hold", () => {
  const { bls, sha256 } = port;
  const { generator } = bls.g1;
  const seed = new Uint8Array(32);
  assert.equal(allHold([[[generator, 1n]], [[generator, -1n]]], seed, bls, sha256), false);
  assert.equal(
    allHold(
      [
        [
          [generator, 1n],
          [generator, -1n],
        ],
        [[generator, SCALAR_ORDER]],
      ],
      seed,
      bls,
      sha256,
    ),
    true,
  );
});

describe("chunks that get past the proof are found", () => {
  test("a carry moved from one chunk to the next: accepted, and every receiver gets the right share", () => {
    // The share is right, the chunks are not: 65536 too many here, one too few there, down to below zero.
    const chunks = shares.map((share) => chunksOf(share).map((chunk, j) => chunk + (j % 2 === 0 ? -1n : 65536n)));
    const dealing = encrypt(chunks);
    assert.equal(accepted(dealing), true);
    assert.equal(openShare(dealing, four, 2, port, 0), undefined);
    assert.equal(openShare(dealing, four, 2, port, 1 << 16), shares[2]);
  });

  test("numbers of either sign and fractions are found, and what is none takes no longer than allowed", () => {
    const { g1 } = port.bls;
    const search = searchOf(port.bls);
    const find = (value: bigint, steps: number) => {
      const budget = { steps };
      const found = search.find(g1.sum([g1.generator], [modulo(value)]), RECEIVERS, budget);
      return { found, taken: steps - budget.steps };
    };
    const half = invert(2n);
    const third = invert(3n);
    for (const value of [0n, 1n, 2047n, 2048n, 2049n, 4097n, 65_534n, 65_535n]) {
      assert.deepEqual(find(value, 0), { found: value, taken: 0 });
    }
    for (const value of [
      65_536n,
      -1n,
      -70_000n,
      123_456_789n,
      -987_654_321n,
      7n * half,
      -100_001n * half,
      5n * third,
    ]) {
      assert.equal(find(value, 1 << 18).found, modulo(value), `${value}`);
    }
    assert.deepEqual(find(SCALAR_ORDER / 5n, 1000), { found: undefined, taken: 1000 });
    assert.deepEqual(find(70_000n, 0), { found: undefined, taken: 0 });
  });
});
