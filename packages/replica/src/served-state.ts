// What clients are served from: the states that were executed here, and of these the latest one that the subnet has
// certified. A subnet of one node certifies a state as soon as it is executed; among many nodes a state waits for their
// signature, and everything that clients see waits with it: certificates, queries, answers to calls, who may read what.

import type { RoundEvent } from "@atoll/execution";
import { rootHash, witness } from "@atoll/state";
import {
  type CanisterId,
  type CryptoPort,
  ErrorCode,
  type Height,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type Path,
  type PrincipalId,
  principalToBytes,
  type QueryRequest,
  type RequestId,
  type Time,
  type UserError,
  userError,
} from "@atoll/types";
import type { CertifiedState, DelegationStyle, ReplicaBackend, ReplicaHealth } from "./backend.ts";
import { certifiedState, type DelegationSource, NO_STATE, nextTree, type TreeAtHeight } from "./certified-tree.ts";
import type { ExecutedRound, Executor } from "./executor.ts";

/** What the replica itself answers about a canister of its certified state. */
interface CanisterAccess {
  readonly controllers: readonly PrincipalId[];
  readonly privateSections: readonly string[];
  readonly admitsAnyIngress: boolean;
}

/** Executed, and not certified yet. */
interface Pending {
  readonly tree: TreeAtHeight;
  readonly access: ExecutedRound["access"];
}

export interface ServedStateOptions {
  /** What the root subnet says of this one; not on the root subnet itself. */
  readonly delegation?: DelegationSource | undefined;
  /** Told what canisters print in queries, for screens and logs. */
  readonly onQueryEvents?: ((events: readonly RoundEvent[]) => void) | undefined;
}

export interface ServedStatePorts {
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly executor: Pick<Executor, "advance" | "query" | "filter">;
  readonly clock: { now(): Time };
}

/** A clock this far behind the time of the last block makes messages expire before they can be in the next one. */
const MAX_CLOCK_LAG_NS = 60_000_000_000n;

const encoder = new TextEncoder();
const LABEL_CANISTER = encoder.encode("canister");
const LABEL_CERTIFIED_DATA = encoder.encode("certified_data");

export class ServedState {
  readonly #options: ServedStateOptions;
  readonly #ports: ServedStatePorts;
  readonly #waiting = new Map<RequestId, Set<(state: CertifiedState) => void>>();
  #access = new Map<CanisterId, CanisterAccess>();
  #origins = new Map<RequestId, { sender: PrincipalId; receiver: CanisterId; isFinal: boolean }>();
  /** Certificates of certified data at the current height, by canister and style. */
  #dataCertificates = new Map<string, Uint8Array>();
  /** Of the state that was executed last. */
  #tree: TreeAtHeight = NO_STATE;
  /** In the order of their heights, without gaps; the last one is `#tree`'s. */
  #pending: Pending[] = [];
  #certified: CertifiedState | undefined;
  readonly #first = Promise.withResolvers<CertifiedState>();

  constructor(options: ServedStateOptions, ports: ServedStatePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#first.promise.catch(() => undefined);
  }

