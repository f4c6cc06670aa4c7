// Value types of the binary format, with the names that error messages and module descriptions use.
// WebAssembly core specification, "Types"; reference types other than funcref do not get past validation.
import type { GlobalType } from "./module-info.ts";

export const ValueType = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
} as const;

const GLOBAL_TYPES: Readonly<Record<number, GlobalType>> = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
};

/** The name of a type that a canister's global may have, or undefined. */
export function globalTypeName(type: number): GlobalType | undefined {
  return GLOBAL_TYPES[type];
}

const DISPLAY: Readonly<Record<number, string>> = {
  127: "I32",
  126: "I64",
  125: "F32",
  124: "F64",
  123: "V128",
  112: "Ref(funcref)",
  111: "Ref(externref)",
};

/** A list of types as the replica prints it: `[I32, I64]`. */
export function displayTypes(types: readonly number[]): string {
  return `[${types.map((type) => DISPLAY[type] ?? "?").join(", ")}]`;
}

export function isValueType(byte: number): boolean {
  return DISPLAY[byte] !== undefined;
}
