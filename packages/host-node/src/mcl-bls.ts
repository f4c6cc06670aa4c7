// BLS12-381 by mcl compiled to WebAssembly: 3 to 6 times faster than plain JavaScript. The library knows the curve but
// not the Internet Computer's domain separation tag, so the first half of hashing to the curve is done here.
// Not claimed to be constant-time.
import { BLS_SIGNATURE_TAG, checkEvaluationPoints, checkSecret, expandMessage } from "@atoll/crypto";
import type { BlsPort, CryptoPort } from "@atoll/types";
import type * as Mcl from "mcl-wasm";

type G1 = Mcl.G1;

/** Keys whose pairing lines are kept: each takes about 20 KB of the library's small fixed memory. */
const KEPT_KEYS = 8;

/** Initialises the library (about 70 ms, most of it off this thread). Rejects where it cannot run. */
export async function createMclBls(mcl: typeof Mcl, sha256: CryptoPort["sha256"]): Promise<BlsPort> {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  mcl.setMapToMode(mcl.IRTF);
  mcl.verifyOrderG1(true);
  mcl.verifyOrderG2(true);
  const generator = new mcl.G2();
  generator.deserialize(Buffer.from(G2_GENERATOR, "hex"));
  const keys = new Map<string, Mcl.PrecomputedG2>();
  const generatorLines = new mcl.PrecomputedG2(mcl.neg(generator));

  function hashToG1(message: Uint8Array): G1 {
    const uniform = expandMessage(message, BLS_SIGNATURE_TAG, 128, sha256);
    const [u0, u1] = [new mcl.Fp(), new mcl.Fp()];
    u0.setBigEndianMod(uniform.subarray(0, 64));
    u1.setBigEndianMod(uniform.subarray(64));
    return mcl.add(u0.mapToG1(), u1.mapToG1());
  }

  function pairingLines(publicKey: Uint8Array): Mcl.PrecomputedG2 | undefined {
    const name = Buffer.from(publicKey).toString("latin1");
    let lines = keys.get(name);
    if (lines !== undefined) {
      keys.delete(name);
    } else {
      const point = new mcl.G2();
      point.deserialize(publicKey);
      if (point.isZero()) return undefined;
      lines = new mcl.PrecomputedG2(point);
      for (const [oldest, dropped] of keys) {
        if (keys.size < KEPT_KEYS) break;
        keys.delete(oldest);
        dropped.destroy();
      }
    }
    keys.set(name, lines);
    return lines;
  }

  function scalar(secret: Uint8Array): Mcl.Fr {
    checkSecret(secret);
    const value = new mcl.Fr();
    value.deserialize(secret);
    return value;
  }

  function signature(bytes: Uint8Array): G1 {
    const point = new mcl.G1();
    point.deserialize(bytes);
    return point;
  }

  return {
    publicKey: (secret) => mcl.mul(generator, scalar(secret)).serialize(),
    sign: (secret, message) => mcl.mul(hashToG1(message), scalar(secret)).serialize(),
    verify(publicKey, message, bytes) {
      if (publicKey.length !== 96 || bytes.length !== 48) return false;
      try {
        const point = signature(bytes);
        const lines = pairingLines(publicKey);
        if (point.isZero() || lines === undefined) return false;
        // e(H(m), key) * e(signature, -generator) = 1
        const product = mcl.precomputedMillerLoop2(hashToG1(message), lines, point, generatorLines);
        return mcl.finalExp(product).isOne();
      } catch {
        return false;
      }
    },
    combine(shares) {
      const points = shares.map(({ index }) => index);
      checkEvaluationPoints(points);
      const indices = points.map((index) => {
        const value = new mcl.Fr();
        value.setInt(index);
        return value;
      });
      return mcl
        .recoverG1(
          indices,
          shares.map((share) => signature(share.signature)),
        )
        .serialize();
    },
  };
}

const G2_GENERATOR =
  "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e" +
  "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8";
