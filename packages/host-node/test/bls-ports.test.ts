// The two implementations of BLS12-381, mcl and plain JavaScript, give the same bytes for the same input: what consensus
// and key generation build on. Random inputs from a printed seed; hostile bytes are refused by both.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { SCALAR_ORDER, scalarToBytes, verifyTogether } from "@atoll/crypto";
import { universalBls as plain } from "@atoll/crypto/universal-bls";
import { createNodeCrypto } from "@atoll/host-node";
import { type BlsPort, type CryptoPort, type CurveGroup, fromHex, type SignedStatement, toHex } from "@atoll/types";
import fc from "fast-check";

let port: CryptoPort;
let mcl: BlsPort;
before(async () => {
  port = await createNodeCrypto();
  mcl = port.bls;
});

const scalar = fc.bigInt({ min: 0n, max: SCALAR_ORDER - 1n });
const secret = fc.bigInt({ min: 1n, max: SCALAR_ORDER - 1n }).map(scalarToBytes);
const message = fc.uint8Array({ maxLength: 600 });
const both = () => [mcl, plain] as const;

test("keys, signatures, sums of signatures and interpolated ones are the same bytes", () => {
  assert.notEqual(mcl, plain);
  fc.assert(
    fc.property(fc.array(secret, { minLength: 1, maxLength: 3 }), message, (secrets, text) => {
      const [fast, slow] = both().map((bls) => {
        const signatures = secrets.map((each) => bls.sign(each, text));
        const shares = signatures.map((signature, i) => ({ index: 2 * i + 1, signature }));
        return [
          ...secrets.map((each) => bls.publicKey(each)),
          bls.aggregate(signatures),
          bls.combine(shares),
          bls.g1.toBytes(bls.hashToG1(text)),
        ].map(toHex);
      });
      assert.deepEqual(fast, slow);
    }),
    { numRuns: 8 },
  );
});

test("sums of products are the same bytes in both groups, also of hundreds of points", () => {
  const products = (bls: BlsPort, name: "g1" | "g2", values: readonly bigint[], factors: readonly bigint[]) => {
    const group = bls[name] as CurveGroup<unknown>;
    const points = values.map((value) => group.sum([group.generator], [value]));
    return toHex(group.toBytes(group.sum(points, factors)));
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(scalar, scalar), { minLength: 1, maxLength: 4 }), (pairs) => {
      const values = pairs.map(([value]) => value);
      const factors = pairs.map(([, factor]) => factor);
      const total = pairs.reduce((sum, [a, b]) => sum + a * b, 0n) % SCALAR_ORDER;
      for (const name of ["g1", "g2"] as const) {
        assert.equal(products(mcl, name, values, factors), products(plain, name, values, factors));
        assert.equal(products(mcl, name, values, factors), products(mcl, name, [total], [1n]));
      }
    }),
    { numRuns: 8 },
  );
  const many = Array.from({ length: 600 }, (_, i) => BigInt(i + 1) ** 9n);
  const total = many.reduce((sum, value) => sum + value * value, 0n) % SCALAR_ORDER;
  assert.equal(products(mcl, "g1", many, many), products(mcl, "g1", [total], [1n]));
  assert.equal(
    products(plain, "g1", many.slice(0, 20), many.slice(0, 20)),
    products(mcl, "g1", many.slice(0, 20), many.slice(0, 20)),
  );
});

test("messages of no bytes and of many are hashed to the same points", () => {
  for (const text of [new Uint8Array(0), new Uint8Array(20_000).fill(3)]) {
    const [fast, slow] = both().map((bls) => toHex(bls.g1.toBytes(bls.hashToG1(text))));
    assert.equal(fast, slow);
  }
});

test("any shares make the same signature, whatever their places", () => {
  const coefficients = [11n, 23n, SCALAR_ORDER - 35n];
  const text = new Uint8Array(9);
  const share = (index: number) => {
    const value = coefficients.reduceRight(
      (sum, coefficient) => (sum * BigInt(index) + coefficient) % SCALAR_ORDER,
      0n,
    );
    return { index, signature: mcl.sign(scalarToBytes(value), text) };
  };
  const whole = toHex(mcl.sign(scalarToBytes(11n), text));
  // Whole numbers as weights, fractions, and numbers too large to be worth adding up.
  const places = [
    [1, 2, 3],
    [4, 3, 1],
    [1, 2, 4],
    [2, 5, 9, 13],
    [13, 12, 11, 10, 9, 8, 7, 6, 5],
    [7, 0x7fffffff, 9],
  ];
  for (const indices of places) assert.equal(toHex(mcl.combine(indices.map(share))), whole, indices.join());
  assert.equal(toHex(plain.combine([1, 2, 4].map(share))), whole);
  for (const indices of [[1, 1, 2], [0, 1, 2], [1, 2, 2 ** 31], []])
    for (const bls of both()) assert.throws(() => bls.combine(indices.map(share)), RangeError);
});

