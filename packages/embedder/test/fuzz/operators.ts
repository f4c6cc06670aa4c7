// The operators of WebAssembly that canisters may use: names in the order of their numbers, types, and what each costs,
// written from the cost table (instruction costs, section 3) by name. Knows nothing of the rewriter's own tables.

/** i: i32, I: i64, f: f32, F: f64, v: v128. */
export type Type = "i" | "I" | "f" | "F" | "v";

export interface Operator {
  readonly name: string;
  /** 0x00-0xff as they are, 0xfc00 + n and 0xfd00 + n after a prefix. */
  readonly opcode: number;
  readonly params: readonly Type[];
  readonly result: Type | undefined;
  /** What follows in the code: nothing, an address, a lane, both, or sixteen lanes. */
  readonly immediate: "none" | "memory" | "lane" | "memoryLane" | "lanes";
  /** Bytes of memory that it reads or writes; 0 when none. */
  readonly width: number;
}

type Row = readonly [first: number, signature: string, names: string];

const COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const COMPARE_FLOAT = "eq ne lt gt le ge";
const COUNT = "clz ctz popcnt";
const INTEGER = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const ROUND = "abs neg ceil floor trunc nearest sqrt";
const FLOAT = "add sub mul div min max copysign";

const SCALAR: readonly Row[] = [
  [0x28, "i", "i32.load"],
  [0x29, "I", "i64.load"],
  [0x2a, "f", "f32.load"],
  [0x2b, "F", "f64.load"],
  [0x2c, "i", "i32.load8_s load8_u load16_s load16_u"],
  [0x30, "I", "i64.load8_s load8_u load16_s load16_u load32_s load32_u"],
  [0x36, "i:", "i32.store"],
  [0x37, "I:", "i64.store"],
  [0x38, "f:", "f32.store"],
  [0x39, "F:", "f64.store"],
  [0x3a, "i:", "i32.store8 store16"],
  [0x3c, "I:", "i64.store8 store16 store32"],
  [0x45, "i:i", "i32.eqz"],
  [0x46, "ii:i", `i32.${COMPARE}`],
  [0x50, "I:i", "i64.eqz"],
  [0x51, "II:i", `i64.${COMPARE}`],
  [0x5b, "ff:i", `f32.${COMPARE_FLOAT}`],
  [0x61, "FF:i", `f64.${COMPARE_FLOAT}`],
  [0x67, "i:i", `i32.${COUNT}`],
  [0x6a, "ii:i", `i32.${INTEGER}`],
  [0x79, "I:I", `i64.${COUNT}`],
  [0x7c, "II:I", `i64.${INTEGER}`],
  [0x8b, "f:f", `f32.${ROUND}`],
  [0x92, "ff:f", `f32.${FLOAT}`],
  [0x99, "F:F", `f64.${ROUND}`],
  [0xa0, "FF:F", `f64.${FLOAT}`],
  [0xa7, "I:i", "i32.wrap_i64"],
  [0xa8, "f:i", "i32.trunc_f32_s trunc_f32_u"],
  [0xaa, "F:i", "i32.trunc_f64_s trunc_f64_u"],
  [0xac, "i:I", "i64.extend_i32_s extend_i32_u"],
  [0xae, "f:I", "i64.trunc_f32_s trunc_f32_u"],
  [0xb0, "F:I", "i64.trunc_f64_s trunc_f64_u"],
  [0xb2, "i:f", "f32.convert_i32_s convert_i32_u"],
  [0xb4, "I:f", "f32.convert_i64_s convert_i64_u"],
  [0xb6, "F:f", "f32.demote_f64"],
  [0xb7, "i:F", "f64.convert_i32_s convert_i32_u"],
  [0xb9, "I:F", "f64.convert_i64_s convert_i64_u"],
  [0xbb, "f:F", "f64.promote_f32"],
  [0xbc, "f:i", "i32.reinterpret_f32"],
  [0xbd, "F:I", "i64.reinterpret_f64"],
  [0xbe, "i:f", "f32.reinterpret_i32"],
  [0xbf, "I:F", "f64.reinterpret_i64"],
  [0xc0, "i:i", "i32.extend8_s extend16_s"],
  [0xc2, "I:I", "i64.extend8_s extend16_s extend32_s"],
  [0xfc00, "f:i", "i32.trunc_sat_f32_s trunc_sat_f32_u"],
  [0xfc02, "F:i", "i32.trunc_sat_f64_s trunc_sat_f64_u"],
  [0xfc04, "f:I", "i64.trunc_sat_f32_s trunc_sat_f32_u"],
  [0xfc06, "F:I", "i64.trunc_sat_f64_s trunc_sat_f64_u"],
];

