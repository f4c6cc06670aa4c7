// Deterministic time slicing: an execution that needs more instructions than a slice has goes on round after round,
// while other canisters run in between. The first attempt is a plain call; at the end of its slice it is undone and
// begun again on a Wasm stack that can be suspended (docs/decisions/0007). Between two rounds one suspended execution
// runs one slice: that is when the engine lets a stack go on. Which one is decided by the state alone.
import type { LongRun, SliceLimits } from "@atoll/embedder";
import { type CanisterState, noteConsumption, type PendingExecution, touch } from "@atoll/state";
import {
  type CanisterId,
  INSTRUCTIONS_PER_SLICE,
  invariant,
  MAX_INSTRUCTIONS_PER_OPERATION,
  MAX_PAUSED_EXECUTIONS,
  MAX_PAUSED_HEAP_BYTES,
} from "@atoll/types";
import { serve } from "./fair-share.ts";
import type { Round } from "./round.ts";

/** What an execution does besides running Wasm, as one function that waits where the Wasm does not end in its slice. */
export type Steps<T> = Generator<LongRun, T, void>;

/** Makes the steps of an execution; `isLong`: it is known to take more than a slice. */
export type BeginSteps = (isLong: boolean) => Steps<void>;

interface Paused {
  readonly steps: Steps<void>;
  run: LongRun;
  /** When it was suspended first. */
  readonly heapBytes: number;
  slices: number;
  /** Of `run`, in the slices that were counted. */
  counted: number;
}

export class LongExecutions {
  readonly limits: SliceLimits;
  readonly #maxPaused: number;
  readonly #paused = new Map<CanisterId, Paused>();
  #due: CanisterId | undefined;
  /** Settles when the slice of `#due` has run. */
  #slice: Promise<void> | undefined;
  #hasRun = false;

  constructor(options: { slices?: SliceLimits; maxPaused?: number } = {}) {
    this.limits = options.slices ?? { slice: INSTRUCTIONS_PER_SLICE, operation: MAX_INSTRUCTIONS_PER_OPERATION };
    this.#maxPaused = options.maxPaused ?? MAX_PAUSED_EXECUTIONS;
  }

  /** For a fork of the state: nothing is under way there, as after a checkpoint. */
  fork(): LongExecutions {
    return new LongExecutions({ slices: this.limits, maxPaused: this.#maxPaused });
  }

  get size(): number {
    return this.#paused.size;
  }

  /** Whether one more canister with such a heap may be suspended; one always may. */
  hasRoomFor(heapBytes: number): boolean {
    if (this.#paused.size === 0) return true;
    let bytes = heapBytes;
    for (const paused of this.#paused.values()) bytes += paused.heapBytes;
    return this.#paused.size < this.#maxPaused && bytes <= MAX_PAUSED_HEAP_BYTES;
  }

  has(id: CanisterId): boolean {
    return this.#paused.has(id);
  }

  /** Runs the slice that must run before the next round; undefined: there is none. */
  runSlice(): Promise<void> | undefined {
    const paused = this.#due === undefined ? undefined : this.#paused.get(this.#due);
    if (paused === undefined) return undefined;
    this.#slice ??= paused.run.runSlice().then(() => {
      this.#hasRun = true;
    });
    return this.#slice;
  }

  /** Keeps an execution that stopped at the end of a slice; false: there are too many of them. */
  keep(canister: CanisterState, steps: Steps<void>, run: LongRun): boolean {
    const heapBytes = heapBytesOf(canister);
    if (!this.hasRoomFor(heapBytes)) return false;
    this.#paused.set(canister.id, { steps, run, heapBytes, slices: 0, counted: 0 });
    return true;
  }

  /** The execution whose slice has run since the last round, with the instructions it took. */
  takeDue(): { readonly id: CanisterId; readonly paused: Paused; readonly instructions: number } | undefined {
    const id = this.#due;
    const paused = id === undefined ? undefined : this.#paused.get(id);
    if (id === undefined || paused === undefined) return undefined;
    invariant(this.#hasRun, "a round began before the slice that is due had run");
    this.#forgetSlice();
    const instructions = paused.run.instructions - paused.counted;
    paused.counted = paused.run.instructions;
    paused.slices++;
    return { id, paused, instructions };
  }

  forget(id: CanisterId): void {
    this.#paused.delete(id);
  }

  /**
   * Chooses whose slice is next: in turns the oldest execution, so that each ends at some time, and the one that had the
   * fewest slices, so that a short one need not wait for one of minutes.
   */
  choose(round: Round): void {
    const waiting = [...this.#paused].map(([id, { slices }]) => ({ id, slices, since: sinceOf(round, id) }));
    const byAge = (a: (typeof waiting)[0], b: typeof a): number => a.since - b.since || (a.id < b.id ? -1 : 1);
    waiting.sort(round.state.height % 2 === 0 ? byAge : (a, b) => a.slices - b.slices || byAge(a, b));
    this.#due = waiting[0]?.id;
  }

  /** Unwinds all suspended stacks. Their executions begin again from what the state holds of them. */
  abortAll(): void {
    for (const { run } of this.#paused.values()) run.abort();
    this.#paused.clear();
    this.#forgetSlice();
  }

  #forgetSlice(): void {
    this.#due = undefined;
    this.#slice = undefined;
    this.#hasRun = false;
  }
}

/** Begins an execution; `pending` is what the state keeps of it should it take more than a slice. */
export function beginExecution(
  round: Round,
  canister: CanisterState,
  pending: () => PendingExecution,
  begin: BeginSteps,
): void {
  const steps = begin(false);
  const first = steps.next();
  if (first.done === true) return;
  canister.pendingExecution = pending();
  touch(round.state, canister);
  // Those that wait for room come first, or a few busy canisters would keep it among themselves.
  const isOtherWaiting = round.state.withPending.size > round.long.size + 1;
  if (isOtherWaiting || !round.long.keep(canister, steps, first.value)) first.value.abort();
}

/** Begins an execution again that is known to be long. */
export function beginAgain(round: Round, canister: CanisterState, begin: BeginSteps): void {
  const steps = begin(true);
  const first = steps.next();
  if (first.done === true) end(round, canister);
  else if (!round.long.keep(canister, steps, first.value)) first.value.abort();
}

/** Takes up the execution whose slice has run, if it has come to its end. */
export function continueLongExecution(round: Round): void {
  const due = round.long.takeDue();
  const canister = due && round.state.canisters.get(due.id);
  if (due === undefined || canister === undefined) return;
  round.instructionsLeft -= due.instructions;
  serve(round, canister, due.instructions);
  if (due.paused.run.result === undefined) return;
  const next = due.paused.steps.next();
  if (next.done === true) {
    round.long.forget(due.id);
    end(round, canister);
  } else {
    due.paused.run = next.value;
    due.paused.counted = 0;
  }
}

function end(round: Round, canister: CanisterState): void {
  canister.pendingExecution = undefined;
  payInductionDebt(round, canister);
  touch(round.state, canister);
}

/** What taking in messages has cost in the meantime, as far as the execution has left anything. */
function payInductionDebt({ state }: Round, canister: CanisterState): void {
  const { cycles, inductionDebt: debt } = canister;
  const paid = debt < cycles ? debt : cycles;
  canister.inductionDebt = 0n;
  canister.cycles -= paid;
  noteConsumption(state, canister, "ingressInduction", paid);
}

export function heapBytesOf({ execution }: CanisterState): number {
  return execution?.heap.bytes ?? 0;
}

function sinceOf(round: Round, id: CanisterId): number {
  return round.state.canisters.get(id)?.pendingExecution?.since ?? 0;
}
