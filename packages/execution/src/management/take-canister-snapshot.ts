// take_canister_snapshot: keeps what the canister is now, to be loaded again later. Pages are shared with the canister
// until it writes to them, so that the size of the canister does not matter. Specification, "IC method
// take_canister_snapshot"; checklist 4.5.
import { describeModule } from "@atoll/embedder";
import {
  addSnapshot,
  type CanisterSnapshot,
  type CanisterState,
  type ExecutionState,
  forkMemory,
  nextSnapshotId,
  removeSnapshot,
} from "@atoll/state";
import { fromHex, invariant } from "@atoll/types";
import { heapDeltaError } from "../rate-limits.ts";
import { type MemoryMetrics, memoryMetrics } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { payForMemory, SNAPSHOT_BASE, snapshotToReplace } from "./canister-snapshots.ts";
import { controlledCanister, failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { SnapshotRecord, type TakeSnapshotArg, TakeSnapshotRecord } from "./snapshot-candid.ts";
import { nothingToSnapshot } from "./snapshot-errors.ts";
import { uninstall } from "./uninstall-code.ts";

export function takeCanisterSnapshot(call: ManagementCall): MethodResult {
  const { state } = call.round;
  const decoded = decodeArgument<TakeSnapshotArg>(TakeSnapshotRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, replace_snapshot, uninstall_code, sender_canister_version } = decoded.value;
  const versionError = senderVersionError(call, sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const canister = controlledCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  const replaced = snapshotToReplace(call, canister, replace_snapshot);
  if (replaced !== undefined && isUserError(replaced)) return failed(replaced);
  const rateError = heapDeltaError(call.round, canister);
  if (rateError !== undefined) return failed(rateError);
  const isUninstalled = uninstall_code[0] === true;
  const memory = memoryMetrics(state, canister);
  const size = snapshotSize(canister, memory);
  const code = isUninstalled ? codeBytes(memory) : 0;
  const { execution } = canister;
  if (execution === undefined) return failed(nothingToSnapshot(canister_id));
  const after = memory.total + size - (replaced?.size ?? 0) - code;
  const error = payForMemory(call, canister, SNAPSHOT_BASE + size, after);
  if (error !== undefined) return failed(error);
  if (replaced !== undefined) removeSnapshot(state, canister, replaced);
  const snapshot = snapshotOf(call, canister, execution, size);
  addSnapshot(state, canister, snapshot);
  if (isUninstalled) {
    uninstall(call.round, canister);
    recordChange(call, canister, sender_canister_version, { kind: "code_uninstall" });
  }
  return { ok: true, reply: encodeReply(SnapshotRecord, shownSnapshot(snapshot)) };
}

export function shownSnapshot({ id, takenAt, size }: CanisterSnapshot): object {
  return { id: fromHex(id), taken_at_timestamp: takenAt, total_size: BigInt(size) };
}

function snapshotOf(
  { round }: ManagementCall,
  canister: CanisterState,
  execution: ExecutionState,
  size: number,
): CanisterSnapshot {
  const module = round.state.modules.get(execution.moduleHash);
  invariant(module !== undefined, "a canister's module is missing from the module store");
  return {
    id: nextSnapshotId(canister),
    source: "taken_from_canister",
    takenAt: round.state.time,
    canisterVersion: canister.version,
    module: { kind: "stored", hash: execution.moduleHash },
    heap: forkMemory(canister, execution.heap),
    stable: forkMemory(canister, execution.stable),
    globals: describeModule(module).globals.map(({ type }, i) => {
      const value = execution.globals[i];
      invariant(value !== undefined, "a mutable global has no saved value");
      return { type, value };
    }),
    certifiedData: canister.certifiedData,
    globalTimer: canister.globalTimer,
    lowMemoryHook: canister.lowMemoryHook,
    chunkStore: new Map(canister.chunkStore),
    size,
  };
}

/** What a snapshot of the canister as it is now counts for. */
function snapshotSize({ certifiedData }: CanisterState, memory: MemoryMetrics): number {
  const { wasmMemory, stableMemory, globals, wasmBinary, chunkStore } = memory;
  return wasmMemory + stableMemory + globals + wasmBinary + chunkStore + certifiedData.length;
}

/** What uninstalling the code frees. */
function codeBytes({
  wasmMemory,
  stableMemory,
  globals,
  wasmBinary,
  customSections,
  chunkStore,
}: MemoryMetrics): number {
  return wasmMemory + stableMemory + globals + wasmBinary + customSections + chunkStore;
}
