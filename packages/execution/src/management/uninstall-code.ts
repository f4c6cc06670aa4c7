// uninstall_code: takes code and memory out of a canister; whoever waits for an answer from it is told. What stays is
// the id, the cycles, the settings and the history. Specification, "IC method uninstall_code"; checklist 4.4.
import { type CanisterState, touch } from "@atoll/state";
import { answer } from "../call-contexts.ts";
import { updateLowMemoryHook } from "../low-memory-hook.ts";
import type { Round } from "../round.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type VersionedCanisterArg, VersionedCanisterRecord } from "./candid-types.ts";
import {
  controlledOrAdministeredCanister,
  failed,
  isUserError,
  recordChange,
  senderVersionError,
} from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function uninstallCode(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<VersionedCanisterArg>(VersionedCanisterRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, sender_canister_version } = decoded.value;
  const versionError = senderVersionError(call, sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const canister = controlledOrAdministeredCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  uninstall(call.round, canister);
  recordChange(call, canister, sender_canister_version, { kind: "code_uninstall" });
  return { ok: true, reply: EMPTY_REPLY };
}

/** Also what becomes of a canister that runs out of cycles. */
export function uninstall(round: Round, canister: CanisterState): void {
  discardCode(round, canister);
  canister.chunkStore = new Map();
  canister.logs.records = [];
  canister.certifiedData = new Uint8Array();
  canister.globalTimer = 0n;
  canister.version++;
  updateLowMemoryHook(canister);
  touch(round.state, canister);
  for (const context of canister.callContexts.values()) {
    answer(round, context, { kind: "reject", message: "Canister has been uninstalled." });
    context.deleted = true;
  }
}

/** Gives up module, memories and live instance. */
export function discardCode(round: Round, canister: CanisterState): void {
  const { execution } = canister;
  round.pool.drop(canister.id);
  if (execution === undefined) return;
  execution.heap.discard(round.state.height);
  execution.stable.discard(round.state.height);
  round.state.modules.leave(execution.moduleHash, canister.id);
  canister.execution = undefined;
}
