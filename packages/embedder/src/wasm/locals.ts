// The locals of the function that is being rewritten: their types, how often each was written so far (so that a value
// on the operand stack is known to be still the same as the local), and the NaN class of float locals.
//
// NaN class: what the values that a function writes to a local have in common. `neutral` nothing but canonical values,
// a Nan kind: results of arithmetic (then the local may hold an uncertain NaN and its readers canonicalise), `payload`:
// bits to be kept, `mixed`: both, so that arithmetic results are canonicalised before they are written.
import { Nan } from "./opcodes.ts";
import { ValueType } from "./value-types.ts";

const MIXED = 15;

export class Locals {
  params = 0;
  count = 0;
  /** A class that was read has changed since: the plan must be made again. */
  unstable = false;
  private groupEnd: number[] = [];
  private groupType: number[] = [];
  private versions = new Uint32Array(256);
  private classes = new Uint8Array(256);
  private known = new Uint32Array(256);
  private read = new Uint8Array(256);
  private epoch = 0;

  /** Begins a function; `groups` of declared locals are added with `declare`. */
  begin(paramTypes: readonly number[]): void {
    this.groupEnd = [];
    this.groupType = [];
    this.params = paramTypes.length;
    this.count = 0;
    this.epoch++;
    this.unstable = false;
    for (const type of paramTypes) this.declare(1, type);
  }

  declare(count: number, type: number): void {
    if (count === 0) return;
    this.count += count;
    this.groupEnd.push(this.count);
    this.groupType.push(type);
  }

  /** Call after the last `declare`. */
  ready(): void {
    if (this.count <= this.versions.length) return;
    const length = Math.max(this.count, this.versions.length * 2);
    this.versions = new Uint32Array(length);
    this.classes = new Uint8Array(length);
    this.known = new Uint32Array(length);
    this.read = new Uint8Array(length);
  }

  version(local: number): number {
    return this.versions[local] as number;
  }

  written(local: number): void {
    this.versions[local] = (this.versions[local] as number) + 1;
  }

  /** NaN kind of a value that is read from the local. */
  readNan(local: number): number {
    const kind = this.classOf(local);
    this.read[local] = 1;
    return kind === MIXED ? Nan.payload : kind;
  }

  /** Tells that a value of that NaN kind is written; true when it must be canonicalised first. */
  writeNan(local: number, nan: number): boolean {
    const before = this.classOf(local);
    const after = join(before, nan);
    if (after !== before) {
      this.classes[local] = after;
      const seen = this.read[local] === 1 && (before === Nan.neutral || after === Nan.neutral);
      if (seen || before > Nan.neutral) this.unstable = true;
    }
    return nan > Nan.neutral && after === MIXED;
  }

  /** After passes that did not settle: no local may hold an uncertain NaN, which is always right. */
  settle(): void {
    for (let local = 0; local < this.count; local++) {
      if (this.classOf(local) !== Nan.payload) this.classes[local] = MIXED;
    }
  }

  private classOf(local: number): number {
    if (this.known[local] !== this.epoch) {
      this.known[local] = this.epoch;
      this.read[local] = 0;
      this.classes[local] = local < this.params || !isFloat(this.type(local)) ? Nan.payload : Nan.neutral;
    }
    return this.classes[local] as number;
  }

  private type(local: number): number {
    let low = 0;
    let high = this.groupEnd.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.groupEnd[middle] as number) > local) high = middle;
      else low = middle + 1;
    }
    return this.groupType[low] ?? ValueType.i32;
  }
}

function isFloat(type: number): boolean {
  return type === ValueType.f32 || type === ValueType.f64 || type === ValueType.v128;
}

function join(a: number, b: number): number {
  if (a === b || b === Nan.neutral) return a;
  return a === Nan.neutral ? b : MIXED;
}
