// What the threads of a network tell each other: the main thread (HTTP, blocks, certificates), one that executes for
// each subnet, and one that answers the queries of all. Memory pages are shared; everything else is copied in these
// messages.

import type { MessagePort } from "node:worker_threads";
import type { InstanceLimits } from "@atoll/embedder";
import type { QueryCall, QueryOutcome, StateDelta } from "@atoll/execution";
import type { ExecutedRound, StateFetchReply, StateFetchStep } from "@atoll/replica";
import type { SubnetConfig } from "@atoll/state";
import type { Batch, CanisterQueryStats, Height, IngressMessage, LogLevel, UserError } from "@atoll/types";

export interface ExecutionThreadData {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  /** Folder of the subnet's files. */
  readonly storagePath: string;
  /** Where the subnet is recorded, if it is. */
  readonly recording: { readonly folder: string; readonly file: string } | undefined;
  readonly checkpointBatches: number | undefined;
  /** See DurableStateOptions. */
  readonly agreedCheckpoints: boolean;
  readonly instances: InstanceLimits;
  /** Deltas and page slabs for the query thread. */
  readonly deltas: MessagePort;
}

export interface QueryThreadData {
  /** Of all subnets together. */
  readonly instances: InstanceLimits;
}

/** What the query thread has to know of a subnet before it can answer for it. */
export interface ReaderData {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  readonly deltas: MessagePort;
}

export type ToExecution =
  | { readonly kind: "start" }
  | { readonly kind: "execute"; readonly batch: Batch }
  | { readonly kind: "serve-state"; readonly question: Uint8Array }
  | { readonly kind: "fetch-state"; readonly step: StateFetchStep }
  | { readonly kind: "install-state"; readonly height: Height }
  | { readonly kind: "stop" };

export type FromExecution =
  | { readonly kind: "round"; readonly round: ExecutedRound }
  | { readonly kind: "state-served"; readonly answer: Uint8Array | undefined }
  | { readonly kind: "state-fetched"; readonly reply: StateFetchReply }
  /** None: something of the state is missing. */
  | { readonly kind: "state-installed"; readonly round: ExecutedRound | undefined }
  /** No answer to anything. */
  | { readonly kind: "state-hash"; readonly height: Height; readonly hash: Uint8Array }
  | { readonly kind: "stopped" }
  | { readonly kind: "log"; readonly level: LogLevel; readonly message: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** On the deltas port. `heights` comes before everything else; when it comes again, everything begins anew. */
export type ToReader =
  | { readonly kind: "heights"; readonly heights: Int32Array }
  | { readonly kind: "slab"; readonly slab: Uint8Array }
  | { readonly kind: "delta"; readonly delta: StateDelta };

/** `reader`: the subnet that is meant, by the number under which it was opened. */
export type ToQuery = { readonly reader: number } & (
  | { readonly kind: "open"; readonly data: ReaderData }
  | { readonly kind: "advance"; readonly height: Height }
  | { readonly kind: "query"; readonly id: number; readonly call: QueryCall }
  | { readonly kind: "filter"; readonly id: number; readonly message: IngressMessage }
  | { readonly kind: "take-stats"; readonly id: number }
);

export type FromQuery =
  | { readonly kind: "result"; readonly id: number; readonly result: QueryOutcome }
  | { readonly kind: "filtered"; readonly id: number; readonly error: UserError | undefined }
  | { readonly kind: "stats"; readonly id: number; readonly stats: readonly CanisterQueryStats[] };
