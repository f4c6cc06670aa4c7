// One canister: settings, cycles, code and memories, queues, open calls. Plain data except for the two memories,
// so that a checkpoint is an encoding of it. Changed only between executions: what a message does is collected
// by the embedder and applied here when it succeeded. Interface specification, "Canister state".
import type {
  CallerInfo,
  CanisterId,
  Cycles,
  Height,
  IngressMessage,
  PrincipalId,
  Request,
  RequestId,
  Response,
  Time,
} from "@atoll/types";
import {
  DEFAULT_FREEZING_THRESHOLD_SECONDS,
  DEFAULT_LOG_BYTES,
  DEFAULT_RESERVED_CYCLES_LIMIT,
  DEFAULT_WASM_MEMORY_LIMIT,
} from "@atoll/types";
import type { CanisterSnapshot, SnapshotSource } from "./canister-snapshot.ts";
import { Fifo } from "./fifo.ts";
import { inputBytes } from "./message-memory.ts";
import type { PagedMemory } from "./paged-memory.ts";

export type Visibility =
  | { readonly kind: "controllers" }
  | { readonly kind: "public" }
  | { readonly kind: "allowed_viewers"; readonly viewers: readonly PrincipalId[] };

export interface CanisterSettings {
  /** Sorted, without duplicates. */
  controllers: readonly PrincipalId[];
  /** Percent. */
  computeAllocation: number;
  /** Bytes. */
  memoryAllocation: bigint;
  /** Seconds. */
  freezingThreshold: bigint;
  reservedCyclesLimit: Cycles;
  minimumIncomingCallCycles: Cycles;
  logVisibility: Visibility;
  snapshotVisibility: Visibility;
  statusVisibility: Visibility;
  /** Bytes; 0 = none. */
  wasmMemoryLimit: bigint;
  wasmMemoryThreshold: bigint;
  logMemoryLimit: number;
  /** Sorted by name. */
  environmentVariables: readonly { readonly name: string; readonly value: string }[];
}

/** A pending call to `stop_canister`: whom to tell when the canister has stopped. */
export interface StopWaiter {
  readonly call: ManagementCaller;
  readonly since: Time;
}

/** Who made a call to the management canister, and how the answer gets back. */
export type ManagementCaller =
  | {
      readonly kind: "ingress";
      readonly requestId: RequestId;
      readonly sender: PrincipalId;
      readonly effectiveCanisterId: CanisterId;
    }
  | { readonly kind: "canister"; readonly request: Request };

export type CanisterStatus =
  | { readonly kind: "running" }
  | { readonly kind: "stopping"; readonly waiters: readonly StopWaiter[] }
  | { readonly kind: "stopped" };

/** A Wasm value as the host sees it: i32 and f32 bits as number, i64 and f64 bits as bigint, v128 as two halves. */
export type GlobalValue = number | bigint | readonly [bigint, bigint];

export interface ExecutionState {
  /** SHA-256 (hex) of the module as uploaded: the key in the module store. */
  readonly moduleHash: string;
  /** Mutable globals in module order. */
  globals: readonly GlobalValue[];
  heap: PagedMemory;
  stable: PagedMemory;
}

/** A function in the module's table 0, and the value it is called with. */
export interface WasmClosure {
  readonly functionIndex: number | bigint;
  readonly env: number | bigint;
}

export type CallOrigin =
  | {
      readonly kind: "ingress";
      readonly requestId: RequestId;
      readonly sender: PrincipalId;
      readonly callerInfo?: CallerInfo;
    }
  | { readonly kind: "canister"; readonly request: Omit<Request, "arg"> }
  | { readonly kind: "task" };

/** An entry-point execution and everything that it set off: answered at most once. */
export interface CallContext {
  readonly id: number;
  readonly origin: CallOrigin;
  responded: boolean;
  /** True once the code was uninstalled: late responses are dropped, their refunds credited. */
  deleted: boolean;
  /** Cycles that came with the call and were not accepted yet. */
  availableCycles: Cycles;
  outstandingCalls: number;
  instructionsExecuted: number;
  readonly startedAt: Time;
}

/** What waits for the response to a call. */
export interface Callback {
  readonly id: number;
  readonly callContextId: number;
  readonly receiver: CanisterId;
  readonly cyclesSent: Cycles;
  /** Paid when the call was made, for the instructions of the callback. */
  readonly prepaidExecution: Cycles;
  /** Paid when the call was made, for transporting the largest response. */
  readonly prepaidResponse: Cycles;
  readonly onReply: WasmClosure;
  readonly onReject: WasmClosure;
  readonly onCleanup?: WasmClosure;
  readonly deadlineSeconds: number;
}

