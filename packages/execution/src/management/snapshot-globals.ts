// Wasm globals as the snapshot methods show and take them. Inside, floats and vectors are kept as the bits of integers,
// because a NaN does not pass through JavaScript unchanged.
import type { SnapshotGlobal } from "@atoll/state";
import type { GlobalArg } from "./snapshot-candid.ts";

const MASK = 2n ** 64n - 1n;

export function shownGlobal({ type, value }: SnapshotGlobal): GlobalArg {
  const bits = new DataView(new ArrayBuffer(8));
  switch (type) {
    case "i32":
      return { i32: Number(value) | 0 };
    case "i64":
      return { i64: BigInt.asIntN(64, value as bigint) };
    case "f32":
      bits.setInt32(0, Number(value));
      return { f32: bits.getFloat32(0) };
    case "f64":
      bits.setBigInt64(0, value as bigint);
      return { f64: bits.getFloat64(0) };
    case "v128": {
      const [low, high] = value as readonly [bigint, bigint];
      return { v128: (BigInt.asUintN(64, high) << 64n) | BigInt.asUintN(64, low) };
    }
  }
}

/** Undefined for a vector of more than 128 bits. */
export function givenGlobal(arg: GlobalArg): SnapshotGlobal | undefined {
  const bits = new DataView(new ArrayBuffer(8));
  if ("i32" in arg) return { type: "i32", value: arg.i32 };
  if ("i64" in arg) return { type: "i64", value: arg.i64 };
  if ("f32" in arg) {
    bits.setFloat32(0, arg.f32);
    return { type: "f32", value: bits.getInt32(0) };
  }
  if ("f64" in arg) {
    bits.setFloat64(0, arg.f64);
    return { type: "f64", value: bits.getBigInt64(0) };
  }
  if (arg.v128 >> 128n !== 0n) return undefined;
  const halves = [arg.v128 & MASK, arg.v128 >> 64n].map((half) => BigInt.asIntN(64, half)) as [bigint, bigint];
  return { type: "v128", value: halves };
}
