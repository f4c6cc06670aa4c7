// The management canister asked in queries by canisters, what queries leave behind in the statistics, and the logs
// that they can read. Specification 0.66, methods marked `query`, "Canister logs"; checklist 4.1, 4.3, 6.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { processBatch } from "@atoll/messaging";
import { type CanisterId, type CanisterQueryStats, MANAGEMENT_CANISTER, type PrincipalId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import * as u from "../canisters/universal.ts";
import { type MethodName, methods } from "../management/interface.ts";
import * as s from "./machine.ts";

const decode = (method: MethodName, reply: Uint8Array) =>
  // biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
  IDL.decode([...methods[method].result], reply)[0] as any;

describe("from composite queries", () => {
  const m = s.newMachine({ subnetAdmins: [s.ALICE] });
  const [a, b] = [s.newUniversal(m), s.newUniversal(m)];
  const onReject = u.reply(u.concat(u.bytes("rejected: "), u.rejectMessage()));
  const ask = (method: string, arg: Uint8Array) =>
    s.queried(
      s.query(
        m,
        a,
        u.call({ callee: s.MANAGEMENT, method, arg: u.bytes(arg), onReply: u.reply(u.argData()), onReject }),
        {
          method: "composite_query",
        },
      ),
    );
  const about = (id: CanisterId, method: MethodName, more: object = {}) =>
    ask(method, s.candid(method, { ...s.onCanister(id), ...more }));

  test("a canister learns its own status, and that of those who let it", () => {
    assert.equal(decode("canister_status", about(a, "canister_status")).cycles, s.canisterOf(m, a).cycles);
    assert.match(s.textOf(about(b, "canister_status")), /^rejected: Only the controllers of the canister/);
    const status_visibility = [{ allowed_viewers: [s.principal(a)] }];
    const settings = { ...s.NO_SETTINGS, status_visibility };
    s.replyOf(s.manage(m, "update_settings", b, { ...s.onCanister(b), settings, sender_canister_version: [] }));
    assert.equal(decode("canister_status", about(b, "canister_status")).version, 2n);
  });

  test("metrics and logs are for controllers", () => {
    assert.match(s.textOf(about(b, "canister_metrics")), /^rejected: Only the controllers/);
    assert.match(s.textOf(about(b, "fetch_canister_logs", { filter: [] })), /^rejected: Caller \S+ is not allowed/);
    const settings = { ...s.NO_SETTINGS, controllers: [[s.principal(s.ALICE), s.principal(a)]] };
    s.replyOf(s.manage(m, "update_settings", b, { ...s.onCanister(b), settings, sender_canister_version: [] }));
    assert.ok(decode("canister_metrics", about(b, "canister_metrics")).cycles_consumed.instructions >= 0n);
    assert.deepEqual(decode("fetch_canister_logs", about(b, "fetch_canister_logs", { filter: [] })), {
      canister_log_records: [],
    });
  });

  test("the list of canisters is for admins; other methods are unknown", () => {
    assert.match(s.textOf(ask("list_canisters", s.candid("list_canisters"))), /^rejected: Only the subnet admins/);
    assert.equal(s.textOf(ask("raw_rand", s.candid("raw_rand"))), "rejected: Query method raw_rand not found.");
    assert.match(s.textOf(ask("canister_status", Uint8Array.of(1))), /^rejected: Error decoding candid/);
    const missing = s.candid("canister_status", { canister_id: s.principal("0000000000f000000101" as CanisterId) });
    assert.match(s.textOf(ask("canister_status", missing)), /^rejected: Canister \S+ not found/);
  });
});

describe("query statistics", () => {
  const m = s.newMachine();
  const [a, b] = [s.newUniversal(m), s.newUniversal(m)];
  const taken = () => new Map(m.queries.stats.take().map((each) => [each.canister, each]));

  test("count what each canister evaluated, callees of composite queries too", () => {
    taken();
    const inner = u.reply(u.bytes("12345"));
    const outer = u.call({ callee: s.idBytes(b), method: "query", arg: u.bytes(inner) });
    s.queried(s.query(m, a, outer, { method: "composite_query" }));
    s.queryError(s.query(m, a, u.reject("no")));
    s.queryError(s.query(m, a, u.trap("oh")));
    const stats = taken();
    const [ofA, ofB] = [stats.get(a), stats.get(b)] as [CanisterQueryStats, CanisterQueryStats];
    assert.deepEqual([ofB.calls, ofB.requestBytes, ofB.responseBytes], [1, inner.length, 5]);
    const requests = outer.length + u.reject("no").length + u.trap("oh").length;
    // The reply of five bytes and the reject of two; the trap is no response.
    assert.deepEqual([ofA.calls, ofA.requestBytes, ofA.responseBytes], [3, requests, 5 + 2]);
    assert.ok(ofA.instructions > 0 && ofB.instructions > 0);
    assert.equal(taken().size, 0);
  });

  test("nothing is counted for canisters that did not run, for updates and for the management canister", () => {
    taken();
    s.update(m, a, u.reply());
    s.queryError(s.query(m, "0000000000f000000101" as CanisterId, u.reply()));
    s.query(m, MANAGEMENT_CANISTER, s.candid("canister_status", s.onCanister(a)), { method: "canister_status" });
    assert.equal(taken().size, 0);
  });

  test("come into the state with a batch, add up, and are shown in the status", () => {
    const figures = { calls: 2, instructions: 2 ** 50, requestBytes: 3, responseBytes: 4 };
    const deliver = (queryStats: readonly CanisterQueryStats[]) => {
      const { state } = m.machine;
      m.height++;
      m.time += 1n;
      const batch = { height: m.height, time: m.time, randomness: state.randomness, ingress: [] };
      m.queries.apply(processBatch(m.machine, { ...batch, queryStats }).delta);
    };
    const gone = "0000000000f000000101" as CanisterId;
    deliver([
      { canister: a, ...figures },
      { canister: gone, ...figures },
    ]);
    deliver([{ canister: a, ...figures }]);
    const status = s.query(m, MANAGEMENT_CANISTER, s.candid("canister_status", s.onCanister(a)), {
      method: "canister_status",
    });
    assert.deepEqual(decode("canister_status", s.queried(status)).query_stats, {
      num_calls_total: 4n,
      num_instructions_total: 2n ** 51n,
      request_payload_bytes_total: 6n,
      response_payload_bytes_total: 8n,
    });
  });
});

describe("logs", () => {
  const m = s.newMachine();
  const logs = (id: CanisterId, sender: PrincipalId = s.ALICE): string[] => {
    const arg = s.candid("fetch_canister_logs", { ...s.onCanister(id), filter: [] });
    const result = s.query(m, MANAGEMENT_CANISTER, arg, { method: "fetch_canister_logs", sender });
    return decode("fetch_canister_logs", s.queried(result)).canister_log_records.map(
      ({ idx, content }: { idx: bigint; content: Uint8Array }) => `${idx} ${s.textOf(content)}`,
    );
  };
  const limit = (id: CanisterId, bytes: bigint) => {
    const settings = { ...s.NO_SETTINGS, log_memory_limit: [bytes] };
    const type = IDL.Record({
      canister_id: IDL.Principal,
      settings: IDL.Record({ log_memory_limit: IDL.Opt(IDL.Nat) }),
    });
    const arg = IDL.encode([type], [{ ...s.onCanister(id), settings }]);
    const sent = s.message(m, MANAGEMENT_CANISTER, "update_settings", arg, { effective: id });
    s.round(m, [sent]);
    s.replyOf(s.statusOf(m, sent));
  };

  test("have what was printed and why it trapped, with numbers that only rise", () => {
    const id = s.newUniversal(m, { init: u.debugPrint("init") });
    s.update(m, id, u.seq(u.debugPrint("one"), u.debugPrint("two"), u.reply()));
    s.failure(m, id, u.seq(u.debugPrint("three"), u.trap("why")));
    s.queried(s.query(m, id, u.seq(u.debugPrint("not collected"), u.reply())));
    assert.deepEqual(
      logs(id).map((line) => line.split("\n")[0]),
      ["0 init", "1 one", "2 two", "3 three", "4 [TRAP]: why"],
    );
  });

  test("stay on upgrade, go on reinstall and uninstall; numbers go on", () => {
    const id = s.newUniversal(m);
    const print = (text: string) => s.update(m, id, u.seq(u.debugPrint(text), u.reply()));
    print("a");
    s.replyOf(s.install(m, id, s.universal(), { mode: { upgrade: [] } }));
    assert.deepEqual(logs(id), ["0 a"]);
    s.replyOf(s.install(m, id, s.universal(), { mode: { reinstall: null } }));
    assert.deepEqual(logs(id), []);
    print("b");
    assert.deepEqual(logs(id), ["1 b"]);
    s.replyOf(s.manage(m, "uninstall_code", id, { ...s.onCanister(id), sender_canister_version: [] }));
    assert.deepEqual(logs(id), []);
    s.replyOf(s.install(m, id, s.universal()));
    print("c");
    assert.deepEqual(logs(id), ["2 c"]);
  });

  test("hold 4 KiB, or as much as the settings say", () => {
    const id = s.newUniversal(m);
    const print = (text: string) => s.update(m, id, u.seq(u.debugPrint(text), u.reply()));
    for (let i = 0; i < 10; i++) print(`${i}`.repeat(960));
    // 40 bytes for each record beside its text.
    assert.deepEqual(
      logs(id).map((line) => Number(line.split(" ")[0])),
      [6, 7, 8, 9],
    );
    print("x".repeat(10_000));
    assert.equal(logs(id).join().length, "10 ".length + 4096 - 40);
    limit(id, 20_000n);
    for (const letter of ["y", "z"]) print(letter.repeat(5000));
    assert.equal(logs(id).length, 3);
    limit(id, 5040n);
    assert.deepEqual(logs(id), [`12 ${"z".repeat(5000)}`]);
    limit(id, 0n);
    print("nothing is kept");
    assert.deepEqual(logs(id), []);
    limit(id, 4096n);
    print("again");
    assert.deepEqual(logs(id), ["14 again"]);
  });
});
