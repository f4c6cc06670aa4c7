// A call that was let in and is not waited for: a test looks at it between rounds, and takes its answer when it wants
// to. Its last status is kept here, since the network forgets it after five minutes of its own time.
// Interface specification, "Request status".
import { type IngressStatus, principalToText, type UserError } from "@atoll/types";
import type { MessageId } from "../calls.ts";
import type { CallReport } from "./call-report.ts";
import { type CalledMethod, CanisterReject } from "./canister-reject.ts";

export type CallState = IngressStatus["state"] | "submitted";

/** What a call needs of its network. */
export interface CallSurroundings {
  status(message: MessageId): IngressStatus | undefined;
  /** Runs rounds until it is answered; undefined: it was not, in as many as are sensible. */
  awaitAnswer(call: SubmittedCall<unknown>): Promise<IngressStatus | undefined>;
  /** Undefined: it was not traced. */
  report(message: MessageId): CallReport | undefined;
  /** What the call caused, one message a line; "" when that was not traced. */
  tree(message: MessageId): string;
  /** Why rounds do not help, in a sentence: what is held, which outcalls wait. */
  whyUnanswered(): string;
}

export class SubmittedCall<Result> {
  /** Subnet and request id: what names the message on the network. */
  readonly message: MessageId;
  readonly called: CalledMethod;
  readonly #network: CallSurroundings;
  readonly #decode: (reply: Uint8Array) => Result;
  #status: IngressStatus | undefined;

  constructor(
    message: MessageId,
    called: CalledMethod,
    network: CallSurroundings,
    decode: (reply: Uint8Array) => Result,
  ) {
    this.message = message;
    this.called = called;
    this.#network = network;
    this.#decode = decode;
  }

  /** The same call on another network: a fork of the one that it was made on. */
  on(network: CallSurroundings): SubmittedCall<Result> {
    const same = new SubmittedCall(this.message, this.called, network, this.#decode);
    same.#status = this.#status;
    return same;
  }

  /** Request id: 64 digits of hex. */
  get id(): string {
    return this.message.requestId;
  }

  /** "submitted" until the first round that has it. */
  status(): CallState {
    return this.observe()?.state ?? "submitted";
  }

  get isAnswered(): boolean {
    const state = this.status();
    return state !== "submitted" && state !== "received" && state !== "processing";
  }

  /**
   * The answer; runs rounds until it is there. Rejects with CanisterReject when the call failed, with Error when it is
   * not answered after 100 rounds: because something is held, or an outcall waits.
   */
  async answer(): Promise<Result> {
    return this.#decode(await this.reply());
  }

  /** The bytes of the answer; see `answer`. */
  async reply(): Promise<Uint8Array> {
    const status = this.isAnswered ? this.#status : await this.#network.awaitAnswer(this);
    this.#status = status ?? this.#status;
    if (status?.state === "replied") return status.reply;
    if (status?.state === "rejected") throw this.#reject(status.error);
    const what = `${this.called.name ?? principalToText(this.called.canister)}.${this.called.method}`;
    if (status?.state === "done") throw new Error(`${what} was answered, but the network has forgotten the answer`);
    const tree = this.tree();
    throw new Error(`${what} is not answered: ${this.#network.whyUnanswered()}${tree === "" ? "" : `\n\n${tree}`}`);
  }

  /** Everything that the call caused so far, one message a line. */
  tree(): string {
    return this.#network.tree(this.message);
  }

  /** What it has cost so far, with all that it caused. Throws TypeError on a network that is not traced. */
  report(): CallReport {
    const report = this.#network.report(this.message);
    if (report === undefined) throw new TypeError("there is no trace of the call: `createNetwork({ trace: true })`");
    return report;
  }

  /** Takes note of what the network says of it now. */
  observe(): IngressStatus | undefined {
    const seen = this.#network.status(this.message);
    if (seen !== undefined) this.#status = seen;
    return this.#status;
  }

  #reject(error: UserError): CanisterReject {
    return new CanisterReject(this.called, error, this.tree());
  }
}

/** The calls that actors made, by the promises that they gave. */
const behind = new WeakMap<Promise<unknown>, Promise<SubmittedCall<unknown>>>();

/** The answer of a call, as a promise that knows which call it is the answer of. */
export function answerOf<Result>(call: Promise<SubmittedCall<Result>>): Promise<Result> {
  const answer = call.then((submitted) => submitted.answer());
  behind.set(answer, call);
  return answer;
}

/** Undefined: not an actor's promise of an update, or the call was not let in, which the promise itself tells. */
export async function callBehind(promise: unknown): Promise<SubmittedCall<unknown> | undefined> {
  return promise instanceof Promise ? behind.get(promise)?.catch(() => undefined) : undefined;
}
