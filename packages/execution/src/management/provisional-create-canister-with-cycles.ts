// provisional_create_canister_with_cycles: on development networks anybody gets a canister, with cycles out of
// nowhere and, if wanted, under the id that it has elsewhere. Specification, same name.
import { isInRanges, isTakenId } from "@atoll/state";
import { DEFAULT_PROVISIONAL_CYCLES, isInRange, MAX_CYCLES } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type ProvisionalCreateArg, ProvisionalCreateRecord } from "./candid-types.ts";
import { malformedSettings } from "./canister-settings.ts";
import { addCanister, created } from "./create-canister.ts";
import { failed, isUserError, senderVersionError } from "./managed-canister.ts";
import { canisterExists, givenOutHere, notHostedHere, provisionalNotAllowed } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function provisionalCreateCanisterWithCycles(call: ManagementCall): MethodResult {
  const { state } = call.round;
  const decoded = decodeArgument<ProvisionalCreateArg>(ProvisionalCreateRecord, call.arg);
  if (!decoded.ok) return decoded;
  const [asked] = decoded.value.settings;
  const malformed = asked && malformedSettings(asked);
  if (malformed !== undefined) return failed(malformed);
  if (!state.config.provisional) return failed(provisionalNotAllowed());
  const versionError = senderVersionError(call, decoded.value.sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const [specifiedId] = decoded.value.specified_id;
  if (specifiedId !== undefined) {
    const { allocationRanges = [] } = state.config;
    if (allocationRanges.some((range) => isInRange(range, specifiedId))) return failed(givenOutHere(specifiedId));
    if (isTakenId(state, specifiedId)) return failed(canisterExists(specifiedId));
    if (!isInRanges(state.config, specifiedId)) return failed(notHostedHere(specifiedId, state.config.subnetId));
  }
  const [amount = DEFAULT_PROVISIONAL_CYCLES] = decoded.value.amount;
  const cycles = amount > MAX_CYCLES ? MAX_CYCLES : amount;
  const canister = addCanister(call, decoded.value, cycles, specifiedId);
  return isUserError(canister) ? failed(canister) : created(canister, 0n);
}
