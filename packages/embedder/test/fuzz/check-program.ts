// One random program, run by the rewritten module and by the interpreter, and by the engine as it is: same results,
// traps, heaps, globals, readings of the counter and totals; also when instructions run out, and in slices; and what
// the dirty map says is enough to undo everything.
import assert from "node:assert/strict";
import { OutOfInstructions, type Running, run, runRaw, type SystemImports } from "../wasm/running.ts";
import { type Decoded, decode } from "./decode.ts";
import { generate, type Shape } from "./generator.ts";
import { type Host, Interpreter, InterpreterTrap, type TrapKind } from "./interpreter.ts";
import type { Value } from "./operator-engine.ts";
import { Random } from "./random.ts";

/** Enough for most programs; the others end here. */
const PLENTY = 200_000;
const PAGE = 4096;

/** How an execution ended, as both sides can tell it. */
export interface Outcome {
  readonly result: unknown;
  readonly trap: TrapKind | undefined;
  /** Instructions used at each system call. */
  readonly readings: readonly number[];
  readonly used: number;
  /** Globals as bits, heap. */
  readonly globals: readonly (Value | readonly bigint[])[];
  readonly heap: Uint8Array;
}

/** Decides whether memory may grow, the same on each side: as often as they ask. */
function growthRule(seed: number): (pages: number) => boolean {
  const random = new Random(seed);
  return () => !random.oneIn(4);
}

function interpret(module: Decoded, seed: number, limit: number, args: readonly Value[]): [Outcome, Interpreter] {
  const readings: number[] = [];
  const mayGrow = growthRule(seed);
  const host: Host = {
    call: () => {
      readings.push(limit - machine.counter);
      return 7n;
    },
    mayGrow,
  };
  const machine = new Interpreter(module, host);
  machine.counter = limit;
  machine.lastWritten = limit;
  let result: unknown;
  let trap: TrapKind | undefined;
  try {
    if (module.start !== undefined) machine.invoke(undefined, []);
    result = machine.invoke("f", args)[0];
  } catch (error) {
    if (!(error instanceof InterpreterTrap)) throw error;
    trap = error.kind;
  }
  const globals = module.globals.flatMap(({ mutable, type }, index) => {
    const bits = machine.globals[index] as Value;
    if (!mutable) return [];
    return [type === "v" ? [BigInt.asIntN(64, bits as bigint), BigInt.asIntN(64, (bits as bigint) >> 64n)] : bits];
  });
  return [{ result, trap, readings, used: limit - machine.counter, globals, heap: machine.heap }, machine];
}

/** The next slice each time that the counter is below zero; undefined: the execution ends there. */
type NextSlice = (() => number) | undefined;

class RewrittenRun {
  readonly running: Running;
  private finished = 0;
  private readonly readings: number[] = [];
  private started = false;
  private readonly before: Uint8Array;

  constructor(bytes: Uint8Array, seed: number, limit: number, nextSlice: NextSlice) {
    const call = (): bigint => {
      if (this.started) this.readings.push(this.used());
      return 7n;
    };
    const mayGrow = growthRule(seed);
    // Without slices it is the direct form that runs, so the two are compared as well.
    const refill = nextSlice && {
      outOfInstructions: (): void => {
        this.finished += this.running.used();
        this.running.reset(nextSlice());
      },
    };
    const api: SystemImports = { time: call, performance_counter: call };
    const host = { mayGrow: (pages: number) => Number(mayGrow(pages)), ...refill };
    this.running = run(bytes, api, host);
    this.started = true;
    this.before = this.heap().slice();
    this.running.reset(limit);
  }

  used(): number {
    return this.finished + this.running.used();
  }

  heap(): Uint8Array {
    return new Uint8Array(this.running.memory?.buffer ?? new ArrayBuffer(0));
  }

  execute(hasStart: boolean, args: readonly Value[]): Outcome {
    const { exports, instrumented } = this.running;
    let result: unknown;
    let trap: TrapKind | undefined;
    try {
      if (hasStart) exports.canister_start();
      result = exports.f(...args);
    } catch (error) {
      trap = trapKind(error);
    }
    const globals = instrumented.globals.map((access) =>
      "name" in access ? exports[access.name].value : exports[access.get](),
    );
    return { result, trap, readings: this.readings, used: this.used(), globals, heap: this.heap() };
  }

  /** Puts back the pages that the map tells, as rollback does, and looks whether that was everything. */
  checkUndo(): void {
    const heap = this.heap().slice();
    const { before } = this;
    const dirty = this.running.dirty.subarray(0, heap.length / PAGE);
    const original = (page: number): Uint8Array => before.subarray(page * PAGE, (page + 1) * PAGE);
    dirty.forEach((mark, page) => {
      if (mark === 0) return;
      heap.fill(0, page * PAGE, (page + 1) * PAGE);
      heap.set(original(page), page * PAGE);
      const next = (page + 1) * PAGE;
      // A store over the border marks its first page only and reaches 15 bytes at most.
      if (next < heap.length && dirty[page + 1] === 0) {
        heap.fill(0, next, next + 16);
        heap.set(original(page + 1).subarray(0, 16), next);
      }
    });
    assert.ok(Buffer.from(heap.buffer, 0, before.length).equals(before), "undoing the dirty pages leaves changes");
    assert.ok(
      heap.subarray(before.length).every((byte) => byte === 0),
      "undoing leaves changes in what grew",
    );
  }
}

