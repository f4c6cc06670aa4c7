// The abstract operand stack of the function that is being rewritten: where each value was produced (so that a copy
// of an address can be kept or a NaN canonicalised there), whether it is a local or a constant, and what its NaN
// bits may be. The engine has validated the types before; only heights and origins matter here.
import { Nan } from "./opcodes.ts";

export const Origin = { other: -1, constant: -2 } as const;

export class OperandStack {
  height = 0;
  highest = 0;
  /** Position after the operator that produced the value; -1 when no operator can be followed (parameters of blocks). */
  produced = new Int32Array(256);
  /** Index of the local that the value was read from, or a member of Origin. */
  local = new Int32Array(256);
  /** The constant's value, or the version of the local when it was read. */
  value = new Float64Array(256);
  nan = new Uint8Array(256);

  clear(): void {
    this.height = 0;
    this.highest = 0;
  }

  push(produced: number, nan: number): void {
    const at = this.height;
    if (at === this.produced.length) this.grow();
    this.produced[at] = produced;
    this.local[at] = Origin.other;
    this.nan[at] = nan;
    this.height = at + 1;
    if (at >= this.highest) this.highest = at + 1;
  }

  pushFrom(produced: number, nan: number, local: number, value: number): void {
    this.push(produced, nan);
    this.local[this.height - 1] = local;
    this.value[this.height - 1] = value;
  }

  /** Pushes results of a block or call: only the last can be followed. */
  pushResults(count: number, produced: number): void {
    for (let i = 1; i < count; i++) this.push(-1, Nan.payload);
    if (count > 0) this.push(produced, Nan.payload);
  }

  private grow(): void {
    const length = this.produced.length * 2;
    this.produced = copied(new Int32Array(length), this.produced);
    this.local = copied(new Int32Array(length), this.local);
    this.value = copied(new Float64Array(length), this.value);
    this.nan = copied(new Uint8Array(length), this.nan);
  }
}

/** Locals that keep copies of addresses: one per height, as two addresses at one height are never alive together. */
export class AddressTemps {
  count = 0;
  private temps = new Int32Array(256);
  private epochs = new Uint32Array(256);
  private epoch = 0;

  clear(): void {
    this.count = 0;
    this.epoch++;
  }

  /** Number of the temporary for an address at that height of the stack. */
  at(height: number): number {
    if (height >= this.temps.length) {
      const length = Math.max(height + 1, this.temps.length * 2);
      this.temps = copied(new Int32Array(length), this.temps);
      this.epochs = copied(new Uint32Array(length), this.epochs);
    }
    if (this.epochs[height] !== this.epoch) {
      this.epochs[height] = this.epoch;
      this.temps[height] = this.count++;
    }
    return this.temps[height] as number;
  }
}

function copied<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
