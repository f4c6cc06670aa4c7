// The facts that go into an execution on the query side: the same as in a round, taken from the view of the
// canister at the certified height.
import type { ExecutionInput } from "@atoll/embedder";
import { Mode } from "@atoll/embedder";
import { httpRequestCost } from "../http-request-cost.ts";
import { isVisibleTo } from "../management/managed-canister.ts";
import type { QueryExecutor, QuerySession } from "./query-executor.ts";
import { otherMemoryBytesOf } from "./query-state.ts";

const STATUS = { running: 1, stopping: 2, stopped: 3 } as const;

const NO_RULES = {
  available: () => Number.POSITIVE_INFINITY,
  reservation: () => 0n,
  reservedCycles: 0n,
  reservedCyclesLimit: 0n,
};

type Varying = Pick<
  ExecutionInput,
  | "caller"
  | "callerInfo"
  | "responded"
  | "callContextInstructions"
  | "dataCertificate"
  | "maxReplyBytes"
  | "instructionLimit"
  | "stablePageLimit"
>;

export function queryInput(executor: QueryExecutor, session: QuerySession, varying: Varying): ExecutionInput {
  const { state, fees } = executor;
  const { view } = session.canister;
  const is64 = session.live.is64;
  return {
    mode: Mode.query,
    replicated: false,
    arg: new Uint8Array(),
    rejectCode: 0,
    rejectMessage: "",
    deadlineSeconds: 0,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    time: state.time,
    subnetId: state.config.subnetId,
    chargesPrinting: state.config.type === "system",
    rootKey: state.rootKey,
    canister: {
      id: view.id,
      status: STATUS[view.status],
      version: view.version,
      cycles: view.cycles,
      controllers: view.settings.controllers,
      globalTimer: view.globalTimer,
      wasmMemoryLimit: view.settings.wasmMemoryLimit,
      environmentVariables: view.settings.environmentVariables,
      maySeeLog: (caller) =>
        view.settings.controllers.includes(caller) || isVisibleTo(caller, view.settings.logVisibility),
      logBytes: view.settings.logMemoryLimit,
      otherMemoryBytes: otherMemoryBytesOf(view),
      messageBytes: view.messageBytes,
      // Nothing that a query takes is kept.
      memory: { ...NO_RULES, allocation: Number(view.settings.memoryAllocation) },
      openCalls: 0,
      openCallsTo: () => 0,
      // The instructions of the whole call graph are the bound.
      callsLeft: () => ({ all: Number.POSITIVE_INFINITY, guaranteed: Number.POSITIVE_INFINITY }),
    },
    fees: {
      callCost: (nameBytes, payloadBytes) => fees.call(nameBytes, payloadBytes, is64),
      createCanister: () => fees.canisterCreation(),
      httpRequest: (requestBytes, maxResponseBytes) => fees.httpRequest(requestBytes, maxResponseBytes),
      httpRequestV2: (params) => httpRequestCost(fees, params),
      signature: (keyName) => fees.signature(keyName),
      freezingThreshold: (memoryBytes, messageBytes) => fees.freezingThreshold(view, memoryBytes, messageBytes),
    },
    ...varying,
  };
}
