// One execution under way: the object that every system call works on. It owns the call under construction, the
// reply being built, the balance as it changes, and the bridge to the canister's heap.
import {
  addCycles,
  type CanisterId,
  type Cycles,
  MAX_LOG_TEXT_BYTES,
  principalToBytes,
  subtractCycles,
} from "@atoll/types";
import { contractViolation, Trap } from "./execution-error.ts";
import type { Effects, ExecutionInput, OutgoingCall } from "./execution-input.ts";
import { Mode, type Modes, modeName } from "./modes.ts";
import type { StableMemory } from "./stable-memory.ts";

/** Log text that is kept of one execution, newest first; each line counts for a little more than its bytes. */
const MAX_KEPT_LOG_BYTES = 2 * 1024 * 1024;
const LOG_LINE_OVERHEAD = 24;

/** A Wasm argument or result as JavaScript sees it. */
export type Value = number | bigint;

/** The instance that an execution runs on. */
export interface Heap {
  readonly is64: boolean;
  /** Current bytes of the heap; empty when the module has no memory. Refreshed after each growth. */
  bytes(): Uint8Array;
  /** The host wrote [offset, offset + size): remember the pages. */
  markDirty(offset: number, size: number): void;
  /** Takes `instructions` off the counter and returns what is left (negative: used up). */
  charge(instructions: number): number;
}

/** A call being built between call_new and call_perform. */
export interface CallUnderConstruction {
  readonly receiver: Uint8Array;
  readonly methodName: string;
  readonly onReply: OutgoingCall["onReply"];
  readonly onReject: OutgoingCall["onReject"];
  onCleanup: OutgoingCall["onCleanup"];
  payload: Uint8Array[];
  payloadBytes: number;
  readonly methodNameBytes: number;
  cycles: Cycles;
  timeoutSeconds: number | undefined;
}

export class Execution {
  readonly input: ExecutionInput;
  readonly heap: Heap;
  readonly stable: StableMemory;
  readonly effects: Effects;
  readonly caller: Uint8Array;
  call: CallUnderConstruction | undefined;
  replyParts: Uint8Array[] = [];
  replyBytes = 0;
  /** Cycles of the incoming call not accepted yet. */
  available: Cycles;
  logBytesUsed = 0;
  /** Calls performed by this execution, by receiver. */
  readonly callsTo = new Map<CanisterId, number>();
  #keptLogBytes = 0;
  acceptCalled = false;

  constructor(input: ExecutionInput, heap: Heap, stable: StableMemory) {
    this.input = input;
    this.heap = heap;
    this.stable = stable;
    this.caller = principalToBytes(input.caller);
    this.available = input.cyclesAvailable;
    this.effects = {
      answer: undefined,
      calls: [],
      cycles: input.canister.cycles,
      cyclesAccepted: 0n,
      cyclesBurned: 0n,
      certifiedData: undefined,
      globalTimer: undefined,
      logs: [],
      logsDropped: 0,
      accepted: false,
    };
  }

  /** Throws the trap for a system call that this kind of execution may not make. */
  require(name: string, modes: Modes): void {
    if ((this.input.mode & modes) !== 0) return;
    throw contractViolation(
      `"ic0_${name}" cannot be executed in ${modeName(this.input.mode)} mode`,
      "Check the ICP documentation to make sure APIs are being called in the correct message types.",
      "calling-a-system-api-from-the-wrong-mode",
    );
  }

  charge(instructions: number): void {
    if (this.heap.charge(instructions) < 0) throw this.outOfInstructions();
  }

  outOfInstructions(): Trap {
    return new Trap({ kind: "instruction-limit", limit: this.input.instructionLimit });
  }

  /** A pointer or size argument as a number; beyond 2^53 it is merely large, which every check refuses. */
  size(value: Value): number {
    return typeof value === "number" ? value >>> 0 : Number(BigInt.asUintN(64, value));
  }

  /** A pointer-sized result. */
  pointer(value: number): Value {
    return this.heap.is64 ? BigInt(value) : value;
  }

  /** A copy of heap bytes; a contract violation of `name` when out of bounds. */
  readHeap(name: string, source: Value, size: Value): Uint8Array {
    const [at, length] = this.range(name, source, size);
    return this.heap.bytes().slice(at, at + length);
  }

  /** Copies `source[offset, offset + size)` to the heap, as all `*_copy` calls do. */
  copyToHeap(name: string, source: Uint8Array, target: Value, offset: Value, size: Value): void {
    const length = this.size(size);
    const from = this.size(offset);
    const [at] = this.range(`ic0.${name} heap`, target, size);
    if (from + length > source.length) throw outOfSlice(`ic0.${name} payload`, from, length, source.length);
    if (length === 0) return;
    this.heap.bytes().set(source.subarray(from, from + length), at);
    this.heap.markDirty(at, length);
  }

