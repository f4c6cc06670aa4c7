// Canisters come into being, change, stop and go: the methods that need no Wasm. Specification, "The IC management
// canister"; checklist 4.1 to 4.4, 5.1.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { expireStopCalls } from "@atoll/execution";
import type { CanisterState } from "@atoll/state";
import { canisterIdFromIndex, principalToText, type UserError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { methods } from "./interface.ts";
import {
  ALICE,
  BOB,
  call,
  callAsCanister,
  callError,
  canisterOf,
  ErrorCode,
  encode,
  ids,
  NO_SETTINGS,
  newCanisterOf,
  newSubnet,
  principal,
  sendRaw,
  takeResponses,
} from "./subnet.ts";

const T = 1_000_000_000_000n;
const creation = (over: object = {}) => ({
  amount: [],
  settings: [],
  specified_id: [],
  sender_canister_version: [],
  ...over,
});
const settings = (canister: CanisterState, over: object) => ({
  ...ids(canister),
  settings: { ...NO_SETTINGS, ...over },
  sender_canister_version: [],
});
const assertError = (error: UserError, code: number, text: string | RegExp) => {
  assert.equal(error.code, code, error.message);
  if (typeof text === "string") assert.ok(error.message.includes(text), error.message);
  else assert.match(error.message, text);
};

describe("creation", () => {
  test("a user on a development network gets 100 T cycles and is the controller", () => {
    const subnet = newSubnet();
    const canister = canisterOf(subnet, call(subnet, ALICE, "provisional_create_canister_with_cycles", creation()));
    assert.equal(canister.id, canisterIdFromIndex(0x10n));
    assert.equal(canister.cycles, 100n * T);
    assert.deepEqual(canister.settings.controllers, [ALICE]);
    assert.equal(canister.version, 0);
    assert.deepEqual(canister.history, {
      total: 1,
      entries: [
        {
          time: subnet.state.time,
          canisterVersion: 0,
          origin: { kind: "user", userId: ALICE },
          change: { kind: "creation", controllers: [ALICE] },
        },
      ],
    });
    assert.ok(subnet.state.touched.has(canister.id) && subnet.state.changedSinceCheckpoint.has(canister.id));
  });

  test("amounts are taken as given, up to 2^128 - 1", () => {
    const subnet = newSubnet();
    const withAmount = (amount: bigint) =>
      canisterOf(
        subnet,
        call(subnet, ALICE, "provisional_create_canister_with_cycles", creation({ amount: [amount] })),
      );
    assert.equal(withAmount(5n).cycles, 5n);
    assert.equal(withAmount(1n << 130n).cycles, (1n << 128n) - 1n);
  });

  test("a specified id is kept, never given out again, and must be free and in range", () => {
    const subnet = newSubnet();
    const create = (index: bigint | undefined) =>
      call(subnet, ALICE, "provisional_create_canister_with_cycles", {
        ...creation(),
        specified_id: index === undefined ? [] : [principal(canisterIdFromIndex(index))],
      });
    const given: string[] = [0x11n, undefined, undefined, 0xffn].map((index) => canisterOf(subnet, create(index)).id);
    assert.deepEqual(given, [0x11n, 0x10n, 0x12n, 0xffn].map(canisterIdFromIndex));
    assertError(create(0x11n), ErrorCode.CanisterAlreadyInstalled, "is already installed");
    assertError(create(0x100n), ErrorCode.CanisterNotHostedBySubnet, "is not hosted by subnet");
    assert.equal(subnet.state.canisters.size, 4);
  });

  test("ids run out", () => {
    const subnet = newSubnet({ canisterRanges: [[canisterIdFromIndex(7n), canisterIdFromIndex(8n)]] });
    newCanisterOf(subnet, ALICE);
    newCanisterOf(subnet, ALICE);
    const error = callError(subnet, ALICE, "provisional_create_canister_with_cycles", creation());
    assertError(error, ErrorCode.SubnetOversubscribed, "has surpassed its canister ID allocation");
  });

  test("is for development networks only", () => {
    const subnet = newSubnet({ provisional: false });
    const error = callError(subnet, ALICE, "provisional_create_canister_with_cycles", creation());
    assertError(error, ErrorCode.CanisterMethodNotFound, "Sender not authorized to use method.");
  });

  test("by a canister costs the creation fee out of the attached cycles", () => {
    const subnet = newSubnet();
    const parent = newCanisterOf(subnet, ALICE);
    const arg = { settings: [], sender_canister_version: [] };
    callAsCanister(subnet, parent, "create_canister", arg, 2n * T);
    const [response] = takeResponses(parent);
    assert.equal(response?.refund, 0n);
    assert.ok(response.payload.kind === "reply");
    const [result] = IDL.decode(methods.create_canister.result, response.payload.data);
    // biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
    const child = canisterOf(subnet, result as any);
    assert.equal(child.cycles, 2n * T - 500_000_000_000n);
    assert.deepEqual(child.settings.controllers, [parent.id]);
    assert.deepEqual(child.history.entries[0]?.origin, {
      kind: "canister",
      canisterId: parent.id,
      canisterVersion: undefined,
    });
  });

  test("by a canister with too few cycles fails and returns them", () => {
    const subnet = newSubnet();
    const parent = newCanisterOf(subnet, ALICE);
    callAsCanister(subnet, parent, "create_canister", { settings: [], sender_canister_version: [] }, 499_999_999_999n);
    const [response] = takeResponses(parent);
    assert.equal(response?.refund, 499_999_999_999n);
    assert.ok(response.payload.kind === "reject");
    assert.equal(response.payload.code, 4);
    assert.match(response.payload.message, /^Creating a canister requires a fee of 500_000_000_000 that is/);
    assert.equal(subnet.state.canisters.size, 1);
  });

  test("fails as a whole when a setting is refused", () => {
    const subnet = newSubnet();
    const asked = { ...NO_SETTINGS, compute_allocation: [150n] };
    const error = callError(subnet, ALICE, "provisional_create_canister_with_cycles", creation({ settings: [asked] }));
    assertError(
      error,
      ErrorCode.CanisterContractViolation,
      "ComputeAllocation expected to be in the range [0..100], got 150",
    );
    assert.equal(subnet.state.canisters.size, 0);
    assert.equal(newCanisterOf(subnet, ALICE).id, canisterIdFromIndex(0x10n));
  });

  test("a stated version other than the caller's own is refused", () => {
    const subnet = newSubnet();
    const parent = newCanisterOf(subnet, ALICE);
    callAsCanister(subnet, parent, "create_canister", { settings: [], sender_canister_version: [666n] }, T);
    const [response] = takeResponses(parent);
    assert.ok(response?.payload.kind === "reject");
    assert.match(response.payload.message, /^IC0504: .*includes sender canister version 666 that does not match/);
    assert.equal(response.refund, T);
  });
});

describe("cycles", () => {
  test("deposit_cycles takes what is attached, whatever state the receiver is in", () => {
    const subnet = newSubnet();
    const [giver, taker] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, BOB)];
    call(subnet, BOB, "stop_canister", ids(taker));
    callAsCanister(subnet, giver, "deposit_cycles", ids(taker), 7n);
    assert.equal(taker.cycles, 100n * T + 7n);
    assert.equal(takeResponses(giver)[0]?.refund, 0n);
  });

  test("deposit_cycles to nobody returns them", () => {
    const subnet = newSubnet();
    const giver = newCanisterOf(subnet, ALICE);
    const nobody = { canister_id: principal(canisterIdFromIndex(0x99n)) };
    callAsCanister(subnet, giver, "deposit_cycles", nobody, 7n);
    const [response] = takeResponses(giver);
    assert.equal(response?.refund, 7n);
    assert.ok(response.payload.kind === "reject" && response.payload.code === 3);
    assert.match(response.payload.message, /^Canister \S+ not found/);
  });

  test("users cannot call what only canisters may", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const error = callError(subnet, ALICE, "deposit_cycles", ids(canister));
    assertError(error, ErrorCode.CanisterContractViolation, "deposit_cycles cannot be called by a user.");
  });

  test("provisional_top_up_canister adds up to 2^128 - 1", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    call(subnet, BOB, "provisional_top_up_canister", { ...ids(canister), amount: 5n });
    assert.equal(canister.cycles, 100n * T + 5n);
    call(subnet, BOB, "provisional_top_up_canister", { ...ids(canister), amount: (1n << 128n) - 1n });
    assert.equal(canister.cycles, (1n << 128n) - 1n);
  });
});

