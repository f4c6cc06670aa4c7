// The status of a canister as a test reads it: what `canister_status` tells its controllers, in our spelling.
// Interface specification, "IC method canister_status".
import type { Cycles } from "@atoll/types";
import { type CandidSettings, type CanisterSettings, settingsOf } from "./settings.ts";

export interface CanisterStatus {
  readonly status: "running" | "stopping" | "stopped";
  readonly version: bigint;
  /** SHA-256 of the module as uploaded; undefined: there is no code. */
  readonly moduleHash: Uint8Array | undefined;
  readonly settings: CanisterSettings;
  readonly cycles: Cycles;
  readonly reservedCycles: Cycles;
  readonly idleCyclesBurnedPerDay: Cycles;
  /** Bytes. */
  readonly memorySize: bigint;
  readonly memoryMetrics: {
    readonly wasmMemorySize: bigint;
    readonly stableMemorySize: bigint;
    readonly globalMemorySize: bigint;
    readonly wasmBinarySize: bigint;
    readonly customSectionsSize: bigint;
    readonly canisterHistorySize: bigint;
    readonly wasmChunkStoreSize: bigint;
    readonly snapshotsSize: bigint;
  };
  readonly queryStats: {
    readonly calls: bigint;
    readonly instructions: bigint;
    readonly requestBytes: bigint;
    readonly responseBytes: bigint;
  };
}

/** As Candid has it. */
export interface CandidStatus {
  readonly status: Readonly<Record<string, null>>;
  readonly version: bigint;
  readonly module_hash: readonly [] | readonly [Uint8Array];
  readonly settings: CandidSettings;
  readonly cycles: bigint;
  readonly reserved_cycles: bigint;
  readonly idle_cycles_burned_per_day: bigint;
  readonly memory_size: bigint;
  readonly memory_metrics: Readonly<Record<`${MetricName}_size`, bigint>>;
  readonly query_stats: {
    readonly num_calls_total: bigint;
    readonly num_instructions_total: bigint;
    readonly request_payload_bytes_total: bigint;
    readonly response_payload_bytes_total: bigint;
  };
}

type MetricName =
  | "wasm_memory"
  | "stable_memory"
  | "global_memory"
  | "wasm_binary"
  | "custom_sections"
  | "canister_history"
  | "wasm_chunk_store"
  | "snapshots";

export function statusOf(status: CandidStatus): CanisterStatus {
  const { memory_metrics: memory, query_stats: queries } = status;
  return {
    status: Object.keys(status.status)[0] as CanisterStatus["status"],
    version: status.version,
    moduleHash: status.module_hash[0],
    settings: settingsOf(status.settings),
    cycles: status.cycles,
    reservedCycles: status.reserved_cycles,
    idleCyclesBurnedPerDay: status.idle_cycles_burned_per_day,
    memorySize: status.memory_size,
    memoryMetrics: {
      wasmMemorySize: memory.wasm_memory_size,
      stableMemorySize: memory.stable_memory_size,
      globalMemorySize: memory.global_memory_size,
      wasmBinarySize: memory.wasm_binary_size,
      customSectionsSize: memory.custom_sections_size,
      canisterHistorySize: memory.canister_history_size,
      wasmChunkStoreSize: memory.wasm_chunk_store_size,
      snapshotsSize: memory.snapshots_size,
    },
    queryStats: {
      calls: queries.num_calls_total,
      instructions: queries.num_instructions_total,
      requestBytes: queries.request_payload_bytes_total,
      responseBytes: queries.response_payload_bytes_total,
    },
  };
}
