// The facts about a canister, its subnet and the fees that go into every execution of it.
// The query side has its own (query/query-input.ts), taken from the certified height.
import type { CanisterFacts, ExecutionFees, ExecutionInput, MemoryRules } from "@atoll/embedder";
import { describeModule } from "@atoll/embedder";
import type { CanisterState } from "@atoll/state";
import { type Cycles, invariant, MANAGEMENT_CANISTER } from "@atoll/types";
import { httpRequestCost } from "./http-request-cost.ts";
import { placesTaken } from "./interventions/fill-queue.ts";
import { isVisibleTo } from "./management/managed-canister.ts";
import { messageMemory } from "./message-memory.ts";
import { callsLeft, openCallsTo } from "./open-calls.ts";
import { availableMemory, guaranteedCallsLeft, storageReservation } from "./resource-usage.ts";
import { otherMemoryBytes, type Round } from "./round.ts";

/** The parts of an input that do not depend on the message. `cycles` is the balance after prepayment. */
export function commonInput(
  round: Round,
  canister: CanisterState,
  cycles: Cycles,
): Pick<ExecutionInput, "replicated" | "time" | "subnetId" | "chargesPrinting" | "rootKey" | "canister" | "fees"> {
  return {
    replicated: true,
    time: round.state.time,
    subnetId: round.state.config.subnetId,
    chargesPrinting: round.state.config.type === "system",
    rootKey: round.rootKey,
    canister: canisterFacts(round, canister, cycles),
    fees: executionFees(round, canister),
  };
}

export function isWasm64(round: Pick<Round, "state">, canister: CanisterState): boolean {
  if (canister.execution === undefined) return false;
  const module = round.state.modules.get(canister.execution.moduleHash);
  invariant(module !== undefined, "a canister's module is missing from the module store");
  return describeModule(module).memory64;
}

const STATUS = { running: 1, stopping: 2, stopped: 3 } as const;

function canisterFacts(round: Round, canister: CanisterState, cycles: Cycles): CanisterFacts {
  const messages = messageMemory(canister);
  return {
    id: canister.id,
    status: STATUS[canister.status.kind],
    version: canister.version,
    cycles,
    controllers: canister.settings.controllers,
    globalTimer: canister.globalTimer,
    wasmMemoryLimit: canister.settings.wasmMemoryLimit,
    environmentVariables: canister.settings.environmentVariables,
    maySeeLog: (caller) =>
      canister.settings.controllers.includes(caller) || isVisibleTo(caller, canister.settings.logVisibility),
    logBytes: canister.settings.logMemoryLimit,
    otherMemoryBytes: otherMemoryBytes(round.state, canister),
    messageBytes: messages.guaranteed + messages.bestEffort,
    memory: memoryRules(round, canister),
    openCalls: canister.callbacks.size,
    openCallsTo: (receiver) =>
      openCallsTo(canister, receiver) +
      placesTaken(round.state, canister, receiver) +
      (receiver === MANAGEMENT_CANISTER ? openCallsTo(canister, round.state.config.subnetId) : 0),
    callsLeft: () => ({ all: callsLeft(round.state), guaranteed: guaranteedCallsLeft(round) }),
  };
}

function executionFees(round: Round, canister: CanisterState): ExecutionFees {
  const is64 = isWasm64(round, canister);
  return {
    callCost: (nameBytes, payloadBytes) => round.fees.call(nameBytes, payloadBytes, is64),
    createCanister: () => round.fees.canisterCreation(),
    httpRequest: (requestBytes, maxResponseBytes) => round.fees.httpRequest(requestBytes, maxResponseBytes),
    httpRequestV2: (params) => httpRequestCost(round.fees, params),
    signature: (keyName) => round.fees.signature(keyName),
    freezingThreshold: (memoryBytes, messageBytes, reservedMore) => {
      const reservedCycles = canister.reservedCycles + reservedMore;
      return round.fees.freezingThreshold({ settings: canister.settings, reservedCycles }, memoryBytes, messageBytes);
    },
  };
}

function memoryRules(round: Round, { settings, reservedCycles }: CanisterState): MemoryRules {
  return {
    allocation: Number(settings.memoryAllocation),
    available: () => availableMemory(round),
    reservation: (taken, bytes) => storageReservation(round, bytes, taken),
    reservedCycles,
    reservedCyclesLimit: settings.reservedCyclesLimit,
  };
}
