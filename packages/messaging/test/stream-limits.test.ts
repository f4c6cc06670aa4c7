// What happens when there is more than there is room for, when it takes too long, and when another subnet says what it
// should not: flow control, deadlines, throttled system subnets, signals. Consensus and chain-key, 16.3, 16.5; checklist 6.3.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CanisterId,
  canisterIdFromIndex,
  type NetworkTopology,
  type PrincipalId,
  principalToText,
  RejectCode,
  type RejectSignal,
  type Request,
  type Response,
  type StreamMessage,
  type StreamSlice,
} from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { cyclesInNetwork, newNetwork, restart, type Subnet, settle, step } from "./subnets.ts";

const idOn = (index: number, number = 0): CanisterId =>
  canisterIdFromIndex(BigInt(index + 1) * 0x1000n + BigInt(number));
const A = idOn(0);
const B = idOn(1);

const two = (config: Parameters<typeof newNetwork>[2] = {}) => {
  const network = newNetwork(["application", "application"], (m) => s.newUniversal(m, { cycles: 10n ** 18n }), config);
  const [a, b] = network.subnets as [Subnet, Subnet];
  return { network, a, b };
};
const textOf = (status: ReturnType<typeof s.statusOf>): string => s.textOf(s.replyOf(status));
const streamOf = (from: Subnet, to: Subnet) => {
  const stream = from.m.machine.state.streams.get(to.record.subnetId);
  assert.ok(stream !== undefined);
  return stream;
};

/** So many calls of each of these canisters; nothing is done with the answers. */
function callMany(callees: readonly CanisterId[], times: number, options: Partial<u.CallOptions>): u.Code {
  const loops = callees.map((callee) => {
    const one = u.call({
      ...{ callee: s.idBytes(callee), method: "update" },
      onReply: u.seq(),
      onReject: u.seq(),
      ...options,
    });
    const next = u.setSlot(0, u.add(u.getSlot(0), u.int(1)));
    return u.seq(u.setSlot(0, u.int(0)), u.whileTrue(u.less(u.getSlot(0), u.int(times)), u.seq(one, next)));
  });
  return u.seq(...loops, u.reply());
}

