// raw_rand: 32 bytes that nobody could know when they were asked for: they come from the randomness of the next batch.
// Specification, "IC method raw_rand"; checklist 6.5.
import type { Round } from "../round.ts";
import { answerManagementCall, type MethodResult } from "./answer.ts";
import { encodeReply, isCandid, undecodable } from "./candid-argument.ts";
import { RandomBytes } from "./candid-types.ts";
import type { ManagementCall } from "./method.ts";

export function rawRand(call: ManagementCall): MethodResult | "later" {
  if (!isCandid(call.arg)) return undecodable("the argument is not Candid");
  if (call.caller.kind === "canister") {
    const { request } = call.caller;
    call.round.state.pendingRandomness = [...call.round.state.pendingRandomness, { request }];
  }
  return "later";
}

/** Answers all waiting calls from the randomness of the batch that this round executes, each with bytes of its own. */
export function answerRandomness(round: Round): void {
  const { state } = round;
  const waiting = state.pendingRandomness;
  state.pendingRandomness = [];
  const seed = new Uint8Array(state.randomness.length + 8);
  seed.set(state.randomness);
  const counter = new DataView(seed.buffer, state.randomness.length);
  waiting.forEach(({ request }, index) => {
    counter.setBigUint64(0, BigInt(index));
    const reply = encodeReply(RandomBytes, round.crypto.sha256(seed));
    answerManagementCall(round, { kind: "canister", request }, { ok: true, reply });
  });
}
