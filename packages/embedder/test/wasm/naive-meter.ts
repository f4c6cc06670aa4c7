// A second, simple rewriter as the oracle of the real one: it decrements an exported global at the start of every
// block, and makes the result of every single float operation canonical at once. Written straight from the rules
// (instruction costs, sections 2 and 9), with the operator tables in common. No local copy of the counter, no look
// at what is observable, no dirty pages, no stack. Bulk operations are not metered.
import {
  ACTION,
  Action,
  costTable,
  IMMEDIATE,
  Immediate,
  Nan,
  PREFIX_FC,
  PREFIX_FD,
  RESULT_NAN,
} from "../../src/wasm/opcodes.ts";
import { parseModule } from "../../src/wasm/parse.ts";
import { Reader } from "../../src/wasm/reader.ts";
import { Writer } from "../../src/wasm/writer.ts";

/** The module with its counter as the exported global `counter`, its memory as `memory`, its start as `start`. */
export function naivelyMetered(bytes: Uint8Array): Uint8Array {
  const module = parseModule(bytes);
  const out = new Writer(bytes.length * 3 + 1000);
  const counter = module.globals.length;
  out.raw(bytes.subarray(0, 8));
  let globalsDone = false;
  let exportsDone = false;
  for (const { id, start, end } of module.sections) {
    if (id === 0 || id === 8) continue;
    if (id > 6 && id < 13 && !globalsDone) globalsDone = writeGlobals(out, undefined);
    if (id > 7 && id < 13 && !exportsDone) exportsDone = writeExports(out, undefined);
    const reader = new Reader(bytes, start, end);
    if (id === 6) globalsDone = writeGlobals(out, reader);
    else if (id === 7) exportsDone = writeExports(out, reader);
    else if (id === 10) out.section(10, () => writeCode(reader));
    else out.section(id, () => out.copy(bytes, start, end));
  }
  return out.finish();

  function writeGlobals(to: Writer, reader: Reader | undefined): boolean {
    to.section(6, () => {
      to.u32((reader?.u32() ?? 0) + 1);
      if (reader) to.copy(bytes, reader.pos, reader.end);
      to.raw([0x7e, 1, 0x42, 0, 0x0b]);
    });
    return true;
  }

  function writeExports(to: Writer, reader: Reader | undefined): boolean {
    const hasMemory = module.memories.length > 0 && !module.exports.some(({ name }) => name === "memory");
    to.section(7, () => {
      to.u32((reader?.u32() ?? 0) + 1 + (hasMemory ? 1 : 0) + (module.start === undefined ? 0 : 1));
      if (reader) to.copy(bytes, reader.pos, reader.end);
      to.name("counter");
      to.byte(3);
      to.u32(counter);
      if (hasMemory) to.name("memory");
      if (hasMemory) to.raw([2, 0]);
      if (module.start !== undefined) {
        to.name("start");
        to.byte(0);
        to.u32(module.start);
      }
    });
    return true;
  }

  function writeCode(reader: Reader): void {
    const count = reader.u32();
    out.u32(count);
    for (let body = 0; body < count; body++) {
      const size = reader.u32();
      const length = out.openLength();
      const type = module.functionTypes[body] as number;
      writeBody(new Reader(bytes, reader.pos, reader.pos + size), module.types[4 * type + 1] as number);
      out.closeLength(length);
      reader.pos += size;
    }
  }

  function writeBody(reader: Reader, params: number): void {
    const groups = reader.u32();
    out.u32(groups + 3);
    const start = reader.pos;
    let temp = params;
    for (let i = 0; i < groups; i++) {
      temp += reader.u32();
      reader.byte();
    }
    out.copy(bytes, start, reader.pos);
    out.raw([1, 0x7d, 1, 0x7c, 1, 0x7b]);
    const block = new Writer(1000);
    const costs = costTable(module.memories[0]?.is64 ?? false);
    let blockStart = reader.pos;
    let cost = 1;
    while (reader.pos < reader.end) {
      const operator = readOperator(reader);
      block.copy(bytes, blockStart, reader.pos);
      blockStart = reader.pos;
      canonicalise(block, RESULT_NAN[operator] as number, temp);
      cost += costs[operator] as number;
      if (!endsBlock(ACTION[operator] as number) && reader.pos < reader.end) continue;
      out.byte(0x23);
      out.u32(counter);
      out.byte(0x42);
      out.s64(BigInt(cost));
      out.byte(0x7d);
      out.byte(0x24);
      out.u32(counter);
      out.copy(block.bytes, 0, block.pos);
      block.pos = 0;
      cost = 0;
    }
  }
}

/** value -> value == value ? value : canonical NaN, in each lane. */
function canonicalise(to: Writer, nan: number, temp: number): void {
  if (nan < Nan.f32) return;
  const f32 = [0, 0, 0xc0, 0x7f];
  const f64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
  const local = temp + (nan === Nan.f32 ? 0 : nan === Nan.f64 ? 1 : 2);
  const get = (): void => {
    to.byte(0x20);
    to.u32(local);
  };
  to.byte(0x22);
  to.u32(local);
  if (nan === Nan.f32) to.raw([0x43, ...f32]);
  else if (nan === Nan.f64) to.raw([0x44, ...f64]);
  else to.raw([0xfd, 12, ...(nan === Nan.f32x4 ? [...f32, ...f32, ...f32, ...f32] : [...f64, ...f64])]);
  get();
  get();
  if (nan === Nan.f32) to.raw([0x5b, 0x1b]);
  else if (nan === Nan.f64) to.raw([0x61, 0x1b]);
  else to.raw([0xfd, nan === Nan.f32x4 ? 65 : 71, 0xfd, 82]);
}

function endsBlock(action: number): boolean {
  return (
    (action >= Action.loop && action <= Action.unreachable) ||
    action === Action.returnCall ||
    action === Action.returnCallIndirect
  );
}

function readOperator(reader: Reader): number {
  let operator = reader.byte();
  if (operator >= 0xfc) operator = (operator === 0xfc ? PREFIX_FC : PREFIX_FD) + reader.u32();
  const skipLebs = (...sizes: number[]): void => sizes.forEach((size) => void reader.skipLeb(size));
  const skip: Record<number, () => void> = {
    [Immediate.blockType]: () => reader.skipLeb(5),
    [Immediate.index]: () => reader.skipLeb(5),
    [Immediate.i32]: () => reader.skipLeb(5),
    [Immediate.i64]: () => reader.skipLeb(10),
    [Immediate.bytes4]: () => reader.skip(4),
    [Immediate.bytes8]: () => reader.skip(8),
    [Immediate.bytes16]: () => reader.skip(16),
    [Immediate.lane]: () => reader.skip(1),
    [Immediate.memory]: () => reader.skip(1),
    [Immediate.refType]: () => reader.skip(1),
    [Immediate.twoMemories]: () => reader.skip(2),
    [Immediate.twoIndexes]: () => skipLebs(5, 5),
    [Immediate.memarg]: () => skipLebs(5, 10),
    [Immediate.memargLane]: () => {
      skipLebs(5, 10);
      reader.skip(1);
    },
    [Immediate.dataAndMemory]: () => {
      skipLebs(5);
      reader.skip(1);
    },
    [Immediate.selectTypes]: () => reader.skip(reader.u32()),
    [Immediate.branchTable]: () => {
      for (let labels = reader.u32() + 1; labels > 0; labels--) reader.skipLeb(5);
    },
  };
  skip[IMMEDIATE[operator] as number]?.();
  return operator;
}
