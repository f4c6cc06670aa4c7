// The management canister in queries: what one node's certified state says of a canister and of the subnet.
// Specification, methods marked `query`; checklist 4.1, channel Q.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { executeQuery, takeStateDelta } from "@atoll/execution";
import type { CanisterState } from "@atoll/state";
import { canisterIdFromIndex, MANAGEMENT_CANISTER, type PrincipalId, principalFromBytes } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { methods } from "./interface.ts";
import {
  ALICE,
  BOB,
  call,
  encode,
  ids,
  newCanisterOf,
  newSubnet,
  principal,
  queriesOf,
  query,
  queryRaw,
  type TestSubnet,
} from "./subnet.ts";

describe("canister_status", () => {
  test("says in a query what it says in a call", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.queryStats = { calls: 1n, instructions: 2n ** 70n, requestBytes: 3n, responseBytes: 4n };
    call(subnet, ALICE, "stop_canister", ids(canister));
    const inCall = call(subnet, ALICE, "canister_status", ids(canister));
    assert.deepEqual(query(subnet, ALICE, "canister_status", ids(canister)), inCall);
    assert.equal(inCall.ready_for_migration, true);
    assert.equal(inCall.query_stats.num_instructions_total, 2n ** 70n);
  });

  test("has the fields of older clients", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const old = IDL.Record({
      controller: IDL.Principal,
      balance: IDL.Vec(IDL.Tuple(IDL.Vec(IDL.Nat8), IDL.Nat)),
      freezing_threshold: IDL.Nat,
      settings: IDL.Record({ controller: IDL.Principal, log_memory_limit: IDL.Nat }),
      memory_metrics: IDL.Record({ log_memory_store_size: IDL.Nat }),
    });
    const seen = () => {
      const result = queryRaw(subnet, ALICE, "canister_status", encode("canister_status", ids(canister)));
      assert.ok(result.kind === "replied");
      // biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
      return IDL.decode([old], result.reply)[0] as any;
    };
    assert.deepEqual(
      [seen().controller.toText(), seen().freezing_threshold, seen().settings.log_memory_limit],
      [principal(ALICE).toText(), 2_592_000n, 4096n],
    );
    assert.deepEqual(seen().balance, [[Uint8Array.of(0), 100_000_000_000_000n]]);
    canister.settings.controllers = [ALICE, BOB];
    assert.equal(seen().controller.toText(), "ifxlm-aqaaa-multi-pleco-ntrol-lersa-h3ae");
  });

  test("of nobody, and with an argument that is none", () => {
    const subnet = newSubnet();
    const nobody = { canister_id: principal(canisterIdFromIndex(0x77n)) };
    assert.equal(query(subnet, ALICE, "canister_status", nobody).code, 301);
    assert.equal(query(subnet, ALICE, "canister_metrics", nobody).code, 301);
    assert.equal(query(subnet, ALICE, "fetch_canister_logs", { ...nobody, filter: [] }).code, 301);
    for (const method of ["canister_status", "canister_metrics", "fetch_canister_logs", "list_canisters"]) {
      const result = queryRaw(subnet, ALICE, method, Uint8Array.of(1, 2, 3));
      assert.ok(result.kind === "rejected" && result.error.code === 408, method);
    }
  });
});

test("canister_metrics tells what cycles went into", () => {
  const subnet = newSubnet();
  const canister = newCanisterOf(subnet, ALICE);
  Object.assign(canister.consumed, { memory: 1n, ingressInduction: 2n ** 90n, uninstall: 3n, burnedCycles: 4n });
  const expected = {
    cycles_consumed: {
      memory: 1n,
      compute_allocation: 0n,
      ingress_induction: 2n ** 90n,
      instructions: 0n,
      request_and_response_transmission: 0n,
      uninstall: 3n,
      canister_creation: 0n,
      http_outcalls: 0n,
      burned_cycles: 4n,
    },
  };
  assert.deepEqual(query(subnet, ALICE, "canister_metrics", ids(canister)), expected);
  assert.deepEqual(call(subnet, ALICE, "canister_metrics", ids(canister)), expected);
});

