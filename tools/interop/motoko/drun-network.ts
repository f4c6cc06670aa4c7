// A network of one subnet in this process that lives in its own time: real state, real Wasm, real certificates,
// storage in memory, a clock that moves only when a block is made. Calls go in where the HTTP interface hands them
// over, answers come out of certified state. Times of blocks and of polling are those of the suite's own runner.

import type { RoundEvent } from "@atoll/execution";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import { InlineExecutor, makeSecrets, Replica, soloReplicaOptions } from "@atoll/replica";
import { MemoryStorage } from "@atoll/state";
import {
  ANONYMOUS,
  type CanisterId,
  type CryptoPort,
  canisterIdFromIndex,
  errorCodeText,
  fromHex,
  type IngressMessage,
  type LogPort,
  principalFromText,
  type QueryResult,
  type Time,
  toHex,
  type UserError,
} from "@atoll/types";

export type Outcome =
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  /** The filter did not let the call in. */
  | { readonly kind: "refused"; readonly error: UserError };

export interface CallRequest {
  /** Empty for the management canister. */
  readonly receiver: CanisterId;
  readonly effectiveCanisterId: CanisterId;
  readonly method: string;
  readonly arg: Uint8Array;
}

export interface NetworkOptions {
  readonly subnetType: "system" | "application";
  /** Told what canisters print, in order. */
  readonly onPrint: (text: string) => void;
}

/** The canister that every script is about, by the subnet on which it runs; the subnet's first. */
export function canisterOf(subnetType: NetworkOptions["subnetType"]): CanisterId {
  const text = subnetType === "system" ? "rwlgt-iiaaa-aaaaa-aaaaa-cai" : "22ajg-aqaaa-aaaap-adukq-cai";
  return principalFromText(text) as CanisterId;
}

/** Canisters that canisters create: where that runner's server begins its ranges for them. */
const CREATED = [canisterIdFromIndex(0xffff_ffff_ffe0_0000n), canisterIdFromIndex(0xffff_ffff_ffff_ffffn)] as const;

const START: Time = 1_620_328_630_000_000_000n;
const SECOND: Time = 1_000_000_000n;
const INGRESS_TTL: Time = 240n * SECOND;
const MAX_ROUNDS = 5000;
const silent: LogPort = { log: () => undefined };
const encoder = new TextEncoder();
const decoder = new TextDecoder();
let crypto: Promise<CryptoPort> | undefined;

export class DrunNetwork {
  readonly #replica: Replica;
  readonly #executor: InlineExecutor;
  #now: Time = START;
  #wakeAt: Time = START;

  static async start(options: NetworkOptions): Promise<DrunNetwork> {
    crypto ??= createNodeCrypto();
    const network = new DrunNetwork(options, await crypto);
    await network.#replica.start();
    await network.#block();
    return network;
  }

  private constructor(options: NetworkOptions, cryptoPort: CryptoPort) {
    const secrets = makeSecrets(nodeEntropy, cryptoPort);
    const solo = soloReplicaOptions(secrets, cryptoPort);
    const first = canisterOf(options.subnetType);
    const canisterRanges = [[first, first] as const, CREATED];
    const config = { ...solo.config, type: options.subnetType, canisterRanges };
    const { rootKey } = solo;
    const storage = new MemoryStorage();
    this.#executor = new InlineExecutor({ config, rootKey }, { storage, crypto: { sha256 }, log: silent });
    const ports = { clock: { now: () => this.#now }, entropy: nodeEntropy, crypto: cryptoPort, log: silent };
    const show = (events: readonly RoundEvent[]): void => {
      for (const event of events) {
        if (event.kind !== "canister-log") continue;
        // The reason of a trap is part of a canister's log, not of what it prints.
        const text = decoder.decode(event.text);
        if (!text.startsWith("[TRAP]: ")) options.onPrint(text);
      }
    };
    this.#replica = new Replica(
      { ...solo, config, onRound: ({ events }) => show(events), onQueryEvents: show },
      ports,
      this.#executor,
    );
  }

  /** A block at the next moment at which there is something to do. */
  async #block(): Promise<void> {
    this.#now = this.#wakeAt > this.#now ? this.#wakeAt : this.#now + 1n;
    this.#wakeAt = await this.#replica.step(this.#now);
  }

  async call(request: CallRequest, pace: "at-once" | "polling"): Promise<Outcome> {
    const message: IngressMessage = {
      requestId: toHex(nodeEntropy.randomBytes(32)),
      sender: ANONYMOUS,
      receiver: request.receiver,
      effectiveCanisterId: request.effectiveCanisterId,
      methodName: request.method,
      arg: request.arg,
      expiry: this.#now + INGRESS_TTL,
      byteSize: request.arg.length + 300,
    };
    const { backend } = this.#replica;
    const refusal = await backend.filterIngress(message);
    if (refusal !== undefined) return { kind: "refused", error: refusal };
    if (backend.submitIngress(message) !== "accepted") throw new Error("a call was not accepted");
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
      await this.#block();
      if (pace === "polling") this.#wakeAt = this.#now + SECOND;
      const outcome = this.#outcomeOf(message.requestId);
      if (outcome !== undefined) return outcome;
    }
    throw new Error(`no answer to "${request.method}" after ${MAX_ROUNDS} blocks`);
  }

  async query(request: CallRequest): Promise<Outcome> {
    const { result } = await this.#replica.backend.query(
      {
        requestId: toHex(nodeEntropy.randomBytes(32)),
        sender: ANONYMOUS,
        receiver: request.receiver,
        effectiveCanisterId: request.effectiveCanisterId,
        methodName: request.method,
        arg: request.arg,
      },
      "flat",
    );
    return queryOutcome(result);
  }

  async stop(): Promise<void> {
    await this.#replica.stop();
  }

  #outcomeOf(requestId: string): Outcome | undefined {
    const state = this.#replica.backend.certifiedState();
    const leaf = (name: string): Uint8Array | undefined => {
      return state?.lookup([encoder.encode("request_status"), fromHex(requestId), encoder.encode(name)]);
    };
    const text = (name: string): string => decoder.decode(leaf(name));
    const status = text("status");
    if (status === "replied") return { kind: "replied", reply: leaf("reply") ?? new Uint8Array() };
    if (status === "rejected") return { kind: "rejected", code: text("error_code"), message: text("reject_message") };
    return undefined;
  }
}

function queryOutcome(result: QueryResult): Outcome {
  if (result.kind === "replied") return result;
  const error: UserError = result.error;
  return { kind: "rejected", code: errorCodeText(error.code), message: error.message };
}