  range(name: string, at: Value, size: Value): [at: number, size: number] {
    const start = this.size(at);
    const length = this.size(size);
    const heapBytes = this.heap.bytes().length;
    if (start + length > heapBytes) throw outOfSlice(name, start, length, heapBytes);
    return [start, length];
  }

  /** Writes a 128-bit amount, 16 bytes little-endian. */
  writeCycles(name: string, target: Value, amount: Cycles): void {
    const at = this.size(target);
    const heap = this.heap.bytes();
    if (at + 16 > heap.length) {
      throw contractViolation(
        `ic0_${name} failed because dst + size is out of bounds. Found dst = ${at} and size = 16 while must be <= ` +
          `${heap.length}`,
      );
    }
    const view = new DataView(heap.buffer, heap.byteOffset);
    view.setBigUint64(at, amount & 0xffffffffffffffffn, true);
    view.setBigUint64(at + 8, amount >> 64n, true);
    this.heap.markDirty(at, 16);
  }

  /** An amount for the 64-bit system calls. */
  cycles64(amount: Cycles): bigint {
    if (amount > 0xffffffffffffffffn) {
      throw new Trap({ kind: "trapped", trap: "cycles amount exceeds 64-bit representation" });
    }
    return amount;
  }

  /** Memory of the canister at this point of the execution, in bytes. */
  memoryBytes(): number {
    return this.heap.bytes().length + this.stable.bytes + this.input.canister.otherMemoryBytes;
  }

  /** What may be spent without freezing the canister. */
  liquidCycles(): Cycles {
    return subtractCycles(this.effects.cycles, this.input.fees.freezingThreshold(this.memoryBytes()));
  }

  /** Accepts up to `max` of the incoming cycles and returns how many. */
  acceptCycles(max: Cycles): Cycles {
    if (this.input.responded || this.effects.answer !== undefined) return 0n;
    const accepted = max < this.available ? max : this.available;
    this.available -= accepted;
    this.effects.cyclesAccepted += accepted;
    this.effects.cycles = addCycles(this.effects.cycles, accepted);
    return accepted;
  }

  /** Gives back what an abandoned call held. */
  discardCall(): void {
    if (this.call === undefined) return;
    this.effects.cycles = addCycles(this.effects.cycles, this.call.cycles);
    this.call = undefined;
  }

  /** Instructions for logging `bytes` bytes of text (instruction-costs 4). */
  logCharge(bytes: number): number {
    const capacity = this.input.canister.logBytes;
    const remaining = Math.max(0, capacity - this.logBytesUsed);
    return 2 * Math.min(bytes, capacity) + 50 * Math.min(bytes, remaining);
  }

  log(text: Uint8Array): void {
    if (!this.input.replicated) return;
    const cut = text.subarray(0, MAX_LOG_TEXT_BYTES);
    this.logBytesUsed += cut.length;
    this.effects.logs.push(cut.slice());
    this.#keptLogBytes += cut.length + LOG_LINE_OVERHEAD;
    if (this.#keptLogBytes > 2 * MAX_KEPT_LOG_BYTES) this.#dropOldLogs();
  }

  /** Printing is cheap: without an end to it, one message could fill the host's memory. */
  #dropOldLogs(): void {
    const { logs } = this.effects;
    let kept = 0;
    let first = logs.length;
    while (first > 0) {
      const next = kept + (logs[first - 1] as Uint8Array).length + LOG_LINE_OVERHEAD;
      if (next > MAX_KEPT_LOG_BYTES) break;
      kept = next;
      first--;
    }
    logs.splice(0, first);
    this.effects.logsDropped += first;
    this.#keptLogBytes = kept;
  }

  /** The rules for growing heap or stable memory by `bytes` (checklist 3.5); throws when they forbid it. */
  checkGrowth(bytes: number, isHeap: boolean): void {
    const { mode, canister, fees } = this.input;
    const limited = Mode.init | Mode.start | Mode.update;
    if (isHeap && (mode & limited) !== 0 && canister.wasmMemoryLimit !== 0n) {
      const after = BigInt(this.heap.bytes().length + bytes);
      if (after > canister.wasmMemoryLimit) {
        throw new Trap({ kind: "wasm-memory-limit", bytes: after, limit: canister.wasmMemoryLimit });
      }
    }
    if ((mode & (Mode.update | Mode.task)) === 0) return;
    const threshold = fees.freezingThreshold(this.memoryBytes() + bytes);
    if (this.effects.cycles < threshold) {
      const isController = canister.controllers.includes(this.input.caller);
      const missing = isController ? threshold - this.effects.cycles : undefined;
      throw new Trap({ kind: "cycles-in-memory-grow", bytes, missing });
    }
  }
}

function outOfSlice(name: string, at: number, length: number, size: number): Trap {
  return contractViolation(`${name}: src=${at} + length=${length} exceeds the slice size=${size}`);
}
