// Installs, reinstalls or upgrades the code of a canister: pre_upgrade on the old code, start and init or
// post_upgrade on the new, all as one transaction. Nothing is written to the canister before the last step has
// succeeded. Specification, "IC method install_code"; checklist 4.4, instruction-costs 7.
import {
  describeModule,
  type EntryPoint,
  type ExecutionError,
  type ExecutionInput,
  type LiveInstance,
  LongRun,
  type MemoryPages,
  Mode,
  type PreparedModule,
  type RunResult,
  runFunction,
  StableMemory,
  type StablePages,
  toUserError,
} from "@atoll/embedder";
import {
  type CanisterState,
  type ExecutionState,
  type InstallMode,
  type ManagementCaller,
  newMemory,
  noteConsumption,
  type PagedMemory,
  touch,
} from "@atoll/state";
import {
  type Cycles,
  ErrorCode,
  invariant,
  OS_PAGE_BYTES,
  type PrincipalId,
  principalToText,
  STABLE_PAGES_INSTALL,
  type UserError,
  userError,
} from "@atoll/types";
import { COMPILE_BASE, COMPILE_PER_OPERATOR, compilationCost } from "./compilation-cost.ts";
import { commonInput } from "./execution-inputs.ts";
import { collectLogs } from "./logs.ts";
import type { Steps } from "./long-executions.ts";
import { updateLowMemoryHook } from "./low-memory-hook.ts";
import { isUserError } from "./management/managed-canister.ts";
import { installOutOfCycles, memoryCapacityExceeded, tooFewCyclesToGrow } from "./management/management-errors.ts";
import { prepareOnce } from "./prepare-once.ts";
import { changeBalance } from "./prepayment.ts";
import { installRateError, noteInstallation } from "./rate-limits.ts";
import { reservationFor, reserveCycles } from "./reserve-memory.ts";
import { availableMemory } from "./resource-usage.ts";
import { freezingThreshold, memoryMetrics, type Round } from "./round.ts";
import { beforeExecution, originOf, traceInstallation } from "./trace.ts";

export interface InstallRequest {
  readonly mode: InstallMode;
  readonly wasm: Uint8Array;
  readonly arg: Uint8Array;
  readonly sender: PrincipalId;
  /** Who waits for the installation. */
  readonly caller: ManagementCaller;
}

/** An installation under way: everything that it would change, kept apart from the canister. */
interface Transaction {
  readonly round: Round;
  readonly canister: CanisterState;
  readonly request: InstallRequest;
  readonly module: PreparedModule;
  readonly old: ExecutionState | undefined;
  readonly keepsHeap: boolean;
  stable: StableMemory;
  /** Cycles for all instructions that an installation may take. */
  readonly prepaid: Cycles;
  readonly cyclesBefore: Cycles;
  /** Balance without them, as the phases change it. */
  cycles: Cycles;
  burned: Cycles;
  /** For memory that is taken, where the subnet is rather full. */
  toReserve: Cycles;
  instructions: number;
  certifiedData: Uint8Array | undefined;
  globalTimer: bigint;
  /** True: each phase is suspended at the end of its slices. False: that ends the attempt. */
  readonly isLong: boolean;
  /** What the phases printed, for when it is certain that this attempt counts. */
  readonly printed: [entry: string, result: RunResult][];
}

