// Calls between canisters as a test watches and disturbs them: trees, reports, budgets, expectations, messages put
// aside and delivered in another order, stepping from await to await, faults on purpose.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CanisterReject,
  createNetwork,
  ExpectationError,
  expectBudget,
  expectReject,
  expectReply,
  type TestCanister,
  type TestNetwork,
} from "@atoll/test-kit";
import { IDL } from "@icp-sdk/core/candid";
import * as u from "../../../execution/test/canisters/universal.ts";
import { type Calls, type Counter, callsIdl, counterIdl, motoko } from "./canisters-of-tests.ts";

let network: TestNetwork;
let front: TestCanister<Calls>;
let back: TestCanister<Calls>;
let counter: TestCanister<Counter>;
before(async () => {
  network = await createNetwork({ subnets: [{ kind: "application" }, { kind: "application" }] });
  const [near, far] = network.subnets;
  assert.ok(near && far);
  const options = { wasm: await motoko("calls"), candid: callsIdl };
  front = await network.install<Calls>({ ...options, name: "front", subnet: near });
  back = await network.install<Calls>({ ...options, name: "back", subnet: near });
  counter = await network.install<Counter>({
    wasm: await motoko("counter"),
    candid: counterIdl,
    name: "counter",
    subnet: far,
  });
});
after(() => network.close());

const noArgs = () => new Uint8Array(IDL.encode([], []));

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.fail("it did not fail"),
    (error: Error) => error,
  );
}

