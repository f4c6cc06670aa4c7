// The messages of users in a payload: which of the pool come into a block, and what must be right with those of another's.
// Selection goes round the canisters that are called, each with an equal part of the room, so that nobody's flood keeps
// out the messages for other canisters. Sections 8.3 and 8.4.
import { isFree } from "@atoll/execution";
import { type IngressMessage, MANAGEMENT_CANISTER, type RequestId } from "@atoll/types";
import type { AuthenticIngress, IngressAuthenticator } from "./ingress-authenticator.ts";
import { invalid, type PayloadContext, type SectionVerdict, VALID } from "./payload-section.ts";
import type { SharedIngressPool } from "./shared-ingress-pool.ts";

/** Of a message beside its envelope: its length. */
const ENTRY_BYTES = 4;
/** So many rounds hold to the quota; each one after them lets every canister have one message more beyond it. */
const STRICT_ROUNDS = 4;
/** Messages of a block that nobody sent before it. */
const PREPARED_TOGETHER = 64;

interface Queue {
  readonly messages: readonly AuthenticIngress[];
  next: number;
  included: number;
  includedBytes: number;
}

/** Envelopes of at most `maxBytes` together, as they stand in the payload. */
export function buildIngress(
  context: PayloadContext,
  pool: SharedIngressPool,
  authenticator: IngressAuthenticator,
  maxBytes: number,
): Uint8Array[] {
  const taken = new Set<RequestId>();
  const isValid = ({ envelope }: AuthenticIngress): boolean =>
    typeof admissible(context, authenticator, taken, envelope) !== "string";
  const selected = select(queuesInTurn(pool, context.height), isValid, taken, {
    count: context.registry.settings.maxIngressPerBlock,
    bytes: maxBytes,
  });
  return selected.map(({ envelope }) => envelope);
}

/** Another canister is first at each height: the last ones find least room. */
function queuesInTurn(pool: SharedIngressPool, height: number): Queue[] {
  const queues = [...pool.queues().values()].map((messages) => {
    return { messages: [...messages.values()], next: 0, included: 0, includedBytes: 0 };
  });
  const first = height % Math.max(1, queues.length);
  return [...queues.slice(first), ...queues.slice(0, first)];
}

function select(
  queues: readonly Queue[],
  isValid: (ingress: AuthenticIngress) => boolean,
  taken: Set<RequestId>,
  most: { readonly count: number; readonly bytes: number },
): AuthenticIngress[] {
  const selected: AuthenticIngress[] = [];
  let left = most.bytes;
  let open = queues;
  let quota = Math.floor(most.bytes / Math.max(1, open.length));
  for (let round = 1; open.length > 0; round++) {
    const beyond = Math.max(1, round - STRICT_ROUNDS);
    for (const queue of open) {
      for (let ingress = queue.messages[queue.next]; ingress !== undefined; ingress = queue.messages[queue.next]) {
        const bytes = ingress.envelope.length + ENTRY_BYTES;
        if (selected.length >= most.count) return selected;
        if (!isValid(ingress)) {
          queue.next++;
          continue;
        }
        if (bytes > left) return selected;
        if (queue.included >= beyond && queue.includedBytes + bytes > quota) break;
        queue.next++;
        queue.included++;
        queue.includedBytes += bytes;
        left -= bytes;
        selected.push(ingress);
        taken.add(ingress.message.requestId);
      }
    }
    open = open.filter(({ messages, next }) => next < messages.length);
    // What some canisters leave of their parts is spread over the others.
    quota += Math.floor(left / Math.max(1, open.length));
  }
  return selected;
}

export function validateIngress(
  context: PayloadContext,
  authenticator: IngressAuthenticator,
  envelopes: readonly Uint8Array[],
): SectionVerdict {
  const { maxIngressPerBlock } = context.registry.settings;
  if (envelopes.length > maxIngressPerBlock) return invalid(`it has ${envelopes.length} messages`);
  const taken = new Set<RequestId>();
  for (const [place, envelope] of envelopes.entries()) {
    // Not all at once: nothing follows a wrong one.
    if (place % PREPARED_TOGETHER === 0) {
      authenticator.prepare(envelopes.slice(place, place + PREPARED_TOGETHER), context.context.time, "blocks");
    }
    const message = admissible(context, authenticator, taken, envelope);
    if (typeof message === "string") return invalid(`message ${place}: ${message}`);
    taken.add(message.requestId);
  }
  return VALID;
}

/** The message, or why it may not be in the block. `taken`: those that come before it in the same block. */
function admissible(
  { context, past, facts }: PayloadContext,
  authenticator: IngressAuthenticator,
  taken: ReadonlySet<RequestId>,
  envelope: Uint8Array,
): IngressMessage | string {
  const verdict = authenticator.check(envelope, context.time);
  if (verdict.kind !== "authentic") return verdict.why;
  const { message } = verdict.ingress;
  const { requestId } = message;
  if (taken.has(requestId)) return "it is twice in the block";
  if (past.hasIngress(requestId)) return "it is in a block before";
  if (facts.hasIngress(requestId)) return "it has been executed";
  const canister = chargedCanister(message);
  if (canister !== undefined && !facts.hadCanister(canister, context.certifiedHeight))
    return "there is no such canister";
  return message;
}

/** Whoever pays for a message must be there; whether it runs and can pay is for induction, which answers the user. */
function chargedCanister(message: IngressMessage): IngressMessage["receiver"] | undefined {
  const { receiver, effectiveCanisterId } = message;
  if (receiver === MANAGEMENT_CANISTER && isFree(message)) return undefined;
  return effectiveCanisterId === MANAGEMENT_CANISTER ? undefined : effectiveCanisterId;
}
