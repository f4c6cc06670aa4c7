// Faults on purpose: what a canister has to live with on the Internet Computer, at the moment that a test chooses.
// An upgrade in the middle of an await is one more: `TestCanister.upgrade` while a call waits.
import { checkChoice, checkOptions, type FieldsOf } from "./given-options.ts";
import { idOf, type PrincipalLike } from "./principals.ts";
import type { Session } from "./session.ts";

/** Which execution traps; what is left out matches the next one whatever it is. */
export interface TrapOptions {
  /** The next execution of this method. */
  readonly method?: string;
  /** The next reply or reject callback, the next cleanup, the next timer or heartbeat. */
  readonly in?: "callback" | "cleanup" | "task";
  /** Default: "trapped on purpose". */
  readonly message?: string;
}

const TRAP_FIELDS: FieldsOf<TrapOptions> = { method: true, in: true, message: true };
const EXECUTIONS = ["callback", "cleanup", "task"];

/** As many calls as may be open between two canisters. */
const QUEUE_CAPACITY = 500;

export class Faults {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The canister has no cycles left: it is frozen, and loses its code when storage is charged next. */
  async outOfCycles(canister: PrincipalLike): Promise<void> {
    const id = idOf(canister);
    await this.#session.intervene(this.#session.subnetOf(id).id, { kind: "set_cycles", canister: id, amount: 0n });
  }

  /** The next execution of the canister, or the next of that kind, traps before it does anything. Once. */
  async trapNext(canister: PrincipalLike, options: TrapOptions = {}): Promise<void> {
    checkOptions("trapNext", options, TRAP_FIELDS);
    if (options.in !== undefined) checkChoice("a kind of execution", options.in, EXECUTIONS);
    const { method, in: where, message = "trapped on purpose" } = options;
    if (method !== undefined && where !== undefined)
      throw new TypeError("either a method or a kind of execution traps");
    const id = idOf(canister);
    const on = method !== undefined ? ({ kind: "method", name: method } as const) : where && ({ kind: where } as const);
    await this.#session.intervene(this.#session.subnetOf(id).id, {
      kind: "trap_next",
      canister: id,
      message,
      ...(on !== undefined && { on }),
    });
  }

  /** As if so many calls were open from one canister to the other: with all 500 a further one fails. 0 ends it. */
  async fullQueue(from: PrincipalLike, to: PrincipalLike, places = QUEUE_CAPACITY): Promise<void> {
    const sender = idOf(from);
    const subnet = this.#session.subnetOf(sender).id;
    await this.#session.intervene(subnet, { kind: "fill_queue", sender, receiver: idOf(to), places });
  }
}