describe("settings", () => {
  test("change what is given and keep the rest", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const given = {
      freezing_threshold: [5n],
      memory_allocation: [1n << 20n],
      compute_allocation: [1n],
      reserved_cycles_limit: [9n],
      minimum_incoming_canister_call_cycles: [11n],
      wasm_memory_limit: [0n],
      wasm_memory_threshold: [1n << 48n],
      log_visibility: [{ public: null }],
      snapshot_visibility: [{ allowed_viewers: [principal(BOB)] }],
      status_visibility: [{ controllers: null }],
      environment_variables: [
        [
          { name: "z", value: "1" },
          { name: "a", value: "" },
        ],
      ],
    };
    call(subnet, ALICE, "update_settings", settings(canister, given));
    const status = call(subnet, ALICE, "canister_status", ids(canister));
    assert.deepEqual(status.settings, {
      controllers: [principal(ALICE)],
      freezing_threshold: 5n,
      memory_allocation: 1n << 20n,
      compute_allocation: 1n,
      reserved_cycles_limit: 9n,
      minimum_incoming_canister_call_cycles: 11n,
      wasm_memory_limit: 0n,
      wasm_memory_threshold: 1n << 48n,
      log_visibility: { public: null },
      snapshot_visibility: { allowed_viewers: [principal(BOB)] },
      status_visibility: { controllers: null },
      environment_variables: [
        { name: "a", value: "" },
        { name: "z", value: "1" },
      ],
    });
    assert.equal(canister.version, 1);
    assert.equal(canister.history.total, 1);
    call(subnet, ALICE, "update_settings", settings(canister, { environment_variables: [[]] }));
    assert.deepEqual(canister.settings.environmentVariables, []);
    assert.equal(canister.settings.freezingThreshold, 5n);
  });

  test("controllers are replaced, sorted, recorded each time they are given", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    call(subnet, ALICE, "update_settings", settings(canister, { controllers: [[BOB, ALICE, BOB].map(principal)] }));
    assert.deepEqual(canister.settings.controllers, [ALICE, BOB]);
    call(subnet, BOB, "update_settings", settings(canister, { controllers: [[]] }));
    assert.deepEqual(canister.settings.controllers, []);
    assert.deepEqual(
      canister.history.entries.slice(1).map(({ canisterVersion, change }) => [canisterVersion, change]),
      [
        [1, { kind: "controllers_change", controllers: [ALICE, BOB] }],
        [2, { kind: "controllers_change", controllers: [] }],
      ],
    );
    const error = callError(subnet, BOB, "update_settings", settings(canister, {}));
    assertError(error, ErrorCode.CanisterInvalidController, "can control it");
  });

  test("the history keeps twenty entries and counts all", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    for (let i = 0; i < 30; i++)
      call(subnet, ALICE, "update_settings", settings(canister, { controllers: [[principal(ALICE)]] }));
    assert.equal(canister.history.total, 31);
    assert.equal(canister.history.entries.length, 20);
    assert.equal(canister.history.entries.at(-1)?.canisterVersion, 30);
  });

  const refused: [object, number, string][] = [
    [{ compute_allocation: [101n] }, 504, "ComputeAllocation expected to be in the range [0..100], got 101"],
    [{ memory_allocation: [1n << 64n] }, 504, "MemoryAllocation expected to be in the range [0..2^64-1]"],
    [{ memory_allocation: [3n << 40n] }, 101, "Canister requested 3.00 TiB of memory but only"],
    [{ freezing_threshold: [1n << 64n] }, 504, "Freezing threshold expected to be in the range of [0..2^64-1]"],
    [{ reserved_cycles_limit: [1n << 128n] }, 504, "Reserved cycles limit expected to be in the range of [0..2^128-1]"],
    [{ minimum_incoming_canister_call_cycles: [1n << 128n] }, 504, "[0..2^128-1]"],
    [{ wasm_memory_limit: [(1n << 48n) + 1n] }, 504, "Wasm memory limit expected to be in the range"],
    [{ wasm_memory_threshold: [(1n << 48n) + 1n] }, 504, "Wasm memory threshold expected to be in the range"],
    [{ controllers: [Array(11).fill(principal(ALICE))] }, 408, "The number of elements exceeds maximum allowed 10"],
    [{ log_visibility: [{ allowed_viewers: Array(11).fill(principal(ALICE)) }] }, 408, "exceeds maximum allowed 10"],
    [
      {
        environment_variables: [
          [
            { name: "n", value: "" },
            { name: "n", value: "" },
          ],
        ],
      },
      408,
      "Duplicate environment variables",
    ],
    [
      { environment_variables: [Array.from({ length: 21 }, (_, i) => ({ name: `${i}`, value: "" }))] },
      408,
      "Too many environment variables: 21 (max: 20)",
    ],
    [
      { environment_variables: [[{ name: "é".repeat(65), value: "" }]] },
      408,
      "exceeds the maximum allowed length of 128",
    ],
    [
      { environment_variables: [[{ name: "n", value: "v".repeat(129) }]] },
      408,
      "exceeds the maximum allowed length of 128",
    ],
  ];
  for (const [given, code, text] of refused) {
    test(`refused: ${Object.keys(given)[0]}, ${text}`, () => {
      const subnet = newSubnet();
      const canister = newCanisterOf(subnet, ALICE);
      const before = structuredClone(canister.settings);
      assertError(callError(subnet, ALICE, "update_settings", settings(canister, { ...given })), code, text);
      assert.deepEqual(canister.settings, before);
      assert.equal(canister.version, 0);
    });
  }

  test("the subnet's compute is limited, one percent stays free", () => {
    const subnet = newSubnet();
    const [first, second] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, ALICE)];
    call(subnet, ALICE, "provisional_top_up_canister", { ...ids(first), amount: 10_000n * T });
    call(subnet, ALICE, "provisional_top_up_canister", { ...ids(second), amount: 10_000n * T });
    call(subnet, ALICE, "update_settings", settings(first, { compute_allocation: [100n] }));
    const error = callError(subnet, ALICE, "update_settings", settings(second, { compute_allocation: [50n] }));
    assertError(error, ErrorCode.SubnetOversubscribed, "remaining compute capacity is 49%");
    call(subnet, ALICE, "update_settings", settings(second, { compute_allocation: [49n] }));
    assert.equal(second.settings.computeAllocation, 49);
  });

  test("an allocation that would freeze the canister needs more cycles; a lower one never does", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.cycles = T;
    const more = callError(subnet, ALICE, "update_settings", settings(canister, { compute_allocation: [1n] }));
    assertError(more, ErrorCode.InsufficientCyclesInComputeAllocation, "Cannot increase compute allocation to 1%");
    const memory = callError(subnet, ALICE, "update_settings", settings(canister, { memory_allocation: [1n << 40n] }));
    assertError(
      memory,
      ErrorCode.InsufficientCyclesInMemoryAllocation,
      "Cannot increase memory allocation to 1.00 TiB",
    );
    call(subnet, ALICE, "update_settings", settings(canister, { freezing_threshold: [(1n << 64n) - 1n] }));
    assert.equal(canister.settings.freezingThreshold, (1n << 64n) - 1n);
  });

  test("the reserved limit cannot go below what is reserved", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.reservedCycles = 10n;
    const error = callError(subnet, ALICE, "update_settings", settings(canister, { reserved_cycles_limit: [9n] }));
    assertError(error, ErrorCode.ReservedCyclesLimitIsTooLow, "below the reserved cycles balance");
  });
});

