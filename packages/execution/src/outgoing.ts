// The way out of the subnet: a message for a canister (or the management canister) of another subnet waits here until the
// end of the round, when the streams take what they have room for. Also where who hosts what is looked up.
// Consensus and chain-key, 16.3.
import { streamTo } from "@atoll/state";
import { type PrincipalId, type StreamMessage, subnetOf } from "@atoll/types";
import type { Round } from "./round.ts";

/** The subnet of a canister or of that id; undefined: no subnet has it. */
export function hostOf({ state }: Pick<Round, "state">, id: PrincipalId): PrincipalId | undefined {
  if (state.canisters.has(id)) return state.config.subnetId;
  return subnetOf(state.topology, id)?.subnetId;
}

/** The subnet of a canister, if it is another one than this. */
export function remoteHostOf(round: Pick<Round, "state">, id: PrincipalId): PrincipalId | undefined {
  const host = hostOf(round, id);
  return host === round.state.config.subnetId ? undefined : host;
}

export function sendAway({ state }: Pick<Round, "state">, subnet: PrincipalId, message: StreamMessage): void {
  streamTo(state, subnet).waiting.push({ message, since: state.time });
}
