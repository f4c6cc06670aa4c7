// The groups of BLS12-381 as key generation needs them, by mcl (see `mcl-bls.ts`): a point is a small object of its own
// outside the library's memory, so that none has to be given back.
import { BLS_SIGNATURE_TAG, SCALAR_ORDER, scalarToBytes } from "@atoll/crypto";
import { type CurveGroup, type G1Point, type G2Point, invariant } from "@atoll/types";
import type * as Mcl from "mcl-wasm";

export type Library = typeof Mcl;

export function g1Group(mcl: Library): CurveGroup<G1Point> {
  return curveGroup<Mcl.G1>(mcl, mcl.G1, G1_GENERATOR) as unknown as CurveGroup<G1Point>;
}

export function g2Group(mcl: Library): CurveGroup<G2Point> {
  return curveGroup<Mcl.G2>(mcl, mcl.G2, G2_GENERATOR) as unknown as CurveGroup<G2Point>;
}

/** Points that are multiplied at once: they and their scalars go over the library's stack. */
const MAX_AT_ONCE = 256;

function curveGroup<P extends Mcl.G1 | Mcl.G2>(mcl: Library, make: new () => P, generatorHex: string): CurveGroup<P> {
  const generator = new make();
  generator.deserialize(Buffer.from(generatorHex, "hex"));
  const size = generatorHex.length / 2;
  const multiply = mcl.mul as unknown as (point: P, scalar: Mcl.Fr) => P;
  const plus = mcl.add as (a: P, b: P) => P;
  return {
    generator,
    fromBytes(bytes) {
      if (bytes.length !== size) return undefined;
      const point = new make();
      try {
        point.deserialize(bytes);
      } catch {
        return undefined;
      }
      return point.isZero() ? undefined : point;
    },
    toBytes: (point) => point.serialize(),
    isZero: (point) => point.isZero(),
    sum(points, scalars) {
      if (points.length === 0 || points.length !== scalars.length) throw new RangeError("a sum of nothing");
      let sum: P | undefined;
      for (let from = 0; from < points.length; from += MAX_AT_ONCE) {
        const some = points.slice(from, from + MAX_AT_ONCE);
        const factors = scalars.slice(from, from + MAX_AT_ONCE).map((scalar) => fieldElement(mcl, scalar));
        const part = some.length === 1 ? multiply(some[0] as P, factors[0] as Mcl.Fr) : mcl.mulVec(some, factors);
        sum = sum === undefined ? part : plus(sum, part);
      }
      return sum as P;
    },
  };
}

export function fieldElement(mcl: Library, scalar: bigint): Mcl.Fr {
  if (scalar < 0n || scalar >= SCALAR_ORDER) throw new RangeError("not a scalar of BLS12-381");
  const element = new mcl.Fr();
  element.deserialize(scalarToBytes(scalar));
  return element;
}

/** What the library exports beside its classes: functions on addresses in its memory. */
interface Addresses {
  readonly HEAP8: Int8Array;
  readonly HEAP32: Int32Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  _mclBnG1_hashAndMapToWithDst(to: number, message: number, bytes: number, tag: number, tagBytes: number): number;
  _mclBnG1_add(sum: number, a: number, b: number): void;
  _mclBnG1_normalizeVec(to: number, from: number, count: number): void;
  _mclBnG1_serialize(to: number, space: number, point: number): number;
}

const POINT_BYTES = 144;
const COMPRESSED_BYTES = 48;
/** Steps made at once: 96 KiB of the library's memory, kept. */
const STRIDE = 512;

/** See BlsPort.walkG1. On addresses, because copying points in and out for each addition takes longer than adding. */
export function createWalk(mcl: Library): (start: G1Point, step: G1Point, count: number) => Uint8Array {
  const { mod } = mcl as unknown as { mod: Addresses };
  const points = mod._malloc((STRIDE + 1) * POINT_BYTES);
  const stepAt = points + STRIDE * POINT_BYTES;
  const compressed = mod._malloc(STRIDE * COMPRESSED_BYTES);
  if (points === 0 || compressed === 0) throw new RangeError("mcl has no memory left");
  const put = (point: G1Point, at: number) => {
    mod.HEAP32.set((point as unknown as { a_: Uint32Array }).a_, at / 4);
  };
  return (start, step, count) => {
    const path = new Uint8Array(count * COMPRESSED_BYTES);
    put(start, points);
    put(step, stepAt);
    for (let from = 0; from < count; from += STRIDE) {
      const steps = Math.min(STRIDE, count - from);
      const last = points + (STRIDE - 1) * POINT_BYTES;
      if (from > 0) mod._mclBnG1_add(points, last, stepAt);
      for (let at = points + POINT_BYTES; at < points + steps * POINT_BYTES; at += POINT_BYTES) {
        mod._mclBnG1_add(at, at - POINT_BYTES, stepAt);
      }
      mod._mclBnG1_normalizeVec(points, points, steps);
      for (let i = 0; i < steps; i++) {
        mod._mclBnG1_serialize(compressed + i * COMPRESSED_BYTES, COMPRESSED_BYTES, points + i * POINT_BYTES);
      }
      path.set(new Uint8Array(mod.HEAP8.buffer, compressed, steps * COMPRESSED_BYTES), from * COMPRESSED_BYTES);
    }
    return path;
  };
}

/** Hash to the curve with the Internet Computer's tag: the library's classes know another one. */
export function createCurveHash(mcl: Library): (message: Uint8Array) => Mcl.G1 {
  const { mod } = mcl as unknown as { mod: Addresses };
  const tag = mod._malloc(BLS_SIGNATURE_TAG.length);
  const hashed = mod._malloc(POINT_BYTES);
  if (tag === 0 || hashed === 0) throw new RangeError("mcl has no memory left");
  mod.HEAP8.set(BLS_SIGNATURE_TAG, tag);
  return (message) => {
    const at = mod._malloc(message.length);
    if (at === 0) throw new RangeError("mcl has no memory left");
    try {
      mod.HEAP8.set(message, at);
      const failed = mod._mclBnG1_hashAndMapToWithDst(hashed, at, message.length, tag, BLS_SIGNATURE_TAG.length);
      invariant(failed === 0, "the library did not hash a message to the curve");
    } finally {
      mod._free(at);
    }
    const point = new mcl.G1();
    (point as unknown as { a_: Uint32Array }).a_.set(mod.HEAP32.subarray(hashed / 4, (hashed + POINT_BYTES) / 4));
    return point;
  };
}

const G1_GENERATOR = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const G2_GENERATOR =
  "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e" +
  "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8";
