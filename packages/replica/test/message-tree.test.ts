// Traces of rounds, and the tree of a user's message that is built from them: what each canister did for it, what it
// took, and what never ran.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TraceEvent } from "@atoll/execution";
import { figuresOf, type MessageNode, messageTree, type TracedRound } from "@atoll/replica";
import { canisterIdFromIndex, type IngressMessage, type Intervention } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import * as s from "../../execution/test/semantics/machine.ts";

const BILLION = 1_000_000_000n;
const m = s.newMachine({}, {}, { trace: true });
const rounds: TracedRound[] = [];

function keep(): void {
  const { height, trace } = m.last;
  rounds.push({ subnet: m.machine.state.config.subnetId, height, events: trace as readonly TraceEvent[] });
}

function start(receiver: ReturnType<typeof s.newUniversal>, program: u.Code, interventions: Intervention[] = []) {
  if (interventions.length > 0) {
    s.intervene(m, ...interventions);
    keep();
  }
  const sent = s.message(m, receiver, "update", program);
  s.round(m, [sent]);
  keep();
  for (let i = 0; i < 20 && m.last.hasMoreWork; i++) {
    s.round(m);
    keep();
  }
  return sent;
}

const tree = ({ requestId }: IngressMessage): MessageNode => messageTree(rounds, requestId) as MessageNode;
const a = s.newUniversal(m);
const b = s.newUniversal(m);
const c = s.newUniversal(m);
const callTo = (id: typeof a, program: u.Code, rest: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(id), method: "update", arg: u.bytes(program), ...rest });

