// A place in the code of a validated module. The engine has seen that every operator and number is whole, so nothing
// is checked here: this is the hot loop of the rewriter.
import { ACTION, Action, IMMEDIATE, Immediate, PREFIX_FC, PREFIX_FD } from "./opcodes.ts";

export class CodeCursor {
  readonly bytes: Uint8Array;
  pos = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The operator here, in the numbering of `opcodes.ts`. */
  operator(): number {
    const first = this.bytes[this.pos++] as number;
    if (first < 0xfc) return first;
    return (first === 0xfc ? PREFIX_FC : PREFIX_FD) + this.leb();
  }

  /** Goes on to the `else` or `end` of the block that this place is in. */
  skipToEndOfBlock(): void {
    for (let nested = 0; ; ) {
      const at = this.pos;
      const operator = this.operator();
      const action = ACTION[operator] as number;
      if (nested === 0 && (action === Action.end || action === Action.else)) {
        this.pos = at;
        return;
      }
      this.skipImmediate(IMMEDIATE[operator] as number);
      if (action === Action.end) nested--;
      else if (action >= Action.block && action <= Action.if) nested++;
    }
  }

  leb(): number {
    const { bytes } = this;
    let byte = bytes[this.pos++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let shift = 7;
    do {
      byte = bytes[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return value >>> 0;
  }

  offset(): number {
    const start = this.pos;
    const value = this.leb();
    if (this.pos - start < 5) return value;
    let exact = 0;
    for (let at = this.pos - 1; at >= start; at--) exact = exact * 128 + ((this.bytes[at] as number) & 0x7f);
    return exact;
  }

  s32(): number {
    let value = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = this.bytes[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return shift < 32 && byte & 0x40 ? value | (-1 << shift) : value;
  }

  /** A 64-bit constant when it is from 0 to 2^41; larger and negative ones are no addresses worth knowing. */
  shortConstant(): number | undefined {
    const start = this.pos;
    this.skipLeb();
    const last = this.bytes[this.pos - 1] as number;
    if (this.pos - start > 6 || (last & 0x40) !== 0) return undefined;
    let value = 0;
    for (let at = this.pos - 1; at >= start; at--) value = value * 128 + ((this.bytes[at] as number) & 0x7f);
    return value;
  }

  skipImmediate(immediate: number): void {
    switch (immediate) {
      case Immediate.none:
        return;
      case Immediate.memarg:
      case Immediate.twoIndexes:
        this.skipLeb();
        this.skipLeb();
        return;
      case Immediate.bytes4:
        this.pos += 4;
        return;
      case Immediate.bytes8:
        this.pos += 8;
        return;
      case Immediate.bytes16:
        this.pos += 16;
        return;
      case Immediate.lane:
      case Immediate.memory:
      case Immediate.refType:
        this.pos += 1;
        return;
      case Immediate.twoMemories:
        this.pos += 2;
        return;
      case Immediate.memargLane:
        this.skipLeb();
        this.skipLeb();
        this.pos += 1;
        return;
      case Immediate.dataAndMemory:
        this.skipLeb();
        this.pos += 1;
        return;
      case Immediate.branchTable:
        for (let labels = this.leb() + 1; labels > 0; labels--) this.skipLeb();
        return;
      case Immediate.selectTypes: {
        const types = this.leb();
        this.pos += types;
        return;
      }
      default:
        this.skipLeb();
    }
  }

  private skipLeb(): void {
    while ((this.bytes[this.pos++] as number) >= 0x80);
  }
}
