// HTTPS outcalls that a test answers: for all nodes of the subnet at once, or for each of them another answer, to see
// whether the transform function makes them agree. Interface specification, "IC method http_request".
import { type OutcallAnswer, type OutcallRequest, type PrincipalId, RejectCode } from "@atoll/types";
import type { Principal } from "@icp-sdk/core/principal";
import { REJECT_CODES } from "./canister-reject.ts";
import { checkChoice, checkOptions, type FieldsOf } from "./given-options.ts";
import { toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";

/** What the web answers. */
export interface WebAnswer {
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as UTF-8. */
  readonly body?: string | Uint8Array;
}

/** Why the web does not answer. */
export interface WebFailure {
  readonly reject: { readonly code: keyof typeof RejectCode; readonly message: string };
}

/** A list has an answer for each node; undefined leaves the outcall to wait. */
type HandlerAnswer = WebAnswer | WebFailure | readonly WebAnswer[] | undefined;

/** Answers outcalls as they come. */
export type OutcallHandler = (outcall: TestOutcall) => HandlerAnswer | Promise<HandlerAnswer>;

const ANSWER_FIELDS: FieldsOf<WebAnswer> = { status: true, headers: true, body: true };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class TestOutcall {
  readonly url: string;
  /** "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH". */
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The canister that asks. */
  readonly canister: Principal;
  readonly subnet: Principal;
  /** How many answers `replyEach` takes. */
  readonly nodes: number;
  readonly maxResponseBytes: number | undefined;
  /** The query method that the answers go through. */
  readonly transform: string | undefined;
  readonly #session: Session;
  readonly #subnet: PrincipalId;
  readonly #number: number;

  constructor(session: Session, subnet: PrincipalId, request: OutcallRequest) {
    const { url, method, headers, body, canister, maxResponseBytes, transform, outcall } = request;
    this.#session = session;
    this.#subnet = subnet;
    this.#number = outcall;
    this.url = url;
    this.method = method.toUpperCase();
    this.headers = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
    this.body = body ?? new Uint8Array();
    this.canister = toPrincipal(canister);
    this.subnet = toPrincipal(subnet);
    this.nodes = session.engine.subnets.get(subnet)?.config.nodes.length ?? 1;
    this.maxResponseBytes = maxResponseBytes;
    this.transform = transform?.methodName;
  }

  /** The body as text. */
  text(): string {
    return decoder.decode(this.body);
  }

  /** All nodes get the same. The canister has it in the next round. Throws TypeError when it was answered already. */
  async reply(answer: WebAnswer): Promise<void> {
    await this.#answer([replyOf(answer)]);
  }

  /** Each node gets an answer of its own. Throws TypeError unless there are as many as nodes. */
  async replyEach(answers: readonly WebAnswer[]): Promise<void> {
    if (answers.length !== this.nodes)
      throw new TypeError(`the subnet has ${this.nodes} nodes, and there are ${answers.length} answers`);
    await this.#answer(answers.map(replyOf));
  }

  /** No node gets an answer. `SYS_TRANSIENT` is what a server that is down gives, `SYS_FATAL` an answer too large. */
  async reject(code: keyof typeof RejectCode, message: string): Promise<void> {
    checkChoice("a reject code", code, REJECT_CODES);
    await this.#answer([{ kind: "reject", code: RejectCode[code], message }]);
  }

  async #answer(answers: readonly OutcallAnswer[]): Promise<void> {
    const outcome = await this.#session.engine.answerOutcall(this.#subnet, this.#number, answers);
    if (outcome === "unknown") throw new TypeError(`the outcall to ${this.url} has been answered, or has timed out`);
  }
}

export function pendingOutcalls(session: Session): TestOutcall[] {
  return session.engine.pendingOutcalls().map(({ subnet, request }) => new TestOutcall(session, subnet, request));
}

/** Has the handler answer what is pending. */
export async function answerBy(session: Session, handler: OutcallHandler): Promise<void> {
  for (const outcall of pendingOutcalls(session)) {
    const answer = await handler(outcall);
    if (answer === undefined) continue;
    if (Array.isArray(answer)) await outcall.replyEach(answer as readonly WebAnswer[]);
    else if (typeof answer === "object" && "reject" in answer)
      await outcall.reject(answer.reject.code, answer.reject.message);
    else await outcall.reply(answer as WebAnswer);
  }
}

function replyOf(answer: WebAnswer): OutcallAnswer {
  checkOptions("an answer of the web", answer, ANSWER_FIELDS);
  const { status = 200, headers = {}, body = "" } = answer;
  return {
    kind: "reply",
    reply: {
      status: BigInt(status),
      headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
      body: typeof body === "string" ? encoder.encode(body) : body,
    },
  };
}
