// What the faces of the kit share: the network, what a test has told of its canisters (names, Candid), the calls that
// are not answered yet, and what the rounds have shown. `TestNetwork` and `TestCanister` are thin on top of it.
import { type ExecutedRound, figuresOf } from "@atoll/replica";
import type { CanisterState } from "@atoll/state";
import {
  type CanisterId,
  type CryptoPort,
  type IngressStatus,
  type Intervention,
  type InterventionResult,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  principalToText,
} from "@atoll/types";
import type { CanisterCall, MessageId } from "../calls.ts";
import type { Network } from "../network.ts";
import type { NetworkSubnet } from "../network-subnet.ts";
import { type CallReport, reportOf } from "./call-report.ts";
import type { CandidInterface } from "./candid-interface.ts";
import { CanisterLogs } from "./canister-logs.ts";
import { CanisterReject } from "./canister-reject.ts";
import { FieldNames } from "./field-names.ts";
import { messageTreeText, type TreeNames } from "./message-tree-text.ts";
import { allMessages } from "./messages-in-flight.ts";
import { idOf, namedIdentity, type TestIdentity } from "./principals.ts";
import { type CallSurroundings, SubmittedCall } from "./submitted-call.ts";
import { answerBy, type OutcallHandler, pendingOutcalls } from "./test-outcalls.ts";

/** What a test has told of a canister. */
export interface KnownCanister {
  readonly name?: string | undefined;
  readonly candid?: CandidInterface | undefined;
}

const MAX_ROUNDS = 100;
/** Where rounds pass by themselves it is for the test runner to lose patience. */
const MAX_ROUNDS_OF_PROGRESS = 100_000;

export class Session implements CallSurroundings {
  readonly engine: Network;
  readonly crypto: CryptoPort;
  readonly known: Map<CanisterId, KnownCanister>;
  readonly logs: CanisterLogs;
  /** Answers the outcalls of calls that are awaited. */
  outcallHandler: OutcallHandler | undefined;
  /** Given the recording when the network is closed. */
  keepRecording: ((file: Uint8Array) => void) | undefined;
  readonly #fieldNames = new FieldNames();
  /** Names of those that the test has asked for. */
  readonly identities: Map<PrincipalId, string>;
  readonly #open = new Set<SubmittedCall<unknown>>();

  constructor(engine: Network, crypto: CryptoPort, from?: Session) {
    this.engine = engine;
    this.crypto = crypto;
    this.outcallHandler = from?.outcallHandler;
    this.keepRecording = from?.keepRecording;
    this.identities = new Map(from?.identities);
    this.known = new Map(from?.known);
    this.logs = from?.logs.fork() ?? new CanisterLogs();
    engine.onRound = (_, round) => this.#observe(round);
  }

  /** The same network once more, as it is now. */
  async fork(): Promise<Session> {
    return new Session(await this.engine.fork(), this.crypto, this);
  }

  async close(): Promise<void> {
    const keep = this.keepRecording;
    this.keepRecording = undefined;
    if (keep !== undefined) {
      // What comes after it would be missing.
      await this.engine.stopProgress();
      keep(await this.engine.recording());
    }
    await this.engine.close();
  }

  identity(name: string): TestIdentity {
    const identity = namedIdentity(name, this.crypto);
    this.identities.set(idOf(identity), name);
    return identity;
  }

  nameOf(id: PrincipalId): string | undefined {
    return id === MANAGEMENT_CANISTER ? "management canister" : (this.known.get(id)?.name ?? this.identities.get(id));
  }

  /** What hashes and ids are called, as far as the test or the modules tell. */
  names(): TreeNames {
    const names = this.#fieldNames;
    names.addManagement();
    for (const { candid } of this.known.values()) if (candid !== undefined) names.addInterface(candid);
    for (const { executor } of this.engine.subnets.values()) names.addModules(executor.durable.machine.state);
    return {
      field: (hash) => names.get(hash),
      principal: (id) => this.nameOf(id),
      canister: (id) => this.nameOf(id),
      subnet: (id) => this.#subnetName(id),
    };
  }

