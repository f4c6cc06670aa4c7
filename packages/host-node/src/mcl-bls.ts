// BLS12-381 by mcl compiled to WebAssembly: 3 to 6 times faster than plain JavaScript. The library knows the curve but
// not the Internet Computer's domain separation tag, so the first half of hashing to the curve is done here.
// Not constant-time: see docs/decisions/0015.
import { BLS_SIGNATURE_TAG, checkEvaluationPoints, checkSecret, expandMessage } from "@atoll/crypto";
import type { BlsPort, CryptoPort, G1Point } from "@atoll/types";
import type * as Mcl from "mcl-wasm";
import { createWalk, g1Group, g2Group, type Library } from "./mcl-groups.ts";

type Sha256 = CryptoPort["sha256"];

// The library's memory is one for the process and never shrinks: what is kept in it is kept once, however many nodes run here.
const ports = new WeakMap<Library, Promise<BlsPort>>();

/**
 * Initialises the library (about 70 ms, most of it off this thread), once. Rejects where it cannot run. `sha256`: of the
 * first call.
 */
export function createMclBls(mcl: Library, sha256: Sha256): Promise<BlsPort> {
  let port = ports.get(mcl);
  if (port === undefined) {
    port = initialise(mcl, sha256);
    ports.set(mcl, port);
  }
  return port;
}

async function initialise(mcl: Library, sha256: Sha256): Promise<BlsPort> {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  mcl.setMapToMode(mcl.IRTF);
  mcl.verifyOrderG1(true);
  mcl.verifyOrderG2(true);
  const [g1, g2] = [g1Group(mcl), g2Group(mcl)];
  const generator = g2.generator as unknown as Mcl.G2;
  const hashToG1 = keepHashes((message) => hashToCurve(mcl, sha256, message));
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
): Pick<BlsPort, "verify" | "verifyAggregate"> {
  const generatorLines = new mcl.PrecomputedG2(mcl.neg(generator));
  const linesOf = keepPairingLines(mcl);
  const keyOf = keepPublicKeys(mcl);
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

/** Hash to the curve; mapping clears the cofactor, and that may be done before adding as well as after. */
function hashToCurve(mcl: Library, sha256: Sha256, message: Uint8Array): Mcl.G1 {
  const uniform = expandMessage(message, BLS_SIGNATURE_TAG, 128, sha256);
  const [u0, u1] = [new mcl.Fp(), new mcl.Fp()];
  u0.setBigEndianMod(uniform.subarray(0, 64));
  u1.setBigEndianMod(uniform.subarray(64));
  return mcl.add(u0.mapToG1(), u1.mapToG1());
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

function combine(mcl: Library, shares: Parameters<BlsPort["combine"]>[0]): Uint8Array {
  checkEvaluationPoints(shares.map(({ index }) => index));
  const indices = shares.map(({ index }) => {
    const value = new mcl.Fr();
    value.setInt(index);
    return value;
  });
  const points = uncheckedPoints(
    mcl,
    shares.map((share) => share.signature),
  );
  return mcl.recoverG1(indices, points).serialize();
}