const EXTEND8 = "extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u";
const EXTEND16 = EXTEND8.replaceAll("i8x16", "i16x8");
const EXTEND32 = EXTEND8.replaceAll("i8x16", "i32x4");
const EXTMUL8 = EXTEND8.replaceAll("extend", "extmul");
const EXTMUL16 = EXTEND16.replaceAll("extend", "extmul");
const EXTMUL32 = EXTEND32.replaceAll("extend", "extmul");
const FLOAT_LANES = "add sub mul div min max pmin pmax";

const VECTOR: readonly Row[] = [
  [0, "v", "v128.load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u"],
  [7, "v", "v128.load8_splat load16_splat load32_splat load64_splat"],
  [11, "v:", "v128.store"],
  [13, "vv:v", "i8x16.shuffle swizzle"],
  [15, "i:v", "i8x16.splat"],
  [16, "i:v", "i16x8.splat"],
  [17, "i:v", "i32x4.splat"],
  [18, "I:v", "i64x2.splat"],
  [19, "f:v", "f32x4.splat"],
  [20, "F:v", "f64x2.splat"],
  [21, "v:i", "i8x16.extract_lane_s extract_lane_u"],
  [23, "vi:v", "i8x16.replace_lane"],
  [24, "v:i", "i16x8.extract_lane_s extract_lane_u"],
  [26, "vi:v", "i16x8.replace_lane"],
  [27, "v:i", "i32x4.extract_lane"],
  [28, "vi:v", "i32x4.replace_lane"],
  [29, "v:I", "i64x2.extract_lane"],
  [30, "vI:v", "i64x2.replace_lane"],
  [31, "v:f", "f32x4.extract_lane"],
  [32, "vf:v", "f32x4.replace_lane"],
  [33, "v:F", "f64x2.extract_lane"],
  [34, "vF:v", "f64x2.replace_lane"],
  [35, "vv:v", `i8x16.${COMPARE}`],
  [45, "vv:v", `i16x8.${COMPARE}`],
  [55, "vv:v", `i32x4.${COMPARE}`],
  [65, "vv:v", `f32x4.${COMPARE_FLOAT}`],
  [71, "vv:v", `f64x2.${COMPARE_FLOAT}`],
  [77, "v:v", "v128.not"],
  [78, "vv:v", "v128.and andnot or xor"],
  [82, "vvv:v", "v128.bitselect"],
  [83, "v:i", "v128.any_true"],
  [84, "v:v", "v128.load8_lane load16_lane load32_lane load64_lane"],
  [88, "v:", "v128.store8_lane store16_lane store32_lane store64_lane"],
  [92, "v", "v128.load32_zero load64_zero"],
  [94, "v:v", "f32x4.demote_f64x2_zero"],
  [95, "v:v", "f64x2.promote_low_f32x4"],
  [96, "v:v", "i8x16.abs neg popcnt"],
  [99, "v:i", "i8x16.all_true bitmask"],
  [101, "vv:v", "i8x16.narrow_i16x8_s narrow_i16x8_u"],
  [103, "v:v", "f32x4.ceil floor trunc nearest"],
  [107, "vi:v", "i8x16.shl shr_s shr_u"],
  [110, "vv:v", "i8x16.add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"],
  [116, "v:v", "f64x2.ceil floor"],
  [118, "vv:v", "i8x16.min_s min_u max_s max_u"],
  [122, "v:v", "f64x2.trunc"],
  [123, "vv:v", "i8x16.avgr_u"],
  [124, "v:v", "i16x8.extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u"],
  [126, "v:v", "i32x4.extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u"],
  [128, "v:v", "i16x8.abs neg"],
  [130, "vv:v", "i16x8.q15mulr_sat_s"],
  [131, "v:i", "i16x8.all_true bitmask"],
  [133, "vv:v", "i16x8.narrow_i32x4_s narrow_i32x4_u"],
  [135, "v:v", `i16x8.${EXTEND8}`],
  [139, "vi:v", "i16x8.shl shr_s shr_u"],
  [142, "vv:v", "i16x8.add add_sat_s add_sat_u sub sub_sat_s sub_sat_u"],
  [148, "v:v", "f64x2.nearest"],
  [149, "vv:v", "i16x8.mul min_s min_u max_s max_u"],
  [155, "vv:v", `i16x8.avgr_u ${EXTMUL8}`],
  [160, "v:v", "i32x4.abs neg"],
  [163, "v:i", "i32x4.all_true bitmask"],
  [167, "v:v", `i32x4.${EXTEND16}`],
  [171, "vi:v", "i32x4.shl shr_s shr_u"],
  [174, "vv:v", "i32x4.add"],
  [177, "vv:v", "i32x4.sub"],
  [181, "vv:v", "i32x4.mul min_s min_u max_s max_u dot_i16x8_s"],
  [188, "vv:v", `i32x4.${EXTMUL16}`],
  [192, "v:v", "i64x2.abs neg"],
  [195, "v:i", "i64x2.all_true bitmask"],
  [199, "v:v", `i64x2.${EXTEND32}`],
  [203, "vi:v", "i64x2.shl shr_s shr_u"],
  [206, "vv:v", "i64x2.add"],
  [209, "vv:v", "i64x2.sub"],
  [213, "vv:v", `i64x2.mul eq ne lt_s gt_s le_s ge_s ${EXTMUL32}`],
  [224, "v:v", "f32x4.abs neg"],
  [227, "v:v", "f32x4.sqrt"],
  [228, "vv:v", `f32x4.${FLOAT_LANES}`],
  [236, "v:v", "f64x2.abs neg"],
  [239, "v:v", "f64x2.sqrt"],
  [240, "vv:v", `f64x2.${FLOAT_LANES}`],
  [248, "v:v", "i32x4.trunc_sat_f32x4_s trunc_sat_f32x4_u"],
  [250, "v:v", "f32x4.convert_i32x4_s convert_i32x4_u"],
  [252, "v:v", "i32x4.trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero"],
  [254, "v:v", "f64x2.convert_low_i32x4_s convert_low_i32x4_u"],
];

