// BLS12-381 by mcl compiled to WebAssembly: 3 to 6 times faster than plain JavaScript. Not constant-time: see
// docs/decisions/0015.
import { checkSecret, invert, lagrangeFractions } from "@atoll/crypto";
import { type BlsPort, type G1Point, invariant } from "@atoll/types";
import type * as Mcl from "mcl-wasm";
import { createCurveHash, createWalk, fieldElement, g1Group, g2Group, type Library } from "./mcl-groups.ts";

// The library's memory is one for the process and never shrinks: what is kept in it is kept once, however many nodes run here.
const ports = new WeakMap<Library, Promise<BlsPort>>();

/** Initialises the library (about 70 ms, most of it off this thread), once. Rejects where it cannot run. */
export function createMclBls(mcl: Library): Promise<BlsPort> {
  let port = ports.get(mcl);
  if (port === undefined) {
    port = initialise(mcl);
    ports.set(mcl, port);
  }
  return port;
}

async function initialise(mcl: Library): Promise<BlsPort> {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  mcl.setMapToMode(mcl.IRTF);
  mcl.verifyOrderG1(true);
  mcl.verifyOrderG2(true);
  const [g1, g2] = [g1Group(mcl), g2Group(mcl)];
  const generator = g2.generator as unknown as Mcl.G2;
  const hashToG1 = keepHashes(createCurveHash(mcl));
  return {
    publicKey: (secret) => mcl.mul(generator, scalar(mcl, secret)).serialize(),
    sign: (secret, message) => mcl.mul(hashToG1(message), scalar(mcl, secret)).serialize(),
    ...verification(mcl, generator, hashToG1),
    combine: (shares) => combine(mcl, shares),
    aggregate: (signatures) => sumOf(uncheckedPoints(mcl, signatures), mcl.add).serialize(),
    g1,
    g2,
    hashToG1: (message) => hashToG1(message) as unknown as G1Point,
    walkG1: createWalk(mcl),
  };
}

/** e(H(m), key) * e(signature, -generator) = 1, for one key that comes again and for sums of keys. */
function verification(
  mcl: Library,
  generator: Mcl.G2,
  hashToG1: (message: Uint8Array) => Mcl.G1,
): Pick<BlsPort, "verify" | "verifyAggregate" | "verifyAll"> {
  const generatorLines = new mcl.PrecomputedG2(mcl.neg(generator));
  const linesOf = keepPairingLines(mcl);
  const keyOf = keepPublicKeys(mcl);
  const loopOf = pairingLoops(mcl, generatorLines, linesOf, keyOf);
  return {
    verify(publicKey, message, bytes) {
      if (publicKey.length !== 96 || bytes.length !== 48) return false;
      try {
        const point = signaturePoint(mcl, bytes);
        const lines = linesOf(publicKey);
        if (point.isZero() || lines === undefined) return false;
        return mcl.finalExp(mcl.precomputedMillerLoop2(hashToG1(message), lines, point, generatorLines)).isOne();
      } catch {
        return false;
      }
    },
    verifyAggregate(publicKeys, message, bytes) {
      if (publicKeys.length === 0 || bytes.length !== 48) return false;
      try {
        const point = signaturePoint(mcl, bytes);
        const key = sumOf(publicKeys.map(keyOf), mcl.add);
        if (point.isZero() || key.isZero()) return false;
        return mcl.finalExp(mcl.precomputedMillerLoop2mixed(hashToG1(message), key, point, generatorLines)).isOne();
      } catch {
        return false;
      }
    },
    verifyAll(statements, factors) {
      invariant(factors.length === statements.length - 1, "a factor for each signature but the first");
      try {
        const sides = new Map<string, { keys: readonly Uint8Array[]; messages: Mcl.G1 }>();
        let signatures = new mcl.G1();
        for (const [i, { publicKeys, message, signature }] of statements.entries()) {
          if (publicKeys.length === 0 || publicKeys.some((key) => key.length !== 96)) return false;
          if (signature.length !== 48) return false;
          const factor = i === 0 ? undefined : fieldElement(mcl, factors[i - 1] as bigint);
          const times = (one: Mcl.G1) => (factor === undefined ? one : mcl.mul(one, factor));
          const point = signaturePoint(mcl, signature);
          if (point.isZero()) return false;
          signatures = mcl.add(signatures, times(point));
          const name = publicKeys.map(nameOf).join();
          const hash = times(hashToG1(message));
          const side = sides.get(name);
          sides.set(name, { keys: publicKeys, messages: side === undefined ? hash : mcl.add(side.messages, hash) });
        }
        let product: Mcl.GT | undefined;
        for (const { keys, messages } of sides.values()) {
          const loop = loopOf(keys, messages, product === undefined ? signatures : undefined);
          if (loop === undefined) return false;
          product = product === undefined ? loop : mcl.mul(product, loop);
        }
        return product === undefined || mcl.finalExp(product).isOne();
      } catch {
        return false;
      }
    },
  };
}