  /** Rejects with CanisterReject when the network does not let the call in. */
  async submit<Result>(call: CanisterCall, decode: (reply: Uint8Array) => Result): Promise<SubmittedCall<Result>> {
    const called = { canister: call.receiver, name: this.nameOf(call.receiver), method: call.methodName };
    const submission = await this.engine.submit(call);
    if (!submission.ok) throw new CanisterReject(called, submission.error);
    const submitted = new SubmittedCall(submission.message, called, this, decode);
    this.#open.add(submitted);
    return submitted;
  }

  /** A call that was made on the network that this one is a fork of. */
  sameCall<Result>(call: SubmittedCall<Result>): SubmittedCall<Result> {
    const same = call.on(this);
    this.#open.add(same);
    return same;
  }

  async query(call: CanisterCall): Promise<Uint8Array> {
    const result = await this.engine.query(call);
    if (result.kind === "replied") return result.reply;
    const called = { canister: call.receiver, name: this.nameOf(call.receiver), method: call.methodName };
    throw new CanisterReject(called, result.error);
  }

  status(message: MessageId): IngressStatus | undefined {
    return this.engine.status(message);
  }

  async awaitAnswer({ message }: SubmittedCall<unknown>): Promise<IngressStatus | undefined> {
    const rounds = this.engine.isProgressing ? MAX_ROUNDS_OF_PROGRESS : MAX_ROUNDS;
    for (let left = rounds; left > 0; left--) {
      const status = await this.engine.awaitMessage(message, 1);
      if (status !== undefined) return status;
      if (this.outcallHandler !== undefined) await answerBy(this, this.outcallHandler);
    }
    return undefined;
  }

  tree(message: MessageId): string {
    const tree = this.engine.messageTree(message);
    return tree === undefined ? "" : messageTreeText(tree, this.names());
  }

  report(message: MessageId): CallReport | undefined {
    const tree = this.engine.messageTree(message);
    return tree && reportOf(figuresOf(tree), (id) => this.nameOf(id) ?? principalToText(id));
  }

  whyUnanswered(): string {
    const held = allMessages(this).filter(({ place }) => place === "held");
    const outcalls = pendingOutcalls(this);
    const reasons = [
      ...held.map(({ text }) => `held: ${text}`),
      ...outcalls.map(({ method, url }) => `an outcall waits for an answer of the test: ${method} ${url}`),
    ];
    const why = reasons.length === 0 ? "nothing is held, and no outcall waits" : reasons.slice(0, 10).join("; ");
    return `${MAX_ROUNDS} rounds have run (${why})`;
  }

  /** Throws TypeError when no subnet has the canister. */
  stateOf(id: CanisterId): CanisterState {
    const state = this.subnetOf(id).executor.durable.machine.state.canisters.get(id);
    if (state === undefined) throw new TypeError(`there is no canister ${principalToText(id)}`);
    return state;
  }

  /** Throws TypeError when there is no such canister. */
  subnetOf(id: CanisterId): NetworkSubnet {
    for (const subnet of this.engine.subnets.values()) {
      if (subnet.executor.durable.machine.state.canisters.has(id)) return subnet;
    }
    throw new TypeError(`there is no canister ${principalToText(id)}`);
  }

  /** Throws TypeError with the network's sentence when it refuses. */
  async intervene(subnet: PrincipalId, intervention: Intervention): Promise<InterventionResult & { ok: true }> {
    const [result] = await this.engine.intervene(subnet, [intervention]);
    if (result?.ok !== true) throw new TypeError(result?.error ?? "the network took no intervention");
    return result;
  }

  #observe({ height, events }: ExecutedRound): void {
    this.logs.collect(height, events);
    for (const call of this.#open) {
      call.observe();
      if (call.isAnswered) this.#open.delete(call);
    }
  }

  #subnetName(id: PrincipalId): string | undefined {
    const subnets = [...this.engine.subnets.values()];
    if (subnets.length < 2) return undefined;
    const kind = this.engine.subnets.get(id)?.kind;
    const alike = subnets.filter((subnet) => subnet.kind === kind);
    return alike.length < 2 ? kind : `${kind} ${alike.findIndex((subnet) => subnet.id === id) + 1}`;
  }
}
