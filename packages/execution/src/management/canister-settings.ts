// The settings of a canister: from what a caller asks for to what is allowed. Everything is checked before anything
// changes, so a refused call leaves no trace. Specification, "IC method update_settings"; checklist 4.2.
import { type CanisterSettings, type CanisterState, sortedUnique, type Visibility } from "@atoll/state";
import {
  type Cycles,
  ErrorCode,
  MAX_CONTROLLERS,
  MAX_CYCLES,
  MAX_ENVIRONMENT_VARIABLE_BYTES,
  MAX_ENVIRONMENT_VARIABLES,
  type UserError,
  userError,
} from "@atoll/types";
import { availableMemory, measureUsage, storageReservation } from "../resource-usage.ts";
import { freezingThreshold, memoryMetrics, type Round } from "../round.ts";
import { type Opt, tooManyElements } from "./candid-argument.ts";
import type { SettingsArg, VisibilityArg } from "./candid-types.ts";
import { sortedByName, utf8Length } from "./environment-variables.ts";
import {
  computeCapacityExceeded,
  invalidSetting,
  logMemoryLimitTooHigh,
  memoryCapacityExceeded,
  reservedLimitExceeded,
  reservedLimitTooLow,
  tooFewCyclesForCompute,
  tooFewCyclesForMemory,
} from "./management-errors.ts";

const MAX_U64 = (1n << 64n) - 1n;
const MAX_WASM_MEMORY = 1n << 48n;
const MAX_LOG_BYTES = 2n * 1024n * 1024n;
/** Percent that all canisters of a subnet may have together: half of three of the four threads. */
const COMPUTE_CAPACITY = 150;

export type SettingsResult =
  | {
      readonly ok: true;
      readonly settings: CanisterSettings;
      /** For memory that is promised. */
      readonly toReserve: Cycles;
    }
  | { readonly ok: false; readonly error: UserError };

/**
 * What is wrong with the request itself, whoever makes it and whatever canister it is for: asked before the canister
 * and the caller are looked at.
 */
export function malformedSettings(arg: SettingsArg): UserError | undefined {
  return checkLists(arg) ?? checkRanges(arg) ?? checkDuplicates(arg);
}

/** The settings that `canister` would have, or why it may not. Fields that are not given stay as they are. */
export function changedSettings(round: Round, canister: CanisterState, arg: SettingsArg): SettingsResult {
  const error = malformedSettings(arg) ?? checkEnvironment(arg);
  if (error !== undefined) return { ok: false, error };
  const settings = merge(canister.settings, arg);
  const toReserve = checkResources(round, canister, settings);
  if (typeof toReserve !== "bigint") return { ok: false, error: toReserve };
  const refusal = checkLogLimit(arg);
  return refusal === undefined ? { ok: true, settings, toReserve } : { ok: false, error: refusal };
}

function merge(old: CanisterSettings, arg: SettingsArg): CanisterSettings {
  const [controllers = old.controllers] = arg.controllers;
  const [variables] = arg.environment_variables;
  return {
    controllers: sortedUnique(controllers),
    computeAllocation: Number(arg.compute_allocation[0] ?? old.computeAllocation),
    memoryAllocation: arg.memory_allocation[0] ?? old.memoryAllocation,
    freezingThreshold: arg.freezing_threshold[0] ?? old.freezingThreshold,
    reservedCyclesLimit: arg.reserved_cycles_limit[0] ?? old.reservedCyclesLimit,
    minimumIncomingCallCycles: arg.minimum_incoming_canister_call_cycles[0] ?? old.minimumIncomingCallCycles,
    logVisibility: visibility(arg.log_visibility) ?? old.logVisibility,
    snapshotVisibility: visibility(arg.snapshot_visibility) ?? old.snapshotVisibility,
    statusVisibility: visibility(arg.status_visibility) ?? old.statusVisibility,
    wasmMemoryLimit: arg.wasm_memory_limit[0] ?? old.wasmMemoryLimit,
    wasmMemoryThreshold: arg.wasm_memory_threshold[0] ?? old.wasmMemoryThreshold,
    logMemoryLimit: Number(arg.log_memory_limit[0] ?? old.logMemoryLimit),
    environmentVariables: variables === undefined ? old.environmentVariables : sortedByName(variables),
  };
}

function visibility([arg]: Opt<VisibilityArg>): Visibility | undefined {
  if (arg === undefined) return undefined;
  if ("allowed_viewers" in arg) return { kind: "allowed_viewers", viewers: sortedUnique(arg.allowed_viewers) };
  return { kind: "public" in arg ? "public" : "controllers" };
}

/** Lists that are too long are refused while they are decoded. */
function checkLists(arg: SettingsArg): UserError | undefined {
  const viewers = ([given]: Opt<VisibilityArg>): readonly unknown[] | undefined =>
    given !== undefined && "allowed_viewers" in given ? given.allowed_viewers : undefined;
  const visibilities = [arg.log_visibility, arg.snapshot_visibility, arg.status_visibility];
  const lists = [arg.controllers[0], ...visibilities.map(viewers)];
  return lists.some((list) => list !== undefined && list.length > MAX_CONTROLLERS)
    ? tooManyElements(MAX_CONTROLLERS).error
    : undefined;
}

interface Range {
  readonly name: string;
  readonly value: Opt<bigint>;
  readonly max: bigint;
  readonly shown: string;
}

