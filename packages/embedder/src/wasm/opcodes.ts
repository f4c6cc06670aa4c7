// The operators that a canister may use, as tables: immediates, stack effect, cost (instruction costs, section 3),
// complexity weight (section 8), and what each means for NaN canonicalisation. An operator that is not listed
// here belongs to a proposal that the Internet Computer does not enable, or is refused by name.
//
// Operators are numbered in one space: 0x00-0xff as they are, 0xfc n -> 256 + n, 0xfd n -> 288 + n.

export const PREFIX_FC = 256;
export const PREFIX_FD = 288;
export const OPERATORS = PREFIX_FD + 256;

/** Shapes of immediates. */
export const Immediate = {
  none: 0,
  blockType: 1,
  index: 2,
  twoIndexes: 3,
  branchTable: 4,
  memarg: 5,
  i32: 6,
  i64: 7,
  bytes4: 8,
  bytes8: 9,
  bytes16: 10,
  memory: 11,
  twoMemories: 12,
  memargLane: 13,
  lane: 14,
  selectTypes: 15,
  refType: 16,
  dataAndMemory: 17,
  unsupported: 255,
} as const;

/** What the rewriter does at an operator; `plain` ones are described by the tables alone. */
export const Action = {
  plain: 0,
  block: 1,
  loop: 2,
  if: 3,
  else: 4,
  end: 5,
  br: 6,
  brIf: 7,
  brTable: 8,
  return: 9,
  unreachable: 10,
  call: 11,
  callIndirect: 12,
  returnCall: 13,
  returnCallIndirect: 14,
  localGet: 15,
  localSet: 16,
  localTee: 17,
  select: 18,
  store: 19,
  memoryFill: 20,
  memoryCopy: 21,
  memoryInit: 22,
  memoryGrow: 23,
  dropSegment: 24,
  refFunc: 25,
  i32Const: 26,
  i64Const: 27,
  floatConst: 28,
} as const;

/**
 * What is known of the NaN bits of a value: `payload` bits are the program's own and must be kept, `neutral` cannot
 * be a non-canonical NaN, the others may hold a NaN that differs between machines, by lane type.
 */
export const Nan = { payload: 0, neutral: 1, f32: 2, f64: 3, f32x4: 4, f64x2: 5 } as const;

export const IMMEDIATE = new Uint8Array(OPERATORS).fill(Immediate.unsupported);
export const POPS = new Uint8Array(OPERATORS);
export const PUSHES = new Uint8Array(OPERATORS);
/** Static cost in wasm32 modules; memory accesses cost one more in wasm64 modules, see `costTable`. */
const COST = new Uint16Array(OPERATORS).fill(1);
export const COMPLEXITY = new Uint8Array(OPERATORS).fill(1);
export const ACTION = new Uint8Array(OPERATORS);
/** The NaN kind of the result. */
export const RESULT_NAN = new Uint8Array(OPERATORS);
/** The kind of uncertain NaN that may enter the operator as it is, because its result does not depend on the payload. */
export const ABSORBS_NAN = new Uint8Array(OPERATORS);
/** Store operators: type of the value (0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64, 0x7b v128). */
export const STORED_TYPE = new Uint8Array(OPERATORS);

type Row = readonly [first: number, last: number, pops: number, pushes: number, immediate?: number, action?: number];

const I = Immediate;
const A = Action;
const FC = PREFIX_FC;
const FD = PREFIX_FD;

