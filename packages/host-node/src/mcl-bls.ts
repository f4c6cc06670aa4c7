// BLS12-381 by mcl compiled to WebAssembly: 3 to 6 times faster than plain JavaScript. The library knows the curve but
// not the Internet Computer's domain separation tag, so the first half of hashing to the curve is done here.
// Not claimed to be constant-time.
import { BLS_SIGNATURE_TAG, checkEvaluationPoints, checkSecret, expandMessage } from "@atoll/crypto";
import type { BlsPort, CryptoPort } from "@atoll/types";
import type * as Mcl from "mcl-wasm";

type Library = typeof Mcl;
type Sha256 = CryptoPort["sha256"];

/** Initialises the library (about 70 ms, most of it off this thread). Rejects where it cannot run. */
export async function createMclBls(mcl: Library, sha256: Sha256): Promise<BlsPort> {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  mcl.setMapToMode(mcl.IRTF);
  mcl.verifyOrderG1(true);
  mcl.verifyOrderG2(true);
  const generator = new mcl.G2();
  generator.deserialize(Buffer.from(G2_GENERATOR, "hex"));
  const generatorLines = new mcl.PrecomputedG2(mcl.neg(generator));
  const linesOf = keepPairingLines(mcl);
  return {
    publicKey: (secret) => mcl.mul(generator, scalar(mcl, secret)).serialize(),
    sign: (secret, message) => mcl.mul(hashToG1(mcl, sha256, message), scalar(mcl, secret)).serialize(),
    verify(publicKey, message, bytes) {
      if (publicKey.length !== 96 || bytes.length !== 48) return false;
      try {
        const point = signaturePoint(mcl, bytes);
        const lines = linesOf(publicKey);
        if (point.isZero() || lines === undefined) return false;
        // e(H(m), key) * e(signature, -generator) = 1
        const product = mcl.precomputedMillerLoop2(hashToG1(mcl, sha256, message), lines, point, generatorLines);
        return mcl.finalExp(product).isOne();
      } catch {
        return false;
      }
    },
    combine: (shares) => combine(mcl, shares),
  };
}

/** Keys whose pairing lines are kept: each takes about 20 KB of the library's small fixed memory. */
const KEPT_KEYS = 8;

/** Pairing lines of a public key, kept for the keys used last; undefined for the point at infinity. */
function keepPairingLines(mcl: Library): (publicKey: Uint8Array) => Mcl.PrecomputedG2 | undefined {
  const kept = new Map<string, Mcl.PrecomputedG2>();
  return (publicKey) => {
    const name = Buffer.from(publicKey).toString("latin1");
    let lines = kept.get(name);
    if (lines !== undefined) kept.delete(name);
    else {
      const point = new mcl.G2();
      point.deserialize(publicKey);
      if (point.isZero()) return undefined;
      for (const [oldest, dropped] of kept) {
        if (kept.size < KEPT_KEYS) break;
        kept.delete(oldest);
        dropped.destroy();
      }
      lines = new mcl.PrecomputedG2(point);
    }
    kept.set(name, lines);
    return lines;
  };
}

/** Hash to the curve; mapping clears the cofactor, and that may be done before adding as well as after. */
function hashToG1(mcl: Library, sha256: Sha256, message: Uint8Array): Mcl.G1 {
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

function combine(mcl: Library, shares: Parameters<BlsPort["combine"]>[0]): Uint8Array {
  checkEvaluationPoints(shares.map(({ index }) => index));
  const indices = shares.map(({ index }) => {
    const value = new mcl.Fr();
    value.setInt(index);
    return value;
  });
  const points = shares.map((share) => signaturePoint(mcl, share.signature));
  return mcl.recoverG1(indices, points).serialize();
}

const G2_GENERATOR =
  "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e" +
  "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8";