/** Undefined on success. The canister is charged for the work in any case. `isLong`: one slice is known not to do. */
export function* installCode(
  round: Round,
  canister: CanisterState,
  request: InstallRequest,
  isLong: boolean,
): Steps<UserError | undefined> {
  const refusal = checkMode(canister, request) ?? installRateError(canister);
  if (refusal !== undefined) return refusal;
  const prepared = prepareOnce(request.wasm, round.crypto);
  const is64 = prepared.ok && prepared.module.description.memory64;
  const prepaid = round.fees.execution(round.fees.limits.install, is64);
  const threshold = freezingThreshold(round, canister);
  if (canister.cycles < threshold + prepaid) {
    return installOutOfCycles(canister.id, threshold + prepaid - canister.cycles);
  }
  touch(round.state, canister);
  const before = beforeExecution(round, canister, 0n);
  if (!prepared.ok) {
    charge(round, canister, COMPILE_BASE + COMPILE_PER_OPERATOR * prepared.bytes, false);
    return toUserError(prepared.error, canister.id);
  }
  const optionError = checkUpgradeOptions(round, canister, request.mode, prepared.module);
  if (optionError !== undefined) return optionError;
  let transaction = begin(round, canister, request, prepared.module, prepaid, isLong);
  let error = yield* runPhases(transaction);
  round.instructionsLeft -= isLong ? 0 : transaction.instructions;
  if (error === UNFINISHED) {
    transaction = begin(round, canister, request, prepared.module, prepaid, true);
    error = yield* runPhases(transaction);
    invariant(error !== UNFINISHED, "an installation in slices ended before its end");
  }
  for (const [entry, result] of transaction.printed) collectLogs(round, canister, entry, result);
  if (error === undefined) {
    changeBalance(canister, transaction.cycles - transaction.cyclesBefore);
    noteConsumption(round.state, canister, "burnedCycles", transaction.burned);
  }
  charge(round, canister, transaction.instructions, is64);
  if (error === undefined) {
    reserveCycles(canister, transaction.toReserve);
    noteInstallation(round, canister, transaction.instructions);
    updateLowMemoryHook(canister);
  }
  touch(round.state, canister);
  const told = error === undefined || isUserError(error) ? error : toUserError(error, canister.id);
  const message = before && originOf(request.caller);
  if (before !== undefined && message !== undefined) {
    const { instructions, printed } = transaction;
    const what = { message, methodName: `(${request.mode.kind})`, arg: request.arg, instructions };
    const results = printed.map(([, result]) => result);
    traceInstallation(round, canister, before, what, results, told);
  }
  return told;
}

/** The attempt came to the end of its slice. */
const UNFINISHED = Symbol("unfinished");

type Failure = ExecutionError | UserError | typeof UNFINISHED;

function begin(
  round: Round,
  canister: CanisterState,
  request: InstallRequest,
  module: PreparedModule,
  prepaid: Cycles,
  isLong: boolean,
): Transaction {
  const { mode } = request;
  const old = mode.kind === "upgrade" ? canister.execution : undefined;
  return {
    round,
    canister,
    request,
    module,
    old,
    keepsHeap: mode.kind === "upgrade" && mode.memoryPersistence === "keep",
    stable: new StableMemory(old?.stable ?? NO_MEMORY, STABLE_PAGES_INSTALL),
    prepaid,
    cyclesBefore: canister.cycles - prepaid,
    cycles: canister.cycles - prepaid,
    burned: 0n,
    toReserve: 0n,
    instructions: compilationCost(round, module),
    certifiedData: undefined,
    globalTimer: 0n,
    isLong,
    printed: [],
  };
}

const NO_MEMORY: StablePages = {
  wasmPages: 0,
  read: () => undefined,
  copyTo: (target, at, _offset, size) => void target.fill(0, at, at + size),
  pages: () => [],
};

function unchanged(memory: MemoryPages): ChangedHeap {
  return {
    changed: new Map(),
    wasmPages: memory.wasmPages,
    read: (page) => memory.read(page),
    pages: () => memory.pages(),
  };
}

function charge(round: Round, canister: CanisterState, instructions: number, is64: boolean): void {
  const billed = Math.min(instructions, round.fees.limits.install);
  const cost = round.fees.execution(billed, is64);
  const paid = cost < canister.cycles ? cost : canister.cycles;
  canister.cycles -= paid;
  const nominal = paid < cost ? paid : round.fees.nominal.execution(billed, is64);
  noteConsumption(round.state, canister, "instructions", nominal);
}

