// What the parts of one round of execution share: the state, the live instances, the fees, the messages that wait
// to be routed, and what happened (for logs and screens; the core itself prints nothing).
import type { InstancePool } from "@atoll/embedder";
import type { CanisterState, ManagementCaller, StoredModule, SubnetState } from "@atoll/state";
import type { CanisterId, CryptoPort, InterventionResult, PrincipalId, Time } from "@atoll/types";
import type { FeeSchedule } from "./fees.ts";
import type { LongExecutions } from "./long-executions.ts";
import { messageMemory } from "./message-memory.ts";
import type { TraceEvent } from "./trace.ts";

export type RoundEvent =
  | {
      readonly kind: "canister-log";
      readonly canister: CanisterId;
      /** In the canister's log; what queries print has none. */
      readonly index?: bigint;
      readonly method: string;
      readonly time: Time;
      readonly text: Uint8Array;
    }
  | {
      readonly kind: "failed";
      readonly canister: CanisterId;
      readonly method: string;
      readonly message: string;
      /** Functions with file and line, innermost first, where the module tells. */
      readonly places?: readonly string[];
    };

/** A message that its sender cannot have sent, or that answers nothing: who operates the subnet wants to know. */
export interface DroppedMessage {
  readonly from: PrincipalId;
  readonly index: number;
  readonly why: "sender is not on that subnet" | "response to no call";
}

/** One object for the life of a state: an execution of many rounds goes on with the one that it began with. */
export interface Round {
  readonly state: SubnetState;
  readonly pool: InstancePool;
  readonly fees: FeeSchedule;
  readonly crypto: Pick<CryptoPort, "sha256">;
  /** Root key of the network, DER. */
  readonly rootKey: Uint8Array;
  /** Executions suspended between two slices. */
  readonly long: LongExecutions;
  events: RoundEvent[];
  /** What happened to each message, where somebody wants to see it. */
  traceEvents?: TraceEvent[] | undefined;
  /** Of text in `events`. */
  eventBytes?: number;
  instructionsLeft: number;
  /** Messages from other subnets that were not let in. */
  dropped?: readonly DroppedMessage[];
  /** Executions so far; each takes OVERHEAD_INSTRUCTIONS off the round beside what it executes. */
  executions?: number;
  /** The round ends after so many. */
  maxExecutions?: number | undefined;
  /** Of the interventions of the batch. */
  interventionResults?: readonly InterventionResult[];
}

/** Nothing more may begin in this round: what waits goes on waiting. */
export function isOver({ instructionsLeft, executions = 0, maxExecutions }: Round): boolean {
  return instructionsLeft <= 0 || isCountedOut({ executions, maxExecutions });
}

/** The round has had the executions that it was to have. */
export function isCountedOut({ executions = 0, maxExecutions }: Pick<Round, "executions" | "maxExecutions">): boolean {
  return maxExecutions !== undefined && executions >= maxExecutions;
}

/** Not billed, but taken off the round: so that rounds of many tiny messages end too (instruction-costs 6). */
export const OVERHEAD_INSTRUCTIONS = 2_000_000;

/** Bytes a canister holds beside its heap and stable memory. */
export function otherMemoryBytes(state: SubnetState, canister: CanisterState): number {
  const parts = memoryMetrics(state, canister);
  return parts.total - parts.wasmMemory - parts.stableMemory;
}

export interface MemoryMetrics {
  readonly wasmMemory: number;
  readonly stableMemory: number;
  readonly globals: number;
  readonly wasmBinary: number;
  readonly customSections: number;
  readonly history: number;
  readonly chunkStore: number;
  readonly snapshots: number;
  readonly total: number;
}

/** What an entry takes in the replica's memory, which is what it charges; the ids of controllers come on top. */
const HISTORY_ENTRY_BYTES = 192;
const HISTORY_CONTROLLER_BYTES = 30;

/** Asked for several times in each execution: no lists and closures here. */
export function memoryMetrics(state: SubnetState, canister: CanisterState): MemoryMetrics {
  const { execution } = canister;
  const module = execution && state.modules.get(execution.moduleHash);
  const wasmMemory = execution === undefined ? 0 : execution.heap.bytes;
  const stableMemory = execution === undefined ? 0 : execution.stable.bytes;
  const globals = execution === undefined ? 0 : execution.globals.length * 8;
  const wasmBinary = module === undefined ? 0 : module.uploaded.length;
  const customSections = module === undefined ? 0 : customSectionBytes(module);
  const history = historyBytes(canister);
  const chunkStore = canister.chunkStore.size * 1024 * 1024;
  const snapshots = snapshotBytes(canister);
  const total = wasmMemory + stableMemory + globals + wasmBinary + customSections + history + chunkStore + snapshots;
  return { wasmMemory, stableMemory, globals, wasmBinary, customSections, history, chunkStore, snapshots, total };
}

function historyBytes({ history: { entries } }: CanisterState): number {
  let sum = entries.length * HISTORY_ENTRY_BYTES;
  for (const { change } of entries) {
    if (change.kind === "creation" || change.kind === "controllers_change")
      sum += change.controllers.length * HISTORY_CONTROLLER_BYTES;
  }
  return sum;
}

export function customSectionBytes({ summary }: StoredModule): number {
  let sum = 0;
  for (const { name, content } of summary.metadata) sum += name.length + content.length;
  return sum;
}

function snapshotBytes({ snapshots }: CanisterState): number {
  let sum = 0;
  for (const snapshot of snapshots.values()) sum += snapshot.size;
  return sum;
}

/** Cycles below which the canister is frozen, for the memory (messages apart) that it uses now or would use. */
export function freezingThreshold(
  round: Pick<Round, "fees" | "state">,
  canister: CanisterState,
  memoryBytes?: number,
): bigint {
  const { guaranteed, bestEffort } = messageMemory(canister);
  const bytes = memoryBytes ?? memoryMetrics(round.state, canister).total;
  return round.fees.freezingThreshold(canister, bytes, guaranteed + bestEffort);
}

export type { ManagementCaller };