describe("fetch_canister_logs", () => {
  const log = (canister: CanisterState, ...entries: [index: bigint, time: bigint, text: string][]) => {
    canister.logs.records.push(
      ...entries.map(([index, time, text]) => ({ index, time, content: new TextEncoder().encode(text) })),
    );
    const last = canister.logs.records.at(-1);
    if (last !== undefined) canister.logs.nextIndex = last.index + 1n;
  };
  const texts = (subnet: TestSubnet, canister: CanisterState, filter: object[] = [], by: PrincipalId = ALICE) =>
    query(subnet, by, "fetch_canister_logs", { ...ids(canister), filter }).canister_log_records.map(
      (record: { content: Uint8Array; idx: bigint }) => `${record.idx} ${new TextDecoder().decode(record.content)}`,
    );

  test("shows all records, or those of a range without its end", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    log(canister, [3n, 100n, "a"], [4n, 200n, "b"], [5n, 200n, "c"], [6n, 300n, ""]);
    assert.deepEqual(texts(subnet, canister), ["3 a", "4 b", "5 c", "6 "]);
    assert.deepEqual(texts(subnet, canister, [{ by_idx: { start: 4n, end: 6n } }]), ["4 b", "5 c"]);
    assert.deepEqual(texts(subnet, canister, [{ by_timestamp_nanos: { start: 200n, end: 300n } }]), ["4 b", "5 c"]);
    assert.deepEqual(texts(subnet, canister, [{ by_idx: { start: 5n, end: 5n } }]), []);
    assert.deepEqual(texts(subnet, canister, [{ by_idx: { start: 6n, end: 1n } }]), []);
  });

  test("follows a canister whose buffer drops records, round by round", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.settings.logVisibility = { kind: "public" };
    const { state } = subnet;
    const queries = queriesOf(subnet);
    const round = (...kept: [bigint, bigint, string][]) => {
      state.time += 1n;
      state.touched.clear();
      state.touched.add(canister.id);
      canister.logs.records = [];
      log(canister, ...kept);
      queries.apply(takeStateDelta(state, [], { whole: false }));
      const arg = encode("fetch_canister_logs", { ...ids(canister), filter: [] });
      const result = executeQuery(queries, {
        sender: BOB,
        receiver: MANAGEMENT_CANISTER,
        methodName: "fetch_canister_logs",
        arg,
      });
      assert.ok(result.kind === "replied");
      // biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
      const [logs] = IDL.decode([...methods.fetch_canister_logs.result], result.reply) as any;
      return logs.canister_log_records.map(({ idx }: { idx: bigint }) => Number(idx));
    };
    const at = (offset: bigint) => state.time + offset;
    const t1 = at(1n);
    assert.deepEqual(round([0n, t1, "a"], [1n, t1, "b"]), [0, 1]);
    const t2 = at(1n);
    assert.deepEqual(round([1n, t1, "b"], [2n, t2, "c"]), [1, 2]);
    assert.deepEqual(round([1n, t1, "b"], [2n, t2, "c"]), [1, 2]);
    const t4 = at(1n);
    assert.deepEqual(round([7n, t4, "d"]), [7]);
    assert.deepEqual(round(), []);
  });
});

describe("list_canisters", () => {
  const list = (subnet: TestSubnet) =>
    query(subnet, BOB, "list_canisters").canisters.map(({ start, end }: { start: Principal; end: Principal }) =>
      [start, end].map((id) => principalFromBytes(id.toUint8Array())),
    );

  test("names neighbours together", () => {
    const subnet = newSubnet({ subnetAdmins: [BOB] });
    assert.deepEqual(list(subnet), []);
    const made = [1, 2, 3, 4, 5].map(() => newCanisterOf(subnet, ALICE));
    call(subnet, ALICE, "stop_canister", ids(made[2] as CanisterState));
    call(subnet, ALICE, "delete_canister", ids(made[2] as CanisterState));
    const [a, b, , d, e] = made.map(({ id }) => id);
    assert.deepEqual(list(subnet), [
      [a, b],
      [d, e],
    ]);
  });
});
