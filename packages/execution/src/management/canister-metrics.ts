// canister_metrics: what a canister's cycles went into since it exists, for its controllers and the admins of the
// subnet, in a round and in queries alike. Specification, "IC method canister_metrics".
import type { ConsumedCycles } from "@atoll/state";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord, CanisterMetricsRecord } from "./candid-types.ts";
import { controlledOrAdministeredCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function canisterMetrics(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledOrAdministeredCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  return { ok: true, reply: metricsReply(canister.consumed) };
}

export function metricsReply(consumed: ConsumedCycles): Uint8Array {
  return encodeReply(CanisterMetricsRecord, {
    cycles_consumed: {
      memory: consumed.memory,
      compute_allocation: consumed.computeAllocation,
      ingress_induction: consumed.ingressInduction,
      instructions: consumed.instructions,
      request_and_response_transmission: consumed.requestAndResponseTransmission,
      uninstall: consumed.uninstall,
      canister_creation: consumed.canisterCreation,
      http_outcalls: consumed.httpOutcalls,
      burned_cycles: consumed.burnedCycles,
    },
  });
}
