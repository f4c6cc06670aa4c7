// Calls between canisters of different subnets over certified streams: answers, cycles, order, refusals, and what the
// management canisters of two subnets do for each other. Consensus and chain-key, 16; checklist 4.1, 6.3.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, canisterIdFromIndex, MANAGEMENT_CANISTER, principalToText } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import type { MethodName } from "../../execution/test/management/interface.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { call, cyclesInNetwork, newNetwork, restart, type Subnet, settle, step } from "./subnets.ts";

const BILLION = 1_000_000_000n;
const idOn = (index: number, number = 0): CanisterId =>
  canisterIdFromIndex(BigInt(index + 1) * 0x1000n + BigInt(number));
const A = idOn(0);
const B = idOn(1);
const C = idOn(2);

/** A universal canister on each subnet. */
const two = () => {
  const network = newNetwork(["application", "application"], (m) => s.newUniversal(m));
  const [a, b] = network.subnets as [Subnet, Subnet];
  return { network, a, b };
};
const remote = (callee: CanisterId, arg: u.Code, options: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(callee), method: "update", arg: u.bytes(arg), ...options });
const answer = { onReply: u.reply(u.argData()), onReject: u.reply(u.concat(u.bytes("rejected: "), u.rejectMessage())) };
const textOf = (status: ReturnType<typeof call>): string => s.textOf(s.replyOf(status));
const positions = ({ positions: all }: Subnet) =>
  [...all.values()].map((each) => [each.begin, each.end, each.signalsEnd]);

test("a call to another subnet and its answer", () => {
  const { network, a, b } = two();
  assert.equal(textOf(call(network, a, A, remote(B, u.reply(u.bytes("hello")), answer))), "hello");
  assert.equal(textOf(call(network, b, B, remote(A, u.reply(u.bytes("back")), answer))), "back");
  assert.deepEqual(positions(a), [[2, 2, 2]]);
  assert.deepEqual(positions(b), [[2, 2, 2]]);
});

test("calls within calls go back and forth between three subnets", () => {
  const network = newNetwork(["system", "application", "application"], (m) => s.newUniversal(m));
  const [a] = network.subnets as [Subnet];
  const back = remote(A, u.reply(u.bytes("deep")), answer);
  const inner = remote(C, u.seq(back), answer);
  assert.equal(textOf(call(network, a, A, remote(B, inner, answer))), "deep");
});

test("cycles go along and come back, to the unit", () => {
  const { network, a, b } = two();
  const all = cyclesInNetwork(network);
  const before = s.balanceOf(b.m, B);
  const accept = u.seq(u.cyclesAccept(3n * BILLION), u.op("drop"), u.op("drop"), u.reply());
  const callbacks = { onReply: u.reply(u.cyclesRefunded()), onReject: u.trap("no") };
  const program = remote(B, accept, { cycles: 10n * BILLION, ...callbacks });
  assert.equal(s.numberOf(s.replyOf(call(network, a, A, program))), 7n * BILLION);
  assert.ok(s.balanceOf(b.m, B) > before + 2n * BILLION);
  assert.equal(cyclesInNetwork(network), all);
});

test("canisters that are not there, are stopping or stopped, or ask for more cycles", () => {
  const { network, a, b } = two();
  const all = cyclesInNetwork(network);
  const refund = u.concat(u.rejectMessage(), u.bytes(" "), u.cyclesRefunded());
  const heard = (callee: CanisterId): string => {
    const program = remote(callee, u.reply(), { cycles: 5n, onReply: u.trap("no"), onReject: u.reply(refund) });
    const text = textOf(call(network, a, A, program));
    assert.ok(text.endsWith(` \u0005${"\0".repeat(15)}`), "all cycles come back");
    return text.slice(0, -17);
  };
  const missing = idOn(1, 77);
  assert.equal(heard(missing), `Canister ${principalToText(missing)} not found`);
  assert.equal(heard(idOn(7)), `No route to canister ${principalToText(idOn(7))}`);
  const settings = { ...s.NO_SETTINGS, minimum_incoming_canister_call_cycles: [6n] };
  s.replyOf(manage(b, "update_settings", B, { ...s.onCanister(B), settings, sender_canister_version: [] }));
  assert.equal(heard(B), `Canister ${principalToText(B)} requires at least 6 cycles with each call, 5 were attached.`);
  // A call that is open keeps it from stopping.
  step(network, b, [s.message(b.m, B, "update", remote(A, u.reply(), answer))]);
  step(network, b, [
    s.message(b.m, MANAGEMENT_CANISTER, "stop_canister", candid("stop_canister", B), { effective: B }),
  ]);
  const sent = s.message(a.m, A, "update", remote(B, u.reply(), { cycles: 5n, ...answer }));
  step(network, a, [sent], { slices: [] });
  step(network, b);
  settle(network);
  assert.equal(textOf(s.statusOf(a.m, sent)), `rejected: Canister ${principalToText(B)} is stopping`);
  assert.equal(heard(B), `Canister ${principalToText(B)} is stopped`);
  assert.equal(cyclesInNetwork(network), all);
});