function trapKind(error: unknown): TrapKind {
  if (error instanceof OutOfInstructions) return "out of instructions";
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  const { message } = error;
  if (/unreachable/.test(message)) return "unreachable";
  if (/memory access|data segment/.test(message)) return "memory";
  if (/divide|remainder|float unrepresentable/.test(message)) return "arithmetic";
  if (/table index is out|table access/.test(message)) return "table";
  if (/signature|null function/.test(message)) return "signature";
  throw error;
}

/** Traps before which the rewritten code has told the exact count. */
const EXACT: readonly (TrapKind | undefined)[] = [
  undefined,
  "unreachable",
  "table",
  "signature",
  "out of instructions",
];

export function compare(actual: Outcome, expected: Outcome, lastWritten: number | undefined): void {
  const { heap, used, ...rest } = actual;
  const { heap: expectedHeap, used: expectedUsed, ...expectedRest } = expected;
  assert.deepEqual(rest, expectedRest);
  assert.ok(Buffer.from(heap).equals(expectedHeap), "heaps differ");
  if (lastWritten === undefined || EXACT.includes(expected.trap)) assert.equal(used, expectedUsed);
  else assert.ok(used >= lastWritten && used <= expectedUsed, `${used} is not in ${lastWritten}..${expectedUsed}`);
}

/** Throws an AssertionError when anything differs. Gives what the interpreter saw. */
export function checkModule(bytes: Uint8Array, seed: number, compareRaw: boolean): Outcome {
  const random = new Random(seed ^ 0x1234567);
  const args = [random.below(1000) - 10, BigInt.asIntN(64, random.bits())];
  const module = decode(bytes);
  const [expected, machine] = interpret(module, seed, PLENTY, args);
  const rewritten = (limit: number, next: NextSlice): [Outcome, RewrittenRun] => {
    const one = new RewrittenRun(bytes, seed, limit, next);
    return [one.execute(module.start !== undefined, args), one];
  };
  const [whole, undoable] = rewritten(PLENTY, undefined);
  compare(whole, expected, PLENTY - machine.lastWritten);
  undoable.checkUndo();

  // What was stopped cannot be compared with what is not: in slices, in the other width, as it is.
  if (whole.trap === "out of instructions") return expected;
  const longest = 1 + random.below(Math.max(2, Math.floor(expected.used / 3)));
  const [sliced, slices] = rewritten(random.below(longest), () => random.below(longest));
  compare(sliced, whole, undefined);
  slices.checkUndo();

  const limit = random.below(expected.used + 2);
  const [stopped, stoppedMachine] = interpret(module, seed, limit, args);
  const [short, cut] = rewritten(limit, undefined);
  compare(short, stopped, limit - stoppedMachine.lastWritten);
  cut.checkUndo();

  if (compareRaw) checkRaw(bytes, expected, args, seed);
  return expected;
}

/** Without floats there is nothing to make canonical: the module as it is must do the same. */
function checkRaw(bytes: Uint8Array, expected: Outcome, args: readonly Value[], seed: number): void {
  const granted = growthRule(seed);
  // The engine asks nobody before it grows: only programs whose every growth is granted can be compared.
  for (let i = 0; i < 40; i++) if (!granted(1)) return;
  const call = (): bigint => 7n;
  let result: unknown;
  let trap: TrapKind | undefined;
  try {
    result = runRaw(bytes, { time: call, performance_counter: call }).f(...args);
  } catch (error) {
    trap = trapKind(error);
  }
  assert.deepEqual({ result, trap }, { result: expected.result, trap: expected.trap });
}

function shapeOf(seed: number): Omit<Shape, "memory64"> {
  const random = new Random(seed ^ 0x55aa);
  return { floats: !random.oneIn(3), vectors: random.oneIn(2), allAddresses: random.oneIn(4) };
}

/** The program of a seed in both widths. */
export function checkProgram(seed: number): Outcome {
  const shape = shapeOf(seed);
  const outcomes = [false, true].flatMap((memory64) => {
    if (shape.allAddresses && !memory64) return [];
    return [checkModule(generate(seed, { ...shape, memory64 }), seed, !shape.floats)];
  });
  const [narrow, wide] = outcomes as [Outcome, Outcome?];
  if (wide !== undefined && !outcomes.some(({ trap }) => trap === "out of instructions")) {
    assert.deepEqual([wide.result, wide.trap], [narrow.result, narrow.trap], "the widths differ");
    assert.deepEqual(wide.globals, narrow.globals, "the widths differ in globals");
    assert.ok(Buffer.from(wide.heap).equals(narrow.heap), "the widths differ in memory");
    assert.ok(wide.used >= narrow.used);
  }
  return narrow;
}