export type InputItem =
  | { readonly kind: "ingress"; readonly message: IngressMessage }
  | { readonly kind: "request"; readonly request: Request; readonly since: Time }
  | { readonly kind: "response"; readonly response: Response };

export type Task = "globalTimer" | "heartbeat" | "lowWasmMemory";

/**
 * Whether `canister_on_low_wasm_memory` has to run: once each time that memory becomes scarce, not again before there
 * was enough of it in between.
 */
export type LowMemoryHook = "notSatisfied" | "ready" | "executed";

/** What a canister's cycles were consumed for; the names are those of the answer to canister_metrics. */
export interface ConsumedCycles {
  memory: Cycles;
  computeAllocation: Cycles;
  ingressInduction: Cycles;
  instructions: Cycles;
  requestAndResponseTransmission: Cycles;
  uninstall: Cycles;
  canisterCreation: Cycles;
  httpOutcalls: Cycles;
  burnedCycles: Cycles;
}

/** What a canister costs while nothing happens, in cycles per day, by what is charged one by one. */
export interface IdleBurn {
  readonly memory: Cycles;
  readonly messageMemory: Cycles;
  readonly compute: Cycles;
}

export type InstallMode =
  | { readonly kind: "install" }
  | { readonly kind: "reinstall" }
  | {
      readonly kind: "upgrade";
      readonly skipPreUpgrade: boolean;
      readonly memoryPersistence: "keep" | "replace" | undefined;
    };

/**
 * An execution that takes longer than its slice. Everything that it needs to begin again is here: a checkpoint drops
 * what it did so far (the Wasm stack cannot be written down), and it starts over from its input.
 */
export type PendingExecution = { readonly since: Height } & (
  | {
      readonly kind: "call";
      readonly item: Exclude<InputItem, { kind: "response" }>;
      readonly callContextId: number;
      readonly prepaid: Cycles;
    }
  | { readonly kind: "response"; readonly response: Response; readonly callback: Callback }
  | { readonly kind: "task"; readonly task: Task; readonly callContextId: number; readonly prepaid: Cycles }
  | {
      readonly kind: "install";
      readonly caller: ManagementCaller;
      readonly mode: InstallMode;
      readonly wasm: Uint8Array;
      readonly arg: Uint8Array;
      readonly senderVersion: bigint | undefined;
    }
);

export interface LogRecord {
  readonly index: bigint;
  readonly time: Time;
  readonly content: Uint8Array;
}

export interface HistoryEntry {
  readonly time: Time;
  readonly canisterVersion: number;
  readonly origin:
    | { readonly kind: "user"; readonly userId: PrincipalId }
    | { readonly kind: "canister"; readonly canisterId: CanisterId; readonly canisterVersion: number | undefined };
  readonly change:
    | {
        readonly kind: "creation";
        readonly controllers: readonly PrincipalId[];
        /** SHA-256 (hex), if environment variables were given. */
        readonly environmentVariablesHash?: string;
      }
    | { readonly kind: "code_uninstall" }
    | {
        readonly kind: "code_deployment";
        readonly mode: "install" | "reinstall" | "upgrade";
        readonly moduleHash: string;
      }
    | {
        readonly kind: "load_snapshot";
        /** Where the snapshot was taken, if that is another canister. */
        readonly fromCanisterId?: CanisterId;
        /** Hex. */
        readonly snapshotId: string;
        /** Of the canister when the snapshot was taken. */
        readonly canisterVersion: number;
        readonly takenAt: Time;
        readonly source: SnapshotSource;
      }
    | { readonly kind: "controllers_change"; readonly controllers: readonly PrincipalId[] };
}

/** What queries on a canister took, counted by the nodes that answered them and agreed on once an epoch. */
export interface QueryStats {
  readonly calls: bigint;
  readonly instructions: bigint;
  readonly requestBytes: bigint;
  readonly responseBytes: bigint;
}

export const NO_QUERY_STATS: QueryStats = { calls: 0n, instructions: 0n, requestBytes: 0n, responseBytes: 0n };

