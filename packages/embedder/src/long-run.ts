// An execution of more than one slice of instructions. Where the engine can suspend a Wasm stack (JSPI) it stops at the
// end of each slice, so that others run in between. Where it cannot, all of it runs in the first slice, and the ends of
// slices are told one after the other: the same rounds, charges and state, but nobody else runs meanwhile, and what
// the subnet has left (memory, open calls) is what it had then. docs/decisions/0007.

import { Execution } from "./execution.ts";
import { SliceEnd } from "./execution-error.ts";
import type { ExecutionInput } from "./execution-input.ts";
import type { LiveInstance, SliceLimits } from "./live-instance.ts";
import { conclude, type EntryPoint, entryFunction, type RunResult } from "./run-function.ts";
import type { MemoryPages, StableMemory } from "./stable-memory.ts";

/**
 * An execution that takes more than one slice: its Wasm stack is suspended between them, so that other canisters run
 * in the meantime. Needs an instance of its own (`InstancePool.takeSuspendable`).
 */
export class LongRun {
  readonly #live: LiveInstance;
  readonly #entry: EntryPoint;
  readonly #execution: Execution;
  readonly #committed: MemoryPages;
  readonly #slices: SliceLimits;
  #instructions = 0;
  #isStarted = false;
  #result: RunResult | undefined;
  /** Where no stack can be suspended: all of it, run in the first slice. */
  #whole: { readonly sliceEnds: number[]; readonly result: RunResult } | undefined;

  constructor(
    live: LiveInstance,
    entry: EntryPoint,
    input: ExecutionInput,
    stable: StableMemory,
    committed: MemoryPages,
    slices: SliceLimits,
  ) {
    this.#live = live;
    this.#entry = entry;
    this.#execution = new Execution(input, live, stable);
    this.#committed = committed;
    this.#slices = slices;
  }

  /** What it did, once it has ended. */
  get result(): RunResult | undefined {
    return this.#result;
  }

  /** Instructions executed so far, in all slices. */
  get instructions(): number {
    return this.#result?.instructions ?? this.#instructions;
  }

  /** Runs one slice. Settles when the slice or the whole execution is over; never rejects for what the canister does. */
  runSlice(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#live.canSuspend) {
        this.#tellSliceOfWhole();
        resolve();
        return;
      }
      const onSuspend = (): void => {
        this.#instructions = this.#used();
        resolve();
      };
      if (this.#isStarted) {
        this.#onEnd = { resolve, reject };
        this.#live.resume(onSuspend);
        return;
      }
      this.#isStarted = true;
      this.#onEnd = { resolve, reject };
      this.#live.begin(this.#execution, this.#slices);
      this.#start(onSuspend);
    });
  }

  /** Gives up: the stack is unwound, what was done so far is lost. */
  abort(): void {
    if (this.#isStarted && this.#result === undefined) this.#live.resume(() => undefined, new SliceEnd());
  }

  /** What one slice would have done: whoever looks on from round to round sees no difference. */
  #tellSliceOfWhole(): void {
    this.#whole ??= this.#runWhole();
    const { sliceEnds, result } = this.#whole;
    const instructions = sliceEnds.shift();
    if (instructions === undefined) this.#result = result;
    else this.#instructions = instructions;
  }

  #runWhole(): { readonly sliceEnds: number[]; readonly result: RunResult } {
    const sliceEnds: number[] = [];
    this.#live.begin(this.#execution, this.#slices);
    let thrown: unknown;
    try {
      const found = entryFunction(this.#live, this.#entry);
      if (found !== undefined) this.#live.runThrough(found.run, found.args, () => sliceEnds.push(this.#used()));
    } catch (caught) {
      thrown = caught;
    }
    return { sliceEnds, result: conclude(this.#live, this.#execution, thrown, this.#committed) };
  }

  #used(): number {
    return this.#execution.input.instructionLimit - this.#live.remaining();
  }

  #onEnd: { resolve(): void; reject(error: unknown): void } | undefined;

  #start(onSuspend: () => void): void {
    const end = (thrown: unknown): void => {
      try {
        this.#result = conclude(this.#live, this.#execution, thrown, this.#committed);
        this.#onEnd?.resolve();
      } catch (error) {
        this.#onEnd?.reject(error);
      }
    };
    let ended: Promise<unknown>;
    try {
      const found = entryFunction(this.#live, this.#entry);
      ended = found === undefined ? Promise.resolve() : this.#live.start(found.run, found.args, onSuspend);
    } catch (thrown) {
      end(thrown);
      return;
    }
    ended.then(
      () => end(undefined),
      (thrown) => end(thrown),
    );
  }
}
