// What a page and the Worker that runs its network say to each other: questions with an answer each, and lines of the log. All of
// it is plain data that a MessagePort copies. Signed requests travel as HTTP, so that unmodified agents work.
import type { IngressStatus, LogLevel, QueryResult, Time } from "@atoll/types";
import type { CanisterCall } from "../calls.ts";
import type { SubnetSpec } from "../network-subnet.ts";
import type { ProgressOptions } from "../progress.ts";
import type { SubnetKind } from "../subnet-kinds.ts";

export interface OpenOptions {
  readonly subnets: readonly SubnetSpec[];
  /** ns since 1970; default: now. */
  readonly startTime?: Time;
  readonly seed?: Uint8Array;
}

export interface NetworkStatus {
  /** ns since 1970. */
  readonly time: Time;
  /** DER. */
  readonly rootKey: Uint8Array;
  /** The root subnet is the first. */
  readonly subnets: readonly SubnetStatus[];
}

interface SubnetStatus {
  /** As text. */
  readonly id: string;
  readonly kind: SubnetKind;
  /** DER. */
  readonly publicKey: Uint8Array;
  readonly height: number;
  readonly nodes: number;
  readonly canisters: number;
  /** Where its canisters get their ids from: first and last, as texts. */
  readonly range: readonly [string, string];
}

export interface PlainRequest {
  readonly method: string;
  /** Path and query string. */
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export interface PlainResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Name of each operation, what it is asked with, and what it gives. */
export interface Operations {
  open(options: OpenOptions): NetworkStatus;
  status(nothing: undefined): NetworkStatus;
  addSubnet(spec: SubnetSpec): NetworkStatus;
  /** Rounds on each subnet, one after the other. */
  tick(rounds: number): NetworkStatus;
  setTime(time: Time): NetworkStatus;
  /** Rounds by themselves, from the time that it is now on. */
  startProgress(options: ProgressOptions): NetworkStatus;
  stopProgress(nothing: undefined): NetworkStatus;
  /** As any principal; undefined: no answer within the rounds that a call may take. */
  call(call: CanisterCall): IngressStatus | undefined;
  query(call: CanisterCall): QueryResult;
  http(request: PlainRequest): PlainResponse;
  close(nothing: undefined): undefined;
}

export type OperationName = keyof Operations;
export type Argument<K extends OperationName> = Parameters<Operations[K]>[0];
export type Result<K extends OperationName> = ReturnType<Operations[K]>;

export interface Question<K extends OperationName = OperationName> {
  readonly id: number;
  readonly operation: K;
  readonly argument: Argument<K>;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: Result<OperationName> }
  | { readonly id: number; readonly ok: false; readonly message: string };

/** What the network's log says. */
export interface LogEvent {
  readonly event: "log";
  readonly level: LogLevel;
  readonly message: string;
}

export interface EndEvent {
  readonly data?: unknown;
  readonly message?: string;
}

/** A Worker seen from the page, the page seen from a Worker, or one end of a MessageChannel. */
export interface MessageEnd {
  postMessage(message: unknown): void;
  /** "error": a Worker that does not load, or throws where nobody catches it. */
  addEventListener(type: "message" | "error", listener: (event: EndEvent) => void): void;
}