function* runPhases(transaction: Transaction): Steps<Failure | undefined> {
  const { round, canister, module, old } = transaction;
  let kept: ChangedHeap = unchanged(NO_MEMORY);
  if (old !== undefined) {
    const oldHeap = yield* runPreUpgrade(transaction, old);
    if (oldHeap === UNFINISHED || "kind" in oldHeap || isUserError(oldHeap)) {
      round.pool.drop(canister.id);
      return oldHeap;
    }
    if (transaction.keepsHeap) kept = oldHeap;
  }
  round.pool.drop(canister.id);
  const live = instantiate(transaction, kept);
  if ("kind" in live) return live;
  const segmentError = transaction.keepsHeap ? undefined : writeSegments(live, module);
  if (segmentError !== undefined) return segmentError;
  const dirty = new Set<number>();
  // The first phase collects the pages of the data segments too, so there always is one.
  for (const phase of phasesOf(module, transaction.request.mode)) {
    const result = yield* runPhase(transaction, live, phase, kept);
    for (const page of result.dirtyPages) dirty.add(page);
    if (result.isUnfinished) return UNFINISHED;
    if (result.error !== undefined) return result.error;
  }
  const refusal = checkMemory(transaction, live);
  if (refusal === undefined) commit(transaction, live, dirty, kept);
  return refusal;
}

/** What the phases were allowed to do with memory is looked at as a whole, once they are through. */
function checkMemory(transaction: Transaction, live: LiveInstance): ExecutionError | UserError | undefined {
  const { round, canister, module, stable } = transaction;
  const heapBytes = live.bytes().length;
  const { wasmMemoryLimit: limit, memoryAllocation } = canister.settings;
  if (limit !== 0n && BigInt(heapBytes) > limit) {
    return { kind: "wasm-memory-limit", bytes: BigInt(heapBytes), limit };
  }
  const before = memoryMetrics(round.state, canister);
  const code =
    module.stored.uploaded.length + module.description.customSectionBytes + module.description.globals.length * 8;
  const others = before.history + before.chunkStore + before.snapshots;
  const after = heapBytes + stable.bytes + code + others;
  const promised = Number(memoryAllocation);
  const taken = Math.max(after, promised) - Math.max(before.total, promised);
  if (taken <= 0) return undefined;
  const spent = round.fees.execution(transaction.instructions, module.description.memory64);
  const balance = transaction.cycles + transaction.prepaid - spent;
  const amount = reservationFor(round, canister, taken, balance);
  if (typeof amount !== "bigint") return amount;
  const threshold = freezingThreshold(round, { ...canister, reservedCycles: canister.reservedCycles + amount }, after);
  if (balance - amount < threshold) return tooFewCyclesToGrow(taken, threshold - balance + amount);
  const available = availableMemory(round);
  if (taken > available) return memoryCapacityExceeded(BigInt(taken), BigInt(available));
  transaction.toReserve = amount;
  return undefined;
}

/** The new code, ready to run; an error when the engine will not have it, as with elements outside of the table. */
function instantiate({ round, module, isLong }: Transaction, heap: MemoryPages): LiveInstance | ExecutionError {
  const source = { module: module.stored, heap };
  try {
    return isLong ? round.pool.freshSuspendable(source) : round.pool.fresh(source);
  } catch (error) {
    if (!ENGINE_ERRORS.some((kind) => error instanceof kind)) throw error;
    return { kind: "engine", detail: `Failed to instantiate module: ${(error as Error).message}` };
  }
}

const ENGINE_ERRORS = [WebAssembly.CompileError, WebAssembly.LinkError, WebAssembly.RuntimeError, RangeError];

interface Phase {
  readonly entry: string | undefined;
  readonly mode: typeof Mode.start | typeof Mode.init | typeof Mode.preUpgrade;
}

function phasesOf({ description: { entryPoints } }: PreparedModule, mode: InstallMode): Phase[] {
  const hasInit = mode.kind === "upgrade" ? entryPoints.postUpgrade : entryPoints.init;
  const init = mode.kind === "upgrade" ? "canister_post_upgrade" : "canister_init";
  return [
    { entry: entryPoints.start ? "canister_start" : undefined, mode: Mode.start },
    { entry: hasInit ? init : undefined, mode: Mode.init },
  ];
}

