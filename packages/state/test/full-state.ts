// A state in which every field of every kind of record is in use, for tests of what is written down of it.
import {
  type CanisterId,
  canisterIdFromIndex,
  ErrorCode,
  type PrincipalId,
  type Request,
  type StreamMessage,
  toHex,
  userError,
} from "@atoll/types";
import { addSnapshot, forkMemory, nextSnapshotId } from "../src/canister-snapshot.ts";
import { type CanisterState, newCanister } from "../src/canister-state.ts";
import { ModuleStore, type StoredModule } from "../src/module-store.ts";
import { PageStore } from "../src/page-store.ts";
import { pushMessage, pushSignal, streamTo } from "../src/stream.ts";
import { newMemory, newSubnetState, type SubnetConfig, type SubnetState, touch } from "../src/subnet-state.ts";

export const ALICE = "aa".repeat(28).concat("02") as PrincipalId;
export const BOB = "bb".repeat(28).concat("02") as PrincipalId;
export const TIME = 1_700_000_000_000_000_123n;
export const idAt = (index: number): CanisterId => canisterIdFromIndex(BigInt(index));
export const filled = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

export const CONFIG: SubnetConfig = {
  subnetId: "5a".repeat(28).concat("02") as PrincipalId,
  type: "application",
  publicKey: new Uint8Array(133).fill(7),
  nodes: [{ nodeId: ALICE, publicKey: new Uint8Array(44).fill(8) }],
  canisterRanges: [[idAt(0), idAt(0xfffff)]],
  feeNodes: 13,
  provisional: true,
};

export function emptyState(): SubnetState {
  return newSubnetState(CONFIG, new ModuleStore(), new PageStore({ shared: false }));
}

export function hashOf(name: string): string {
  return toHex(new TextEncoder().encode(name)).padEnd(64, "0");
}

export function moduleNamed(name: string, hasHeartbeat = false): StoredModule {
  const bytes = new TextEncoder().encode(name);
  const metadata = [
    { name: "candid:service", isPublic: true, content: bytes },
    { name: "notes", isPublic: false, content: bytes.toReversed() },
  ];
  return {
    hash: hashOf(name),
    uploaded: bytes,
    prepared: bytes.toReversed(),
    description: { tables: [1, 2], name },
    summary: { hasHeartbeat, metadata },
  };
}

/** A canister that runs `module`, with a page at each end of its memories. */
export function addCanister(state: SubnetState, index: number, module?: StoredModule): CanisterState {
  const canister = newCanister(idAt(index), [BOB, ALICE], 1_000_000_000_000n, TIME);
  state.canisters.set(canister.id, canister);
  if (module !== undefined) install(state, canister, module);
  touch(state, canister);
  return canister;
}

export function install(state: SubnetState, canister: CanisterState, module: StoredModule): void {
  const previous = canister.execution;
  if (previous !== undefined) state.modules.leave(previous.moduleHash, canister.id);
  const heap = newMemory(state, canister);
  const stable = newMemory(state, canister);
  heap.wasmPages = 20;
  stable.wasmPages = 200_000;
  heap.write(0, filled(canister.memoriesMade), state.height);
  heap.write(319, filled(2), state.height);
  stable.write(3_199_999, filled(3), state.height);
  state.modules.use(module, canister.id);
  canister.execution = { moduleHash: module.hash, globals: [1, -1n, 0.5, [2n, 2n ** 64n - 1n]], heap, stable };
  canister.installedAt = TIME;
  touch(state, canister);
}

const REQUEST: Request = {
  kind: "request",
  sender: idAt(1),
  receiver: idAt(2),
  callbackId: 3,
  payment: 2n ** 100n,
  methodName: "größer",
  arg: Uint8Array.of(1, 2, 3),
  deadlineSeconds: 0,
  senderVersion: 4,
};