describe("flow control", () => {
  test("ten thousand messages are in a stream at most, the rest waits for its turn", () => {
    const { network, a, b } = two();
    const all = cyclesInNetwork(network);
    const callees = Array.from({ length: 24 }, (_, i) => idOn(1, i));
    const options = { arg: u.bytes(u.reply()), timeoutSeconds: 300, cycles: 1000n };
    step(network, a, [s.message(a.m, A, "update", callMany(callees, 500, options))], { isCheckpoint: true });
    assert.equal(s.canisterOf(a.m, A).callbacks.size, 12_000);
    assert.equal(streamOf(a, b).messages.length, 10_000);
    assert.equal(streamOf(a, b).waiting.length, 2_000);
    assert.equal(cyclesInNetwork(network), all);
    restart(a);
    step(network, b);
    assert.equal(streamOf(b, a).signalsEnd, 10_000);
    assert.equal(streamOf(b, a).rejectSignals.length, 9_500, "canister 0 is there, the others are not");
    step(network, a);
    assert.equal(streamOf(a, b).messages.length, 2_000);
    settle(network);
    assert.equal(s.canisterOf(a.m, A).callbacks.size, 0);
    // The next message tells that the signals for the last ones have been seen.
    step(network, a, [s.message(a.m, A, "update", callMany([B], 1, options))]);
    settle(network);
    assert.equal(streamOf(b, a).rejectSignals.length, 0);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("ten mebibytes, and what has come to that", () => {
    const { network, a, b } = two();
    const arg = u.concat(u.bytes(u.reply()), u.repeated(0, u.int(1_500_000)));
    step(network, a, [s.message(a.m, A, "update", callMany([B], 12, { arg }))]);
    assert.equal(streamOf(a, b).messages.length, 7);
    assert.equal(streamOf(a, b).waiting.length, 5);
    settle(network);
    assert.equal(s.canisterOf(a.m, A).callbacks.size, 0);
  });

  test("a system subnet gets two hundred messages, and takes a hundred at a time", () => {
    const network = newNetwork(["system", "application"], (m) => s.newUniversal(m, { cycles: 10n ** 18n }));
    const [root, b] = network.subnets as [Subnet, Subnet];
    const program = callMany([A], 450, { arg: u.bytes(u.reply()) });
    step(network, b, [s.message(b.m, B, "update", program)]);
    assert.equal(streamOf(b, root).messages.length, 200);
    assert.equal(streamOf(b, root).waiting.length, 250);
    step(network, root);
    assert.equal(streamOf(root, b).signalsEnd, 100);
    step(network, root);
    assert.equal(streamOf(root, b).signalsEnd, 100, "a hundred answers have not been fetched");
    settle(network);
    assert.equal(s.canisterOf(b.m, B).callbacks.size, 0);
  });
});

describe("deadlines", () => {
  /** A stream that is full and stays so, as the other side takes nothing. */
  const full = () => {
    const made = two();
    const { network, a } = made;
    const callees = Array.from({ length: 20 }, (_, i) => idOn(1, 100 + i));
    step(network, a, [s.message(a.m, A, "update", callMany(callees, 500, { timeoutSeconds: 300 }))]);
    return made;
  };
  const rejected = u.reply(u.concat(u.rejectMessage(), u.bytes(" "), u.cyclesRefunded()));
  const ask = (a: Subnet, options: Partial<u.CallOptions>) =>
    s.message(
      a.m,
      A,
      "update",
      u.call({ ...{ callee: s.idBytes(B), method: "update", cycles: 9n }, onReject: rejected, ...options }),
    );

  test("a request that has waited for five minutes is answered and comes back whole", () => {
    const { network, a, b } = full();
    const all = cyclesInNetwork(network);
    const sent = ask(a, {});
    step(network, a, [sent], { slices: [] });
    assert.equal(streamOf(a, b).waiting.length, 1);
    step(network, a, [], { slices: [], seconds: 298 });
    assert.equal(s.statusOf(a.m, sent)?.state, "processing");
    step(network, a, [], { slices: [], seconds: 3 });
    // The deadline of all the others has passed too: they are told first.
    for (let i = 0; i < 10 && a.m.last.hasMoreWork; i++) step(network, a, [], { slices: [] });
    assert.equal(textOf(s.statusOf(a.m, sent)), `Request timed out. \t${"\0".repeat(15)}`);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("a best-effort request that waits is given up at its deadline, and its cycles are credited", () => {
    const { network, a, b } = full();
    const all = cyclesInNetwork(network);
    const sent = ask(a, { timeoutSeconds: 10 });
    step(network, a, [sent], { slices: [] });
    assert.ok(a.m.last.wakeAt !== undefined);
    step(network, a, [], { slices: [], seconds: 12 });
    assert.equal(textOf(s.statusOf(a.m, sent)), `Call deadline has expired. ${"\0".repeat(16)}`);
    assert.equal(streamOf(a, b).waiting.length, 0);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("one that waits at its callee is not executed, and its cycles come back as a refund", () => {
    const { network, a, b } = two();
    const all = cyclesInNetwork(network);
    const arg = u.bytes(u.seq(u.debugPrint("executed"), u.reply()));
    step(network, a, [ask(a, { timeoutSeconds: 5, arg, cycles: 5_000_000_000n })]);
    step(network, b, [], { maxExecutions: 0 });
    assert.equal(s.canisterOf(b.m, B).input.length, 1);
    step(network, b, [], { seconds: 10 });
    assert.deepEqual(s.logsOf(b.m, B), []);
    const [refund] = [...streamOf(b, a).messages];
    assert.deepEqual(refund, { kind: "refund", receiver: A, cycles: 5_000_000_000n });
    assert.equal(cyclesInNetwork(network), all);
    step(network, a, [], { seconds: 10 });
    assert.equal(s.canisterOf(a.m, A).callbacks.size, 0);
    settle(network);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("an answer after the deadline changes nothing but the balance", () => {
    const { network, a, b } = two();
    const all = cyclesInNetwork(network);
    const sent = ask(a, { timeoutSeconds: 5, arg: u.bytes(u.reply()) });
    step(network, a, [sent]);
    step(network, b);
    step(network, a, [], { slices: [], seconds: 10 });
    assert.equal(textOf(s.statusOf(a.m, sent)), `Call deadline has expired. ${"\0".repeat(16)}`);
    settle(network);
    assert.deepEqual([...a.dropped, ...b.dropped], []);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("too many best-effort messages: the largest of those that wait are dropped first", () => {
    const { network, a, b } = two({ resources: { bestEffortMessageMemory: 3_000_000 } });
    const all = cyclesInNetwork(network);
    const arg = u.concat(u.bytes(u.reply()), u.repeated(0, u.int(1_500_000)));
    const program = callMany([B], 12, { arg, timeoutSeconds: 60, cycles: 7n });
    step(network, a, [s.message(a.m, A, "update", program)]);
    assert.equal(streamOf(a, b).messages.length, 7);
    assert.equal(streamOf(a, b).waiting.length, 1);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("too many best-effort answers: what says that one was dropped is not dropped in turn", () => {
    const { network, a, b } = two({ resources: { bestEffortMessageMemory: 30 } });
    const all = cyclesInNetwork(network);
    const arg = u.bytes(u.reply(u.repeated(7, u.int(100))));
    step(network, a, [s.message(a.m, A, "update", callMany([B], 3, { arg, timeoutSeconds: 60, cycles: 7n }))]);
    step(network, b);
    step(network, a, [], { maxExecutions: 0 });
    const payloads = [...s.canisterOf(a.m, A).input].map((item) => item.kind === "response" && item.response.payload);
    const dropped = { kind: "reject", code: RejectCode.SYS_UNKNOWN, message: "Response was dropped." };
    assert.deepEqual(payloads, [dropped, dropped, dropped]);
    settle(network);
    assert.equal(cyclesInNetwork(network), all);
  });

  test("what waits since the streams were built is work for the next round, unless there is no room", () => {
    const { network, a, b } = two({ resources: { bestEffortMessageMemory: 30 } });
    const arg = u.bytes(u.reply(u.bytes("more bytes than the subnet has for messages")));
    step(network, a, [s.message(a.m, A, "update", callMany([B], 1, { arg, timeoutSeconds: 60, cycles: 7n }))]);
    assert.equal(step(network, b, [], { maxExecutions: 0 }).hasMoreWork, true);
    assert.equal(streamOf(b, a).waiting.length, 1, "the cycles of the request that was dropped");
    assert.equal(step(network, b).hasMoreWork, false);
    assert.equal(streamOf(b, a).messages.length, 1);
    const stalled = full();
    assert.equal(step(stalled.network, stalled.a, [ask(stalled.a, {})], { slices: [] }).hasMoreWork, false);
    assert.equal(streamOf(stalled.a, stalled.b).waiting.length, 1);
  });
});

// --- slices as only a subnet that errs or lies would send them, past the checks ---

const REQUEST: Request = {
  ...({ kind: "request", sender: B, receiver: A, callbackId: 1, payment: 5n, methodName: "update" } as const),
  ...{ arg: u.reply(), deadlineSeconds: 0, senderVersion: 1 },
};
const RESPONSE: Response = {
  ...({ kind: "response", originator: A, respondent: B, callbackId: 99, refund: 3n, deadlineSeconds: 0 } as const),
  payload: { kind: "reply", data: new Uint8Array() },
};

function slice(
  from: Subnet,
  messages: readonly StreamMessage[],
  options: Partial<StreamSlice["header"]> = {},
): StreamSlice {
  const header = { begin: 0, end: messages.length, signalsEnd: 0, rejectSignals: [], flags: 0, ...options };
  return { from: from.record.subnetId, header, firstIndex: 0, messages };
}

const reasons = (subnet: Subnet, from: Subnet) =>
  streamOf(subnet, from).rejectSignals.map(({ index, reason }) => `${index} ${reason}`);

describe("signals", () => {
  test("for what comes from a subnet that does not host the sender, or is not for this subnet", () => {
    const { network, a, b } = two();
    const elsewhere = idOn(7);
    const messages: StreamMessage[] = [
      { ...REQUEST, sender: A },
      { ...REQUEST, sender: elsewhere },
      { ...RESPONSE, respondent: elsewhere },
      RESPONSE,
      { ...REQUEST, receiver: elsewhere },
      { ...RESPONSE, originator: elsewhere },
      { kind: "refund", receiver: elsewhere, cycles: 4n },
      { ...RESPONSE, originator: idOn(0, 50) },
      { kind: "refund", receiver: idOn(0, 50), cycles: 4n },
      { ...REQUEST, receiver: idOn(0, 50) },
    ];
    step(network, a, [], { slices: [slice(b, messages)], maxExecutions: 0 });
    assert.deepEqual(
      a.dropped.map(({ index, why }) => `${index} ${why}`),
      [
        "0 sender is not on that subnet",
        "1 sender is not on that subnet",
        "2 sender is not on that subnet",
        "3 response to no call",
      ],
    );
    const migrating = [0, 1, 4, 5, 6].map((index) => `${index} canister_migrating`);
    assert.deepEqual(reasons(a, b), [...migrating, "9 canister_not_found"]);
    assert.equal(streamOf(a, b).signalsEnd, messages.length);
  });

  test("a subnet answers no call that was made to another one, nor one of the other kind", () => {
    const network = newNetwork(["application", "application", "application"], (m) => s.newUniversal(m));
    const [a, b] = network.subnets as [Subnet, Subnet];
    const told = { onReply: u.reply(u.argData()), onReject: u.reply(u.bytes("rejected")) };
    const ask = (callee: CanisterId, options: Partial<u.CallOptions>) =>
      u.call({ callee: s.idBytes(callee), method: "update", ...told, ...options });
    const calls = [ask(idOn(2), { timeoutSeconds: 60 }), ask(idOn(2), {}), ask(B, {}), ask(B, { timeoutSeconds: 60 })];
    const sent = calls.map((program) => s.message(a.m, A, "update", program));
    step(network, a, sent);
    const { callbacks } = s.canisterOf(a.m, A);
    const deadlines = [...callbacks.values()].map(({ deadlineSeconds }) => deadlineSeconds);
    const [best = 0, guaranteed, other] = deadlines;
    assert.ok(best > 0 && guaranteed === 0 && other === 0);
    const lies = [...callbacks.keys()].map((callbackId, i): StreamMessage => {
      return { ...RESPONSE, callbackId, refund: 0n, deadlineSeconds: [best, best, best, 0][i] as number };
    });
    const end = streamOf(a, b).begin;
    step(network, a, [], { slices: [slice(b, lies, { signalsEnd: end })] });
    assert.deepEqual(
      a.dropped.map(({ index, why }) => `${index} ${why}`),
      [0, 1, 2, 3].map((index) => `${index} response to no call`),
    );
    assert.equal(callbacks.size, 4);
  });

  test("do not tell of a refund of more than was sent: no more than that is credited", () => {
    const { network, a, b } = two();
    const callB = u.call({ callee: s.idBytes(B), method: "update", cycles: 5n, onReply: u.reply(u.cyclesRefunded()) });
    const sent = s.message(a.m, A, "update", callB);
    step(network, a, [sent]);
    const [callbackId] = [...s.canisterOf(a.m, A).callbacks.keys()] as [number];
    const all = cyclesInNetwork(network);
    const answer = slice(b, [{ ...RESPONSE, callbackId, refund: 10n ** 30n }], { signalsEnd: 1 });
    step(network, a, [], { slices: [answer] });
    assert.equal(s.numberOf(s.replyOf(s.statusOf(a.m, sent))), 5n);
    assert.ok(cyclesInNetwork(network) <= all);
  });

  test("for a queue that is full, and for memory that is used up", () => {
    const { network, a, b } = two();
    const many = Array.from(
      { length: 502 },
      (_, i): Request => ({ ...REQUEST, callbackId: i, deadlineSeconds: 1_800_000_000 }),
    );
    step(network, a, [], { slices: [slice(b, [...many, { ...REQUEST, sender: idOn(1, 1) }])], maxExecutions: 0 });
    assert.deepEqual(reasons(a, b), ["500 queue_full", "501 queue_full"]);
    const scarce = two({ resources: { guaranteedMessageMemory: 5 * 1024 * 1024 } });
    const some = [1, 2, 3].map((callbackId): Request => ({ ...REQUEST, callbackId }));
    step(scarce.network, scarce.a, [], { slices: [slice(scarce.b, some)], maxExecutions: 0 });
    assert.deepEqual(reasons(scarce.a, scarce.b), ["2 out_of_memory"]);
  });

  test("become rejects in the words of the replica", () => {
    const { network, a, b } = two();
    const all = cyclesInNetwork(network);
    const rejected = u.reply(u.concat(u.le64(u.rejectCode()), u.rejectMessage()));
    const callB = u.call({ ...{ callee: s.idBytes(B), method: "update", cycles: 5n }, onReject: rejected });
    const sent = Array.from({ length: 7 }, () => s.message(a.m, A, "update", callB));
    step(network, a, sent);
    const kinds = [
      ...(["canister_migrating", "canister_not_found", "canister_stopped", "canister_stopping"] as const),
      ...(["queue_full", "out_of_memory", "unknown"] as const),
    ];
    const rejectSignals = kinds.map((reason, index): RejectSignal => ({ reason, index }));
    step(network, a, [], { slices: [slice(b, [], { signalsEnd: 7, rejectSignals })] });
    const heard = sent
      .map((each) => s.replyOf(s.statusOf(a.m, each)))
      .map((reply) => `${reply[0]} ${s.textOf(reply.slice(8))}`);
    const canister = `Canister ${principalToText(B)}`;
    assert.deepEqual(heard, [
      "2 Canister migration in progress",
      `3 ${canister} not found`,
      `5 ${canister} is stopped`,
      `5 ${canister} is stopping`,
      `2 ${canister} input queue is full`,
      "5 Cannot induct request. Out of memory: requested 2097152",
      "1 Inducting request failed due to an unknown error",
    ]);
    assert.equal(streamOf(a, b).begin, 7);
    assert.equal(cyclesInNetwork(network), all);
  });
});

describe("another topology", () => {
  /** The third subnet gets the canister ids of the second. */
  const moved = (
    { version, rootSubnetId, subnets }: NetworkTopology,
    from: PrincipalId,
    to: PrincipalId,
  ): NetworkTopology => {
    const ranges = subnets.find(({ subnetId }) => subnetId === from)?.canisterRanges ?? [];
    const changed = subnets.map((record) => {
      if (record.subnetId === from) return { ...record, canisterRanges: [] };
      return record.subnetId === to ? { ...record, canisterRanges: ranges } : record;
    });
    return { version: version + 1, rootSubnetId, subnets: changed };
  };
  const three = () => {
    const network = newNetwork(["application", "application", "application"], (m) =>
      s.newUniversal(m, { cycles: 10n ** 18n }),
    );
    const [a, b, c] = network.subnets as [Subnet, Subnet, Subnet];
    return { network, a, b, c, topology: moved(network.topology, b.record.subnetId, c.record.subnetId) };
  };

  test("is certified, and messages go by it from the same round on", () => {
    const { network, a, b, c, topology } = three();
    const callB = u.call({ callee: s.idBytes(B), method: "update", onReply: u.seq(), onReject: u.seq() });
    step(network, a, [s.message(a.m, A, "update", u.seq(callB, u.reply()))], { topology, slices: [] });
    assert.equal(streamOf(a, c).messages.length, 1);
    assert.equal(a.m.machine.state.streams.get(b.record.subnetId), undefined);
  });

  test("takes along what waits, and responses that were rejected", () => {
    const { network, a, b, c, topology } = three();
    const arg = u.concat(u.bytes(u.reply()), u.repeated(0, u.int(1_500_000)));
    step(network, a, [s.message(a.m, A, "update", callMany([B], 12, { arg }))]);
    const callA = u.call({ callee: s.idBytes(A), method: "update", arg: u.bytes(u.reply()) });
    step(network, b, [s.message(b.m, B, "update", callA)], { slices: [] });
    step(network, a);
    assert.deepEqual([streamOf(a, b).messages.length, streamOf(a, b).waiting.length], [7, 6]);
    step(network, a, [], { topology, slices: [] });
    assert.deepEqual([streamOf(a, b).messages.length, streamOf(a, b).waiting.length], [7, 0]);
    assert.deepEqual(
      [...streamOf(a, c).messages].map(({ kind }) => kind),
      [...new Array(5).fill("request"), "response"],
    );
  });

  test("sends a response again that the other subnet has no receiver for", () => {
    const { network, a, b, c, topology } = three();
    const callA = u.call({ callee: s.idBytes(A), method: "update", arg: u.bytes(u.reply()) });
    step(network, b, [s.message(b.m, B, "update", callA)]);
    step(network, a);
    const [response] = [...streamOf(a, b).messages];
    const rejectSignals: RejectSignal[] = [{ reason: "canister_migrating", index: 0 }];
    const header = { begin: 1, end: 1, signalsEnd: 1, rejectSignals, flags: 0 };
    const rejected = [{ from: b.record.subnetId, header, firstIndex: 0, messages: [] }];
    step(network, a, [], { topology, slices: rejected });
    assert.equal(streamOf(a, b).messages.length, 0);
    assert.deepEqual([...streamOf(a, c).messages], [response]);
  });
});