function checkRanges(arg: SettingsArg): UserError | undefined {
  const [compute] = arg.compute_allocation;
  if (compute !== undefined && compute > 100n) {
    return invalidSetting(`ComputeAllocation expected to be in the range [0..100], got ${compute}`);
  }
  const minimum = arg.minimum_incoming_canister_call_cycles;
  // The bounds of the Wasm memory are those of the specification, 2^48; the replica's texts say 2^64-1 all the same.
  const ranges: Range[] = [
    { name: "MemoryAllocation", value: arg.memory_allocation, max: MAX_U64, shown: "2^64-1" },
    { name: "Freezing threshold", value: arg.freezing_threshold, max: MAX_U64, shown: "2^64-1" },
    { name: "Reserved cycles limit", value: arg.reserved_cycles_limit, max: MAX_CYCLES, shown: "2^128-1" },
    { name: "Minimum incoming canister call cycles", value: minimum, max: MAX_CYCLES, shown: "2^128-1" },
    { name: "Log memory limit", value: arg.log_memory_limit, max: MAX_U64, shown: "2^64-1" },
    { name: "Wasm memory limit", value: arg.wasm_memory_limit, max: MAX_WASM_MEMORY, shown: "2^64-1" },
    { name: "Wasm memory threshold", value: arg.wasm_memory_threshold, max: MAX_WASM_MEMORY, shown: "2^64-1" },
  ];
  for (const { name, value, max, shown } of ranges) {
    const [given] = value;
    if (given !== undefined && given > max) {
      const where = name === "MemoryAllocation" ? "in the range" : "in the range of";
      return invalidSetting(`${name} expected to be ${where} [0..${shown}], got ${given}`);
    }
  }
  return undefined;
}

function checkDuplicates(arg: SettingsArg): UserError | undefined {
  const [variables] = arg.environment_variables;
  if (variables === undefined || new Set(variables.map(({ name }) => name)).size === variables.length) return undefined;
  return userError(ErrorCode.InvalidManagementPayload, "Duplicate environment variables are not allowed");
}

function checkEnvironment(arg: SettingsArg): UserError | undefined {
  const [variables] = arg.environment_variables;
  if (variables === undefined) return undefined;
  const refuse = (sentence: string): UserError => userError(ErrorCode.InvalidManagementPayload, sentence);
  if (variables.length > MAX_ENVIRONMENT_VARIABLES) {
    return refuse(`Too many environment variables: ${variables.length} (max: ${MAX_ENVIRONMENT_VARIABLES})`);
  }
  const limit = `exceeds the maximum allowed length of ${MAX_ENVIRONMENT_VARIABLE_BYTES}.`;
  for (const { name, value } of sortedByName(variables)) {
    if (utf8Length(name) > MAX_ENVIRONMENT_VARIABLE_BYTES) {
      return refuse(`Environment variable name "${name}" ${limit}`);
    }
    if (utf8Length(value) > MAX_ENVIRONMENT_VARIABLE_BYTES) {
      return refuse(`Environment variable value "${value}" ${limit}`);
    }
  }
  return undefined;
}

function checkLogLimit(arg: SettingsArg): UserError | undefined {
  const [asked] = arg.log_memory_limit;
  return asked !== undefined && asked > MAX_LOG_BYTES ? logMemoryLimitTooHigh(asked, MAX_LOG_BYTES) : undefined;
}

/**
 * What the subnet and the balance have to say. Only increases are refused: whoever has less asks for less. Gives the
 * cycles to be reserved for memory that is promised.
 */
function checkResources(round: Round, canister: CanisterState, next: CanisterSettings): Cycles | UserError {
  const { settings: old } = canister;
  const growsCompute = next.computeAllocation > old.computeAllocation;
  const growsMemory = next.memoryAllocation > old.memoryAllocation;
  const used = BigInt(memoryMetrics(round.state, canister).total);
  const before = larger(used, old.memoryAllocation);
  const after = larger(used, next.memoryAllocation);
  const capacity =
    (growsMemory ? checkMemory(round, before, after) : undefined) ??
    (growsCompute ? checkCompute(round, canister, next) : undefined);
  if (capacity !== undefined) return capacity;
  const threshold = freezingThreshold(round, { ...canister, settings: next });
  if (canister.cycles < threshold) {
    const missing = threshold - canister.cycles;
    if (growsCompute) return tooFewCyclesForCompute(next.computeAllocation, missing);
    if (growsMemory) return tooFewCyclesForMemory(next.memoryAllocation, missing);
  }
  const limit = next.reservedCyclesLimit;
  if (canister.reservedCycles > limit) return reservedLimitTooLow(canister.reservedCycles, limit);
  const amount = after > before ? storageReservation(round, Number(after - before)) : 0n;
  const reserved = canister.reservedCycles + amount;
  if (reserved > limit) return reservedLimitExceeded(next.memoryAllocation, limit, reserved - limit);
  return canister.cycles < amount ? tooFewCyclesForMemory(next.memoryAllocation, amount - canister.cycles) : amount;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function checkMemory(round: Round, before: bigint, after: bigint): UserError | undefined {
  const available = BigInt(availableMemory(round)) + before;
  return after > available ? memoryCapacityExceeded(after, available) : undefined;
}

/** One percent always stays free, so that canisters without an allocation get their turn. */
function checkCompute(round: Round, canister: CanisterState, next: CanisterSettings): UserError | undefined {
  measureUsage(round);
  const used = round.state.usage.total.computeAllocation;
  const available = Math.max(0, COMPUTE_CAPACITY - used - 1) + canister.settings.computeAllocation;
  return next.computeAllocation > available ? computeCapacityExceeded(next.computeAllocation, available) : undefined;
}