describe("calls between canisters", () => {
  it("are answered before the actor's promise is", async () => {
    assert.equal(await front.actor.callEcho(back.id, "hello"), "hello");
    assert.deepEqual(await front.actor.sendCycles(back.id, 5_000n, 2_000n), [2_000n, 3_000n]);
  });

  it("cross subnets", async () => {
    assert.notEqual(front.subnet.toText(), counter.subnet.toText());
    await counter.actor.inc();
    const call = await front.submit("callAndPassOn", counter.id, "inc", noArgs());
    assert.deepEqual(IDL.decode([IDL.Nat], await call.answer()), [2n]);
    const lines = call.tree().split("\n");
    assert.match(
      lines[0] ?? "",
      /^front\.callAndPassOn\(principal counter, "inc", .*\[.*, application 1, height \d+\]$/,
    );
    // Motoko's `InternetComputer.call` is a call of the canister to itself first.
    assert.match(lines[1] ?? "", /^└─ front\.__motoko_async_helper\(\d+\) -> \(candid\(2\)\) {3}\[/);
    assert.match(lines[2] ?? "", /^ {3}└─ counter\.inc\(\) -> \(2\) {3}\[.*, application 2, height \d+\]$/);
    assert.equal(lines.length, 3);
  });
});

describe("a failed call", () => {
  it("tells of all that it caused", async () => {
    const error = await failureOf(front.actor.callAndPassOn(counter.id, "trapAfterChange", noArgs()));
    assert.ok(error instanceof CanisterReject);
    const [sentence, empty, ...tree] = error.message.split("\n");
    assert.match(sentence ?? "", /^front\.callAndPassOn: IC0406: .*trapped after the change/);
    assert.match(tree.join("\n"), /^ {3}└─ counter\.trapAfterChange\(\) -> ✗ CANISTER_ERROR: .*$/m);
    assert.match(
      tree.join("\n"),
      /✗ trapAfterChange failed: IC0503: .*trapped after the change' \(in ic_trap < .*trapAfterChange\)$/m,
    );
    assert.ok(error.message.endsWith(error.tree));
    assert.ok(empty !== undefined);
  });

  it("is expected, by code, name and words", async () => {
    const expected = { code: "CANISTER_ERROR", errorCode: "IC0503", message: /after the change/ } as const;
    await expectReject(counter.actor.trapAfterChange(), expected);
    await expectReject(counter.submit("trapAfterChange"), { errorName: "CanisterCalledTrap", message: "trapped" });
    const other = await failureOf(expectReject(counter.submit("trapAfterChange"), { errorCode: "IC0502" }));
    assert.ok(other instanceof ExpectationError);
    assert.match(other.message, /^The call was rejected, but not as expected: IC0503: /);
    assert.match(other.message, /\ncounter\.trapAfterChange\(\) -> ✗ CANISTER_ERROR/);
    assert.equal((other.actual as { errorCode: string }).errorCode, "IC0503");
    const none = await failureOf(expectReject(front.submit("callEcho", back.id, "hi")));
    assert.match(none.message, /^The call was to be rejected, but it answered "hi"\.\n\nfront\.callEcho\(/);
    assert.match(none.message, /└─ back\.echo\("hi"\) -> \("hi"\)/);
  });
});

describe("a reply", () => {
  it("is expected, with the tree when it is another one", async () => {
    await expectReply(back.submit("echo", "same"), "same");
    await expectReply(back.actor.echo("same"), "same");
    const error = await failureOf(expectReply(front.submit("callEcho", back.id, "other"), "this"));
    assert.match(error.message, /^The call was to reply "this", but it replied "other"\.\n\nfront\.callEcho\(/);
    assert.deepEqual([(error as ExpectationError).actual, (error as ExpectationError).expected], ["other", "this"]);
    const byActor = await failureOf(expectReply(front.actor.callEcho(back.id, "other"), "this"));
    assert.match(byActor.message, /└─ back\.echo\("other"\) -> \("other"\)/);
    const failed = await failureOf(expectReply(counter.submit("trapAfterChange"), undefined));
    assert.match(
      failed.message,
      /^The call was to reply undefined, but it was rejected: counter\.trapAfterChange: IC0503/,
    );
    await expectReply(counter.actor.whoami(), counter.id).then(
      () => assert.fail("principals differ"),
      () => undefined,
    );
  });
});

describe("the cost of a call", () => {
  it("is reported with all that it caused, the same each time", async () => {
    const call = await front.submit("callEcho", back.id, "cost");
    await call.answer();
    const report = call.report();
    assert.equal(report.messages, 2);
    assert.deepEqual(Object.keys(report.byCanister).sort(), ["back", "front"]);
    const { front: own, back: other } = report.byCanister;
    assert.ok(own && other && own.instructions > other.instructions);
    assert.equal(own.instructions + other.instructions, report.instructions);
    assert.equal(own.cycles + other.cycles, report.cycles);
    const before = front.cycles() + back.cycles();
    const again = await front.submit("callEcho", back.id, "cost");
    await again.answer();
    assert.equal(before - front.cycles() - back.cycles(), again.report().cycles);
  });

  it("is held to a budget", async () => {
    const report = await expectBudget(front.submit("callEcho", back.id, "cost"), {
      instructions: 1_000_000,
      cycles: 100_000_000n,
      messages: 2,
      byCanister: { back: { instructions: 500_000 } },
    });
    assert.equal(report.messages, 2);
    const budget = { instructions: 100, byCanister: { back: { cycles: 1n } } };
    const error = await failureOf(expectBudget(front.submit("callEcho", back.id, "cost"), budget));
    assert.match(
      error.message,
      /over its budget: [\d_]+ instructions, at most 100 expected; [\d_]+ cycles of back, at most 1 expected\.\n\nfront/,
    );
    await expectBudget(front.actor.callEcho(back.id, "cost"), { messages: 2 });
    await assert.rejects(expectBudget(counter.actor.get(), {}), /only calls have a budget/);
    const untraced = await createNetwork({ trace: false });
    const plain = await untraced.install<Counter>({ wasm: await motoko("counter"), candid: counterIdl });
    await assert.rejects(expectBudget(plain.submit("inc"), {}), /there is no trace of the call/);
    await untraced.close();
  });
});

describe("messages under way", () => {
  it("are listed with decoded arguments", async () => {
    const hold = await network.hold({ to: back, method: "echo" });
    const call = await front.submit("callEcho", back.id, "listed");
    await network.tick(2);
    const messages = network.messages();
    const held = messages.find(({ place }) => place === "held");
    assert.deepEqual(held?.args, ["listed"]);
    assert.equal(held?.from.toText(), front.id.toText());
    assert.match(held?.text ?? "", /^request \(held\) from front to back\.echo\("listed"\)$/);
    assert.ok(messages.some(({ place, requestId }) => place === "awaiting" && requestId === call.id));
    const unanswered = await failureOf(call.answer());
    assert.match(
      unanswered.message,
      /^front\.callEcho is not answered: 100 rounds have run \(held: request \(held\) from/,
    );
    assert.match(unanswered.message, /└─ back\.echo\("listed"\) -> not arrived yet/);
    await hold.end();
    assert.equal(await call.answer(), "listed");
    assert.deepEqual(network.messages(), []);
  });

  it("are delivered in another order", async () => {
    const start = await counter.actor.get();
    const hold = await network.hold({ to: counter, kind: "ingress" });
    const first = await counter.submit("inc");
    const second = await counter.submit("add", 10n);
    const [a, b] = [await hold.next(), await hold.next()];
    await network.release([b, a]);
    assert.ok(!a.isHeld);
    assert.equal(await second.answer(), start + 10n);
    assert.equal(await first.answer(), start + 11n);
    await hold.end();
    await assert.rejects(a.release(), /No message \d+ is held/);
  });

  it("are answered in place of their receiver", async () => {
    const hold = await network.hold({ from: front, to: counter, count: 1 });
    const call = await front.submit("call", counter.id, "inc", noArgs());
    const held = await hold.next();
    assert.equal(held.message.method, "inc");
    await held.reject("SYS_TRANSIENT", "not today");
    await expectReply(call, { err: ["#canister_reject", "not today"] });
    assert.match(call.tree(), /counter\.inc\(\) -> ✗ SYS_TRANSIENT: not today \(never executed: not today\)/);
    await assert.rejects(hold.next(), /no message came to be held in 100 rounds/);
    await hold.end();
  });

  it("are lost where the protocol may lose them", async () => {
    const hold = await network.hold({ to: back });
    const call = await front.submit("callWithTimeout", back.id, 30);

    await (await hold.next()).drop();
    network.advance({ seconds: 31 });
    const reject = await expectReject(call);
    assert.match(reject.message, /deadline/i);
    const guaranteed = await front.submit("callEcho", back.id, "kept");
    const held = await hold.next();
    await assert.rejects(held.drop(), /never lost on the Internet Computer: reject it instead/);
    await hold.release();
    assert.equal(await guaranteed.answer(), "kept");
    await hold.end();
  });

  it("are stepped through from await to await", async () => {
    const start = await counter.actor.get();
    const call = await counter.submit("trapInCallback");
    const awaited = await network.runToNextAwait(call);
    assert.deepEqual(
      awaited.map(({ method }) => method),
      ["nothing"],
    );
    assert.equal(await counter.actor.get(), start + 1n);
    const done = await counter.submit("trapInCallback");
    assert.equal((await network.runToNextAwait(done)).length, 1);
    assert.deepEqual(await network.runToNextAwait(done), []);
    await expectReject(call, { message: "trapped in the callback" });
    await expectReject(done, { message: "trapped in the callback" });
    assert.equal(await counter.actor.get(), start + 2n);
  });
});

describe("faults on purpose", () => {
  it("trap a method, or a callback", async () => {
    const start = await counter.actor.get();
    await network.faults.trapNext(counter, { method: "inc", message: "a bad day" });
    assert.equal(await counter.actor.add(1n), start + 1n);
    await expectReject(counter.actor.inc(), { errorCode: "IC0503", message: "a bad day" });
    assert.equal(await counter.actor.inc(), start + 2n);
    await network.faults.trapNext(front, { in: "callback" });
    await expectReject(front.actor.callEcho(back.id, "back"), { message: "trapped on purpose" });
    assert.equal(await front.actor.callEcho(back.id, "back"), "back");
  });

  it("fill a queue", async () => {
    await network.faults.fullQueue(front, back);
    await expectReject(front.actor.callEcho(back.id, "full"), { message: /could not perform|queue/i });
    await network.faults.fullQueue(front, back, 0);
    assert.equal(await front.actor.callEcho(back.id, "room"), "room");
  });

  it("take all cycles", async () => {
    const poor = await network.install<Counter>({ wasm: await motoko("counter"), candid: counterIdl });
    await network.faults.outOfCycles(poor);
    assert.equal(poor.cycles(), 0n);
    await expectReject(poor.actor.inc(), { errorCode: "IC0207" });
    await poor.addCycles(10n ** 13n);
    assert.equal(await poor.actor.inc(), 1n);
  });

  it("upgrade a canister in the middle of an await", async () => {
    const plain = await network.install({ wasm: u.universalModule(), arg: u.seq() });
    const onReply = u.reply(u.bytes("after the upgrade"));
    const asking = u.call({
      callee: u.bytes(counter.id.toUint8Array()),
      method: "inc",
      arg: u.bytes(noArgs()),
      onReply,
    });
    const hold = await network.hold({ to: plain, kind: "response" });
    const call = await network.submit({ canister: plain, method: "update", arg: asking });
    await hold.next();
    // The callback is a function of the old module, and its environment is gone from the heap.
    await plain.upgrade({ wasm: u.universalModule({ heartbeat: true }), arg: u.seq() });
    await hold.end();
    await expectReject(call, { code: "CANISTER_ERROR" });
    assert.equal((await plain.status()).status, "running");
  });
});