/** Puts something into every field that a fresh canister has empty. */
function fillCanister(state: SubnetState, canister: CanisterState): void {
  const closure = { functionIndex: 5n, env: 2 ** 31 };
  const ingress = { requestId: "cc".repeat(32), sender: BOB, callerInfo: { data: Uint8Array.of(9), signer: idAt(3) } };
  const waiter = {
    kind: "ingress",
    requestId: "dd".repeat(32),
    sender: ALICE,
    effectiveCanisterId: canister.id,
  } as const;
  Object.assign(canister.settings, {
    computeAllocation: 5,
    memoryAllocation: 2n ** 40n,
    logVisibility: { kind: "allowed_viewers", viewers: [BOB] },
    environmentVariables: [{ name: "A", value: "" }],
  });
  canister.status = {
    kind: "stopping",
    waiters: [
      { call: waiter, since: TIME },
      { call: { kind: "canister", request: REQUEST }, since: TIME },
    ],
  };
  canister.reservedCycles = 2n ** 90n;
  canister.version = 17;
  canister.certifiedData = new Uint8Array(32).fill(6);
  canister.globalTimer = TIME + 1n;
  canister.chunkStore.set("11".repeat(32), Uint8Array.of(1)).set("22".repeat(32), new Uint8Array(5_000));
  canister.history = {
    total: 2,
    entries: [
      {
        time: TIME,
        canisterVersion: 1,
        origin: { kind: "user", userId: BOB },
        change: { kind: "creation", controllers: [BOB], environmentVariablesHash: "cd".repeat(32) },
      },
      {
        time: TIME,
        canisterVersion: 2,
        origin: { kind: "canister", canisterId: idAt(3), canisterVersion: undefined },
        change: { kind: "code_deployment", mode: "upgrade", moduleHash: "ab".repeat(32) },
      },
    ],
  };
  canister.queryStats = { calls: 1n, instructions: 2n ** 80n, requestBytes: 3n, responseBytes: 4n };
  canister.logs = { nextIndex: 9n, records: [{ index: 8n, time: TIME, content: Uint8Array.of(0, 255) }] };
  canister.input.push({
    kind: "ingress",
    message: {
      ...ingress,
      receiver: canister.id,
      effectiveCanisterId: canister.id,
      methodName: "",
      arg: new Uint8Array(),
      expiry: TIME,
      byteSize: 300,
    },
  });
  canister.input.push({ kind: "request", request: REQUEST, since: TIME });
  for (const payload of [
    { kind: "reply", data: Uint8Array.of(1) },
    { kind: "reject", code: 4, message: "no" },
  ] as const) {
    const response = {
      kind: "response",
      originator: canister.id,
      respondent: idAt(2),
      callbackId: 1,
      refund: 1n,
      payload,
      deadlineSeconds: 7,
    } as const;
    canister.input.push({ kind: "response", response });
  }
  const { arg: _, ...request } = REQUEST;
  for (const [id, origin] of [
    [1, { kind: "ingress", ...ingress }],
    [2, { kind: "canister", request }],
    [3, { kind: "task" }],
  ] as const) {
    canister.callContexts.set(id, {
      id,
      origin,
      responded: id === 2,
      deleted: false,
      availableCycles: 2n ** 70n,
      outstandingCalls: id,
      instructionsExecuted: 2 ** 40,
      startedAt: TIME,
    });
  }
  const callback = { callContextId: 1, receiver: idAt(2), cyclesSent: 5n, prepaidExecution: 6n, prepaidResponse: 7n };
  canister.callbacks.set(1, {
    id: 1,
    ...callback,
    onReply: closure,
    onReject: closure,
    onCleanup: closure,
    deadlineSeconds: 8,
  });
  canister.callbacks.set(2, { id: 2, ...callback, onReply: closure, onReject: closure, deadlineSeconds: 0 });
  canister.nextCallContextId = 4;
  canister.nextCallbackId = 3;
  canister.nextTurn = 2;
  canister.lowMemoryHook = "ready";
  canister.consumed = {
    ...{
      memory: 1n,
      computeAllocation: 2n,
      ingressInduction: 3n,
      instructions: 4n,
      requestAndResponseTransmission: 5n,
    },
    ...{ uninstall: 6n, canisterCreation: 7n, httpOutcalls: 8n, burnedCycles: 2n ** 80n },
  };
  canister.idleBurn = { memory: 10n, messageMemory: 11n, compute: 2n ** 66n };
  canister.chargedAt = TIME + 5n;
  canister.heapDeltaDebit = 2 ** 34;
  canister.installCodeDebit = 2 ** 35;
  canister.inductionDebt = 77n;
  touch(state, canister);
}

/** One that was taken, one that is being uploaded. */
function addSnapshots(state: SubnetState, canister: CanisterState): void {
  const { heap, stable, moduleHash } = canister.execution as NonNullable<CanisterState["execution"]>;
  const shared = { canisterVersion: 3, certifiedData: Uint8Array.of(1, 2), takenAt: TIME };
  addSnapshot(state, canister, {
    ...shared,
    id: nextSnapshotId(canister),
    source: "taken_from_canister",
    module: { kind: "stored", hash: moduleHash },
    heap: forkMemory(canister, heap),
    stable: forkMemory(canister, stable),
    globals: [{ type: "v128", value: [2n, 2n ** 64n - 1n] }],
    globalTimer: TIME,
    lowMemoryHook: "executed",
    chunkStore: new Map([["55".repeat(32), Uint8Array.of(5)]]),
    size: 12_345,
  });
  heap.write(0, filled(200), state.height);
  const bytes = newMemory(state, canister);
  bytes.writeBytes(4_000, filled(9), state.height);
  addSnapshot(state, canister, {
    ...shared,
    id: nextSnapshotId(canister),
    source: "metadata_upload",
    module: { kind: "uploaded", size: 9_000, bytes },
    heap: newMemory(state, canister),
    stable: newMemory(state, canister),
    globals: [],
    globalTimer: undefined,
    lowMemoryHook: undefined,
    chunkStore: new Map(),
    size: 9_000,
  });
}

