// One execution under way: the object that every system call works on. It owns the call under construction, the
// reply being built, the balance as it changes, and the bridge to the canister's heap.
import { addCycles, type CanisterId, type Cycles, principalToBytes, subtractCycles } from "@atoll/types";
import { contractViolation, Trap } from "./execution-error.ts";
import type { Effects, ExecutionInput, OutgoingCall } from "./execution-input.ts";
import { LogDelta } from "./log-delta.ts";
import { Mode, type Modes, modeName } from "./modes.ts";
import type { StableMemory } from "./stable-memory.ts";

/** A Wasm argument or result as JavaScript sees it. */
export type Value = number | bigint;

/** The instance that an execution runs on. */
export interface Heap {
  readonly is64: boolean;
  /** False: the module declares no memory, so that no system call can reach one. */
  readonly hasMemory: boolean;
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
  #self: Uint8Array | undefined;
  #subnet: Uint8Array | undefined;
  call: CallUnderConstruction | undefined;
  replyParts: Uint8Array[] = [];
  replyBytes = 0;
  /** Cycles of the incoming call not accepted yet. */
  available: Cycles;
  /** Calls performed by this execution, by receiver. */
  readonly callsTo = new Map<CanisterId, number>();
  /** Bytes of the canister's messages, those of this execution included. */
  messageBytes: number;
  /** Bytes beyond what the canister had or was promised. */
  #memoryTaken = 0;
  acceptCalled = false;

  constructor(input: ExecutionInput, heap: Heap, stable: StableMemory) {
    this.input = input;
    this.heap = heap;
    this.stable = stable;
    this.caller = principalToBytes(input.caller);
    this.available = input.cyclesAvailable;
    this.messageBytes = input.canister.messageBytes;
    this.effects = {
      answer: undefined,
      calls: [],
      cycles: input.canister.cycles,
      cyclesAccepted: 0n,
      cyclesBurned: 0n,
      cyclesReserved: 0n,
      certifiedData: undefined,
      globalTimer: undefined,
      log: new LogDelta(input.canister.logBytes),
      accepted: false,
    };
  }

  get self(): Uint8Array {
    this.#self ??= principalToBytes(this.input.canister.id);
    return this.#self;
  }

  get subnet(): Uint8Array {
    this.#subnet ??= principalToBytes(this.input.subnetId);
    return this.#subnet;
  }

  /** Throws the trap for a system call that this kind of execution may not make. */
  require(name: string, modes: Modes): void {
    if ((this.input.mode & modes) === 0) throw this.wrongMode(name);
  }

