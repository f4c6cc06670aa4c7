// The settings of a canister as a test gives and reads them: the specification's names in our spelling, plain numbers
// and principals. Interface specification, "IC method update_settings".
import type { Principal } from "@icp-sdk/core/principal";
import { checkOptions, type FieldsOf } from "./given-options.ts";
import { idOf, type PrincipalLike, toPrincipal } from "./principals.ts";

export type VisibilitySetting = "controllers" | "public" | readonly PrincipalLike[];

export interface SettingsChange {
  readonly controllers?: readonly PrincipalLike[];
  /** Percent. */
  readonly computeAllocation?: number;
  /** Bytes. */
  readonly memoryAllocation?: number | bigint;
  /** Seconds. */
  readonly freezingThreshold?: number | bigint;
  /** Cycles. */
  readonly reservedCyclesLimit?: bigint;
  readonly minimumIncomingCallCycles?: bigint;
  readonly logVisibility?: VisibilitySetting;
  readonly snapshotVisibility?: VisibilitySetting;
  readonly statusVisibility?: VisibilitySetting;
  /** Bytes; 0 is none. */
  readonly wasmMemoryLimit?: number | bigint;
  readonly wasmMemoryThreshold?: number | bigint;
  readonly logMemoryLimit?: number | bigint;
  readonly environmentVariables?: Readonly<Record<string, string>>;
}

const FIELDS: FieldsOf<SettingsChange> = {
  controllers: true,
  computeAllocation: true,
  memoryAllocation: true,
  freezingThreshold: true,
  reservedCyclesLimit: true,
  minimumIncomingCallCycles: true,
  logVisibility: true,
  snapshotVisibility: true,
  statusVisibility: true,
  wasmMemoryLimit: true,
  wasmMemoryThreshold: true,
  logMemoryLimit: true,
  environmentVariables: true,
};

export interface CanisterSettings {
  readonly controllers: readonly Principal[];
  readonly computeAllocation: number;
  readonly memoryAllocation: bigint;
  readonly freezingThreshold: bigint;
  readonly reservedCyclesLimit: bigint;
  readonly minimumIncomingCallCycles: bigint;
  readonly logVisibility: "controllers" | "public" | readonly Principal[];
  readonly snapshotVisibility: "controllers" | "public" | readonly Principal[];
  readonly statusVisibility: "controllers" | "public" | readonly Principal[];
  readonly wasmMemoryLimit: bigint;
  readonly wasmMemoryThreshold: bigint;
  readonly logMemoryLimit: bigint;
  readonly environmentVariables: Readonly<Record<string, string>>;
}

type Opt<T> = [] | [T];
type CandidVisibility = { controllers: null } | { public: null } | { allowed_viewers: readonly Principal[] };

/** As Candid has them in an argument: each in an `opt`. Throws TypeError for settings that there are not. */
export function candidSettings(change: SettingsChange): Record<string, Opt<unknown>> {
  checkOptions("settings", change, FIELDS);
  const { controllers, environmentVariables } = change;
  const variables = environmentVariables && Object.entries(environmentVariables);
  return {
    controllers: opt(controllers?.map((id) => toPrincipal(idOf(id)))),
    compute_allocation: number(change.computeAllocation),
    memory_allocation: number(change.memoryAllocation),
    freezing_threshold: number(change.freezingThreshold),
    reserved_cycles_limit: number(change.reservedCyclesLimit),
    minimum_incoming_canister_call_cycles: number(change.minimumIncomingCallCycles),
    log_visibility: visibility(change.logVisibility),
    snapshot_visibility: visibility(change.snapshotVisibility),
    status_visibility: visibility(change.statusVisibility),
    wasm_memory_limit: number(change.wasmMemoryLimit),
    wasm_memory_threshold: number(change.wasmMemoryThreshold),
    log_memory_limit: number(change.logMemoryLimit),
    environment_variables: opt(variables?.map(([name, value]) => ({ name, value }))),
  };
}

/** The settings in an answer of canister_status. */
export interface CandidSettings {
  readonly controllers: readonly Principal[];
  readonly compute_allocation: bigint;
  readonly memory_allocation: bigint;
  readonly freezing_threshold: bigint;
  readonly reserved_cycles_limit: bigint;
  readonly minimum_incoming_canister_call_cycles: bigint;
  readonly log_visibility: CandidVisibility;
  readonly snapshot_visibility: CandidVisibility;
  readonly status_visibility: CandidVisibility;
  readonly wasm_memory_limit: bigint;
  readonly wasm_memory_threshold: bigint;
  readonly log_memory_limit: bigint;
  readonly environment_variables: readonly { readonly name: string; readonly value: string }[];
}

export function settingsOf(settings: CandidSettings): CanisterSettings {
  return {
    controllers: settings.controllers,
    computeAllocation: Number(settings.compute_allocation),
    memoryAllocation: settings.memory_allocation,
    freezingThreshold: settings.freezing_threshold,
    reservedCyclesLimit: settings.reserved_cycles_limit,
    minimumIncomingCallCycles: settings.minimum_incoming_canister_call_cycles,
    logVisibility: visibilityOf(settings.log_visibility),
    snapshotVisibility: visibilityOf(settings.snapshot_visibility),
    statusVisibility: visibilityOf(settings.status_visibility),
    wasmMemoryLimit: settings.wasm_memory_limit,
    wasmMemoryThreshold: settings.wasm_memory_threshold,
    logMemoryLimit: settings.log_memory_limit,
    environmentVariables: Object.fromEntries(settings.environment_variables.map(({ name, value }) => [name, value])),
  };
}

export function opt<T>(value: T | undefined): Opt<T> {
  return value === undefined ? [] : [value];
}

function number(value: number | bigint | undefined): Opt<bigint> {
  return value === undefined ? [] : [BigInt(value)];
}

function visibility(setting: VisibilitySetting | undefined): Opt<CandidVisibility> {
  if (setting === undefined) return [];
  if (setting === "controllers") return [{ controllers: null }];
  if (setting === "public") return [{ public: null }];
  return [{ allowed_viewers: setting.map((id) => toPrincipal(idOf(id))) }];
}

function visibilityOf(visibility: CandidVisibility): CanisterSettings["logVisibility"] {
  if ("controllers" in visibility) return "controllers";
  return "public" in visibility ? "public" : visibility.allowed_viewers;
}