function addInterventions({ interventions }: SubnetState): void {
  const [canister, other] = [idAt(1), idAt(2)];
  const rule = { receiver: canister, sender: other, methodName: "m", messageKind: "request", atMost: 3 } as const;
  interventions.nextNumber = 4;
  interventions.rules.push({ number: 1, rule, left: 2 }, { number: 2, rule: {}, left: undefined });
  interventions.held.set(3, { receiver: other, item: { kind: "request", request: REQUEST, since: TIME } });
  interventions.traps.push({ canister, on: { kind: "method", name: "m" }, message: "now" });
  interventions.traps.push({ canister, on: undefined, message: "now" });
  interventions.fullQueues.push({ sender: canister, receiver: other, places: 500 });
}

/** A stream with a message of each kind, signals, and some more that wait. */
function fillStream(state: SubnetState): void {
  const shared = { kind: "response", originator: idAt(1), respondent: idAt(2), callbackId: 1, refund: 1n } as const;
  const reply: StreamMessage = { ...shared, payload: { kind: "reply", data: Uint8Array.of(1) }, deadlineSeconds: 0 };
  const reject: StreamMessage = { ...shared, payload: { kind: "reject", code: 4, message: "no" }, deadlineSeconds: 7 };
  const refund: StreamMessage = { kind: "refund", receiver: idAt(3), cycles: 2n ** 90n };
  const stream = streamTo(state, BOB);
  stream.begin = 7;
  for (const message of [REQUEST, reply, reject, refund]) {
    pushMessage(stream, message);
    stream.waiting.push({ message, since: TIME });
  }
  for (const signal of ["accept", "queue_full", "accept"] as const) pushSignal(stream, signal);
}

export function fullState(): SubnetState {
  const state = emptyState();
  Object.assign(state, { height: 5, time: TIME, randomness: new Uint8Array(32).fill(1), nextCanisterIndex: 4n });
  state.prevStateHash = new Uint8Array(32).fill(3);
  state.metrics = { updateTransactions: 12, consumedCycles: 2n ** 80n, canisterStateBytes: 0 };
  state.pendingRandomness.push({ request: REQUEST });
  const { arg: _, ...request } = REQUEST;
  state.initialDkgs.push({ target: new Uint8Array(32).fill(6), receivers: [ALICE], registryVersion: 2, request });
  const { next } = state.outcalls;
  const texts = { url: "https://example.org/ü", method: "post", headers: [{ name: "a", value: "" }] } as const;
  const transform = { methodName: "clean", context: Uint8Array.of(4) };
  state.outcalls.add({
    outcall: {
      ...{ outcall: next, canister: idAt(1), ...texts, body: Uint8Array.of(1), transform },
      ...{ maxResponseBytes: 1000, node: ALICE, time: TIME },
    },
    request,
  });
  state.charges.push(TIME - 2_000_000_000n, TIME - 1_000_000_000n);
  state.blockmakers = [{ time: TIME, nodes: new Map([[ALICE, { proposed: 3, failed: 1 }]]) }];
  state.retiredIds.add(idAt(19)).add(idAt(18));
  addInterventions(state);
  fillStream(state);
  fillCanister(state, addCanister(state, 1, moduleNamed("one", true)));
  addSnapshots(state, addCanister(state, 2, moduleNamed("two")));
  addCanister(state, 3, moduleNamed("two"));
  addCanister(state, 4);
  const origin = { sender: BOB, receiver: idAt(1) };
  const error = userError(ErrorCode.CanisterCalledTrap, "trapped");
  for (const [i, status] of [
    { state: "received" },
    { state: "processing" },
    { state: "replied", reply: Uint8Array.of(1, 2) },
    { state: "rejected", error },
    { state: "done" },
  ].entries()) {
    const id = `${i}`.repeat(64);
    state.ingressHistory.add(id, origin, { state: "received" }, TIME + BigInt(i) * 60_000_000_000n);
    state.ingressHistory.set(id, status as never, TIME);
  }
  return state;
}
