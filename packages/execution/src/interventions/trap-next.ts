// Makes the next execution of a canister trap at its start, so that rollback, cleanup callbacks and the answer to who
// called are those of a real trap. An execution of many rounds that has begun already is not the next one.
import { type EntryPoint, type ExecutionInput, Mode } from "@atoll/embedder";
import type { CanisterState, StandingTrap, SubnetState } from "@atoll/state";
import { type InterventionResult, MAX_METHOD_NAME_BYTES, MAX_REJECT_MESSAGE_BYTES } from "@atoll/types";
import type { Round } from "../round.ts";
import { canisterOf, type InterventionOf, MADE, notFound, refused, textError } from "./refused.ts";

const MAX_TRAPS = 1_000;

export function trapNext(round: Round, { canister: id, on, message }: InterventionOf<"trap_next">): InterventionResult {
  const { traps } = round.state.interventions;
  if (canisterOf(round, id) === undefined) return notFound(id);
  const error =
    textError("The message", message, MAX_REJECT_MESSAGE_BYTES) ??
    (on?.kind === "method" ? textError("The method name", on.name, MAX_METHOD_NAME_BYTES) : undefined);
  if (error !== undefined) return error;
  if (traps.length >= MAX_TRAPS) return refused(`There are ${MAX_TRAPS} traps that wait for an execution already.`);
  traps.push({ canister: id, on, message });
  return MADE;
}

/** The input of an execution that is about to begin, with the trap that waits for it, if one does. */
export function withTrap(
  { interventions }: SubnetState,
  { id }: CanisterState,
  entry: EntryPoint,
  input: ExecutionInput,
): ExecutionInput {
  if (interventions.traps.length === 0) return input;
  const trap = interventions.traps.find((each) => each.canister === id && isMeant(each, entry, input));
  if (trap === undefined) return input;
  interventions.traps = interventions.traps.filter((each) => each !== trap);
  return { ...input, trapAtStart: trap.message };
}

function isMeant({ on }: StandingTrap, entry: EntryPoint, { mode }: ExecutionInput): boolean {
  switch (on?.kind) {
    // Part of the execution that has trapped already.
    case undefined:
      return mode !== Mode.cleanup;
    case "method":
      return entry.kind === "export" && entry.name.replace(/^canister_(update|query) /, "") === on.name;
    case "callback":
      return mode === Mode.reply || mode === Mode.reject;
    case "cleanup":
      return mode === Mode.cleanup;
    case "task":
      return mode === Mode.task;
  }
}
