// Responses between canisters: how one is made from the request that it answers, and how it gets to who called, here or
// on another subnet. The lowest step of messaging; nothing here decides anything. Checklist 6.2.
import { touch } from "@atoll/state";
import {
  addCycles,
  type CanisterId,
  type Cycles,
  MAX_REJECT_MESSAGE_BYTES,
  type Request,
  type Response,
  type ResponsePayload,
} from "@atoll/types";
import { holdBack } from "./interventions/hold.ts";
import { noteAnswered } from "./open-calls.ts";
import { remoteHostOf, sendAway } from "./outgoing.ts";
import type { Round } from "./round.ts";

/** The response to a request, its reject message cut to what may travel. */
export function responseTo(request: Omit<Request, "arg">, payload: ResponsePayload, refund: Cycles) {
  const cut: ResponsePayload =
    payload.kind === "reject" ? { ...payload, message: cutMiddle(payload.message, MAX_REJECT_MESSAGE_BYTES) } : payload;
  return {
    kind: "response" as const,
    originator: request.sender,
    respondent: request.receiver,
    callbackId: request.callbackId,
    refund,
    payload: cut,
    deadlineSeconds: request.deadlineSeconds,
  };
}

/** `text` with its middle replaced by "..." if it has more than `limit` bytes of UTF-8. */
export function cutMiddle(text: string, limit: number): string {
  const encoder = new TextEncoder();
  if (text.length <= limit && encoder.encode(text).length <= limit) return text;
  const half = Math.floor((limit - 3) / 2);
  const characters = [...text];
  const take = (source: Iterable<string>): string[] => {
    const taken: string[] = [];
    let bytes = 0;
    for (const character of source) {
      bytes += encoder.encode(character).length;
      if (bytes > half) break;
      taken.push(character);
    }
    return taken;
  };
  return `${take(characters).join("")}...${take(characters.slice().reverse()).reverse().join("")}`;
}

/** Puts a response on its way: into its receiver's queue, or towards another subnet. */
export function deliverResponse(round: Round, response: Response): void {
  const { originator } = response;
  const subnet = remoteHostOf(round, originator);
  if (subnet !== undefined) sendAway(round, subnet, response);
  else if (!holdBack(round, originator, { kind: "response", response })) enqueueResponse(round, response);
}

/** Puts a response into its receiver's queue; the refund is lost with a canister that is gone. */
export function enqueueResponse(round: Round, response: Response): void {
  const receiver = round.state.canisters.get(response.originator);
  if (receiver === undefined) {
    round.state.metrics.consumedCycles += response.refund;
    return;
  }
  receiver.input.push({ kind: "response", response });
  if (response.deadlineSeconds !== 0) noteAnswered(round.state, receiver.id, response.callbackId);
  touch(round.state, receiver);
}

/** Gives cycles back that were on their way with a message that is gone; without a receiver they are lost. */
export function refundDropped(round: Round, id: CanisterId, cycles: Cycles): void {
  if (cycles === 0n) return;
  const { state } = round;
  const receiver = state.canisters.get(id);
  const subnet = receiver === undefined ? remoteHostOf(round, id) : undefined;
  if (subnet !== undefined) {
    sendAway(round, subnet, { kind: "refund", receiver: id, cycles });
    return;
  }
  if (receiver === undefined) {
    state.metrics.consumedCycles += cycles;
    return;
  }
  touch(state, receiver);
  receiver.cycles = addCycles(receiver.cycles, cycles);
}