describe("status", () => {
  test("of a fresh canister", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const status = call(subnet, ALICE, "canister_status", ids(canister));
    assert.deepEqual(status.status, { running: null });
    assert.equal(status.version, 0n);
    assert.deepEqual(status.module_hash, []);
    assert.equal(status.cycles, 100n * T);
    assert.equal(status.reserved_cycles, 0n);
    assert.equal(status.settings.reserved_cycles_limit, 5n * T);
    assert.equal(status.settings.freezing_threshold, 2_592_000n);
    assert.equal(status.settings.wasm_memory_limit, 3_221_225_472n);
    const parts = Object.values(status.memory_metrics as Record<string, bigint>);
    assert.equal(
      status.memory_size,
      parts.reduce((sum, part) => sum + part, 0n),
    );
    assert.equal(status.memory_size, 222n, "one entry of the history with one controller, as the replica counts");
    assert.equal(status.query_stats.num_calls_total, 0n);
  });

  test("is for controllers, the canister itself, and those whom the settings name", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    assertError(
      callError(subnet, BOB, "canister_status", ids(canister)),
      ErrorCode.CanisterInvalidController,
      "Only the controllers",
    );
    callAsCanister(subnet, canister, "canister_status", ids(canister));
    assert.equal(takeResponses(canister)[0]?.payload.kind, "reply");
    const open = (visibility: object) =>
      call(subnet, ALICE, "update_settings", settings(canister, { status_visibility: [visibility] }));
    open({ allowed_viewers: [principal(BOB)] });
    assert.equal(call(subnet, BOB, "canister_status", ids(canister)).version, 1n);
    open({ public: null });
    assert.equal(call(subnet, BOB, "canister_status", ids(canister)).version, 2n);
  });

  test("of nobody", () => {
    const error = callError(newSubnet(), ALICE, "canister_status", {
      canister_id: principal(canisterIdFromIndex(0x20n)),
    });
    assertError(error, ErrorCode.CanisterNotFound, /^Canister \S+ not found\./);
  });
});

