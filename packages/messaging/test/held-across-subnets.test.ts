// Messages between subnets that a test holds, answers or loses on the side that receives them; what is under way on the
// streams; and the tree of a message that went through two subnets.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { messagesInFlight } from "@atoll/execution";
import { figuresOf, type MessageNode, messageTree, type TracedRound } from "@atoll/replica";
import { type CanisterId, canisterIdFromIndex, type IngressMessage, type Intervention, RejectCode } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { type Network, newNetwork, type Subnet, step } from "./subnets.ts";

const BILLION = 1_000_000_000n;
const A = canisterIdFromIndex(0x1000n);
const B = canisterIdFromIndex(0x2000n);
let network: Network;
let a: Subnet;
let b: Subnet;
let rounds: TracedRound[];

beforeEach(() => {
  network = newNetwork(["application", "application"], (m) => s.newUniversal(m), { provisional: true });
  [a, b] = network.subnets as [Subnet, Subnet];
  for (const subnet of [a, b]) subnet.m = { ...subnet.m, machine: { ...subnet.m.machine, trace: true } };
  rounds = [];
});

function run(subnet: Subnet, ingress: IngressMessage[] = [], options: Parameters<typeof step>[3] = {}): void {
  const { height, trace, interventionResults } = step(network, subnet, ingress, options);
  rounds.push({ subnet: subnet.record.subnetId, height, events: trace ?? [] });
  for (const result of interventionResults) assert.deepEqual(result.ok, true, JSON.stringify(result));
}

function turns(count = 4): void {
  for (let i = 0; i < count; i++) for (const subnet of [a, b]) run(subnet);
}

const intervene = (subnet: Subnet, ...interventions: Intervention[]): void => run(subnet, [], { interventions });
const held = ({ m }: Subnet): number[] => [...m.machine.state.interventions.held.keys()];
const remote = (id: CanisterId, program: u.Code, rest: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(id), method: "update", arg: u.bytes(program), ...rest });

function send(program: u.Code): IngressMessage {
  const sent = s.message(a.m, A, "update", program);
  run(a, [sent]);
  return sent;
}

function balances(): bigint {
  return [a, b].reduce((sum, { m }) => {
    for (const { cycles } of m.machine.state.canisters.values()) sum += cycles;
    return sum + m.machine.state.metrics.consumedCycles;
  }, 0n);
}

test("a request, and then its response, is held where it arrives and goes on when it is released", () => {
  intervene(b, { kind: "hold", rule: { sender: A, messageKind: "request" } });
  intervene(a, { kind: "hold", rule: { sender: B, messageKind: "response" } });
  const sent = send(remote(B, u.reply(u.bytes("far"))));
  assert.deepEqual(
    messagesInFlight(a.m.machine.state).map(({ place }) => place),
    ["awaiting", "called", "stream"],
  );
  turns();
  assert.deepEqual([held(a).length, held(b).length], [0, 1]);
  intervene(b, { kind: "release", numbers: held(b) });
  turns();
  assert.deepEqual([held(a).length, held(b).length], [1, 0]);
  assert.equal(s.statusOf(a.m, sent)?.state, "processing");
  intervene(a, { kind: "release", numbers: held(a) });
  turns();
  assert.equal(s.textOf(s.replyOf(s.statusOf(a.m, sent))), "far");
});

test("a request that is rejected for its receiver is answered over the stream, with its cycles", () => {
  intervene(b, { kind: "hold", rule: { sender: A, messageKind: "request", atMost: 1 } });
  const before = balances();
  const report = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded()));
  const sent = send(remote(B, u.reply(), { cycles: 5n * BILLION, onReject: report }));
  turns();
  intervene(b, { kind: "reject_held", number: held(b)[0] as number, code: RejectCode.SYS_TRANSIENT, message: "no" });
  turns();
  const told = s.replyOf(s.statusOf(a.m, sent));
  assert.equal(s.numberOf(told.subarray(0, 8)), 2n);
  assert.equal(s.numberOf(told.subarray(8)), 5n * BILLION);
  assert.equal(balances(), before);
});

test("a best-effort request that is lost sends its cycles back; the deadline tells the caller", () => {
  intervene(b, { kind: "hold", rule: { sender: A, messageKind: "request", atMost: 1 } });
  const before = balances();
  const report = u.reply(u.le64(u.rejectCode()));
  const sent = send(remote(B, u.reply(), { cycles: 5n * BILLION, timeoutSeconds: 60, onReject: report }));
  turns();
  intervene(b, { kind: "drop_held", number: held(b)[0] as number });
  turns();
  run(a, [], { seconds: 90 });
  turns();
  assert.equal(s.numberOf(s.replyOf(s.statusOf(a.m, sent))), 6n);
  assert.equal(balances(), before);
});

test("the tree of a message knows what ran where", () => {
  const sent = send(remote(B, remote(A, u.seq(u.debugPrint("home"), u.reply(u.bytes("deep"))))));
  turns(6);
  const root = messageTree(rounds, sent.requestId) as MessageNode;
  const [away] = root.children as [MessageNode];
  const [home] = away.children as [MessageNode];
  assert.deepEqual(
    [root, away, home].map(({ subnet, canister }) => [subnet, canister]),
    [
      [a.record.subnetId, A],
      [b.record.subnetId, B],
      [a.record.subnetId, A],
    ],
  );
  for (const { answer } of [root, away, home]) assert.ok(answer?.kind === "reply" && s.textOf(answer.data) === "deep");
  assert.deepEqual(home.executions[0]?.log.map(s.textOf), ["home"]);
  const { messages, byCanister, instructions } = figuresOf(root);
  assert.equal(messages, 3);
  assert.equal((byCanister.get(A)?.instructions ?? 0) + (byCanister.get(B)?.instructions ?? 0), instructions);
});
