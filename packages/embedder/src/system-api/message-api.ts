// System calls about the message being executed: its argument, caller, rejection, and the answer to it.
// Checklist 3.3; a call is answered once, by reply or reject, in whichever of its executions comes first.
import { principalToBytes } from "@atoll/types";
import type { Execution, Value } from "../execution.ts";
import { contractViolation } from "../execution-error.ts";
import { ALL_BUT_START, ARGUMENT, CALLBACKS, Mode, REJECTED, REPLYING } from "../modes.ts";
import { type ApiTable, blobPair, perByte, strictText, utf8 } from "./api-function.ts";

const CALLER_INFO =
  Mode.update |
  Mode.replicatedQuery |
  Mode.query |
  Mode.compositeQuery |
  CALLBACKS |
  Mode.cleanup |
  Mode.compositeCleanup |
  Mode.inspect;
const DEADLINE = Mode.update | Mode.replicatedQuery | Mode.query | Mode.compositeQuery | CALLBACKS;
const NOTHING = new Uint8Array();

export const messageApi: ApiTable = {
  ...blobPair("msg_arg_data", "payload", ARGUMENT, (x) => x.input.arg),
  ...blobPair("msg_caller", "id", ALL_BUT_START, (x) => x.caller),
  ...blobPair("msg_caller_info_data", "info", CALLER_INFO, (x) => x.input.callerInfo?.data ?? NOTHING),
  ...blobPair("msg_caller_info_signer", "signer", CALLER_INFO, (x) =>
    x.input.callerInfo === undefined ? NOTHING : principalToBytes(x.input.callerInfo.signer),
  ),
  ...blobPair("msg_reject_msg", "msg", REJECTED, (x) => utf8(x.input.rejectMessage)),
  ...blobPair("msg_method_name", "payload", Mode.inspect, (x) => utf8(x.input.methodName ?? "")),
  msg_reject_code: { modes: CALLBACKS | Mode.cleanup, cost: 500, run: (x) => x.input.rejectCode },
  msg_deadline: {
    modes: DEADLINE,
    cost: 500,
    run: (x) => BigInt(x.input.deadlineSeconds) * 1_000_000_000n,
  },
  msg_reply_data_append: {
    modes: REPLYING,
    cost: perByte(500, 1, 50),
    heap: true,
    run: (x, source, size) => {
      requireUnanswered(x, "msg_reply_data_append", ".");
      const total = x.replyBytes + x.size(size as Value);
      if (total > x.input.maxReplyBytes) {
        throw contractViolation(
          `ic0.msg_reply_data_append: application payload size (${total}) cannot be larger than ${x.input.maxReplyBytes}.`,
          "Consider checking the response size and returning an error if it is too long.",
          "msg_reply_data_append-payload-too-large",
        );
      }
      const part = x.readHeap("msg.reply", source as Value, size as Value);
      if (part.length > 0) x.replyParts.push(part);
      x.replyBytes += part.length;
      return undefined;
    },
  },
  msg_reply: {
    modes: REPLYING,
    cost: 500,
    run: (x) => {
      requireUnanswered(x, "msg_reply");
      x.effects.answer = { kind: "reply", data: joinReply(x) };
      return undefined;
    },
  },
  msg_reject: {
    modes: REPLYING,
    cost: perByte(500, 1, 50),
    heap: true,
    run: (x, source, size) => {
      requireUnanswered(x, "msg_reject");
      const length = x.size(size as Value);
      if (length > x.input.maxReplyBytes) {
        throw contractViolation(
          `ic0.msg_reject: application payload size (${length}) cannot be larger than ${x.input.maxReplyBytes}.`,
          "Try truncating the error messages that are too long.",
          "msg_reject-payload-too-large",
        );
      }
      const message = strictText(x.readHeap("ic0.msg_reject", source as Value, size as Value));
      if (message === undefined) throw contractViolation("ic0.msg_reject: invalid UTF-8 string provided");
      x.effects.answer = { kind: "reject", message };
      return undefined;
    },
  },
  accept_message: {
    modes: Mode.inspect,
    cost: 500,
    run: (x) => {
      if (x.effects.accepted) throw contractViolation("ic0.accept_message: the function was already called.");
      x.effects.accepted = true;
      return undefined;
    },
  },
};

/** The replica ends one of the three sentences with a full stop. */
function requireUnanswered(x: Execution, name: string, stop = ""): void {
  if (x.input.responded || x.effects.answer !== undefined) {
    throw contractViolation(`ic0.${name}: the call is already replied${stop}`);
  }
}

function joinReply(x: Execution): Uint8Array {
  const data = new Uint8Array(x.replyBytes);
  let at = 0;
  for (const part of x.replyParts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}