/** The heap as pre_upgrade left it, or why it failed. */
function* runPreUpgrade(transaction: Transaction, old: ExecutionState): Steps<ChangedHeap | Failure> {
  const { round, canister, request } = transaction;
  const module = round.state.modules.get(old.moduleHash);
  if (module === undefined) return { kind: "no-module" };
  const skip = request.mode.kind === "upgrade" && request.mode.skipPreUpgrade;
  if (skip || !describeModule(module).entryPoints.preUpgrade) return unchanged(old.heap);
  const source = { module, heap: old.heap, globals: old.globals };
  const { pool } = round;
  const live = transaction.isLong ? pool.takeSuspendable(canister.id, source) : pool.get(canister.id, source);
  const phase = { entry: "canister_pre_upgrade", mode: Mode.preUpgrade } as const;
  const result = yield* runPhase(transaction, live, phase, old.heap);
  if (result.isUnfinished) return UNFINISHED;
  if (result.error !== undefined) return result.error;
  return heapOf(live, result.dirtyPages, old.heap);
}

interface ChangedHeap extends MemoryPages {
  readonly changed: ReadonlyMap<number, Uint8Array>;
}

/** The committed heap with the pages that an execution changed laid over it. */
function heapOf(live: LiveInstance, dirtyPages: readonly number[], committed: PagedMemory): ChangedHeap {
  const bytes = live.bytes();
  const changed = new Map<number, Uint8Array>();
  for (const page of dirtyPages) changed.set(page, bytes.slice(page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES));
  return {
    changed,
    wasmPages: live.wasmPages,
    read: (page) => changed.get(page) ?? committed.read(page),
    *pages() {
      for (const [page, content] of committed.pages()) if (!changed.has(page)) yield [page, content];
      yield* changed;
    },
  };
}

function* runPhase(
  transaction: Transaction,
  live: LiveInstance,
  phase: Phase,
  committed: MemoryPages,
): Steps<RunResult> {
  const { round, canister, request } = transaction;
  const limit = Math.max(0, round.fees.limits.install - transaction.instructions);
  const isInit = phase.mode === Mode.init;
  const common = commonInput(round, canister, transaction.cycles);
  const input: ExecutionInput = {
    ...common,
    canister: {
      ...common.canister,
      // Code that is being installed sees the version that it will have.
      version: canister.version + (phase.mode === Mode.preUpgrade ? 0 : 1),
      globalTimer: phase.mode === Mode.preUpgrade ? canister.globalTimer : transaction.globalTimer,
    },
    mode: phase.mode,
    caller: request.sender,
    arg: isInit ? request.arg : new Uint8Array(),
    rejectCode: 0,
    rejectMessage: "",
    deadlineSeconds: 0,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    responded: true,
    callContextInstructions: transaction.instructions,
    maxReplyBytes: 0,
    instructionLimit: limit,
    stablePageLimit: STABLE_PAGES_INSTALL,
  };
  const entry: EntryPoint = phase.entry === undefined ? { kind: "nothing" } : { kind: "export", name: phase.entry };
  const result = yield* execute(transaction, live, entry, input, committed);
  transaction.instructions += result.instructions;
  if (result.isUnfinished) return result;
  if (phase.entry !== undefined) transaction.printed.push([phase.entry, result]);
  if (result.error === undefined) {
    transaction.cycles = result.effects.cycles;
    transaction.burned += result.effects.cyclesBurned;
    transaction.certifiedData = result.effects.certifiedData ?? transaction.certifiedData;
    if (phase.mode !== Mode.preUpgrade) transaction.globalTimer = result.effects.globalTimer ?? transaction.globalTimer;
  }
  return result;
}