function statement(bls: BlsPort, secrets: readonly bigint[], text: string): SignedStatement {
  const message = new TextEncoder().encode(text);
  const own = secrets.map(scalarToBytes);
  const publicKeys = own.map((each) => bls.publicKey(each));
  return { publicKeys, message, signature: bls.aggregate(own.map((each) => bls.sign(each, message))) };
}

test("signatures verified together are right if each one is, in both", () => {
  // By different keys, twice by one key, by sums of keys, and one message signed by two.
  const right = [[3n], [5n, 7n, 9n], [3n], [5n, 7n]].map((secrets, i) => statement(mcl, secrets, `text ${i % 3}`));
  for (const bls of both()) {
    const together = (statements: readonly SignedStatement[]) =>
      verifyTogether(statements, { bls, sha256: port.sha256 });
    for (let count = 1; count <= right.length; count++) assert.equal(together(right.slice(0, count)), true);
    for (const [i, good] of right.entries()) {
      const hostile: Partial<SignedStatement>[] = [
        { signature: right[(i + 1) % right.length]?.signature as Uint8Array },
        { message: new Uint8Array(3) },
        { publicKeys: [] },
        { publicKeys: [...good.publicKeys, ...good.publicKeys] },
        { publicKeys: [fromHex(`c0${"00".repeat(95)}`)] },
        { publicKeys: [good.publicKeys[0]?.subarray(1) as Uint8Array] },
        { publicKeys: [Uint8Array.of(...(good.publicKeys[0] as Uint8Array), 0)] },
        { signature: good.signature.subarray(1) },
        { signature: fromHex(`c0${"00".repeat(47)}`) },
        { signature: new Uint8Array(48) },
        // On the curve, and not in the group.
        { signature: fromHex(`a0${"00".repeat(46)}04`) },
      ];
      for (const change of bls === mcl ? hostile : hostile.slice(0, 1))
        assert.equal(together(right.map((each, j) => (i === j ? { ...each, ...change } : each))), false);
    }
  }
});

test("wrong signatures that would cancel in a plain sum do not when verified together", () => {
  const [a, b] = [statement(mcl, [3n], "a"), statement(mcl, [5n], "b")];
  const { g1 } = mcl;
  const shifted = ({ signature, ...rest }: SignedStatement, by: bigint): SignedStatement => {
    const point = g1.fromBytes(signature);
    assert.ok(point !== undefined);
    return { ...rest, signature: g1.toBytes(g1.sum([point, g1.generator], [1n, by])) };
  };
  const pair = [shifted(a, 77n), shifted(b, SCALAR_ORDER - 77n)];
  assert.equal(mcl.verifyAll(pair, [1n]), true);
  for (const bls of both()) assert.equal(verifyTogether(pair, { bls, sha256: port.sha256 }), false);
  // A signature that differs by a point of a small order is not in the group, and no factor makes it right.
  const foreign = fromHex(`a0${"00".repeat(46)}04`);
  const twisted = mcl.aggregate([b.signature, foreign]);
  for (const bls of both()) assert.equal(bls.verifyAll([a, { ...b, signature: twisted }], [1n << 64n]), false);
});

test("a process has one library, however many nodes run in it: its memory never shrinks", async () => {
  assert.equal((await createNodeCrypto()).bls, mcl);
});

test("a walk has every step of the way, in both", () => {
  for (const bls of both()) {
    const { g1 } = bls;
    const start = g1.sum([g1.generator], [SCALAR_ORDER - 3n]);
    const step = g1.sum([g1.generator], [5n]);
    const path = bls.walkG1(start, step, bls === mcl ? 1100 : 40);
    for (const at of [0, 1, 2, 39, 511, 512, 1024, 1099]) {
      const there = g1.toBytes(g1.sum([g1.generator], [BigInt(SCALAR_ORDER - 3n + 5n * BigInt(at)) % SCALAR_ORDER]));
      if (48 * at < path.length) assert.equal(toHex(path.subarray(48 * at, 48 * at + 48)), toHex(there));
    }
    assert.equal(bls.walkG1(start, step, 0).length, 0);
    // Over zero, which has a form of its own.
    const back = g1.sum([g1.generator], [SCALAR_ORDER - 5n]);
    assert.equal(toHex(bls.walkG1(back, step, 3).subarray(48, 96)), `c0${"00".repeat(47)}`);
  }
});

