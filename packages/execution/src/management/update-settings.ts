// update_settings: changes what is given, all of it or nothing. Specification, "IC method update_settings".
// What the settings may be is in canister-settings.ts.
import { touch } from "@atoll/state";
import { trimLogs } from "../logs.ts";
import { updateLowMemoryHook } from "../low-memory-hook.ts";
import { reserveCycles } from "../reserve-memory.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type UpdateSettingsArg, UpdateSettingsRecord } from "./candid-types.ts";
import { changedSettings, malformedSettings } from "./canister-settings.ts";
import { controlledCanister, failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function updateSettings(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<UpdateSettingsArg>(UpdateSettingsRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, settings, sender_canister_version } = decoded.value;
  const versionError = senderVersionError(call, sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const malformed = malformedSettings(settings);
  if (malformed !== undefined) return failed(malformed);
  const canister = controlledCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  const changed = changedSettings(call.round, canister, settings);
  if (!changed.ok) return changed;
  reserveCycles(canister, changed.toReserve);
  canister.settings = changed.settings;
  trimLogs(canister);
  updateLowMemoryHook(canister);
  canister.version++;
  // Recorded whenever controllers are given, even the same ones.
  if (settings.controllers.length > 0) {
    const { controllers } = changed.settings;
    recordChange(call, canister, sender_canister_version, { kind: "controllers_change", controllers });
  }
  touch(call.round.state, canister);
  return { ok: true, reply: EMPTY_REPLY };
}