/** e(messages, the sum of keys) * e(signatures, -generator), before the final exponentiation. Undefined: no key. */
function pairingLoops(
  mcl: Library,
  generatorLines: Mcl.PrecomputedG2,
  linesOf: ReturnType<typeof keepPairingLines>,
  keyOf: ReturnType<typeof keepPublicKeys>,
): (keys: readonly Uint8Array[], messages: Mcl.G1, signatures: Mcl.G1 | undefined) => Mcl.GT | undefined {
  return (keys, messages, signatures) => {
    const [first] = keys;
    if (first !== undefined && keys.length === 1) {
      const lines = linesOf(first);
      if (lines === undefined || signatures === undefined) return lines && mcl.precomputedMillerLoop(messages, lines);
      return mcl.precomputedMillerLoop2(messages, lines, signatures, generatorLines);
    }
    const key = sumOf(keys.map(keyOf), mcl.add);
    if (key.isZero()) return undefined;
    if (signatures === undefined) return mcl.millerLoop(messages, key);
    return mcl.precomputedMillerLoop2mixed(messages, key, signatures, generatorLines);
  };
}

/** Keys whose pairing lines are kept: each takes about 20 KB of the library's memory. */
const KEPT_LINES = 8;

/** Pairing lines of a public key, kept for the keys used last; undefined for the point at infinity. */
function keepPairingLines(mcl: Library): (publicKey: Uint8Array) => Mcl.PrecomputedG2 | undefined {
  const kept = new Map<string, Mcl.PrecomputedG2>();
  return (publicKey) => {
    const name = nameOf(publicKey);
    let lines = kept.get(name);
    if (lines !== undefined) kept.delete(name);
    else {
      const point = new mcl.G2();
      point.deserialize(publicKey);
      if (point.isZero()) return undefined;
      for (const [oldest, dropped] of kept) {
        if (kept.size < KEPT_LINES) break;
        kept.delete(oldest);
        dropped.destroy();
      }
      lines = new mcl.PrecomputedG2(point);
    }
    kept.set(name, lines);
    return lines;
  };
}

/** Keys kept as points: reading one takes a tenth of a verification. More than a subnet and its shares have. */
const KEPT_KEYS = 512;

/** Throws for bytes that are no element of the group other than zero. */
function keepPublicKeys(mcl: Library): (publicKey: Uint8Array) => Mcl.G2 {
  const read = (publicKey: Uint8Array) => {
    const point = new mcl.G2();
    if (publicKey.length !== 96) throw new RangeError("a public key has 96 bytes");
    point.deserialize(publicKey);
    if (point.isZero()) throw new RangeError("not a public key");
    return point;
  };
  return keep(KEPT_KEYS, read);
}