const BYTES: Readonly<Record<string, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

function width(prefix: string, name: string): number {
  const match = /^(?:load|store)(\d*)(x?)/.exec(name);
  if (match === null) return 0;
  if (match[2] === "x") return 8;
  return match[1] === "" ? (BYTES[prefix] as number) : Number(match[1]) / 8;
}

function immediate(name: string, bytes: number): Operator["immediate"] {
  if (bytes > 0) return name.endsWith("_lane") ? "memoryLane" : "memory";
  if (name === "shuffle") return "lanes";
  return /^(extract|replace)_lane/.test(name) ? "lane" : "none";
}

function expand([first, signature, list]: Row, base: number): Operator[] {
  const [prefix, rest] = list.split(/\.(.*)/) as [string, string];
  // A signature without ":" is that of a load: the address is told by the immediate.
  const [params, result] = signature.includes(":") ? signature.split(":") : ["", signature];
  return rest.split(" ").map((name, i) => {
    const bytes = width(prefix, name);
    return {
      name: `${prefix}.${name}`,
      opcode: base + first + i,
      params: [...(params as string)] as Type[],
      result: result === "" ? undefined : (result as Type),
      immediate: immediate(name, bytes),
      width: bytes,
    };
  });
}

/** All that are a function of their operands and of memory: no control, locals, globals, tables, bulk. */
export const OPERATORS: readonly Operator[] = [
  ...SCALAR.flatMap((row) => expand(row, 0)),
  ...VECTOR.flatMap((row) => expand(row, 0xfd00)),
];

