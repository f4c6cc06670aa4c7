// A user's message enters the state: once only, if its receiver exists and can pay for it. What fails here is
// answered here; the message's id is remembered either way. Checklist 1.8, 2.5, 4.1, 5.1.
import {
  freezingThreshold,
  holdBack,
  isChargedLater,
  isFree,
  outOfCycles,
  type Round,
  submitManagementCall,
  traceNotExecuted,
} from "@atoll/execution";
import { type CanisterState, noteConsumption, touch } from "@atoll/state";
import {
  type Cycles,
  ErrorCode,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  MAX_INGRESS_TTL_NS,
  principalToText,
  type UserError,
  userError,
} from "@atoll/types";

export function inductIngress(round: Round, message: IngressMessage): void {
  const { state } = round;
  if (state.ingressHistory.get(message.requestId) !== undefined || message.expiry < state.time) return;
  state.ingressHistory.add(message.requestId, message, { state: "received" }, message.expiry + MAX_INGRESS_TTL_NS);
  state.metrics.updateTransactions++;
  if (round.traceEvents !== undefined) {
    const { requestId, sender, receiver, methodName, arg } = message;
    const cycles = isFree(message) ? 0n : round.fees.nominal.ingress(message.byteSize);
    round.traceEvents.push({ kind: "ingress", requestId, sender, receiver, methodName, arg, cycles });
  }
  const error =
    message.receiver === MANAGEMENT_CANISTER || message.receiver === state.config.subnetId
      ? inductManagementCall(round, message)
      : inductCanisterCall(round, message);
  if (error !== undefined) traceNotExecuted(round, { kind: "ingress", message }, error.message);
  if (error !== undefined) state.ingressHistory.set(message.requestId, { state: "rejected", error }, state.time);
}

function inductCanisterCall(round: Round, message: IngressMessage): UserError | undefined {
  const { state } = round;
  const canister = state.canisters.get(message.receiver);
  const id = (): string => principalToText(message.receiver);
  if (canister === undefined) return userError(ErrorCode.CanisterNotFound, `Canister ${id()} not found`);
  if (canister.status.kind === "stopped") return userError(ErrorCode.CanisterStopped, `Canister ${id()} is stopped`);
  if (canister.status.kind === "stopping") return userError(ErrorCode.CanisterStopping, `Canister ${id()} is stopping`);
  const unpaid = chargeInduction(round, canister, message);
  if (unpaid !== undefined) return unpaid;
  if (holdBack(round, canister.id, { kind: "ingress", message })) return undefined;
  canister.input.push({ kind: "ingress", message });
  touch(state, canister);
  return undefined;
}

function inductManagementCall(round: Round, message: IngressMessage): UserError | undefined {
  const payer = isFree(message) ? undefined : round.state.canisters.get(message.effectiveCanisterId);
  const chargesLater = isChargedLater(message);
  if (payer !== undefined && !chargesLater) {
    const unpaid = chargeInduction(round, payer, message);
    if (unpaid !== undefined) return unpaid;
  }
  const { requestId, sender, effectiveCanisterId } = message;
  submitManagementCall(
    round,
    { kind: "ingress", requestId, sender, effectiveCanisterId },
    message.methodName,
    message.arg,
    message.expiry,
  );
  if (payer !== undefined && chargesLater) {
    touch(round.state, payer);
    const cost = round.fees.ingress(message.byteSize);
    payInduction(round, payer, message, cost);
  }
  return undefined;
}

function chargeInduction(round: Round, canister: CanisterState, message: IngressMessage): UserError | undefined {
  touch(round.state, canister);
  const cost = round.fees.ingress(message.byteSize);
  const required = freezingThreshold(round, canister) + canister.inductionDebt + cost;
  if (canister.cycles < required) {
    return outOfCycles(canister, required, message.sender);
  }
  payInduction(round, canister, message, cost);
  return undefined;
}

/** Takes the cost, or what there is; later, where an execution under way counts on the balance that it saw. */
function payInduction(round: Round, canister: CanisterState, message: IngressMessage, cost: Cycles): void {
  if (canister.pendingExecution !== undefined && cost > 0n) {
    canister.inductionDebt += cost;
    return;
  }
  const paid = cost < canister.cycles ? cost : canister.cycles;
  canister.cycles -= paid;
  const consumed = paid < cost ? paid : round.fees.nominal.ingress(message.byteSize);
  noteConsumption(round.state, canister, "ingressInduction", consumed);
}
