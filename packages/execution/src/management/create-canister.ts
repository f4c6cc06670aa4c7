// create_canister: a canister pays for a new one out of the cycles it attaches; what is left of them is the balance
// of the new canister. The admins of a subnet, where there are any, create canisters without paying. Specification, "IC method create_canister"; checklist 5.1.
import { type CanisterState, newCanister, nextCanisterId, noteConsumption, touch } from "@atoll/state";
import { type CanisterId, type Cycles, MAX_CANISTERS, type UserError } from "@atoll/types";
import { updateLowMemoryHook } from "../low-memory-hook.ts";
import { reserveCycles } from "../reserve-memory.ts";
import type { MethodResult } from "./answer.ts";
import { candidPrincipal, decodeArgument, encodeReply, isEmptyTuple } from "./candid-argument.ts";
import { CanisterIdRecord, type CreateCanisterArg, CreateCanisterRecord } from "./candid-types.ts";
import { changedSettings, malformedSettings } from "./canister-settings.ts";
import { environmentVariablesHash } from "./environment-variables.ts";
import { failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import { notASubnetAdmin, outOfCanisterIds, tooFewCyclesToCreate, tooManyCanisters } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

const NOTHING_ASKED: CreateCanisterArg = { settings: [], sender_canister_version: [] };

export function createCanister(call: ManagementCall): MethodResult {
  // Callers from before the argument had fields send none.
  const decoded = isEmptyTuple(call.arg)
    ? ({ ok: true, value: NOTHING_ASKED } as const)
    : decodeArgument<CreateCanisterArg>(CreateCanisterRecord, call.arg);
  if (!decoded.ok) return decoded;
  const versionError = senderVersionError(call, decoded.value.sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const [asked] = decoded.value.settings;
  const malformed = asked && malformedSettings(asked);
  if (malformed !== undefined) return failed(malformed);
  const { subnetAdmins: admins } = call.round.state.config;
  if (call.caller.kind === "ingress" && admins !== undefined && !admins.includes(call.sender)) {
    return failed(notASubnetAdmin(admins, call.sender));
  }
  // Where there are admins, they decide who creates canisters, not cycles.
  const fee = admins === undefined ? call.round.fees.canisterCreation() : 0n;
  if (call.payment < fee) return failed(tooFewCyclesToCreate(call.payment, fee));
  const canister = addCanister(call, decoded.value, call.payment - fee, undefined);
  if (isUserError(canister)) return failed(canister);
  noteConsumption(call.round.state, canister, "canisterCreation", call.round.fees.nominal.canisterCreation());
  return created(canister, call.payment);
}

export function created(canister: CanisterState, cyclesUsed: Cycles): MethodResult {
  return { ok: true, reply: encodeReply(CanisterIdRecord, { canister_id: candidPrincipal(canister.id) }), cyclesUsed };
}

/** Adds a canister to the state: under the next free id, or under `specifiedId`, which must be free. */
export function addCanister(
  call: ManagementCall,
  arg: CreateCanisterArg,
  cycles: Cycles,
  specifiedId: CanisterId | undefined,
): CanisterState | UserError {
  const { round, sender } = call;
  const { state } = round;
  if (state.canisters.size >= MAX_CANISTERS) return tooManyCanisters(state.config.subnetId, MAX_CANISTERS);
  const id = specifiedId ?? nextCanisterId(state);
  if (id === undefined) return outOfCanisterIds();
  const canister = newCanister(id, [sender], cycles, state.time);
  const [asked] = arg.settings;
  if (asked !== undefined) {
    const changed = changedSettings(round, canister, asked);
    if (!changed.ok) return changed.error;
    reserveCycles(canister, changed.toReserve);
    canister.settings = changed.settings;
    updateLowMemoryHook(canister);
  }
  const variables = asked?.environment_variables[0];
  recordChange(call, canister, arg.sender_canister_version, {
    kind: "creation",
    controllers: canister.settings.controllers,
    ...(variables && { environmentVariablesHash: environmentVariablesHash(variables, round.crypto.sha256) }),
  });
  if (specifiedId === undefined) state.nextCanisterIndex++;
  state.canisters.set(id, canister);
  touch(state, canister);
  return canister;
}