describe("the tree of a message", () => {
  test("has a node for each call, with argument, answer, cycles and instructions", () => {
    const inner = u.seq(
      u.debugPrint("here"),
      u.cyclesAccept(BILLION),
      u.op("drop"),
      u.op("drop"),
      u.reply(u.bytes("c")),
    );
    const middle = callTo(c, inner, { cycles: 3n * BILLION });
    const before = s.balanceOf(m, a) + s.balanceOf(m, b) + s.balanceOf(m, c);
    const sent = start(a, callTo(b, middle));
    const root = tree(sent);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "c");
    assert.deepEqual([root.canister, root.methodName, root.sender, root.arg], [a, "update", s.ALICE, sent.arg]);
    assert.deepEqual(root.answer, { kind: "reply", data: new TextEncoder().encode("c") });
    assert.deepEqual(
      root.executions.map(({ methodName }) => methodName),
      ["update", "(reply callback)"],
    );
    const [atB] = root.children as [MessageNode];
    const [atC] = atB.children as [MessageNode];
    assert.deepEqual([atB.canister, atB.sender, atB.arg, atB.cycles], [b, a, middle, 0n]);
    assert.deepEqual([atC.canister, atC.cycles, atC.refund], [c, 3n * BILLION, 2n * BILLION]);
    assert.deepEqual(atC.children, []);
    assert.deepEqual(atC.executions[0]?.log.map(s.textOf), ["here"]);
    const figures = figuresOf(root);
    assert.equal(figures.messages, 3);
    assert.equal(
      figures.instructions,
      [root, atB, atC].flatMap(({ executions }) => executions).reduce((sum, each) => sum + each.instructions, 0),
    );
    assert.deepEqual([...figures.byCanister.keys()].sort(), [a, b, c].sort());
    const after = [a, b, c].reduce((sum, id) => sum + s.canisterOf(m, id).cycles, 0n);
    assert.equal(figures.cyclesConsumed, before - after, "to the unit what the three have less");
  });

  test("tells of balances before and after each execution", () => {
    const root = tree(start(a, u.seq(u.spin(1000), u.reply())));
    const [only] = root.executions as [MessageNode["executions"][number]];
    assert.equal(only.cyclesBefore - only.cyclesAfter, only.cyclesConsumed);
    assert.equal(only.cyclesAfter, s.canisterOf(m, a).cycles);
    assert.ok(only.heapPages >= 0 && only.instructions > 1000);
  });

  test("tells traps, in callbacks too, and what never ran", () => {
    const trapped = tree(start(a, callTo(b, u.trap("bad"))));
    assert.match(trapped.children[0]?.executions[0]?.error?.message ?? "", /bad/);
    const payload = trapped.children[0]?.answer;
    assert.ok(payload?.kind === "reject" && /bad/.test(payload.message) && payload.code === 5);
    const inCallback = tree(
      start(a, callTo(b, u.reply(), { onReply: u.trap("late"), onCleanup: u.debugPrint("clean") })),
    );
    assert.deepEqual(
      inCallback.executions.map(({ error }) => error?.code),
      [undefined, s.ErrorCode.CanisterCalledTrap],
    );
    assert.ok(inCallback.executions[1]?.log.map(s.textOf).includes("clean"));
    const nowhere = tree(start(a, callTo(canisterIdFromIndex(0xfen), u.reply())));
    assert.match(nowhere.children[0]?.notExecuted ?? "", /not found/);
    assert.deepEqual(nowhere.children[0]?.executions, []);
    const noMethod = tree(start(a, u.call({ callee: s.idBytes(b), method: "none" })));
    assert.match(noMethod.children[0]?.notExecuted ?? "", /no update method 'none'/);
  });

  test("of a message that its canister refuses, of one to no canister, and of no message at all", () => {
    const sent = s.message(m, canisterIdFromIndex(0xfen), "update", u.reply());
    s.round(m, [sent]);
    keep();
    assert.match(tree(sent).notExecuted ?? "", /not found/);
    assert.equal(messageTree(rounds, "ff".repeat(32)), undefined);
    assert.equal(messageTree([], "ff".repeat(32)), undefined);
  });

  test("tells that a call has expired, and what was dropped", () => {
    const call = callTo(b, u.reply(), { timeoutSeconds: 30, onReject: u.reply(u.rejectMessage()) });
    const hold = { kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } } as const;
    const sent = start(a, call, [hold]);
    assert.deepEqual([tree(sent).answer, tree(sent).children[0]?.answer], [undefined, undefined]);
    s.round(m, [], 60);
    keep();
    const [child] = tree(sent).children as [MessageNode];
    assert.ok(child.hasExpired && child.answer?.kind === "reject" && child.answer.code === 6);
    assert.match(child.notExecuted ?? "", /deadline passed/);
  });

  test("counts the instructions of installations for the canister that gets the code", () => {
    const init = u.spin(100_000);
    s.replyOf(s.install(m, c, s.universal(), { mode: { reinstall: null }, arg: init }));
    const events = m.last.trace ?? [];
    const found = events.find((event) => event.kind === "ingress") as Extract<TraceEvent, { kind: "ingress" }>;
    keep();
    const root = messageTree(rounds, found.requestId) as MessageNode;
    assert.deepEqual(
      root.executions.map(({ methodName, canister }) => [methodName, canister]),
      [["(reinstall)", c]],
    );
    assert.ok((figuresOf(root).byCanister.get(c)?.instructions ?? 0) > 100_000);
    assert.equal(root.answer?.kind, "reply");
  });
});

test("connects the rounds of several subnets by callback ids", () => {
  const split = rounds.map((each, i) => ({ ...each, subnet: `${i % 2}`.repeat(58) as TracedRound["subnet"] }));
  const sent = start(a, callTo(b, callTo(c, u.reply())));
  const far = rounds.slice(split.length).map((each) => ({
    ...each,
    events: each.events.filter((event) => event.kind !== "execution" || event.canister === a),
  }));
  const near = rounds.slice(split.length).map((each) => ({
    ...each,
    subnet: "22".repeat(29) as TracedRound["subnet"],
    events: each.events.filter((event) => event.kind === "execution" && event.canister !== a),
  }));
  const root = messageTree([...far, ...near], sent.requestId) as MessageNode;
  assert.equal(root.subnet, m.machine.state.config.subnetId);
  assert.equal(root.children[0]?.subnet, "22".repeat(29));
  assert.equal(root.children[0]?.children[0]?.canister, c);
});

test("a machine that nobody asked to trace makes no events", () => {
  const quiet = s.newMachine();
  s.update(quiet, s.newUniversal(quiet), u.reply());
  assert.equal("trace" in quiet.last, false);
});
