// Rules that put messages aside before their receiver has them, wherever they come from. One comparison with nothing
// for each message where there is no rule.
import type { HeldMessage, InputItem, StandingHoldRule, StandingInterventions } from "@atoll/state";
import {
  type CanisterId,
  type HoldRule,
  type InterventionResult,
  MANAGEMENT_CANISTER,
  MAX_METHOD_NAME_BYTES,
  type PrincipalId,
} from "@atoll/types";
import type { Round } from "../round.ts";
import { type InterventionOf, MADE, refused, textError } from "./refused.ts";

const MAX_RULES = 1_000;
/** Each checkpoint writes all that is held. What comes when there is so much is delivered as if no rule matched. */
const MAX_HELD = 1_000;
const MAX_HELD_BYTES = 128 * 1024 * 1024;

export function hold(round: Round, { rule }: InterventionOf<"hold">): InterventionResult {
  const { interventions: standing, config } = round.state;
  const { receiver, methodName, messageKind, atMost } = rule;
  if (receiver === MANAGEMENT_CANISTER || receiver === config.subnetId) {
    return refused("Calls to the management canister are made at once; its responses can be held, by their sender.");
  }
  if (atMost !== undefined && !(Number.isSafeInteger(atMost) && atMost > 0)) {
    return refused("A rule holds at least one message.");
  }
  if (methodName !== undefined) {
    if (messageKind === "response") return refused("Responses have no method name.");
    const error = textError("The method name", methodName, MAX_METHOD_NAME_BYTES);
    if (error !== undefined) return error;
  }
  if (standing.rules.length >= MAX_RULES) return refused(`There are ${MAX_RULES} rules already.`);
  const number = standing.nextNumber++;
  standing.rules.push({ number, rule, left: atMost });
  return { ok: true, rule: number };
}

export function unhold({ state: { interventions } }: Round, { rule }: InterventionOf<"unhold">): InterventionResult {
  if (rule === undefined) {
    interventions.rules = [];
    return MADE;
  }
  const rest = interventions.rules.filter(({ number }) => number !== rule);
  if (rest.length === interventions.rules.length) return refused(`There is no rule ${rule}, or it has ended.`);
  interventions.rules = rest;
  return MADE;
}

/** Puts a message aside that is about to enter the queue of `receiver`; false: no rule matches, it has to go on. */
export function holdBack({ state: { interventions } }: Round, receiver: CanisterId, item: InputItem): boolean {
  if (interventions.rules.length === 0) return false;
  const standing = interventions.rules.find(({ rule }) => isMatch(rule, receiver, item));
  if (standing === undefined || !hasRoom(interventions, item)) return false;
  interventions.held.set(interventions.nextNumber++, { receiver, item });
  countDown(interventions, standing);
  return true;
}

function isMatch(rule: HoldRule, receiver: CanisterId, item: InputItem): boolean {
  return (
    (rule.messageKind ?? item.kind) === item.kind &&
    (rule.receiver ?? receiver) === receiver &&
    (rule.sender === undefined || rule.sender === senderOf(item)) &&
    (rule.methodName === undefined || rule.methodName === methodNameOf(item))
  );
}

function countDown(interventions: StandingInterventions, standing: StandingHoldRule): void {
  const { number, left } = standing;
  if (left === undefined) return;
  interventions.rules = interventions.rules.flatMap((each) => {
    if (each.number !== number) return [each];
    return left > 1 ? [{ ...each, left: left - 1 }] : [];
  });
}

function hasRoom({ held }: StandingInterventions, item: InputItem): boolean {
  if (held.size >= MAX_HELD) return false;
  let bytes = payloadOf(item);
  for (const each of held.values()) bytes += payloadOf(each.item);
  return bytes <= MAX_HELD_BYTES;
}

function payloadOf(item: HeldMessage["item"]): number {
  if (item.kind === "ingress") return item.message.arg.length;
  if (item.kind === "request") return item.request.arg.length;
  const { payload } = item.response;
  return payload.kind === "reply" ? payload.data.length : payload.message.length;
}

function senderOf(item: InputItem): PrincipalId {
  if (item.kind === "ingress") return item.message.sender;
  return item.kind === "request" ? item.request.sender : item.response.respondent;
}

function methodNameOf(item: InputItem): string | undefined {
  if (item.kind === "ingress") return item.message.methodName;
  return item.kind === "request" ? item.request.methodName : undefined;
}
