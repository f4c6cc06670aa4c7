// Calls to the management canister that cannot be made yet: the canister that they are about has an execution under
// way that takes many rounds, or another installation runs (one at a time on a subnet), or the round has no
// instructions left for one. They wait in the order in which they came; others pass them. Checklist 4.1.
import type { ManagementCaller, WaitingManagementCall } from "@atoll/state";
import { type CanisterId, DEFAULT_QUEUE_CAPACITY, ErrorCode, type Time, userError } from "@atoll/types";
import type { Round } from "../round.ts";
import { answerManagementCall } from "./answer.ts";
import { executeManagementCall } from "./index.ts";
import { effectiveCanisterId } from "./ingress-filter.ts";

const INSTALLATIONS: ReadonlySet<string> = new Set(["install_code", "install_chunked_code"]);

/** Of the arguments of all calls that wait: each checkpoint holds them. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;

/** Makes the call, or lets it wait. `expiry`: when a user's message may not begin any more. */
export function submitManagementCall(
  round: Round,
  caller: ManagementCaller,
  methodName: string,
  arg: Uint8Array,
  expiry?: Time,
): void {
  const queue = round.state.managementQueue;
  const isInstallation = INSTALLATIONS.has(methodName);
  if (!isInstallation && queue.length === 0 && round.state.withPending.size === 0) {
    executeManagementCall(round, caller, methodName, arg);
    return;
  }
  const call: WaitingManagementCall = {
    caller,
    methodName,
    arg,
    canister: canisterOf(caller, methodName, arg),
    expiry,
  };
  if (!mustWait(round, call, new Set(queue.map((each) => each.canister)))) {
    executeManagementCall(round, caller, methodName, arg);
  } else if (queue.length < DEFAULT_QUEUE_CAPACITY && waitingBytes(queue) + arg.length <= MAX_WAITING_BYTES) {
    queue.push(call);
  } else {
    const error = userError(ErrorCode.CanisterQueueFull, "Canister aaaaa-aa input queue is full");
    answerManagementCall(round, caller, { ok: false, error });
  }
}

/** Makes the calls that have waited and need not wait any longer. */
export function executeWaitingManagementCalls(round: Round): void {
  const { state } = round;
  const waiting = state.managementQueue;
  if (waiting.length === 0) return;
  state.managementQueue = [];
  const blocked = new Set<CanisterId | undefined>();
  for (const call of waiting) {
    if (call.expiry !== undefined && call.expiry < state.time) expire(round, call.caller);
    else if (mustWait(round, call, blocked)) {
      state.managementQueue.push(call);
      blocked.add(call.canister);
    } else executeManagementCall(round, call.caller, call.methodName, call.arg);
  }
}

function waitingBytes(queue: readonly WaitingManagementCall[]): number {
  return queue.reduce((sum, { arg }) => sum + arg.length, 0);
}

/** `blocked`: canisters that earlier calls still wait for; calls about one canister keep their order. */
function mustWait(round: Round, call: WaitingManagementCall, blocked: ReadonlySet<CanisterId | undefined>): boolean {
  if (INSTALLATIONS.has(call.methodName) && (round.instructionsLeft <= 0 || installationRuns(round))) return true;
  const { canister } = call;
  return canister !== undefined && (round.state.withPending.has(canister) || blocked.has(canister));
}

function installationRuns({ state }: Round): boolean {
  for (const id of state.withPending) {
    if (state.canisters.get(id)?.pendingExecution?.kind === "install") return true;
  }
  return false;
}

function canisterOf(caller: ManagementCaller, methodName: string, arg: Uint8Array): CanisterId | undefined {
  if (caller.kind === "ingress") return caller.effectiveCanisterId;
  const id = effectiveCanisterId(methodName, arg);
  return id === "any" ? undefined : id;
}

function expire(round: Round, caller: ManagementCaller): void {
  const id = caller.kind === "ingress" ? caller.requestId : "";
  const sentence = `Ingress message ${id} timed out waiting to start executing.`;
  const error = userError(ErrorCode.IngressMessageTimeout, sentence);
  answerManagementCall(round, caller, { ok: false, error });
}