describe("stopping, starting, deleting", () => {
  const openContext = (canister: CanisterState) => {
    canister.callContexts.set(1, {
      id: 1,
      origin: { kind: "task" },
      responded: true,
      deleted: false,
      availableCycles: 0n,
      outstandingCalls: 1,
      instructionsExecuted: 0,
      startedAt: 0n,
    });
  };

  test("an idle canister stops at once, and again, and starts", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    call(subnet, ALICE, "stop_canister", ids(canister));
    const status = call(subnet, ALICE, "canister_status", ids(canister));
    assert.deepEqual(status.status, { stopped: null });
    assert.equal(status.ready_for_migration, true);
    // running to stopping, stopping to stopped
    assert.equal(canister.version, 2);
    call(subnet, ALICE, "stop_canister", ids(canister));
    assert.equal(canister.version, 3);
    call(subnet, ALICE, "start_canister", ids(canister));
    assert.deepEqual(canister.status, { kind: "running" });
    assert.equal(canister.version, 4);
    call(subnet, ALICE, "start_canister", ids(canister));
    assert.equal(canister.version, 5);
    assert.equal(subnet.state.stopping.size, 0);
  });

  test("stop calls wait for open calls; starting cancels them", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    openContext(canister);
    const statuses = [1, 2].map(() => sendRaw(subnet, ALICE, "stop_canister", encode("stop_canister", ids(canister))));
    assert.deepEqual(
      statuses.map((status) => status().state),
      ["processing", "processing"],
    );
    assert.deepEqual(call(subnet, ALICE, "canister_status", ids(canister)).status, { stopping: null });
    assert.ok(subnet.state.stopping.has(canister.id));
    call(subnet, ALICE, "start_canister", ids(canister));
    for (const status of statuses) {
      const now = status();
      assert.ok(now.state === "rejected");
      assertError(now.error, ErrorCode.CanisterStoppingCancelled, "stop request was cancelled");
    }
    assert.deepEqual(canister.status, { kind: "running" });
  });

  test("stop calls give up after five minutes, the canister goes on stopping", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    openContext(canister);
    const status = sendRaw(subnet, ALICE, "stop_canister", encode("stop_canister", ids(canister)));
    subnet.state.time += 300_000_000_000n;
    expireStopCalls(subnet.round);
    const now = status();
    assert.ok(now.state === "rejected");
    assert.equal(now.error.code, ErrorCode.StopCanisterRequestTimeout);
    assert.equal(canister.status.kind, "stopping");
  });

  test("only a stopped canister with empty queues can be deleted, and not by itself", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    call(
      subnet,
      ALICE,
      "update_settings",
      settings(canister, { controllers: [[principal(ALICE), principal(canister.id)]] }),
    );
    assertError(
      callError(subnet, ALICE, "delete_canister", ids(canister)),
      ErrorCode.CanisterNotStopped,
      "must be stopped",
    );
    call(subnet, ALICE, "stop_canister", ids(canister));
    callAsCanister(subnet, canister, "delete_canister", ids(canister));
    assertError(
      callError(subnet, ALICE, "delete_canister", ids(canister)),
      ErrorCode.CanisterQueueNotEmpty,
      "in its queues",
    );
    const [response] = takeResponses(canister);
    assert.ok(response?.payload.kind === "reject");
    assert.match(response.payload.message, /^Canister \S+ cannot delete itself/);
    assertError(
      callError(subnet, BOB, "delete_canister", ids(canister)),
      ErrorCode.CanisterInvalidController,
      principalToText(BOB),
    );
    call(subnet, ALICE, "delete_canister", ids(canister));
    assert.equal(subnet.state.canisters.size, 0);
    assert.ok(subnet.state.touched.has(canister.id));
    assertError(callError(subnet, ALICE, "delete_canister", ids(canister)), ErrorCode.CanisterNotFound, "not found");
    assert.notEqual(newCanisterOf(subnet, ALICE).id, canister.id);
  });
});

describe("other methods", () => {
  test("what is not there yet says so; what never was is unknown", () => {
    const subnet = newSubnet();
    const empty = IDL.encode([], []);
    const rejection = (method: string) => {
      const status = sendRaw(subnet, ALICE, method, empty)();
      assert.ok(status.state === "rejected");
      return status.error;
    };
    assertError(rejection("read_canister_snapshot_data"), 408, "Error decoding candid");
    assertError(rejection("http_request"), 504, "http_request cannot be called by a user.");
    assertError(rejection("fetch_canister_logs"), 406, "only accessible to end users in non-replicated mode");
    assertError(rejection("frobnicate"), 536, "Management canister has no method 'frobnicate'");
    assertError(rejection("toString"), 536, "Management canister has no method 'toString'");
    assertError(rejection("canister_status"), 408, "Error decoding candid");
  });
});
