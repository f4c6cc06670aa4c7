// Interventions: what a test does to a state beside sending messages (packages/types/src/interventions.ts). Each is
// checked whole before it changes anything, and its outcome is told in words. Not part of the Internet Computer; a
// network that is not for tests and development refuses them.
import type { Intervention, InterventionResult } from "@atoll/types";
import type { Round } from "../round.ts";
import { addCyclesTo, setCycles } from "./cycles.ts";
import { fillQueue } from "./fill-queue.ts";
import { dropHeld, rejectHeld, release } from "./held-messages.ts";
import { hold, unhold } from "./hold.ts";
import { setStableMemory } from "./stable-memory.ts";
import { trapNext } from "./trap-next.ts";

/** The results in the order of the interventions. */
export function applyInterventions(round: Round, interventions: readonly Intervention[]): InterventionResult[] {
  return interventions.map((each) => apply(round, each));
}

/** For a network that takes none. */
export function refuseInterventions(interventions: readonly Intervention[]): InterventionResult[] {
  const error = "Only networks for tests and development take interventions.";
  return interventions.map(() => ({ ok: false, error }));
}

/** All content of one batch together; a batch is one record of the log and has to fit there. */
const MAX_BATCH_BYTES = 160 * 1024 * 1024;

/** Why these cannot be in a batch at all, for whoever makes batches; undefined: they can. */
export function unfitForBatch(interventions: readonly Intervention[]): string | undefined {
  let bytes = 0;
  const waiting: unknown[] = [interventions];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "string") {
      if (!value.isWellFormed()) return "A text of the interventions is not well-formed.";
      bytes += value.length;
    } else if (value instanceof Uint8Array) bytes += value.length;
    else if (typeof value === "object" && value !== null) for (const part of Object.values(value)) waiting.push(part);
    else bytes += 8;
    if (bytes > MAX_BATCH_BYTES) return `The interventions have more than ${MAX_BATCH_BYTES} bytes.`;
  }
  return undefined;
}

function apply(round: Round, intervention: Intervention): InterventionResult {
  switch (intervention.kind) {
    case "add_cycles":
      return addCyclesTo(round, intervention);
    case "set_cycles":
      return setCycles(round, intervention);
    case "set_stable_memory":
      return setStableMemory(round, intervention);
    case "hold":
      return hold(round, intervention);
    case "unhold":
      return unhold(round, intervention);
    case "release":
      return release(round, intervention);
    case "reject_held":
      return rejectHeld(round, intervention);
    case "drop_held":
      return dropHeld(round, intervention);
    case "trap_next":
      return trapNext(round, intervention);
    case "fill_queue":
      return fillQueue(round, intervention);
    default: {
      const { kind } = intervention as { readonly kind: unknown };
      return { ok: false, error: `There is no intervention of the kind ${JSON.stringify(kind)}.` };
    }
  }
}
