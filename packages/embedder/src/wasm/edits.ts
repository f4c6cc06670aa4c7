// The list of changes to one function body, made by the planner in one walk and applied by the emitter in another.
// Most are found in the order of the code. Those that follow an operator which was passed before (keep a copy of the
// address that it produced, canonicalise its result) are kept apart and merged by position at the end.

export const Edit = {
  /** Drops what became of no use, for instance a charge of 0. */
  none: 0,
  entry: 1,
  entryLeaf: 2,
  charge: 3,
  chargeFromGlobal: 4,
  loop: 5,
  /** counter global := counter local */
  writeBack: 6,
  /** counter local := counter global */
  reload: 7,
  call: 8,
  callIndirect: 9,
  returnCall: 10,
  skip: 11,
  markLocal: 12,
  markConstant: 13,
  markStashed: 14,
  memoryFill: 15,
  memoryCopy: 16,
  memoryInit: 17,
  memoryGrow: 18,
  dropSegment: 19,
  refFunc: 20,
  keepAddress: 21,
  canonicalise: 22,
} as const;

/** Numbers per edit: position, bytes of the original to leave out, kind, two arguments. */
const STRIDE = 5;

export class EditList {
  data = new Float64Array(1024 * STRIDE);
  count = 0;
  /** Edits that follow the operator that ends at `position`: position, kind, argument. */
  private late = new Float64Array(256 * 3);
  private lateCount = 0;
  /** Order of the late edits after `sortLate`. */
  lateOrder = new Float64Array(256);

  clear(): void {
    this.count = 0;
    this.lateCount = 0;
  }

  /** Gives the number of the edit. */
  add(position: number, kind: number, a = 0, b = 0, skip = 0): number {
    const at = this.count * STRIDE;
    if (at === this.data.length) this.data = doubled(this.data);
    const { data } = this;
    data[at] = position;
    data[at + 1] = skip;
    data[at + 2] = kind;
    data[at + 3] = a;
    data[at + 4] = b;
    return this.count++;
  }

  position(edit: number): number {
    return this.data[edit * STRIDE] as number;
  }
  skip(edit: number): number {
    return this.data[edit * STRIDE + 1] as number;
  }
  kind(edit: number): number {
    return this.data[edit * STRIDE + 2] as number;
  }
  setKind(edit: number, kind: number): void {
    this.data[edit * STRIDE + 2] = kind;
  }
  a(edit: number): number {
    return this.data[edit * STRIDE + 3] as number;
  }
  setA(edit: number, a: number): void {
    this.data[edit * STRIDE + 3] = a;
  }
  b(edit: number): number {
    return this.data[edit * STRIDE + 4] as number;
  }
  setB(edit: number, b: number): void {
    this.data[edit * STRIDE + 4] = b;
  }

  addLate(position: number, kind: number, a: number): void {
    const at = this.lateCount * 3;
    if (at === this.late.length) this.late = doubled(this.late);
    this.late[at] = position;
    this.late[at + 1] = kind;
    this.late[at + 2] = a;
    this.lateCount++;
  }

  latePosition(late: number): number {
    return this.late[late * 3] as number;
  }
  lateKind(late: number): number {
    return this.late[late * 3 + 1] as number;
  }
  lateA(late: number): number {
    return this.late[late * 3 + 2] as number;
  }

  /** The numbers of the late edits by position. */
  sortLate(): Float64Array {
    const count = this.lateCount;
    if (this.lateOrder.length < count) this.lateOrder = new Float64Array(this.late.length);
    const order = this.lateOrder.subarray(0, count);
    let sorted = true;
    for (let i = 0; i < count; i++) {
      order[i] = this.latePosition(i) * LATE_LIMIT + i;
      if (i > 0 && (order[i] as number) < (order[i - 1] as number)) sorted = false;
    }
    if (!sorted) order.sort();
    for (let i = 0; i < count; i++) order[i] = (order[i] as number) % LATE_LIMIT;
    return order;
  }
}

/** More late edits than a function of at most a million operators can have; positions stay exact in a double. */
const LATE_LIMIT = 2 ** 22;

function doubled(data: Float64Array): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(data.length * 2);
  grown.set(data);
  return grown;
}