const candid = (method: MethodName, id: CanisterId): Uint8Array => s.candid(method, s.onCanister(id));

/** A user's call to the management canister, in a batch of its own. */
function manage(subnet: Subnet, method: MethodName, effective: CanisterId, arg: object) {
  const sent = s.message(subnet.m, MANAGEMENT_CANISTER, method, s.candid(method, arg), { effective });
  step({ topology: { version: 0, rootSubnetId: B, subnets: [] }, subnets: [], limits: {} }, subnet, [sent]);
  return s.statusOf(subnet.m, sent);
}

test("the order of messages is kept, however few come at a time", () => {
  const { network, a, b } = two();
  network.limits = { messages: 7 };
  const numbers = Array.from({ length: 80 }, (_, i) => `${i}`);
  const say = (text: string): u.Code => remote(B, u.seq(u.debugPrint(text), u.reply()), { onReply: u.seq() });
  const first = s.message(a.m, A, "update", u.seq(...numbers.slice(0, 60).map(say), u.reply()));
  const second = s.message(a.m, A, "update", u.seq(...numbers.slice(60).map(say), u.reply()));
  step(network, a, [first]);
  step(network, b);
  step(network, a, [second]);
  settle(network);
  assert.deepEqual(s.logsOf(b.m, B), numbers);
  assert.equal(s.canisterOf(a.m, A).callbacks.size, 0);
});

test("a request of more than 2 MiB is rejected where it was made", () => {
  const { network, a } = two();
  const large = (callee: CanisterId, bytes: number): string => {
    const arg = u.concat(u.bytes(u.reply(u.bytes("in time"))), u.repeated(0, u.int(bytes)));
    return textOf(call(network, a, A, u.call({ callee: s.idBytes(callee), method: "update", arg, ...answer })));
  };
  const limit = 2 * 1024 * 1024;
  assert.equal(large(B, limit - 100), "in time");
  assert.equal(
    large(B, limit),
    `rejected: Canister ${principalToText(A)} violated contract: attempted to send a message of size 2.00 MiB exceeding the limit 2.00 MiB`,
  );
  assert.equal(large(A, limit), "in time");
});