  wrongMode(name: string): Trap {
    // The replica spells these two with a dot.
    const api = name === "root_key_copy" || name === "subnet_self_copy" ? `ic0.${name}` : `ic0_${name}`;
    return contractViolation(
      `"${api}" cannot be executed in ${modeName(this.input.mode, this.input.task)} mode`,
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
    return asNumber(value);
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

  /** Copies `source[offset, offset + size)` to the heap, as all `*_copy` calls do; `part` is the source's name. */
  copyToHeap(name: string, part: string, source: Uint8Array, target: Value, offset: Value, size: Value): void {
    const [at] = this.range(`ic0.${name} heap`, target, size);
    checkSlice(`ic0.${name} ${part}`, offset, size, source.length);
    const length = this.size(size);
    if (length === 0) return;
    const from = this.size(offset);
    this.heap.bytes().set(source.subarray(from, from + length), at);
    this.heap.markDirty(at, length);
  }

  range(name: string, at: Value, size: Value): [at: number, size: number] {
    checkSlice(name, at, size, this.heap.bytes().length);
    return [asNumber(at), asNumber(size)];
  }

  /** Writes a 128-bit amount, 16 bytes little-endian. */
  writeCycles(name: string, target: Value, amount: Cycles): void {
    const at = this.size(target);
    const heap = this.heap.bytes();
    if (at + 16 > heap.length) {
      throw contractViolation(
        `ic0_${name} failed because dst + size is out of bounds.Found dst = ${unsigned(target)} and size = 16 while ` +
          `must be <= ${heap.length}`,
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
    return subtractCycles(this.effects.cycles, this.freezingThreshold(this.memoryBytes()));
  }

  /**
   * Accepts up to `max` of the incoming cycles and returns how many. An answer given earlier in this execution does not
   * matter: what is left goes back when the execution ends.
   */
  acceptCycles(max: Cycles): Cycles {
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

  freezingThreshold(memoryBytes: number): Cycles {
    return this.input.fees.freezingThreshold(memoryBytes, this.messageBytes, this.effects.cyclesReserved);
  }

  /**
   * The rules for growing heap or stable memory by `bytes` (checklist 3.5); throws when they forbid it. False: the
   * subnet has no memory left.
   */
  takeMemory(bytes: number, isHeap: boolean): boolean {
    const { mode, canister } = this.input;
    if (isHeap) this.#checkHeapLimit(bytes);
    const used = this.memoryBytes();
    const { memory } = canister;
    const before = Math.max(used, memory.allocation);
    const after = Math.max(used + bytes, memory.allocation);
    const taken = after - before;
    if (taken === 0) return true;
    if ((mode & (Mode.update | Mode.task)) !== 0) this.#requireCycles(taken, this.freezingThreshold(used + bytes));
    if ((mode & KEEPS_MEMORY) === 0) return true;
    if (taken > memory.available() - this.#memoryTaken) return false;
    this.#reserveCycles(taken);
    this.#memoryTaken += taken;
    return true;
  }

  #checkHeapLimit(bytes: number): void {
    const { mode, canister } = this.input;
    const isLimited = (mode & (Mode.init | Mode.start | Mode.update)) !== 0 && canister.wasmMemoryLimit !== 0n;
    const after = BigInt(this.heap.bytes().length + bytes);
    if (!isLimited || after <= canister.wasmMemoryLimit) return;
    throw new Trap({ kind: "wasm-memory-limit", bytes: after, limit: canister.wasmMemoryLimit });
  }

  #reserveCycles(bytes: number): void {
    const { memory } = this.input.canister;
    const amount = memory.reservation(this.#memoryTaken, bytes);
    const reserved = memory.reservedCycles + this.effects.cyclesReserved + amount;
    if (amount > 0n && reserved > memory.reservedCyclesLimit) {
      const limit = memory.reservedCyclesLimit;
      throw new Trap({ kind: "reserved-cycles-limit", bytes, limit, excess: reserved - limit });
    }
    this.#requireCycles(bytes, amount);
    this.effects.cycles -= amount;
    this.effects.cyclesReserved += amount;
  }

  /** Throws when the balance is below `required`, which `bytes` more of memory would take. */
  #requireCycles(bytes: number, required: Cycles): void {
    if (this.effects.cycles >= required) return;
    const isController = this.input.canister.controllers.includes(this.input.caller);
    const missing = isController ? required - this.effects.cycles : undefined;
    throw new Trap({ kind: "cycles-in-memory-grow", bytes, missing });
  }
}

/** Executions whose memory stays; installations are looked at as a whole when they are through. */
const KEEPS_MEMORY = Mode.update | Mode.task | Mode.reply | Mode.reject | Mode.cleanup;

/** The decimal of a pointer or size as the canister meant it. */
export function unsigned(value: Value): bigint {
  return BigInt.asUintN(typeof value === "number" ? 32 : 64, BigInt(value));
}

function asNumber(value: Value): number {
  if (typeof value === "number") return value >>> 0;
  return Number(value >= 0n ? value : BigInt.asUintN(64, value));
}

/** A contract violation of `name` unless [at, at + size) lies within `length` bytes. */
function checkSlice(name: string, at: Value, size: Value, length: number): void {
  if (asNumber(at) + asNumber(size) <= length) return;
  const end = unsigned(at) + unsigned(size);
  const range = `${name}: src=${unsigned(at)} + length=${unsigned(size)}`;
  throw contractViolation(
    end < 1n << 64n ? `${range} exceeds the slice size=${length}` : `${range} is an invalid address`,
  );
}