/** Names of the others. */
export const STRUCTURE: Readonly<Record<number, string>> = {
  0: "unreachable",
  1: "nop",
  2: "block",
  3: "loop",
  4: "if",
  5: "else",
  11: "end",
  12: "br",
  13: "br_if",
  14: "br_table",
  15: "return",
  16: "call",
  17: "call_indirect",
  18: "return_call",
  19: "return_call_indirect",
  26: "drop",
  27: "select",
  28: "select_typed",
  32: "local.get",
  33: "local.set",
  34: "local.tee",
  35: "global.get",
  36: "global.set",
  37: "table.get",
  63: "memory.size",
  64: "memory.grow",
  65: "i32.const",
  66: "i64.const",
  67: "f32.const",
  68: "f64.const",
  208: "ref.null",
  209: "ref.is_null",
  210: "ref.func",
  64520: "memory.init",
  64521: "data.drop",
  64522: "memory.copy",
  64523: "memory.fill",
  64525: "elem.drop",
  64528: "table.size",
  64780: "v128.const",
};

/** Section 3 of the cost table, row by row. The first pattern that fits a name decides; what fits none costs 1. */
const COSTS: readonly (readonly [cost: number, pattern: RegExp])[] = [
  [0, /^(block|loop|else|end)$/],
  [10, /^i(32|64)\.(div|rem)_[su]$/],
  [2, /^global\.[gs]et$|^(br|br_if|br_table|if)$/],
  [5, /^call$/],
  [10, /^call_indirect$/],
  [3, /^return_call$/],
  [6, /^return_call_indirect$/],
  [1, /^f(32|64)\.(abs|neg)$/],
  [2, /^f(32|64)\.(add|sub|mul|ceil|floor|trunc|nearest)$/],
  [3, /^f32\.div$/],
  [5, /^f64\.div$|^f32\.sqrt$/],
  [8, /^f64\.sqrt$/],
  [2, /^f32\.copysign$/],
  [3, /^f64\.copysign$/],
  [18, /^f(32|64)\.(min|max)$/],
  [3, /^f(32|64)\.(eq|ne|lt|gt|le|ge)$/],
  [3, /^f(32|64)\.convert_i(32|64)_s$/],
  [16, /^f(32|64)\.convert_i(32|64)_u$/],
  [20, /^i(32|64)\.trunc_/],
  [20, /^memory\.size$/],
  [100, /^table\.size$|^memory\.(fill|copy|init)$/],
  [300, /^memory\.grow$|^(data|elem)\.drop$/],
  [5, /^table\.get$|^ref\.is_null$/],
  [130, /^ref\.func$/],
  // SIMD
  [2, /^i(8x16|16x8|32x4)\.(lt|gt)_u$/],
  [2, /^i8x16\.shr_u$|^i(16x8|32x4)\.(shl|shr_s|shr_u)$|^i64x2\.(shl|shr_u)$/],
  [2, /^i16x8\.(extadd_pairwise_i8x16_u|extmul_high_i8x16_[su])$/],
  [2, /^i32x4\.(mul|extmul_(low|high)_i16x8_[su]|trunc_sat_f32x4_s|trunc_sat_f64x2_s_zero)$/],
  [2, /^f(32x4|64x2)\.(ceil|floor|trunc|nearest|abs|neg|add|sub|mul)$/],
  [3, /^i8x16\.(shuffle|popcnt|shl|shr_s)$|^i32x4\.(extadd_pairwise_i16x8_u|trunc_sat_f64x2_u_zero)$|^i64x2\.shr_s$/],
  [4, /^i64x2\.mul$|^f32x4\.(min|max|convert_i32x4_u)$|^f64x2\.min$|^i32x4\.trunc_sat_f32x4_u$/],
  [5, /^f32x4\.sqrt$|^f64x2\.max$/],
  [10, /^f32x4\.div$/],
  [12, /^f64x2\.div$/],
  [14, /^f64x2\.sqrt$/],
];

const ACCESS = /^[ifv]\d+\.(load|store)/;

const known = new Map<string, number>();

export function cost(name: string, memory64: boolean): number {
  let found = known.get(name);
  if (found === undefined) {
    found = COSTS.find(([, pattern]) => pattern.test(name))?.[0] ?? 1;
    known.set(name, found);
  }
  return memory64 && ACCESS.test(name) ? 2 : found;
}

/** Section 9: operators whose NaN must be the canonical one; those that only move or flip bits are not among them. */
export function isArithmetic(name: string): boolean {
  return (
    /^f(32|64|32x4|64x2)\.(add|sub|mul|div|min|max|sqrt|ceil|floor|trunc|nearest)$/.test(name) ||
    /\.(demote_f64|promote_f32|demote_f64x2_zero|promote_low_f32x4)$/.test(name)
  );
}