function* execute(
  { round, isLong, stable }: Transaction,
  live: LiveInstance,
  entry: EntryPoint,
  input: ExecutionInput,
  committed: MemoryPages,
): Steps<RunResult> {
  if (!isLong || entry.kind === "nothing") {
    return runFunction(live, entry, input, stable, committed, round.long.limits);
  }
  const run = new LongRun(live, entry, input, stable, committed, round.long.limits);
  while (run.result === undefined) yield run;
  return run.result;
}

function writeSegments(live: LiveInstance, module: PreparedModule): ExecutionError | undefined {
  const bytes = live.bytes();
  for (const { offset, bytes: content } of module.dataSegments) {
    if (offset + content.length > bytes.length) {
      return { kind: "invalid-wasm", detail: `a data segment at ${offset} lies outside of the initial memory` };
    }
    bytes.set(content, offset);
    live.markDirty(offset, content.length);
  }
  return undefined;
}

function commit(transaction: Transaction, live: LiveInstance, dirty: ReadonlySet<number>, kept: ChangedHeap): void {
  const { round, canister, module, request, old, keepsHeap } = transaction;
  const { state } = round;
  const previous = canister.execution;
  const heap = keepsHeap && old !== undefined ? old.heap : newMemory(state, canister);
  const stable = old?.stable ?? newMemory(state, canister);
  const bytes = live.bytes();
  for (const [page, content] of kept.changed) heap.write(page, content, state.height);
  for (const page of [...dirty].sort((a, b) => a - b)) {
    heap.write(page, bytes.subarray(page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES), state.height);
  }
  heap.wasmPages = live.wasmPages;
  for (const [page, content] of transaction.stable.written) stable.write(page, content, state.height);
  stable.wasmPages = transaction.stable.wasmPages;
  live.restoreSegments();
  if (previous !== undefined) {
    if (previous.heap !== heap) previous.heap.discard(state.height);
    if (previous.stable !== stable) previous.stable.discard(state.height);
    if (previous.moduleHash !== module.stored.hash) state.modules.leave(previous.moduleHash, canister.id);
  }
  state.modules.use(module.stored, canister.id);
  canister.execution = { moduleHash: module.stored.hash, globals: live.readGlobals(), heap, stable };
  if (request.mode.kind !== "upgrade") {
    canister.certifiedData = new Uint8Array();
    canister.logs.records = request.mode.kind === "reinstall" ? [] : canister.logs.records;
  }
  canister.certifiedData = transaction.certifiedData ?? canister.certifiedData;
  canister.globalTimer = transaction.globalTimer;
  canister.version++;
  canister.installedAt = state.time;
  if (transaction.isLong) round.pool.putBack(canister.id, live);
  else round.pool.put(canister.id, live);
  touch(state, canister);
}

function checkMode(canister: CanisterState, { mode }: InstallRequest): UserError | undefined {
  const id = principalToText(canister.id);
  if (mode.kind === "install" && canister.execution !== undefined) {
    return userError(
      ErrorCode.CanisterNonEmpty,
      `Canister ${id} cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead.`,
    );
  }
  if (mode.kind === "upgrade" && canister.execution === undefined)
    return toUserError({ kind: "no-module" }, canister.id);
  return undefined;
}

/** Enhanced orthogonal persistence: who has it must say what happens to the heap (checklist 4.4). */
function checkUpgradeOptions(
  round: Round,
  canister: CanisterState,
  mode: InstallMode,
  module: PreparedModule,
): UserError | undefined {
  if (mode.kind !== "upgrade" || canister.execution === undefined) return undefined;
  const old = round.state.modules.get(canister.execution.moduleHash);
  const oldPersists = old !== undefined && describeModule(old).orthogonalPersistence;
  if (oldPersists && mode.memoryPersistence === undefined) {
    return userError(
      ErrorCode.CanisterContractViolation,
      "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option.",
    );
  }
  if (mode.memoryPersistence === "keep" && !module.description.orthogonalPersistence) {
    return userError(
      ErrorCode.CanisterContractViolation,
      "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister " +
        "module supports enhanced orthogonal persistence.",
    );
  }
  return undefined;
}
