// load_canister_snapshot: makes a canister what it, or another canister of the subnet, was when the snapshot was made.
// Memories are shared with the snapshot until they are written to; readers and the live instance get the pages that
// differ. Nothing changes before every check has passed. Specification, "IC method load_canister_snapshot";
// checklist 4.5.
import { describeModule, type ModuleDescription, rollBack, toUserError } from "@atoll/embedder";
import {
  type CanisterSnapshot,
  type CanisterState,
  type ExecutionState,
  forkMemory,
  type StoredModule,
  touch,
} from "@atoll/state";
import { invariant, toHex, type UserError, WASM_CHUNK_BYTES } from "@atoll/types";
import { compilationCost } from "../compilation-cost.ts";
import { isMemoryLow, updateLowMemoryHook } from "../low-memory-hook.ts";
import { prepareOnce } from "../prepare-once.ts";
import { heapDeltaError } from "../rate-limits.ts";
import { customSectionBytes, memoryMetrics, type Round } from "../round.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { findSnapshot, payForMemory, SNAPSHOT_BASE } from "./canister-snapshots.ts";
import { controlledCanister, failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { type LoadSnapshotArg, LoadSnapshotRecord } from "./snapshot-candid.ts";
import { snapshotInconsistent, snapshotNotControlled, snapshotNotFound } from "./snapshot-errors.ts";

export function loadCanisterSnapshot(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<LoadSnapshotArg>(LoadSnapshotRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, snapshot_id, sender_canister_version } = decoded.value;
  const versionError = senderVersionError(call, sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const canister = controlledCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  const rateError = heapDeltaError(call.round, canister);
  if (rateError !== undefined) return failed(rateError);
  const found = findSnapshot(call, snapshot_id);
  if (found === undefined) return failed(snapshotNotFound(canister_id, toHex(snapshot_id)));
  const { owner, snapshot } = found;
  if (owner !== canister && !owner.settings.controllers.includes(call.sender)) {
    return failed(snapshotNotControlled(canister_id, snapshot.id, call.sender));
  }
  const code = codeOf(call.round, canister, snapshot);
  if (isUserError(code)) return failed(code);
  const mismatch =
    snapshot.source === "metadata_upload" ? mismatchOf(canister, snapshot, describeModule(code.module)) : undefined;
  if (mismatch !== undefined) return failed(snapshotInconsistent(mismatch));
  const error = payForLoad(call, canister, snapshot, code);
  if (error !== undefined) return failed(error);
  load(call.round, canister, snapshot, code.module);
  recordChange(call, canister, sender_canister_version, {
    kind: "load_snapshot",
    ...(owner === canister ? {} : { fromCanisterId: owner.id }),
    snapshotId: snapshot.id,
    canisterVersion: snapshot.canisterVersion,
    takenAt: snapshot.takenAt,
    source: snapshot.source,
  });
  return { ok: true, reply: EMPTY_REPLY };
}

interface SnapshotCode {
  readonly module: StoredModule;
  /** What making it ready to run costs. */
  readonly instructions: number;
}

/** The module of a snapshot; of an uploaded one nobody has looked at the bytes before. */
function codeOf(round: Round, canister: CanisterState, { module }: CanisterSnapshot): SnapshotCode | UserError {
  if (module.kind === "stored") {
    const stored = round.state.modules.get(module.hash);
    invariant(stored !== undefined, "the module of a snapshot is missing from the module store");
    return { module: stored, instructions: 0 };
  }
  const prepared = prepareOnce(module.bytes.readBytes(0, module.size), round.crypto);
  if (!prepared.ok) return toUserError(prepared.error, canister.id);
  return { module: prepared.module.stored, instructions: compilationCost(round, prepared.module) };
}

/** As the replica prints them. */
const HOOK_NAMES = { notSatisfied: "ConditionNotSatisfied", ready: "Ready", executed: "Executed" } as const;

/** Why an uploaded snapshot cannot be what the module left behind, or undefined. */
function mismatchOf(
  canister: CanisterState,
  snapshot: CanisterSnapshot,
  { globals, memory }: ModuleDescription,
): string | undefined {
  const isSameGlobal = ({ type }: { type: string }, i: number): boolean => type === snapshot.globals[i]?.type;
  if (globals.length !== snapshot.globals.length || !globals.every(isSameGlobal)) {
    return "Wasm exported globals of canister module and snapshot metadata do not match.";
  }
  const { wasmPages } = snapshot.heap;
  if (wasmPages < (memory?.initialPages ?? 0) || wasmPages > (memory?.maximumPages ?? 0)) {
    return "Wasm memory size of snapshot metadata does not fit the memory of canister module.";
  }
  const isLow = isMemoryLow(canister, snapshot.heap.bytes);
  const hook = snapshot.lowMemoryHook;
  if (hook === undefined || isLow === (hook !== "notSatisfied")) return undefined;
  return (
    `Hook status (Some(${HOOK_NAMES[hook]})) of uploaded snapshot is inconsistent with the canister's state (hook ` +
    `condition satisfied: ${isLow}).`
  );
}

function payForLoad(
  call: ManagementCall,
  canister: CanisterState,
  snapshot: CanisterSnapshot,
  { module, instructions }: SnapshotCode,
): UserError | undefined {
  const before = memoryMetrics(call.round.state, canister);
  const after =
    before.history +
    before.snapshots +
    snapshot.heap.bytes +
    snapshot.stable.bytes +
    snapshot.globals.length * 8 +
    module.uploaded.length +
    customSectionBytes(module) +
    snapshot.chunkStore.size * WASM_CHUNK_BYTES;
  return payForMemory(call, canister, SNAPSHOT_BASE + instructions + snapshot.size, after);
}

function load(round: Round, canister: CanisterState, snapshot: CanisterSnapshot, module: StoredModule): void {
  const { state } = round;
  const before = canister.execution;
  const execution: ExecutionState = {
    moduleHash: module.hash,
    globals: snapshot.globals.map(({ value }) => value),
    heap: forkMemory(canister, snapshot.heap),
    stable: forkMemory(canister, snapshot.stable),
  };
  canister.execution = execution;
  state.modules.use(module, canister.id);
  if (before === undefined) round.pool.drop(canister.id);
  else {
    moveLiveInstance(round, canister, before, execution);
    execution.heap.replace(before.heap, state.height);
    execution.stable.replace(before.stable, state.height);
    if (before.moduleHash !== module.hash) state.modules.leave(before.moduleHash, canister.id);
  }
  canister.certifiedData = snapshot.certifiedData;
  canister.chunkStore = new Map(snapshot.chunkStore);
  // As on the public network: what was taken from a canister leaves timer and hook as they are.
  if (snapshot.source === "metadata_upload") {
    canister.globalTimer = snapshot.globalTimer ?? canister.globalTimer;
    canister.lowMemoryHook = snapshot.lowMemoryHook ?? canister.lowMemoryHook;
  }
  updateLowMemoryHook(canister);
  canister.version++;
  canister.installedAt = state.time;
  touch(state, canister);
}

/** The instance at hand goes on with the pages that differ, if it can: filling a new one costs the whole memory. */
function moveLiveInstance(round: Round, canister: CanisterState, before: ExecutionState, after: ExecutionState): void {
  const live = round.pool.peek(canister.id);
  if (live === undefined) return;
  const isMoved =
    before.moduleHash === after.moduleHash &&
    rollBack(live, [...after.heap.pagesUnlike(before.heap)], after.heap, after.globals);
  if (!isMoved) round.pool.drop(canister.id);
}
