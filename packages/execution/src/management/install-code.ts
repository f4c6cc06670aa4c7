// install_code: puts a module into a canister, in one of three modes; the work is done by ../install-code.ts.
// Specification, "IC method install_code".
import type { CanisterState, InstallMode, PendingExecution } from "@atoll/state";
import { installCode } from "../install-code.ts";
import { beginExecution, type Steps } from "../long-executions.ts";
import type { Round } from "../round.ts";
import { answerManagementCall, EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument, type Opt } from "./candid-argument.ts";
import { type InstallCodeArg, InstallCodeRecord, type InstallModeArg } from "./candid-types.ts";
import { controlledCanister, failed, isUserError, recordChange, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function installCodeMethod(call: ManagementCall): MethodResult | "later" {
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

type PendingInstall = Extract<PendingExecution, { kind: "install" }>;

/** Answers the call itself, in this round or a later one. */
export function install(call: ManagementCall, canister: CanisterState, request: Installation): "later" {
  const { round, caller } = call;
  const { wasm, arg, senderVersion } = request;
  const pending: PendingInstall = {
    kind: "install",
    caller,
    mode: installMode(request.mode),
    wasm,
    arg,
    senderVersion: senderVersion[0],
    since: round.state.height,
  };
  beginExecution(
    round,
    canister,
    () => pending,
    (isLong) => installSteps(round, canister, pending, isLong),
  );
  if (canister.pendingExecution === pending && caller.kind === "ingress") {
    round.state.ingressHistory.set(caller.requestId, { state: "processing" }, round.state.time);
  }
  return "later";
}

export function* installSteps(
  round: Round,
  canister: CanisterState,
  { caller, mode, wasm, arg, senderVersion }: PendingInstall,
  isLong: boolean,
): Steps<void> {
  const sender = caller.kind === "ingress" ? caller.sender : caller.request.sender;
  const error = yield* installCode(round, canister, { mode, wasm, arg, sender, caller }, isLong);
  if (error !== undefined) {
    answerManagementCall(round, caller, failed(error));
    return;
  }
  const moduleHash = canister.execution?.moduleHash ?? "";
  const change = { kind: "code_deployment", mode: mode.kind, moduleHash } as const;
  recordChange({ round, caller, sender }, canister, senderVersion === undefined ? [] : [senderVersion], change);
  answerManagementCall(round, caller, { ok: true, reply: EMPTY_REPLY });
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
