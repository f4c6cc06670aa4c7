// Calls to other canisters: built piece by piece, then performed. Nothing leaves before the execution has
// succeeded; call_perform only checks that the call could be sent and takes its cycles. Checklist 3.4.
import {
  type Cycles,
  DEFAULT_QUEUE_CAPACITY,
  MANAGEMENT_CANISTER,
  MAX_CALL_TIMEOUT_SECONDS,
  MAX_GUARANTEED_CALLBACKS,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  MAX_LOCAL_PAYLOAD_BYTES,
  MAX_METHOD_NAME_BYTES,
  MAX_PRINCIPAL_BYTES,
  principalFromBytes,
  principalToText,
  RejectCode,
} from "@atoll/types";
import type { CallUnderConstruction, Execution, Value } from "../execution.ts";
import { contractViolation, Trap } from "../execution-error.ts";
import { CALLING, Mode } from "../modes.ts";
import { type ApiTable, lossyText, perByte, utf8 } from "./api-function.ts";

const PAYING = Mode.update | Mode.reply | Mode.reject | Mode.task;

export const callApi: ApiTable = {
  call_new: {
    modes: CALLING,
    heap: true,
    cost: (x, ...args) => 1500 + x.size(args[1] as Value) + x.size(args[3] as Value),
    run: (x, ...args) => {
      x.discardCall();
      x.call = newCall(x, args);
      return undefined;
    },
  },
  call_on_cleanup: {
    modes: CALLING,
    cost: 500,
    run: (x, functionIndex, env) => {
      const call = currentCall(x, "ic0.call_on_cleanup");
      if (call.onCleanup !== undefined) {
        throw contractViolation(
          "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`",
        );
      }
      call.onCleanup = { functionIndex: functionIndex as Value, env: env as Value };
      return undefined;
    },
  },
  call_data_append: {
    modes: CALLING,
    cost: perByte(500, 1, 50),
    heap: true,
    run: (x, source, size) => {
      const call = currentCall(x, "ic0.call_data_append");
      const length = x.size(size as Value);
      const total = call.methodNameBytes + call.payloadBytes + length;
      if (total > MAX_LOCAL_PAYLOAD_BYTES) {
        const callee = principalToText(principalFromBytes(call.receiver));
        throw contractViolation(
          `Request to ${callee}:${call.methodName} has a payload size of ${total}, which exceeds the allowed limit of ` +
            `${MAX_LOCAL_PAYLOAD_BYTES}.`,
          "Check the canister for errors or redesign the target API to allow shorter messages",
          "canister-made-a-call-with-too-large-payload",
        );
      }
      const part = x.readHeap("ic0.call_data_append", source as Value, size as Value);
      if (length > 0) call.payload.push(part);
      call.payloadBytes += length;
      return undefined;
    },
  },
  call_with_best_effort_response: {
    modes: CALLING,
    cost: 500,
    run: (x, timeout) => {
      const call = currentCall(x, "ic0.call_with_best_effort_response");
      if (call.timeoutSeconds !== undefined) {
        throw contractViolation("ic0_call_with_best_effort_response failed because a timeout is already set.");
      }
      call.timeoutSeconds = Math.min(x.size(timeout as Value), MAX_CALL_TIMEOUT_SECONDS);
      return undefined;
    },
  },
  call_cycles_add: {
    modes: PAYING,
    cost: 500,
    run: (x, amount) => addCyclesToCall(x, "ic0_call_cycles_add", BigInt.asUintN(64, amount as bigint)),
  },
  call_cycles_add128: {
    modes: PAYING,
    cost: 500,
    run: (x, high, low) =>
      addCyclesToCall(
        x,
        "ic0_call_cycles_add128",
        (BigInt.asUintN(64, high as bigint) << 64n) | BigInt.asUintN(64, low as bigint),
      ),
  },
  call_perform: { modes: CALLING, cost: 5000, run: (x) => perform(x) },
};

