// What one execution may see, and what it wants done. The input is complete before the Wasm starts; the effects
// are applied by the caller when, and only when, the execution succeeded. Nothing here reaches into the state.

import type { WasmClosure } from "@atoll/state";
import type { CallerInfo, CanisterId, Cycles, PrincipalId, Time } from "@atoll/types";
import type { LogDelta } from "./log-delta.ts";
import type { Mode, TaskName } from "./modes.ts";

/** What the fee schedule has to answer while a canister runs. All amounts in cycles. */
export interface ExecutionFees {
  /** Cost of sending a call: transport of name and payload, prepaid response, prepaid callback. */
  callCost(
    methodNameBytes: number,
    payloadBytes: number,
  ): { request: Cycles; prepaidResponse: Cycles; prepaidExecution: Cycles };
  createCanister(): Cycles;
  httpRequest(requestBytes: bigint, maxResponseBytes: bigint): Cycles;
  /** `params` is the canister's own description, in Candid; undefined when it is none. */
  httpRequestV2(params: Uint8Array): Cycles | undefined;
  /** undefined: unknown key name. */
  signature(keyName: string): Cycles | undefined;
  /** Balance below which the canister may not spend, with so many bytes in use and so many cycles more reserved. */
  freezingThreshold(memoryBytes: number, messageBytes: number, reservedMore: Cycles): Cycles;
}

/** What the subnet has to say when a canister wants more memory. */
export interface MemoryRules {
  /** Bytes that the canister was promised. */
  readonly allocation: number;
  /** Bytes that the subnet has left. */
  available(): number;
  /** Cycles to reserve for `bytes` more after `taken` others. */
  reservation(taken: number, bytes: number): Cycles;
  readonly reservedCycles: Cycles;
  readonly reservedCyclesLimit: Cycles;
}

export interface CanisterFacts {
  readonly id: CanisterId;
  /** 1 running, 2 stopping, 3 stopped. */
  readonly status: 1 | 2 | 3;
  readonly version: number;
  /** After prepayment of this execution. */
  readonly cycles: Cycles;
  readonly controllers: readonly PrincipalId[];
  readonly globalTimer: Time;
  readonly wasmMemoryLimit: bigint;
  readonly environmentVariables: readonly { readonly name: string; readonly value: string }[];
  /** Whether this caller may read the canister's log, and so see where in its code it trapped. */
  maySeeLog(caller: PrincipalId): boolean;
  /** Bytes of log the canister keeps. */
  readonly logBytes: number;
  /** Memory in use beside heap and stable memory, in bytes: module, chunks, history. */
  readonly otherMemoryBytes: number;
  /** Bytes that its messages take. */
  readonly messageBytes: number;
  readonly memory: MemoryRules;
  /** Calls to `receiver` that are not answered yet. */
  openCallsTo(receiver: CanisterId): number;
  readonly openCalls: number;
  /** Calls that the subnet still has room for: all of them, and those whose response must be delivered. */
  callsLeft(): { readonly all: number; readonly guaranteed: number };
}

export interface ExecutionInput {
  readonly mode: Mode;
  /** System tasks only: which one. */
  readonly task?: TaskName;
  /** False for queries answered by one node alone. */
  readonly replicated: boolean;
  readonly caller: PrincipalId;
  readonly callerInfo?: CallerInfo | undefined;
  readonly arg: Uint8Array;
  /** inspect_message only. */
  readonly methodName?: string;
  /** 0 unless in a reject callback or its cleanup. */
  readonly rejectCode: number;
  readonly rejectMessage: string;
  readonly deadlineSeconds: number;
  readonly cyclesAvailable: Cycles;
  readonly cyclesRefunded: Cycles;
  /** True when the call was answered by an earlier message already. */
  readonly responded: boolean;
  /** Instructions spent so far in the same call context. */
  readonly callContextInstructions: number;
  readonly time: Time;
  readonly subnetId: PrincipalId;
  /** Printing is charged for its length: on system subnets, where it always reaches a terminal. */
  readonly chargesPrinting: boolean;
  readonly rootKey: Uint8Array;
  readonly canister: CanisterFacts;
  readonly fees: ExecutionFees;
  /** Queries only. */
  readonly dataCertificate?: Uint8Array | undefined;
  readonly maxReplyBytes: number;
  readonly instructionLimit: number;
  readonly stablePageLimit: number;
  /** The execution traps with this text before anything else: asked for by a test. */
  readonly trapAtStart?: string;
}

export interface OutgoingCall {
  readonly receiver: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly cycles: Cycles;
  readonly prepaidExecution: Cycles;
  readonly prepaidResponse: Cycles;
  readonly onReply: WasmClosure;
  readonly onReject: WasmClosure;
  readonly onCleanup?: WasmClosure;
  readonly deadlineSeconds: number;
}

export type Answer =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly message: string };

export interface Effects {
  answer: Answer | undefined;
  calls: OutgoingCall[];
  /** Balance after everything the execution spent and accepted. */
  cycles: Cycles;
  cyclesAccepted: Cycles;
  cyclesBurned: Cycles;
  /** Moved from the balance to the reserved cycles, for memory that was taken. */
  cyclesReserved: Cycles;
  certifiedData: Uint8Array | undefined;
  globalTimer: Time | undefined;
  /** debug_print and trap lines; kept even when the execution fails. */
  readonly log: LogDelta;
  /** inspect_message: accept_message was called. */
  accepted: boolean;
}
