// All messages under way in a network, as a test looks at them: where each is, from whom to whom, with decoded arguments
// where the interface of the canister is known. Made when it is asked for, from the states of all subnets.
import type { InFlightMessage } from "@atoll/execution";
import { type Cycles, type PrincipalId, principalToText, RejectCode, type Time } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { candidText } from "./candid-text.ts";
import { toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";

export interface FlightMessage {
  /** The subnet whose state has it. */
  readonly subnet: Principal;
  /** "input", "held", "stream", "outcall", "awaiting" ... */
  readonly place: InFlightMessage["place"];
  readonly kind: InFlightMessage["kind"];
  readonly from: Principal;
  readonly to: Principal;
  /** Of a response, of a call that only its caller knows of: undefined. */
  readonly method: string | undefined;
  /** The argument, or the data of a reply; undefined where the state does not keep it any more. */
  readonly arg: Uint8Array | undefined;
  /** The argument as values; undefined where the interface of the receiver is not known, or has no such method. */
  readonly args: readonly unknown[] | undefined;
  readonly reject: { readonly code: keyof typeof RejectCode; readonly message: string } | undefined;
  /** On their way: not accepted yet, or coming back. */
  readonly cycles: Cycles;
  /** ns since 1970; undefined: it waits as long as it takes. */
  readonly deadline: Time | undefined;
  /** Of a user's message. */
  readonly requestId: string | undefined;
  /** The message in a line. */
  readonly text: string;
}

/** Users' messages that no block has yet are not among them. */
export function allMessages(session: Session): FlightMessage[] {
  return [...session.engine.messagesInFlight()].flatMap(([subnet, messages]) =>
    messages.map((message) => showMessage(session, subnet, message)),
  );
}

export function showMessage(session: Session, subnet: PrincipalId, message: InFlightMessage): FlightMessage {
  const { place, kind, from, to, methodName: method, arg, reject, cycles, deadlineSeconds, requestId } = message;
  return {
    subnet: toPrincipal(subnet),
    place,
    kind,
    from: toPrincipal(from),
    to: toPrincipal(to),
    method,
    arg,
    args: argumentsOf(session, message),
    reject: reject && { code: rejectName(reject.code), message: reject.message },
    cycles,
    deadline: deadlineSeconds === 0 ? undefined : BigInt(deadlineSeconds) * 1_000_000_000n,
    requestId,
    text: textOf(session, message),
  };
}

function argumentsOf(session: Session, { kind, to, methodName, arg }: InFlightMessage): unknown[] | undefined {
  const candid = session.known.get(to)?.candid;
  if (kind === "response" || methodName === undefined || arg === undefined || !candid?.has(methodName))
    return undefined;
  try {
    return IDL.decode([...candid.method(methodName).takes], arg);
  } catch {
    return undefined;
  }
}

function textOf(session: Session, { place, kind, from, to, methodName, arg, reject }: InFlightMessage): string {
  const [sender, receiver] = [from, to].map((id) => session.nameOf(id) ?? principalToText(id));
  const content = arg === undefined ? "" : candidText(arg, session.names());
  const what = reject === undefined ? content : `reject ${rejectName(reject.code)} ${JSON.stringify(reject.message)}`;
  const call = kind === "response" ? `${receiver}: ${what}` : `${receiver}.${methodName ?? "?"}${content}`;
  return `${kind} (${place}) from ${sender} to ${call}`;
}

function rejectName(code: RejectCode): keyof typeof RejectCode {
  const [name] = Object.entries(RejectCode).find(([, number]) => number === code) ?? ["SYS_UNKNOWN"];
  return name as keyof typeof RejectCode;
}