export interface CanisterState {
  readonly id: CanisterId;
  settings: CanisterSettings;
  status: CanisterStatus;
  cycles: Cycles;
  reservedCycles: Cycles;
  version: number;
  certifiedData: Uint8Array;
  /** 0 = off. */
  globalTimer: Time;
  readonly createdAt: Time;
  installedAt: Time;
  execution: ExecutionState | undefined;
  /** Number of memories made so far: names the next one. */
  memoriesMade: number;
  chunkStore: Map<string, Uint8Array>;
  /** By id (hex), in the order in which they were made. */
  snapshots: Map<string, CanisterSnapshot>;
  /** Number of snapshots made so far: names the next one. */
  snapshotsMade: number;
  history: { total: number; entries: HistoryEntry[] };
  logs: { nextIndex: bigint; records: LogRecord[] };
  queryStats: QueryStats;
  input: Fifo<InputItem>;
  /** Bars every other execution on this canister. */
  pendingExecution: PendingExecution | undefined;
  /** For messages taken in while an execution is under way, which may spend all that it saw: paid when it ends. */
  inductionDebt: Cycles;
  callContexts: Map<number, CallContext>;
  nextCallContextId: number;
  callbacks: Map<number, Callback>;
  nextCallbackId: number;
  /** Which of timer, heartbeat and message comes next, so that none starves. */
  nextTurn: number;
  lowMemoryHook: LowMemoryHook;
  /** Since the canister exists. Amounts that were paid in advance count when it is known what they paid for. */
  consumed: ConsumedCycles;
  /** Storage and compute are paid for up to this time. */
  chargedAt: Time;
  /** As of the last round in which the canister changed: what its storage and compute have cost since. */
  idleBurn: IdleBurn;
  /** Bytes of heap and stable memory written lately: too many of them, and no message runs until some rounds later. */
  heapDeltaDebit: number;
  /** Instructions of installations lately: too many, and no code is installed until some rounds later. */
  installCodeDebit: number;
  /**
   * What the canister has had of the rounds: instructions by its share, in units of 1,024. Who had least goes first.
   */
  serviceReceived: number;
}

export function newCanister(
  id: CanisterId,
  controllers: readonly PrincipalId[],
  cycles: Cycles,
  now: Time,
): CanisterState {
  return {
    id,
    settings: defaultSettings(controllers),
    status: { kind: "running" },
    cycles,
    reservedCycles: 0n,
    version: 0,
    certifiedData: new Uint8Array(),
    globalTimer: 0n,
    createdAt: now,
    installedAt: 0n,
    execution: undefined,
    memoriesMade: 0,
    chunkStore: new Map(),
    snapshots: new Map(),
    snapshotsMade: 0,
    history: { total: 0, entries: [] },
    logs: { nextIndex: 0n, records: [] },
    queryStats: NO_QUERY_STATS,
    input: new Fifo([], inputBytes),
    pendingExecution: undefined,
    inductionDebt: 0n,
    callContexts: new Map(),
    nextCallContextId: 1,
    callbacks: new Map(),
    nextCallbackId: 1,
    nextTurn: 0,
    serviceReceived: 0,
    lowMemoryHook: "notSatisfied",
    consumed: nothingConsumed(),
    chargedAt: now,
    idleBurn: { memory: 0n, messageMemory: 0n, compute: 0n },
    heapDeltaDebit: 0,
    installCodeDebit: 0,
  };
}

function nothingConsumed(): ConsumedCycles {
  return {
    memory: 0n,
    computeAllocation: 0n,
    ingressInduction: 0n,
    instructions: 0n,
    requestAndResponseTransmission: 0n,
    uninstall: 0n,
    canisterCreation: 0n,
    httpOutcalls: 0n,
    burnedCycles: 0n,
  };
}

function defaultSettings(controllers: readonly PrincipalId[]): CanisterSettings {
  return {
    controllers: sortedUnique(controllers),
    computeAllocation: 0,
    memoryAllocation: 0n,
    freezingThreshold: DEFAULT_FREEZING_THRESHOLD_SECONDS,
    reservedCyclesLimit: DEFAULT_RESERVED_CYCLES_LIMIT,
    minimumIncomingCallCycles: 0n,
    logVisibility: { kind: "controllers" },
    snapshotVisibility: { kind: "controllers" },
    statusVisibility: { kind: "controllers" },
    wasmMemoryLimit: DEFAULT_WASM_MEMORY_LIMIT,
    wasmMemoryThreshold: 0n,
    logMemoryLimit: DEFAULT_LOG_BYTES,
    environmentVariables: [],
  };
}

export function sortedUnique(ids: readonly PrincipalId[]): PrincipalId[] {
  return [...new Set(ids)].sort();
}
