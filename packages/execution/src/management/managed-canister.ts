// The canister that a call is about, and who may act on it: its controllers, for some methods the canister itself, the
// admins of the subnet, or whom its settings name. Specification, "The IC management canister"; checklist 4.1, Who.

import {
  type CanisterSettings,
  type CanisterState,
  type HistoryEntry,
  payCharges,
  type Visibility,
} from "@atoll/state";
import { type CanisterId, ErrorCode, errorCodeText, type PrincipalId, type UserError, userError } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import type { Opt } from "./candid-argument.ts";
import { addHistoryEntry } from "./canister-history.ts";
import { canisterNotFound, notAController, notAControllerOrAdmin } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function failed(error: UserError): MethodResult {
  return { ok: false, error };
}

/** The canister as it is now, if there is one. */
export function existingCanister({ round }: Pick<ManagementCall, "round">, id: CanisterId): CanisterState | undefined {
  const canister = round.state.canisters.get(id);
  if (canister !== undefined) payCharges(round.state, canister);
  return canister;
}

/** The canister, if there is one and the caller controls it. */
export function controlledCanister(call: ManagementCall, id: CanisterId): CanisterState | UserError {
  const canister = existingCanister(call, id);
  if (canister === undefined) return canisterNotFound(id);
  return controllerError(canister, call.sender) ?? canister;
}

/** As `controlledCanister`, but the canister may also act on itself. */
export function controlledOrOwnCanister(call: ManagementCall, id: CanisterId): CanisterState | UserError {
  const canister = existingCanister(call, id);
  return canister !== undefined && call.sender === id ? canister : controlledCanister(call, id);
}

/** As `controlledCanister`, but the admins of the subnet may act on all of its canisters. */
export function controlledOrAdministeredCanister(call: ManagementCall, id: CanisterId): CanisterState | UserError {
  const { state } = call.round;
  const canister = existingCanister(call, id);
  if (canister === undefined) return canisterNotFound(id);
  return controllerOrAdminError(canister, state.config.subnetAdmins, call.sender) ?? canister;
}

/** What of a canister decides who may do what with it. */
export interface Access {
  readonly id: CanisterId;
  readonly settings: CanisterSettings;
}

export function controllerError({ id, settings }: Access, caller: PrincipalId): UserError | undefined {
  return settings.controllers.includes(caller) ? undefined : notAController(id, settings.controllers, caller);
}

/** On a subnet without admins the error is the older one, which clients know. */
export function controllerOrAdminError(
  canister: Access,
  admins: readonly PrincipalId[] | undefined,
  caller: PrincipalId,
): UserError | undefined {
  if (admins === undefined) return controllerError(canister, caller);
  const { id, settings } = canister;
  if (settings.controllers.includes(caller) || admins.includes(caller)) return undefined;
  return notAControllerOrAdmin(id, { controllers: settings.controllers, admins, caller });
}

/** What a setting opens to others than the controllers. */
export function isVisibleTo(caller: PrincipalId, visibility: Visibility): boolean {
  if (visibility.kind === "allowed_viewers") return visibility.viewers.includes(caller);
  return visibility.kind === "public";
}

/** The status is for controllers, admins, the canister itself and whom the settings name. */
export function statusError(
  canister: Access,
  admins: readonly PrincipalId[] | undefined,
  caller: PrincipalId,
): UserError | undefined {
  if (caller === canister.id || isVisibleTo(caller, canister.settings.statusVisibility)) return undefined;
  return controllerOrAdminError(canister, admins, caller);
}

export function isUserError(value: object): value is UserError {
  return "code" in value;
}

/** A canister that states its version must state the one that it had when it made the call. */
export function senderVersionError(call: ManagementCall, [stated]: Opt<bigint>): UserError | undefined {
  return call.caller.kind === "ingress" ? undefined : wrongSenderVersion(stated, call.caller.request.senderVersion);
}

/** Found on the side of the calling canister, and there errors show their code. */
export function wrongSenderVersion(stated: bigint | undefined, senderVersion: number): UserError | undefined {
  if (stated === undefined || stated === BigInt(senderVersion)) return undefined;
  const code = ErrorCode.CanisterContractViolation;
  return userError(
    code,
    `${errorCodeText(code)}: Management canister call payload includes sender canister version ${stated} that does not match the actual sender ` +
      `canister version ${senderVersion}.`,
  );
}

/** Writes a change into the canister's history, in the caller's name. */
export function recordChange(
  call: Pick<ManagementCall, "round" | "caller" | "sender">,
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