const SHAPES: readonly Row[] = [
  [0x00, 0x00, 0, 0, I.none, A.unreachable],
  [0x01, 0x01, 0, 0],
  [0x02, 0x02, 0, 0, I.blockType, A.block],
  [0x03, 0x03, 0, 0, I.blockType, A.loop],
  [0x04, 0x04, 1, 0, I.blockType, A.if],
  [0x05, 0x05, 0, 0, I.none, A.else],
  [0x0b, 0x0b, 0, 0, I.none, A.end],
  [0x0c, 0x0c, 0, 0, I.index, A.br],
  [0x0d, 0x0d, 1, 0, I.index, A.brIf],
  [0x0e, 0x0e, 1, 0, I.branchTable, A.brTable],
  [0x0f, 0x0f, 0, 0, I.none, A.return],
  [0x10, 0x10, 0, 0, I.index, A.call],
  [0x11, 0x11, 1, 0, I.twoIndexes, A.callIndirect],
  [0x12, 0x12, 0, 0, I.index, A.returnCall],
  [0x13, 0x13, 1, 0, I.twoIndexes, A.returnCallIndirect],
  [0x1a, 0x1a, 1, 0],
  [0x1b, 0x1b, 3, 1, I.none, A.select],
  [0x1c, 0x1c, 3, 1, I.selectTypes, A.select],
  [0x20, 0x20, 0, 1, I.index, A.localGet],
  [0x21, 0x21, 1, 0, I.index, A.localSet],
  [0x22, 0x22, 1, 1, I.index, A.localTee],
  [0x23, 0x23, 0, 1, I.index],
  [0x24, 0x24, 1, 0, I.index],
  [0x25, 0x25, 1, 1, I.index],
  [0x28, 0x35, 1, 1, I.memarg],
  [0x36, 0x3e, 2, 0, I.memarg, A.store],
  [0x3f, 0x3f, 0, 1, I.memory],
  [0x40, 0x40, 1, 1, I.memory, A.memoryGrow],
  [0x41, 0x41, 0, 1, I.i32, A.i32Const],
  [0x42, 0x42, 0, 1, I.i64, A.i64Const],
  [0x43, 0x43, 0, 1, I.bytes4, A.floatConst],
  [0x44, 0x44, 0, 1, I.bytes8, A.floatConst],
  [0x45, 0x45, 1, 1],
  [0x46, 0x4f, 2, 1],
  [0x50, 0x50, 1, 1],
  [0x51, 0x66, 2, 1],
  [0x67, 0x69, 1, 1],
  [0x6a, 0x78, 2, 1],
  [0x79, 0x7b, 1, 1],
  [0x7c, 0x8a, 2, 1],
  [0x8b, 0x91, 1, 1],
  [0x92, 0x98, 2, 1],
  [0x99, 0x9f, 1, 1],
  [0xa0, 0xa6, 2, 1],
  [0xa7, 0xc4, 1, 1],
  [0xd0, 0xd0, 0, 1, I.refType],
  [0xd1, 0xd1, 1, 1],
  [0xd2, 0xd2, 0, 1, I.index, A.refFunc],
  [FC + 0, FC + 7, 1, 1],
  [FC + 8, FC + 8, 3, 0, I.dataAndMemory, A.memoryInit],
  [FC + 9, FC + 9, 0, 0, I.index, A.dropSegment],
  [FC + 10, FC + 10, 3, 0, I.twoMemories, A.memoryCopy],
  [FC + 11, FC + 11, 3, 0, I.memory, A.memoryFill],
  [FC + 13, FC + 13, 0, 0, I.index, A.dropSegment],
  [FC + 16, FC + 16, 0, 1, I.index],
  [FD + 0, FD + 10, 1, 1, I.memarg],
  [FD + 11, FD + 11, 2, 0, I.memarg, A.store],
  [FD + 12, FD + 12, 0, 1, I.bytes16],
  [FD + 13, FD + 13, 2, 1, I.bytes16],
  [FD + 14, FD + 14, 2, 1],
  [FD + 15, FD + 20, 1, 1],
  [FD + 21, FD + 22, 1, 1, I.lane],
  [FD + 23, FD + 23, 2, 1, I.lane],
  [FD + 24, FD + 25, 1, 1, I.lane],
  [FD + 26, FD + 26, 2, 1, I.lane],
  [FD + 27, FD + 27, 1, 1, I.lane],
  [FD + 28, FD + 28, 2, 1, I.lane],
  [FD + 29, FD + 29, 1, 1, I.lane],
  [FD + 30, FD + 30, 2, 1, I.lane],
  [FD + 31, FD + 31, 1, 1, I.lane],
  [FD + 32, FD + 32, 2, 1, I.lane],
  [FD + 33, FD + 33, 1, 1, I.lane],
  [FD + 34, FD + 34, 2, 1, I.lane],
  [FD + 35, FD + 76, 2, 1],
  [FD + 77, FD + 77, 1, 1],
  [FD + 78, FD + 81, 2, 1],
  [FD + 82, FD + 82, 3, 1],
  [FD + 83, FD + 83, 1, 1],
  [FD + 84, FD + 87, 2, 1, I.memargLane],
  [FD + 88, FD + 91, 2, 0, I.memargLane, A.store],
  [FD + 92, FD + 93, 1, 1, I.memarg],
  [FD + 94, FD + 100, 1, 1],
  [FD + 101, FD + 102, 2, 1],
  [FD + 103, FD + 106, 1, 1],
  [FD + 107, FD + 115, 2, 1],
  [FD + 116, FD + 117, 1, 1],
  [FD + 118, FD + 121, 2, 1],
  [FD + 122, FD + 122, 1, 1],
  [FD + 123, FD + 123, 2, 1],
  [FD + 124, FD + 129, 1, 1],
  [FD + 130, FD + 130, 2, 1],
  [FD + 131, FD + 132, 1, 1],
  [FD + 133, FD + 134, 2, 1],
  [FD + 135, FD + 138, 1, 1],
  [FD + 139, FD + 147, 2, 1],
  [FD + 148, FD + 148, 1, 1],
  [FD + 149, FD + 153, 2, 1],
  [FD + 155, FD + 159, 2, 1],
  [FD + 160, FD + 161, 1, 1],
  [FD + 163, FD + 164, 1, 1],
  [FD + 167, FD + 170, 1, 1],
  [FD + 171, FD + 174, 2, 1],
  [FD + 177, FD + 177, 2, 1],
  [FD + 181, FD + 186, 2, 1],
  [FD + 188, FD + 191, 2, 1],
  [FD + 192, FD + 193, 1, 1],
  [FD + 195, FD + 196, 1, 1],
  [FD + 199, FD + 202, 1, 1],
  [FD + 203, FD + 206, 2, 1],
  [FD + 209, FD + 209, 2, 1],
  [FD + 213, FD + 223, 2, 1],
  [FD + 224, FD + 225, 1, 1],
  [FD + 227, FD + 227, 1, 1],
  [FD + 228, FD + 235, 2, 1],
  [FD + 236, FD + 237, 1, 1],
  [FD + 239, FD + 239, 1, 1],
  [FD + 240, FD + 247, 2, 1],
  [FD + 248, FD + 255, 1, 1],
];
for (const [first, last, pops, pushes, immediate = I.none, action = A.plain] of SHAPES) {
  IMMEDIATE.fill(immediate, first, last + 1);
  POPS.fill(pops, first, last + 1);
  PUSHES.fill(pushes, first, last + 1);
  ACTION.fill(action, first, last + 1);
}

