// What the faces of the kit share: the network, what a test has told of its canisters (names, Candid), the calls that
// are not answered yet, and what the rounds have shown. `TestNetwork` and `TestCanister` are thin on top of it.
import type { ExecutedRound } from "@atoll/replica";
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
import type { CandidInterface } from "./candid-interface.ts";
import { CanisterLogs } from "./canister-logs.ts";
import { CanisterReject } from "./canister-reject.ts";
import { type CallSurroundings, SubmittedCall } from "./submitted-call.ts";

/** What a test has told of a canister. */
export interface KnownCanister {
  readonly name?: string | undefined;
  readonly candid?: CandidInterface | undefined;
}

export class Session implements CallSurroundings {
  readonly engine: Network;
  readonly crypto: CryptoPort;
  readonly known: Map<CanisterId, KnownCanister>;
  readonly logs: CanisterLogs;
  readonly #open = new Set<SubmittedCall<unknown>>();

  constructor(engine: Network, crypto: CryptoPort, from?: Session) {
    this.engine = engine;
    this.crypto = crypto;
    this.known = new Map(from?.known);
    this.logs = from?.logs.fork() ?? new CanisterLogs();
    engine.onRound = (subnet, round) => this.#observe(subnet, round);
  }

  nameOf(id: CanisterId): string | undefined {
    return id === MANAGEMENT_CANISTER ? "management canister" : this.known.get(id)?.name;
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
    return this.engine.awaitMessage(message);
  }

  tree(_message: MessageId): string {
    return "";
  }

  whyUnanswered(): string {
    return "rounds ran, and nothing moved it on";
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

  #observe(_subnet: NetworkSubnet, round: ExecutedRound): void {
    this.logs.collect(round.height, round.events);
    for (const call of this.#open) {
      call.observe();
      if (call.isAnswered) this.#open.delete(call);
    }
  }
}
