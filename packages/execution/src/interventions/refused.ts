// What interventions answer: nothing to say where one was made, a sentence where it was not. And the canister that
// one is about, if there is such.
import type { CanisterState } from "@atoll/state";
import { type CanisterId, type Intervention, type InterventionResult, principalToText } from "@atoll/types";
import type { Round } from "../round.ts";

export type InterventionOf<Kind extends Intervention["kind"]> = Extract<Intervention, { readonly kind: Kind }>;

export const MADE: InterventionResult = { ok: true };

export function refused(error: string): InterventionResult & { readonly ok: false } {
  return { ok: false, error: error.toWellFormed() };
}

/** Texts end up in the state, which holds no halves of characters, and none of any length. */
export function textError(what: string, text: string, maxBytes: number): InterventionResult | undefined {
  if (!text.isWellFormed()) return refused(`${what} is not well-formed text.`);
  if (new TextEncoder().encode(text).length > maxBytes) return refused(`${what} has more than ${maxBytes} bytes.`);
  return undefined;
}

export function notFound(id: CanisterId): InterventionResult {
  return refused(`Canister ${nameOf(id)} not found on this subnet.`);
}

/** The id itself where it is none. */
export function nameOf(id: CanisterId): string {
  try {
    return principalToText(id);
  } catch {
    return JSON.stringify(id);
  }
}

/** The balance and the memories that an execution under way has seen must not change under it. */
export function busyError(canister: CanisterState): InterventionResult | undefined {
  if (canister.pendingExecution === undefined) return undefined;
  return refused(
    `Canister ${nameOf(canister.id)} has an execution of many rounds under way; try again when it has ended.`,
  );
}

export function canisterOf(round: Round, id: CanisterId): CanisterState | undefined {
  return round.state.canisters.get(id);
}
