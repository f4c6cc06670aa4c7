// Takes up places in the queue from one canister to another, as if so many calls were open between them. Not "the next
// N calls fail": a full queue stays full until there is room, for retries in the same execution too, and an execution
// that fails has used up nothing. The check is the one of every call (checklist 3.4), with other numbers.
import type { CanisterState, SubnetState } from "@atoll/state";
import { type CanisterId, DEFAULT_QUEUE_CAPACITY, type InterventionResult, MANAGEMENT_CANISTER } from "@atoll/types";
import type { Round } from "../round.ts";
import { canisterOf, type InterventionOf, MADE, notFound, refused } from "./refused.ts";

const MAX_QUEUES = 1_000;

export function fillQueue(
  round: Round,
  { sender, receiver: given, places }: InterventionOf<"fill_queue">,
): InterventionResult {
  const { interventions, config } = round.state;
  if (canisterOf(round, sender) === undefined) return notFound(sender);
  if (!Number.isSafeInteger(places) || places < 0 || places > DEFAULT_QUEUE_CAPACITY) {
    return refused(`A queue has ${DEFAULT_QUEUE_CAPACITY} places.`);
  }
  const receiver = given === config.subnetId ? MANAGEMENT_CANISTER : given;
  const others = interventions.fullQueues.filter((each) => each.sender !== sender || each.receiver !== receiver);
  if (others.length >= MAX_QUEUES) return refused(`There are ${MAX_QUEUES} queues with places taken already.`);
  interventions.fullQueues = places === 0 ? others : [...others, { sender, receiver, places }];
  return MADE;
}

export function placesTaken({ interventions }: SubnetState, { id }: CanisterState, receiver: CanisterId): number {
  if (interventions.fullQueues.length === 0) return 0;
  return interventions.fullQueues.find((each) => each.sender === id && each.receiver === receiver)?.places ?? 0;
}