  /** The same, to go on from independently; its last state is not certified yet. */
  fork(options: ServedStateOptions, ports: ServedStatePorts): ServedState {
    const fork = new ServedState(options, ports);
    fork.#access = new Map(this.#access);
    fork.#origins = new Map(this.#origins);
    fork.#tree = this.#tree;
    const nothingNew = { tree: this.#tree, access: { canisters: [], requests: [] } };
    fork.#pending = this.#pending.length > 0 ? [...this.#pending] : [nothingNew];
    return fork;
  }

  /** Of the state that was executed last. */
  get height(): Height {
    return this.#tree.height;
  }

  /** Root hash of the state that was executed last: the next batch takes it along. */
  prevStateHash(): Uint8Array {
    return rootHash(this.#tree.tree, this.#ports.crypto.sha256);
  }

  get certified(): CertifiedState | undefined {
    return this.#certified;
  }

  /** Resolves when clients can be answered: the first state after the start is certified. */
  get firstCertified(): Promise<CertifiedState> {
    return this.#first.promise;
  }

  /** The disk failed before the first state could be certified. */
  fail(error: Error): void {
    this.#first.reject(error);
  }

  /** A whole state, after a start or when it was taken over from other nodes. Nothing of what was here remains. */
  begin(whole: ExecutedRound): void {
    this.#access = new Map();
    this.#origins = new Map();
    this.#pending = [];
    this.#tree = NO_STATE;
    this.executed(whole);
  }

  /** The next state; nobody sees it before it is certified. */
  executed(round: ExecutedRound): void {
    this.#tree = nextTree(this.#tree, round);
    this.#pending.push({ tree: this.#tree, access: round.access });
  }

  /** Heights that are executed and not certified, ascending. */
  pendingHeights(): readonly Height[] {
    return this.#pending.map(({ tree }) => tree.height);
  }

  /** Root hash of a state that waits to be certified. */
  rootHash(height: Height): Uint8Array | undefined {
    const pending = this.#pendingAt(height);
    return pending && rootHash(pending.tree.tree, this.#ports.crypto.sha256);
  }

  /** Hash tree that shows what is at the paths, of a state that waits to be certified. */
  witness(height: Height, paths: readonly Path[]): ReturnType<typeof witness> | undefined {
    const pending = this.#pendingAt(height);
    return pending && witness(pending.tree.tree, paths, this.#ports.crypto.sha256);
  }

  #pendingAt(height: Height): Pending | undefined {
    const first = this.#pending[0];
    return first && this.#pending[height - first.tree.height];
  }

  /** Clients get this height from now on: `sign` gives the subnet's signature on its root hash, when it is needed. */
  certify(height: Height, sign: (root: Uint8Array) => Uint8Array): CertifiedState | undefined {
    const pending = this.#pendingAt(height);
    if (pending === undefined) return undefined;
    const { delegation = () => undefined } = this.#options;
    const certified = certifiedState(pending.tree, sign, delegation, this.#ports.crypto.sha256);
    this.#certified = certified;
    this.#first.resolve(certified);
    this.#dataCertificates = new Map();
    this.#ports.executor.advance(height);
    const count = this.#pending.indexOf(pending) + 1;
    for (const { access } of this.#pending.splice(0, count)) this.#publish(access, certified);
    return certified;
  }

  #publish({ canisters, requests }: ExecutedRound["access"], certified: CertifiedState): void {
    for (const { id, controllers, ...facts } of canisters) {
      if (controllers === undefined) this.#access.delete(id);
      else this.#access.set(id, { controllers, ...facts });
    }
    for (const { id, origin, isFinal } of requests) {
      if (origin === undefined) this.#origins.delete(id);
      else this.#origins.set(id, { ...origin, isFinal });
      if (!isFinal) continue;
      for (const resolve of this.#waiting.get(id) ?? []) resolve(certified);
      this.#waiting.delete(id);
    }
  }

  /** Whether the certified state knows the message, whatever became of it. */
  knows(requestId: RequestId): boolean {
    return this.#origins.has(requestId);
  }

  health(): ReplicaHealth {
    if (this.#certified === undefined) return "waiting_for_certified_state";
    const { delegation } = this.#options;
    return delegation === undefined || delegation("flat") !== undefined ? "healthy" : "waiting_for_root_delegation";
  }

  async filter(message: IngressMessage): Promise<UserError | undefined> {
    const behind = (this.#certified?.time ?? 0n) - this.#ports.clock.now();
    if (behind > MAX_CLOCK_LAG_NS) return clockBehind(behind);
    // Asking costs more than executing a small message, and most canisters let everything in.
    const isAdmitted = this.#access.get(message.receiver)?.admitsAnyIngress === true;
    return isAdmitted ? undefined : this.#ports.executor.filter(message);
  }

  awaitCompletion(requestId: RequestId): { completed: Promise<CertifiedState>; cancel(): void } {
    const certified = this.#certified;
    if (certified !== undefined && this.#origins.get(requestId)?.isFinal === true) {
      return { completed: Promise.resolve(certified), cancel: () => undefined };
    }
    const { promise, resolve } = Promise.withResolvers<CertifiedState>();
    const waiting = this.#waiting.get(requestId) ?? new Set();
    waiting.add(resolve);
    this.#waiting.set(requestId, waiting);
    const cancel = (): void => {
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#waiting.get(requestId) === waiting) this.#waiting.delete(requestId);
    };
    return { completed: promise, cancel };
  }

  async query(query: QueryRequest, style: DelegationStyle): ReturnType<ReplicaBackend["query"]> {
    const certified = this.#certified;
    const { events, ...result } = await this.#ports.executor.query({
      sender: query.sender,
      receiver: query.receiver,
      methodName: query.methodName,
      arg: query.arg,
      ...(query.callerInfo === undefined ? {} : { callerInfo: query.callerInfo }),
      ...(certified !== undefined &&
        query.receiver !== MANAGEMENT_CANISTER && {
          dataCertificate: this.#dataCertificate(certified, query.receiver, style),
        }),
    });
    if (events !== undefined) this.#options.onQueryEvents?.(events);
    return { result, time: certified?.time ?? 0n };
  }

  /** What the HTTP interface asks of the certified state. */
  readonly answers: Pick<
    ReplicaBackend,
    "certifiedState" | "awaitCompletion" | "query" | "ingressOrigin" | "controllers" | "isPrivateMetadata"
  > = {
    certifiedState: () => this.#certified,
    awaitCompletion: (requestId) => this.awaitCompletion(requestId),
    query: (query, style) => this.query(query, style),
    ingressOrigin: (requestId) => this.#origins.get(requestId),
    controllers: (id) => this.#access.get(id)?.controllers,
    isPrivateMetadata: (id, name) => this.#access.get(id)?.privateSections.includes(name) ?? false,
  };

  #dataCertificate(certified: CertifiedState, id: CanisterId, style: DelegationStyle): Uint8Array {
    const key = `${style} ${id}`;
    let certificate = this.#dataCertificates.get(key);
    if (certificate === undefined) {
      certificate = certified.certificate([[LABEL_CANISTER, principalToBytes(id), LABEL_CERTIFIED_DATA]], style);
      this.#dataCertificates.set(key, certificate);
    }
    return certificate;
  }
}

function clockBehind(lagNs: Time): UserError {
  return userError(
    ErrorCode.CertifiedStateUnavailable,
    `The clock of this node is ${lagNs / 1_000_000_000n} s behind the time of its last block; updates go on when the ` +
      "clock is right again.",
  );
}