/** Hashes of messages kept: who signs or combines a message verifies it next. */
const KEPT_HASHES = 32;
/** Longer messages are not kept. Signed is mostly a hash with its domain. */
const MAX_KEPT_MESSAGE = 512;

function keepHashes(hash: (message: Uint8Array) => Mcl.G1): (message: Uint8Array) => Mcl.G1 {
  const kept = keep(KEPT_HASHES, hash);
  return (message) => (message.length > MAX_KEPT_MESSAGE ? hash(message) : kept(message));
}

/** Remembers the answers for the inputs that were new last. */
function keep<T>(capacity: number, answer: (bytes: Uint8Array) => T): (bytes: Uint8Array) => T {
  const kept = new Map<string, T>();
  return (bytes) => {
    const name = nameOf(bytes);
    const known = kept.get(name);
    if (known !== undefined) return known;
    const made = answer(bytes);
    const [oldest] = kept.keys();
    if (kept.size >= capacity && oldest !== undefined) kept.delete(oldest);
    kept.set(name, made);
    return made;
  };
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function scalar(mcl: Library, secret: Uint8Array): Mcl.Fr {
  checkSecret(secret);
  const value = new mcl.Fr();
  value.deserialize(secret);
  return value;
}

function signaturePoint(mcl: Library, bytes: Uint8Array): Mcl.G1 {
  const point = new mcl.G1();
  point.deserialize(bytes);
  return point;
}

/**
 * Points of the curve, whatever their order: that check takes most of the time of reading one, and the sum that these go
 * into is checked when it is verified.
 */
function uncheckedPoints(mcl: Library, signatures: readonly Uint8Array[]): Mcl.G1[] {
  if (signatures.some((signature) => signature.length !== 48)) throw new RangeError("a signature has 48 bytes");
  mcl.verifyOrderG1(false);
  try {
    return signatures.map((signature) => signaturePoint(mcl, signature));
  } finally {
    mcl.verifyOrderG1(true);
  }
}

function sumOf<P extends Mcl.G1 | Mcl.G2>(points: readonly P[], add: (a: P, b: P) => P): P {
  const [first, ...rest] = points;
  if (first === undefined) throw new RangeError("a sum of nothing");
  return rest.reduce((sum, point) => add(sum, point), first);
}

/** Weights of more bits than this are multiplied by like any scalar. */
const SMALL_WEIGHT = 48;

function combine(mcl: Library, shares: Parameters<BlsPort["combine"]>[0]): Uint8Array {
  const { numerators, denominator } = lagrangeFractions(shares.map(({ index }) => index));
  const points = uncheckedPoints(
    mcl,
    shares.map((share) => share.signature),
  );
  const sizes = numerators.map((weight) => (weight < 0n ? -weight : weight));
  const bits = Math.max(...sizes.map((size) => size.toString(2).length));
  if (bits > SMALL_WEIGHT) return recover(mcl, shares, points);
  // The weights of a few nodes are small numbers: additions are a tenth of the work of multiplying by scalars.
  const signed = points.map((point, i) => ((numerators[i] as bigint) < 0n ? mcl.neg(point) : point));
  let sum = new mcl.G1();
  for (let bit = BigInt(bits) - 1n; bit >= 0n; bit--) {
    sum = mcl.dbl(sum);
    for (const [i, size] of sizes.entries()) if ((size >> bit) & 1n) sum = mcl.add(sum, signed[i] as Mcl.G1);
  }
  return (denominator === 1n ? sum : mcl.mul(sum, fieldElement(mcl, invert(denominator)))).serialize();
}

function recover(
  mcl: Library,
  shares: Parameters<BlsPort["combine"]>[0],
  points: Parameters<Library["recoverG1"]>[1],
): Uint8Array {
  const indices = shares.map(({ index }) => {
    const value = new mcl.Fr();
    value.setInt(index);
    return value;
  });
  return mcl.recoverG1(indices, points).serialize();
}
