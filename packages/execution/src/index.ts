// Execution: rounds of messages on one subnet, the management canister, queries, cycles.
// What other packages may use of it; everything else stays inside.

export { expireCalls } from "./call-deadlines.ts";
export { chargeAllocations } from "./charge-allocations.ts";
export { deliverQueryStats } from "./deliver-query-stats.ts";
export { FeeSchedule } from "./fees.ts";
export { type InFlightMessage, messagesInFlight } from "./in-flight.ts";
export { expireHeldIngress, nextHeldExpiry } from "./interventions/held-messages.ts";
export { holdBack } from "./interventions/hold.ts";
export { applyInterventions, refuseInterventions, unfitForBatch } from "./interventions/index.ts";
export { expireStopCalls, nextStopTimeout } from "./lifecycle.ts";
export { continueLongExecution, LongExecutions } from "./long-executions.ts";
export { effectiveCanisterId, isChargedLater, isFree } from "./management/ingress-filter.ts";
export { submitManagementCall } from "./management/management-queue.ts";
export { answerRandomness } from "./management/raw-rand.ts";
export { deliverInitialDkgs } from "./management/setup-initial-dkg.ts";
export { observeBlockmaker } from "./node-metrics.ts";
export { nextDeadline } from "./open-calls.ts";
export { outcallSizeError } from "./outcall-limits.ts";
export { deliverOutcallResponses, expireOutcalls, nextOutcallTimeout } from "./outcall-responses.ts";
export { hostOf, remoteHostOf, sendAway } from "./outgoing.ts";
export { outOfCycles } from "./prepayment.ts";
export * from "./query/execute-query.ts";
export { filterIngress } from "./query/filter-ingress.ts";
export { admitsAnyIngress, filterCanisterIngress } from "./query/inspect-message.ts";
export { QueryExecutor } from "./query/query-executor.ts";
export * from "./query/query-state.ts";
export { encodeOutcallReply, transformCall, transformResult } from "./query/transform-outcall.ts";
export { decayDebits } from "./rate-limits.ts";
export { rejectionOf } from "./reject-signals.ts";
export { guaranteedMemoryLeft, measureUsage } from "./resource-usage.ts";
export { deliverResponse, refundDropped } from "./responses.ts";
export * from "./round.ts";
export { callManagement, enqueueRequest, rejectRequest, routeRequest } from "./routing.ts";
export { executeRound } from "./scheduler.ts";
export { shedMessages } from "./shed-messages.ts";
export * from "./trace.ts";