test("a sum of signatures is by exactly these keys, and by one key too", () => {
  const secrets = [3n, 5n, 7n].map(scalarToBytes);
  const text = new TextEncoder().encode("block");
  for (const bls of both()) {
    const keys = secrets.map((each) => bls.publicKey(each));
    const signatures = secrets.map((each) => bls.sign(each, text));
    const all = bls.aggregate(signatures);
    assert.equal(bls.verifyAggregate(keys, text, all), true);
    assert.equal(bls.verifyAggregate(keys.slice(1), text, all), false);
    assert.equal(bls.verifyAggregate(keys, new Uint8Array(3), all), false);
    assert.equal(bls.verifyAggregate(keys.slice(0, 1), text, signatures[0] as Uint8Array), true);
    assert.equal(bls.verifyAggregate([], text, all), false);
    assert.equal(bls.verifyAggregate([new Uint8Array(96)], text, all), false);
    assert.equal(bls.verifyAggregate([new Uint8Array(95)], text, all), false);
    assert.equal(bls.verifyAggregate(keys, text, all.subarray(1)), false);
    assert.throws(() => bls.aggregate([]), RangeError);
    assert.throws(() => bls.aggregate([all.subarray(1)]));
    assert.throws(() => bls.combine([{ index: 1, signature: new Uint8Array(48) }]));
  }
});

test("keys that cancel, zero and points of another order are refused", () => {
  // On the curve of G1 and not in the group: x = 4 has a root, and the cofactor is not cleared.
  const foreign = fromHex(`a0${"00".repeat(46)}04`);
  const zero = fromHex(`c0${"00".repeat(47)}`);
  const text = new Uint8Array(1);
  for (const bls of both()) {
    const key = bls.publicKey(scalarToBytes(9n));
    const negative = bls.publicKey(scalarToBytes(SCALAR_ORDER - 9n));
    assert.equal(bls.verifyAggregate([key, negative], text, zero), false);
    for (const bytes of [foreign, zero, new Uint8Array(48), new Uint8Array(47), new Uint8Array(0)]) {
      assert.equal(bls.g1.fromBytes(bytes), undefined);
      assert.equal(bls.verifyAggregate([key], text, bytes), false);
    }
    assert.equal(bls.g2.fromBytes(fromHex(`c0${"00".repeat(95)}`)), undefined);
    assert.equal(bls.g2.fromBytes(key.subarray(1)), undefined);
    // Combining shares does not look at their order; afterwards it is looked at as before.
    assert.equal(bls.g1.fromBytes(foreign), undefined);
    assert.throws(() => bls.g1.sum([], []), RangeError);
  }
  const combined = mcl.combine([
    { index: 1, signature: foreign },
    { index: 2, signature: mcl.sign(scalarToBytes(9n), text) },
  ]);
  assert.equal(mcl.verify(mcl.publicKey(scalarToBytes(9n)), text, combined), false);
  assert.equal(mcl.g1.fromBytes(foreign), undefined);
});

test("random bytes never throw where bytes of peers are read, and both read the same", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (bytes) => {
      bytes[0] = ((bytes[0] as number) & 0x3f) | 0x80;
      const read = both().map((bls) => bls.g1.fromBytes(bytes) === undefined);
      assert.equal(read[0], read[1]);
      assert.equal(mcl.verifyAggregate([new Uint8Array(96).fill(bytes[5] as number)], bytes, bytes), false);
    }),
    { numRuns: 30 },
  );
});

test("a point has one encoding, and both take it alone: nodes of either kind agree on what is a point", () => {
  const field = 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn;
  const bytesOf = (value: bigint) => fromHex(value.toString(16).padStart(96, "0"));
  const key = mcl.publicKey(scalarToBytes(5n));
  const signature = mcl.sign(scalarToBytes(5n), key);
  const plainOf = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`) & ((1n << 381n) - 1n);
  const x = plainOf(signature);
  const xs = [0n, 1n, 4n, x, x + field, field - 1n, field, field + 4n, (1n << 381n) - 1n].filter((n) => n < 1n << 381n);
  const halves = [plainOf(key.subarray(0, 48)), BigInt(`0x${toHex(key.subarray(48))}`)] as const;
  const pairs = [
    ...xs.map((n) => [n, halves[1]] as const),
    ...xs.map((n) => [halves[0], n] as const),
    halves,
    [0n, 0n] as const,
  ];
  let taken = 0;
  const agree = (name: "g1" | "g2", bytes: Uint8Array) => {
    const read = both().map((bls) => {
      const group = bls[name] as CurveGroup<unknown>;
      const point = group.fromBytes(bytes);
      return point === undefined ? undefined : toHex(group.toBytes(point));
    });
    assert.equal(read[0], read[1], toHex(bytes));
    if (read[0] === undefined) return;
    taken++;
    assert.equal(read[0], toHex(bytes));
  };
  for (let flags = 0; flags < 8; flags++) {
    const flagged = (value: bigint) => {
      const bytes = bytesOf(value);
      bytes[0] = ((bytes[0] as number) & 0x1f) | (flags << 5);
      return bytes;
    };
    for (const value of xs) {
      agree("g1", flagged(value));
      const answers = both().map((bls) => bls.verify(key, key, flagged(value)));
      assert.equal(answers[0], answers[1]);
      assert.equal(answers[0], toHex(flagged(value)) === toHex(signature));
    }
    for (const [high, low] of pairs) agree("g2", Uint8Array.of(...flagged(high), ...bytesOf(low)));
  }
  // The signature and its negative, and the key and its: each is a point.
  assert.ok(taken >= 4);
});
