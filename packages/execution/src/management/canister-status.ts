// canister_status: everything that its controllers may know of a canister, in a round and in queries alike.
// Specification, "IC method canister_status"; checklist 4.3.
import type { CanisterSettings, CanisterState, QueryStats, Visibility } from "@atoll/state";
import { type CanisterId, type Cycles, fromHex, invariant, type PrincipalId, principalFromText } from "@atoll/types";
import type { FeeSchedule } from "../fees.ts";
import { messageMemory } from "../message-memory.ts";
import { type MemoryMetrics, memoryMetrics } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { candidPrincipal, decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord, CanisterStatusRecord } from "./candid-types.ts";
import { existingCanister, failed, statusError } from "./managed-canister.ts";
import { canisterNotFound } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

const NO_CONTROLLER = named("zrl4w-cqaaa-nocon-troll-eraaa-d5qc");
const SEVERAL_CONTROLLERS = named("ifxlm-aqaaa-multi-pleco-ntrol-lersa-h3ae");

export function canisterStatus({ round, arg, sender }: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, arg);
  if (!decoded.ok) return decoded;
  const canister = existingCanister({ round }, decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  const refusal = statusError(canister, round.state.config.subnetAdmins, sender);
  if (refusal !== undefined) return failed(refusal);
  const messages = messageMemory(canister);
  const facts = {
    ...canister,
    status: canister.status.kind,
    moduleHash: canister.execution?.moduleHash,
    memory: memoryMetrics(round.state, canister),
    messageBytes: messages.guaranteed + messages.bestEffort,
    readyForMigration: isReadyForMigration(canister),
  };
  return { ok: true, reply: statusReply(round.fees, facts) };
}

/** What the status is made of: a canister in a round, or its view on the query side. */
export interface StatusFacts {
  readonly id: CanisterId;
  readonly settings: CanisterSettings;
  readonly status: CanisterState["status"]["kind"];
  readonly version: number;
  readonly cycles: Cycles;
  readonly reservedCycles: Cycles;
  readonly moduleHash: string | undefined;
  readonly memory: MemoryMetrics;
  readonly messageBytes: number;
  readonly readyForMigration: boolean;
  readonly queryStats: QueryStats;
}

/** Stopped, and nothing is under way to or from it. */
export function isReadyForMigration({ status, input, callbacks }: CanisterState): boolean {
  return status.kind === "stopped" && input.length === 0 && callbacks.size === 0;
}

export function statusReply(fees: FeeSchedule, facts: StatusFacts): Uint8Array {
  const { memory, settings, queryStats } = facts;
  const controller = candidPrincipal(soleController(settings));
  return encodeReply(CanisterStatusRecord, {
    status: { [facts.status]: null },
    ready_for_migration: facts.readyForMigration,
    version: BigInt(facts.version),
    settings: { controller, ...definiteSettings(settings) },
    module_hash: facts.moduleHash === undefined ? [] : [fromHex(facts.moduleHash)],
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
    controller,
    freezing_threshold: settings.freezingThreshold,
    balance: [[Uint8Array.of(0), facts.cycles]],
    cycles: facts.cycles,
    reserved_cycles: facts.reservedCycles,
    idle_cycles_burned_per_day: fees.idleBurnPerDay(memory.total, settings, facts.messageBytes),
    query_stats: {
      num_calls_total: queryStats.calls,
      num_instructions_total: queryStats.instructions,
      request_payload_bytes_total: queryStats.requestBytes,
      response_payload_bytes_total: queryStats.responseBytes,
    },
  });
}

function named(text: string): PrincipalId {
  const id = principalFromText(text);
  invariant(id !== undefined, `${text} is not a principal`);
  return id;
}

/** What stands for the controllers in the old field for one: the only one, or a name for none and for several. */
function soleController({ controllers }: CanisterSettings): PrincipalId {
  const [first, second] = controllers;
  if (first === undefined) return NO_CONTROLLER;
  return second === undefined ? first : SEVERAL_CONTROLLERS;
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