/** Value, then ranges [first, last] or single operators. */
type Assignment = readonly [value: number, ...operators: (number | readonly [number, number])[]];

function assign(table: Uint8Array | Uint16Array, assignments: readonly Assignment[], base = 0): void {
  for (const [value, ...operators] of assignments) {
    for (const operator of operators) {
      const [first, last] = typeof operator === "number" ? [operator, operator] : operator;
      table.fill(value, base + first, base + last + 1);
    }
  }
}

assign(COST, [
  [0, 0x02, 0x03, 0x05, 0x0b],
  [2, 0x04, [0x0c, 0x0e], 0x23, 0x24, [0x8d, 0x90], [0x92, 0x94], 0x98, [0x9b, 0x9e], [0xa0, 0xa2]],
  [3, 0x12, [0x5b, 0x66], 0x95, 0xa6, 0xb2, 0xb4, 0xb7, 0xb9],
  [5, 0x10, 0x25, 0x26, 0x91, 0xa3, 0xd1],
  [6, 0x13],
  [8, 0x9f],
  [10, 0x11, [0x6d, 0x70], [0x7f, 0x82]],
  [16, 0xb3, 0xb5, 0xb8, 0xba],
  [18, 0x96, 0x97, 0xa4, 0xa5],
  [20, 0x3f, [0xa8, 0xab], [0xae, 0xb1], [FC, FC + 7]],
  [130, 0xd2],
  [300, 0x40, FC + 9, FC + 13],
  [100, FC + 8, FC + 10, FC + 11, FC + 16],
]);
assign(
  COST,
  [
    [2, 38, 40, 48, 50, 58, 60, 109, [139, 141], [171, 173], 203, 205, 125, 157, 159, 181, [188, 191]],
    [2, [103, 106], 116, 117, 122, 148, 224, 225, [228, 230], 236, 237, [240, 242], 248, 252],
    [3, 13, 98, 107, 108, 127, 204, 253],
    [4, 213, 232, 233, 244, 249, 251],
    [5, 227, 245],
    [10, 231],
    [12, 243],
    [14, 239],
  ],
  FD,
);
assign(COMPLEXITY, [
  [50, 0x02, 0x03, 0x04, [0x0c, 0x0e], 0x10, 0x11, 0x40],
  [14, 0x25],
  [8, 0xd2],
  [6, 0xd1],
  [5, [0xa8, 0xb6], 0xb7, 0xb8, 0xb9, 0xba],
  [4, 0x8b, 0x8c, 0x99, 0x9a, FC + 10],
  [3, 0x98, 0xa6, 0x61, [0x6d, 0x70], [0x7f, 0x82], FC + 11, [0x28, 0x35], [FC, FC + 7]],
  [2, 0x23, 0x69, 0x7b, 0x1b, 0x3f, [0x36, 0x3e], [0x45, 0x60], [0x62, 0x66]],
  [2, [0x8d, 0x8f], 0x91, [0x9b, 0x9d], 0x9f, [0xbc, 0xbf], 0xa7, [0xc0, 0xc4], 0xbb],
]);