function newCall(x: Execution, args: Value[]): CallUnderConstruction {
  const [calleeAt, calleeSize, nameAt, nameSize, replyFunction, replyEnv, rejectFunction, rejectEnv] = args as [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const nameBytes = x.size(nameSize);
  if (nameBytes > MAX_METHOD_NAME_BYTES) {
    throw contractViolation(
      `Size of method_name ${nameBytes} exceeds the allowed limit of ${MAX_METHOD_NAME_BYTES}.`,
      // Word for word, braces included.
      "Size of method_name {} exceeds the allowed limit of {}.",
      "canister-made-a-call-with-too-large-method-name",
    );
  }
  const methodName = lossyText(x.readHeap("ic0.call_new method_name", nameAt, nameSize));
  x.range("ic0.call_new callee_src", calleeAt, calleeSize);
  if (x.size(calleeSize) > MAX_PRINCIPAL_BYTES) throw new Trap({ kind: "invalid-principal" });
  const receiver = x.readHeap("ic0.call_new callee_src", calleeAt, calleeSize);
  return {
    receiver,
    methodName,
    methodNameBytes: utf8(methodName).length,
    onReply: { functionIndex: replyFunction, env: replyEnv },
    onReject: { functionIndex: rejectFunction, env: rejectEnv },
    onCleanup: undefined,
    payload: [],
    payloadBytes: 0,
    cycles: 0n,
    timeoutSeconds: undefined,
  };
}

function currentCall(x: Execution, name: string): CallUnderConstruction {
  if (x.call !== undefined) return x.call;
  throw contractViolation(`${name} called when no call is under construction.`);
}

function addCyclesToCall(x: Execution, name: string, amount: bigint): undefined {
  const call = currentCall(x, name);
  if (amount > x.liquidCycles()) {
    throw insufficient(x);
  }
  x.effects.cycles -= amount;
  call.cycles += amount;
  return undefined;
}

function insufficient(x: Execution): Error {
  return new Trap({
    kind: "insufficient-cycles",
    message: `Canister ${principalToText(x.input.canister.id)} is out of cycles`,
  });
}

/** Returns 0, or 2 for every reason why the call cannot be sent; then its cycles are back. */
function perform(x: Execution): number {
  const call = currentCall(x, "ic0.call_perform");
  const fees = x.input.fees.callCost(call.methodNameBytes, call.payloadBytes);
  const total = fees.request + fees.prepaidResponse + fees.prepaidExecution;
  const receiver = principalFromBytes(call.receiver);
  // The management canister goes by two names and has one queue.
  const queue = receiver === x.input.subnetId ? MANAGEMENT_CANISTER : receiver;
  const pending = x.callsTo.get(queue) ?? 0;
  const queueFull = x.input.canister.openCallsTo(queue) + pending >= DEFAULT_QUEUE_CAPACITY;
  const free = (x.input.mode & (Mode.compositeQuery | Mode.compositeReply | Mode.compositeReject)) !== 0;
  const bytes = free ? 0 : messageBytes(call);
  if (queueFull || !subnetHasRoom(x, call) || (!free && !canPay(x, total, bytes))) {
    x.discardCall();
    return RejectCode.SYS_TRANSIENT;
  }
  x.messageBytes += bytes;
  if (!free) x.effects.cycles -= total;
  x.callsTo.set(queue, pending + 1);
  const nowSeconds = Number(x.input.time / 1_000_000_000n);
  x.effects.calls.push({
    receiver,
    methodName: call.methodName,
    arg: join(call.payload, call.payloadBytes),
    cycles: call.cycles,
    prepaidExecution: free ? 0n : fees.prepaidExecution,
    prepaidResponse: free ? 0n : fees.prepaidResponse,
    onReply: call.onReply,
    onReject: call.onReject,
    ...(call.onCleanup === undefined ? {} : { onCleanup: call.onCleanup }),
    deadlineSeconds: call.timeoutSeconds === undefined ? 0 : nowSeconds + call.timeoutSeconds,
  });
  x.call = undefined;
  return 0;
}

/** Room for the largest response, or what a call takes whose response may be dropped. */
function messageBytes(call: CallUnderConstruction): number {
  const bytes = call.methodNameBytes + call.payloadBytes;
  return call.timeoutSeconds === undefined ? Math.max(MAX_INTER_CANISTER_PAYLOAD_BYTES, bytes) : bytes;
}

/** The memory of the message counts towards the freezing threshold that the balance must not fall below. */
function canPay(x: Execution, cost: Cycles, bytes: number): boolean {
  x.messageBytes += bytes;
  const isEnough = cost <= x.liquidCycles();
  x.messageBytes -= bytes;
  return isEnough;
}

/** What all canisters share: callbacks, and memory for responses that must not get lost (checklist 3.4). */
function subnetHasRoom(x: Execution, call: CallUnderConstruction): boolean {
  const made = x.effects.calls.length;
  const left = x.input.canister.callsLeft();
  const isOwnShare = x.input.canister.openCalls + made < MAX_GUARANTEED_CALLBACKS;
  if (made >= left.all && !isOwnShare) return false;
  return call.timeoutSeconds !== undefined || made < left.guaranteed;
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