describe("management canisters of other subnets", () => {
  const hear = (
    network: ReturnType<typeof two>["network"],
    from: Subnet,
    method: MethodName,
    arg: Uint8Array,
    options: Partial<u.CallOptions> = {},
  ) =>
    call(
      network,
      from,
      idOn(network.subnets.indexOf(from)),
      u.call({ callee: s.MANAGEMENT, method, arg: u.bytes(arg), ...answer, ...options }),
    );
  const about = (id: CanisterId, method: MethodName = "canister_status") => candid(method, id);

  test("what is about a canister goes to its subnet", () => {
    const { network, a, b } = two();
    const status = call(network, a, A, remote(B, u.reply(), answer));
    assert.equal(status?.state, "replied");
    assert.match(
      textOf(hear(network, a, "canister_status", about(B))),
      /^rejected: Only the controllers of the canister/,
    );
    const controllers = [[s.ALICE, A].map(s.principal)];
    const settings = { ...s.NO_SETTINGS, controllers };
    s.replyOf(manage(b, "update_settings", B, { ...s.onCanister(B), settings, sender_canister_version: [] }));
    const reply = s.replyOf(hear(network, a, "canister_status", about(B)));
    assert.deepEqual(s.decode("canister_status", reply).status, { running: null });
    s.replyOf(hear(network, a, "stop_canister", about(B)));
    assert.equal(s.canisterOf(b.m, B).status.kind, "stopped");
    s.replyOf(hear(network, a, "start_canister", about(B)));
    const before = s.balanceOf(b.m, B);
    s.replyOf(hear(network, a, "deposit_cycles", about(B), { cycles: 1_000n * BILLION }));
    assert.ok(s.balanceOf(b.m, B) > before + 990n * BILLION);
    const info = s.replyOf(
      hear(network, a, "canister_info", s.candid("canister_info", { ...s.onCanister(B), num_requested_changes: [] })),
    );
    assert.equal(s.decode("canister_info", info).controllers.length, 2);
  });

  test("what is about a subnet goes there", () => {
    const { network, a, b } = two();
    const subnet_id = s.principal(b.record.subnetId);
    const history = s.candid("node_metrics_history", { subnet_id, start_at_timestamp_nanos: 0n });
    assert.deepEqual(
      s.decode("node_metrics_history", s.replyOf(hear(network, a, "node_metrics_history", history))),
      [],
    );
    const info = s.replyOf(hear(network, a, "subnet_info", s.candid("subnet_info", { subnet_id })));
    assert.equal(s.decode("subnet_info", info).registry_version, 1n);
    assert.ok((b.positions.get(a.record.subnetId)?.end ?? 0) >= 2, "the answers came from there");
  });

  test("randomness is asked at home", () => {
    const { network, a } = two();
    assert.equal(s.decode("raw_rand", s.replyOf(hear(network, a, "raw_rand", s.candid("raw_rand")))).length, 32);
    assert.deepEqual(positions(a), []);
  });

  test("canisters are created elsewhere from the root subnet, and from no other", () => {
    const { network, a, b } = two();
    const create = s.candid("create_canister", { settings: [], sender_canister_version: [] });
    const on = (subnet: Subnet) => ({ callee: s.idBytes(subnet.record.subnetId), cycles: 10_000n * BILLION });
    const made = s.decode("create_canister", s.replyOf(hear(network, a, "create_canister", create, on(b))));
    assert.equal(made.canister_id.toText(), principalToText(idOn(1, 1)));
    assert.ok(b.m.machine.state.canisters.has(idOn(1, 1)));
    for (const method of ["create_canister", "canister_status"] as const) {
      const text = textOf(hear(network, b, method, create, on(a)));
      const why = `Unable to route management canister request ${method}: AlreadyResolved(${principalToText(a.record.subnetId)})`;
      assert.equal(text, `rejected: ${why}`);
    }
  });

  test("a subnet that is not the root is refused by the other side too", () => {
    const { network, a, b } = two();
    // As if its own subnet had let it through.
    const request = {
      ...({ kind: "request", sender: B, receiver: a.record.subnetId, callbackId: 1, payment: 7n } as const),
      ...{
        methodName: "create_canister",
        arg: s.candid("create_canister", { settings: [], sender_canister_version: [] }),
      },
      ...{ deadlineSeconds: 0, senderVersion: 1 },
    };
    const header = { begin: 0, end: 1, signalsEnd: 0, rejectSignals: [], flags: 0 };
    step(network, a, [], { slices: [{ from: b.record.subnetId, header, firstIndex: 0, messages: [request] }] });
    const [response] = [...(a.m.machine.state.streams.get(b.record.subnetId)?.messages ?? [])];
    assert.ok(response?.kind === "response" && response.payload.kind === "reject");
    assert.equal(response.refund, 7n);
    const sender = `Incorrect sender subnet id: ${principalToText(b.record.subnetId)}.`;
    assert.equal(response.payload.message, `${sender} Sender should be on the same subnet or on the NNS subnet.`);
  });
});

test("a subnet that starts again from a checkpoint in the midst of everything goes on as if it had not", () => {
  const { network, a, b } = two();
  network.limits = { messages: 3 };
  const all = cyclesInNetwork(network);
  const talk = (callee: CanisterId): u.Code =>
    u.seq(...Array.from({ length: 20 }, () => remote(callee, u.reply(), { cycles: 9n, onReply: u.seq() })), u.reply());
  step(network, a, [s.message(a.m, A, "update", talk(B))]);
  step(network, b, [s.message(b.m, B, "update", talk(A))], { isCheckpoint: true });
  for (let i = 0; i < 12; i++) {
    for (const subnet of network.subnets) {
      step(network, subnet, [], { isCheckpoint: i % 5 === 3 });
      restart(subnet);
      assert.equal(cyclesInNetwork(network), all);
    }
  }
  settle(network);
  for (const subnet of network.subnets) {
    restart(subnet);
    for (const canister of subnet.m.machine.state.canisters.values()) assert.equal(canister.callbacks.size, 0);
  }
});