/** Float arithmetic gives an uncertain NaN and does not look at the payloads of its operands. */
assign(RESULT_NAN, [
  [Nan.f32, [0x8d, 0x97], 0xb6],
  [Nan.f64, [0x9b, 0xa5], 0xbb],
  [Nan.neutral, [0xb2, 0xb5], [0xb7, 0xba]],
]);
assign(ABSORBS_NAN, [
  [255, 0x1a],
  [Nan.f32, [0x5b, 0x60], [0x8d, 0x97], 0xa8, 0xa9, 0xae, 0xaf, 0xbb, FC, FC + 1, FC + 4, FC + 5],
  [Nan.f64, [0x61, 0x66], [0x9b, 0xa5], 0xaa, 0xab, 0xb0, 0xb1, 0xb6, FC + 2, FC + 3, FC + 6, FC + 7],
]);
assign(
  RESULT_NAN,
  [
    [Nan.f32x4, 94, [103, 106], 227, [228, 233]],
    [Nan.f64x2, 95, 116, 117, 122, 148, 239, [240, 245]],
  ],
  FD,
);
assign(
  ABSORBS_NAN,
  [
    [Nan.f32x4, 95, [65, 70], [103, 106], 227, [228, 233], 248, 249],
    [Nan.f64x2, 94, [71, 76], 116, 117, 122, 148, 239, [240, 245], 252, 253],
  ],
  FD,
);
assign(STORED_TYPE, [
  [0x7f, 0x36, 0x3a, 0x3b],
  [0x7e, 0x37, [0x3c, 0x3e]],
  [0x7d, 0x38],
  [0x7c, 0x39],
  [0x7b, FD + 11, [FD + 88, FD + 91]],
]);

/** Operators that the replica refuses by name. */
export const REFUSED_NAMES: Readonly<Record<number, string>> = {
  38: "table.set",
  [FC + 12]: "table.init",
  [FC + 14]: "table.copy",
  [FC + 15]: "table.grow",
  [FC + 17]: "table.fill",
};

function isMemoryAccess(operator: number): boolean {
  const immediate = IMMEDIATE[operator];
  return immediate === I.memarg || immediate === I.memargLane;
}

const COST_64 = COST.map((cost, operator) => (isMemoryAccess(operator) ? 2 : cost));

/** Static cost per operator for the width of the module's memory. */
export function costTable(memory64: boolean): Uint16Array {
  return memory64 ? COST_64 : COST;
}
