// Holding messages back: a test puts aside what matches, looks at it, and delivers it in another order, answers it in
// place of its receiver, or loses it where the protocol may lose it. The rules are interventions on every subnet that
// they may concern (packages/types/src/interventions.ts).
import type { InFlightMessage } from "@atoll/execution";
import { type CanisterId, type HoldRule, MANAGEMENT_CANISTER, type PrincipalId, RejectCode } from "@atoll/types";
import { REJECT_CODES } from "./canister-reject.ts";
import { checkChoice, checkOptions, type FieldsOf } from "./given-options.ts";
import { type FlightMessage, showMessage } from "./messages-in-flight.ts";
import { idOf, type PrincipalLike } from "./principals.ts";
import type { Session } from "./session.ts";

/** What is left out matches everything. */
export interface HoldOptions {
  /** The receiver: of a response, who called. */
  readonly to?: PrincipalLike;
  readonly from?: PrincipalLike;
  /** Of a call; a hold with one holds no responses. */
  readonly method?: string;
  readonly kind?: "ingress" | "request" | "response";
  /** Ends by itself after so many messages; without `to` after so many on each subnet. */
  readonly count?: number;
}

const HOLD_FIELDS: FieldsOf<HoldOptions> = { to: true, from: true, method: true, kind: true, count: true };
const KINDS = ["ingress", "request", "response"];

const MAX_ROUNDS = 100;

/** A message that is put aside. Each method may be called once: then the message is gone from here. */
export class HeldMessage {
  readonly subnet: PrincipalId;
  readonly number: number;
  readonly message: FlightMessage;
  readonly #session: Session;

  constructor(session: Session, subnet: PrincipalId, message: InFlightMessage) {
    this.#session = session;
    this.subnet = subnet;
    this.number = message.number ?? 0;
    this.message = showMessage(session, subnet, message);
  }

  get isHeld(): boolean {
    return heldOn(this.#session, this.subnet).some(({ number }) => number === this.number);
  }

  /** Delivers it: its receiver has it in the next round. Throws TypeError when it is not held any more. */
  release(): Promise<void> {
    return release(this.#session, [this]);
  }

  /** Answers it in place of its receiver. A response is delivered as this reject instead. */
  async reject(code: keyof typeof RejectCode, message: string): Promise<void> {
    checkChoice("a reject code", code, REJECT_CODES);
    const { number } = this;
    await this.#session.intervene(this.subnet, { kind: "reject_held", number, code: RejectCode[code], message });
  }

  /** Loses it. Throws TypeError for what the Internet Computer never loses: calls without a deadline. */
  async drop(): Promise<void> {
    await this.#session.intervene(this.subnet, { kind: "drop_held", number: this.number });
  }
}

/** A rule that puts messages aside, from `TestNetwork.hold`. */
export class Hold {
  readonly #session: Session;
  readonly #rule: HoldRule;
  readonly #places: ReadonlyMap<PrincipalId, number>;
  /** Given out by `next`. */
  readonly #seen = new Set<string>();

  constructor(session: Session, rule: HoldRule, places: ReadonlyMap<PrincipalId, number>) {
    this.#session = session;
    this.#rule = rule;
    this.#places = places;
  }

  /** What it holds now, in the order in which it came. */
  messages(): HeldMessage[] {
    return [...this.#places.keys()].flatMap((subnet) =>
      heldOn(this.#session, subnet)
        .filter((message) => isMatch(this.#rule, message))
        .map((message) => new HeldMessage(this.#session, subnet, message)),
    );
  }

  /** The next message that it holds; runs rounds until there is one. Rejects when there is none after 100 rounds. */
  async next(): Promise<HeldMessage> {
    for (let rounds = 0; ; rounds++) {
      const next = this.messages().find((message) => !this.#seen.has(nameOf(message)));
      if (next !== undefined) {
        this.#seen.add(nameOf(next));
        return next;
      }
      if (rounds === MAX_ROUNDS) throw new Error(`no message came to be held in ${MAX_ROUNDS} rounds`);
      await this.#session.engine.tick();
    }
  }

  /** Delivers all that it holds, in the order in which it came, and goes on holding. */
  release(): Promise<void> {
    return release(this.#session, this.messages());
  }

  /** Holds nothing more, and delivers what it held. */
  async end(): Promise<void> {
    // A rule for so many messages may have ended by itself.
    for (const [subnet, rule] of this.#places) await this.#session.engine.intervene(subnet, [{ kind: "unhold", rule }]);
    await this.release();
  }
}

export async function hold(session: Session, options: HoldOptions): Promise<Hold> {
  checkOptions("hold", options, HOLD_FIELDS);
  const { to, from, method, kind, count } = options;
  if (kind !== undefined) checkChoice("a kind of message", kind, KINDS);
  const receiver = to === undefined ? undefined : idOf(to);
  const rule: HoldRule = {
    ...(receiver !== undefined && { receiver }),
    ...(from !== undefined && { sender: idOf(from) }),
    ...(method !== undefined && { methodName: method }),
    ...(kind !== undefined && { messageKind: kind }),
    ...(count !== undefined && { atMost: count }),
  };
  const places = new Map<PrincipalId, number>();
  for (const subnet of placesOf(session, receiver)) {
    const { rule: number } = await session.intervene(subnet, { kind: "hold", rule });
    if (number !== undefined) places.set(subnet, number);
  }
  return new Hold(session, rule, places);
}

/** All that any rule has put aside. */
export function allHeld(session: Session): HeldMessage[] {
  return [...session.engine.subnets.keys()].flatMap((subnet) =>
    heldOn(session, subnet).map((message) => new HeldMessage(session, subnet, message)),
  );
}

/** Delivers the messages in the order of the list. Throws TypeError when one of them is not held any more. */
export async function release(session: Session, messages: readonly HeldMessage[]): Promise<void> {
  const bySubnet = new Map<PrincipalId, number[]>();
  for (const { subnet, number } of messages) bySubnet.set(subnet, [...(bySubnet.get(subnet) ?? []), number]);
  for (const [subnet, numbers] of bySubnet) await session.intervene(subnet, { kind: "release", numbers });
}

/** Messages are put aside where their receiver is. */
function placesOf(session: Session, receiver: CanisterId | undefined): PrincipalId[] {
  const isSomebody = receiver !== undefined && receiver !== MANAGEMENT_CANISTER;
  return isSomebody ? [session.subnetOf(receiver).id] : [...session.engine.subnets.keys()];
}

function heldOn(session: Session, subnet: PrincipalId): InFlightMessage[] {
  return (session.engine.messagesInFlight().get(subnet) ?? []).filter(({ place }) => place === "held");
}

/** As the network matches them (packages/execution/src/interventions/hold.ts). */
function isMatch(rule: HoldRule, { from, to, methodName, kind }: InFlightMessage): boolean {
  return (
    (rule.receiver ?? to) === to &&
    (rule.sender ?? from) === from &&
    (rule.messageKind ?? kind) === kind &&
    (rule.methodName === undefined || rule.methodName === methodName)
  );
}

function nameOf({ subnet, number }: HeldMessage): string {
  return `${subnet} ${number}`;
}
