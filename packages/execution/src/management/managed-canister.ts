// The canister that a call is about, and who may act on it: its controllers, and for some methods the canister itself.
// Specification, "The IC management canister"; checklist 4.1, column Who.

import type { CanisterState, HistoryEntry } from "@atoll/state";
import { type CanisterId, ErrorCode, type UserError, userError } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import type { Opt } from "./candid-argument.ts";
import { addHistoryEntry } from "./canister-history.ts";
import { canisterNotFound, notAController } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function failed(error: UserError): MethodResult {
  return { ok: false, error };
}

/** The canister, if there is one and the caller controls it. */
export function controlledCanister(call: ManagementCall, id: CanisterId): CanisterState | UserError {
  const canister = call.round.state.canisters.get(id);
  if (canister === undefined) return canisterNotFound(id);
  const { controllers } = canister.settings;
  return controllers.includes(call.sender) ? canister : notAController(id, controllers, call.sender);
}

/** As `controlledCanister`, but the canister may also act on itself. */
export function controlledOrOwnCanister(call: ManagementCall, id: CanisterId): CanisterState | UserError {
  const canister = call.round.state.canisters.get(id);
  return canister !== undefined && call.sender === id ? canister : controlledCanister(call, id);
}

export function isUserError(value: object): value is UserError {
  return "code" in value;
}

/** A canister that states its version must state the one that it had when it made the call. */
export function senderVersionError(call: ManagementCall, [stated]: Opt<bigint>): UserError | undefined {
  if (stated === undefined || call.caller.kind === "ingress") return undefined;
  const { senderVersion } = call.caller.request;
  if (stated === BigInt(senderVersion)) return undefined;
  return userError(
    ErrorCode.CanisterContractViolation,
    `Management canister call payload includes sender canister version ${stated} that does not match the actual sender ` +
      `canister version ${senderVersion}.`,
  );
}

/** Writes a change into the canister's history, in the caller's name. */
export function recordChange(
  call: ManagementCall,
  canister: CanisterState,
  [senderVersion]: Opt<bigint>,
  change: HistoryEntry["change"],
): void {
  const { sender } = call;
  const origin: HistoryEntry["origin"] =
    call.caller.kind === "ingress"
      ? { kind: "user", userId: sender }
      : {
          kind: "canister",
          canisterId: sender,
          canisterVersion: senderVersion === undefined ? undefined : Number(senderVersion),
        };
  addHistoryEntry(canister, { time: call.round.state.time, canisterVersion: canister.version, origin, change });
}
