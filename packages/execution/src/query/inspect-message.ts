// What decides whether a user's call may enter a block: does the canister exist, can it pay, does it run, does its
// own inspect_message accept. Run by one node on its own; a refusal costs nobody anything.
// Specification, "Ingress message inspection"; checklist 1.8.
import { describeModule, Mode, toUserError } from "@atoll/embedder";
import type { CanisterState } from "@atoll/state";
import {
  ErrorCode,
  type IngressMessage,
  invariant,
  MAX_INGRESS_BYTES_SYSTEM,
  MAX_INSTRUCTIONS_PER_INSPECT,
  principalToText,
  STABLE_PAGES_QUERY,
  type UserError,
  userError,
} from "@atoll/types";
import { outOfCycles } from "../prepayment.ts";
import { freezingThreshold, type Round } from "../round.ts";
import type { QueryExecutor } from "./query-executor.ts";
import { queryInput } from "./query-input.ts";
import { queryCanister, queryFreezingThreshold } from "./query-state.ts";

/** The filter for calls to canisters; undefined lets the message in. */
export function filterCanisterIngress(executor: QueryExecutor, message: IngressMessage): UserError | undefined {
  const { state, fees } = executor;
  const canister = queryCanister(state, message.receiver);
  const id = (): string => principalToText(message.receiver);
  if (canister === undefined) return userError(ErrorCode.CanisterNotFound, `Canister ${id()} not found`);
  const { view } = canister;
  const required = queryFreezingThreshold(fees, canister) + fees.ingress(message.byteSize);
  if (view.cycles < required) {
    return outOfCycles(view, required, message.sender);
  }
  if (view.status === "stopping") return userError(ErrorCode.CanisterStopping, `Canister ${id()} is stopping`);
  if (view.status === "stopped") return userError(ErrorCode.CanisterStopped, `Canister ${id()} is stopped`);
  const session = executor.session(message.receiver);
  if (session === undefined) {
    return userError(ErrorCode.CanisterWasmModuleNotFound, "Requested canister has no wasm module");
  }
  try {
    const { methods, entryPoints } = session.live.description;
    if (methods.compositeQuery.includes(message.methodName)) {
      return userError(
        ErrorCode.CompositeQueryCalledInReplicatedMode,
        "Composite query cannot be called in replicated mode",
      );
    }
    return entryPoints.inspectMessage ? inspect(executor, session, message) : undefined;
  } finally {
    session.end();
  }
}

/**
 * True when the filter would let in any message to this canister, whatever its method and argument: it runs, has code
 * that neither inspects messages nor refuses methods, and can pay for the largest one.
 */
export function admitsAnyIngress(round: Pick<Round, "state" | "fees">, canister: CanisterState): boolean {
  if (canister.status.kind !== "running" || canister.execution === undefined) return false;
  const module = round.state.modules.get(canister.execution.moduleHash);
  invariant(module !== undefined, "a canister's module is missing from the module store");
  const { methods, entryPoints } = describeModule(module);
  if (entryPoints.inspectMessage || methods.compositeQuery.length > 0) return false;
  return canister.cycles >= freezingThreshold(round, canister) + round.fees.ingress(MAX_INGRESS_BYTES_SYSTEM);
}

type Session = NonNullable<ReturnType<QueryExecutor["session"]>>;

function inspect(executor: QueryExecutor, session: Session, message: IngressMessage): UserError | undefined {
  const input = queryInput(executor, session, {
    caller: message.sender,
    callerInfo: message.callerInfo,
    responded: true,
    callContextInstructions: 0,
    dataCertificate: undefined,
    maxReplyBytes: 0,
    instructionLimit: MAX_INSTRUCTIONS_PER_INSPECT,
    stablePageLimit: STABLE_PAGES_QUERY,
  });
  const result = session.run(
    { kind: "export", name: "canister_inspect_message" },
    { ...input, mode: Mode.inspect, arg: message.arg, methodName: message.methodName },
  );
  if (result.error !== undefined) return toUserError(result.error, message.receiver);
  return result.effects.accepted ? undefined : toUserError({ kind: "message-rejected" }, message.receiver);
}
