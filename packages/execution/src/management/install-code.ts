// install_code: puts a module into a canister, in one of three modes; the work is done by ../install-code.ts.
// Specification, "IC method install_code".
import type { CanisterState } from "@atoll/state";
import { type InstallMode, installCode } from "../install-code.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument, type Opt } from "./candid-argument.ts";
import { type InstallCodeArg, InstallCodeRecord, type InstallModeArg } from "./candid-types.ts";
import { controlledCanister, failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function installCodeMethod(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<InstallCodeArg>(InstallCodeRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, mode, wasm_module, arg, sender_canister_version } = decoded.value;
  const versionError = senderVersionError(call, sender_canister_version);
  if (versionError !== undefined) return failed(versionError);
  const canister = controlledCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  return install(call, canister, { mode, wasm: wasm_module, arg, senderVersion: sender_canister_version });
}

interface Installation {
  readonly mode: InstallModeArg;
  readonly wasm: Uint8Array;
  readonly arg: Uint8Array;
  readonly senderVersion: Opt<bigint>;
}

export function install(call: ManagementCall, canister: CanisterState, request: Installation): MethodResult {
  const mode = installMode(request.mode);
  const { wasm, arg } = request;
  const error = installCode(call.round, canister, { mode, wasm, arg, sender: call.sender });
  if (error !== undefined) return failed(error);
  const moduleHash = canister.execution?.moduleHash ?? "";
  recordChange(call, canister, request.senderVersion, { kind: "code_deployment", mode: mode.kind, moduleHash });
  return { ok: true, reply: EMPTY_REPLY };
}

function installMode(arg: InstallModeArg): InstallMode {
  if ("install" in arg) return { kind: "install" };
  if ("reinstall" in arg) return { kind: "reinstall" };
  const [options] = arg.upgrade;
  const persistence = options?.wasm_memory_persistence[0];
  return {
    kind: "upgrade",
    skipPreUpgrade: options?.skip_pre_upgrade[0] ?? false,
    memoryPersistence: persistence === undefined ? undefined : "keep" in persistence ? "keep" : "replace",
  };
}
