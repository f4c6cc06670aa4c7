// canister_status: everything that its controllers may know of a canister. Specification, "IC method
// canister_status"; checklist 4.3.
import type { CanisterSettings, CanisterState, Visibility } from "@atoll/state";
import { fromHex, type PrincipalId } from "@atoll/types";
import { memoryMetrics, type Round } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { candidPrincipal, decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord, CanisterStatusRecord } from "./candid-types.ts";
import { controlledOrOwnCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function canisterStatus(call: ManagementCall): MethodResult {
  const { round, sender } = call;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const id = decoded.value.canister_id;
  const seen = round.state.canisters.get(id);
  const canister =
    seen !== undefined && isVisibleTo(sender, seen.settings.statusVisibility)
      ? seen
      : controlledOrOwnCanister(call, id);
  if (isUserError(canister)) return failed(canister);
  return { ok: true, reply: encodeReply(CanisterStatusRecord, statusOf(round, canister)) };
}

/** What a setting opens to others than the controllers. */
export function isVisibleTo(caller: PrincipalId, visibility: Visibility): boolean {
  if (visibility.kind === "allowed_viewers") return visibility.viewers.includes(caller);
  return visibility.kind === "public";
}

function statusOf(round: Pick<Round, "fees" | "state">, canister: CanisterState): object {
  const memory = memoryMetrics(round.state, canister);
  const { settings, status, execution } = canister;
  return {
    status: { [status.kind]: null },
    ready_for_migration: status.kind === "stopped" && canister.input.length === 0 && canister.callbacks.size === 0,
    version: BigInt(canister.version),
    settings: definiteSettings(settings),
    module_hash: execution === undefined ? [] : [fromHex(execution.moduleHash)],
    memory_size: BigInt(memory.total),
    memory_metrics: {
      wasm_memory_size: BigInt(memory.wasmMemory),
      stable_memory_size: BigInt(memory.stableMemory),
      global_memory_size: BigInt(memory.globals),
      wasm_binary_size: BigInt(memory.wasmBinary),
      custom_sections_size: BigInt(memory.customSections),
      canister_history_size: BigInt(memory.history),
      wasm_chunk_store_size: BigInt(memory.chunkStore),
      snapshots_size: BigInt(memory.snapshots),
      // The log is not charged as memory; the replica counts 0 as well until its log store is switched on.
      log_memory_store_size: 0n,
    },
    cycles: canister.cycles,
    reserved_cycles: canister.reservedCycles,
    idle_cycles_burned_per_day: round.fees.idleBurnPerDay(
      memory.total,
      settings.memoryAllocation,
      settings.computeAllocation,
    ),
    // Queries are not counted yet.
    query_stats: {
      num_calls_total: 0n,
      num_instructions_total: 0n,
      request_payload_bytes_total: 0n,
      response_payload_bytes_total: 0n,
    },
  };
}

function definiteSettings(settings: CanisterSettings): object {
  return {
    controllers: settings.controllers.map(candidPrincipal),
    compute_allocation: BigInt(settings.computeAllocation),
    memory_allocation: settings.memoryAllocation,
    freezing_threshold: settings.freezingThreshold,
    reserved_cycles_limit: settings.reservedCyclesLimit,
    minimum_incoming_canister_call_cycles: settings.minimumIncomingCallCycles,
    log_visibility: shown(settings.logVisibility),
    snapshot_visibility: shown(settings.snapshotVisibility),
    status_visibility: shown(settings.statusVisibility),
    wasm_memory_limit: settings.wasmMemoryLimit,
    wasm_memory_threshold: settings.wasmMemoryThreshold,
    log_memory_limit: BigInt(settings.logMemoryLimit),
    environment_variables: settings.environmentVariables,
  };
}

function shown(visibility: Visibility): object {
  if (visibility.kind !== "allowed_viewers") return { [visibility.kind]: null };
  return { allowed_viewers: visibility.viewers.map(candidPrincipal) };
}
