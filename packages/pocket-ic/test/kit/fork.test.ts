// A prepared network forked for each test: what one does, no other sees, and each goes on from the same state.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { sha256 } from "@atoll/host-node";
import { replayRecording } from "@atoll/replica";
import { createNetwork, expectReject, expectReply, type TestCanister, type TestNetwork } from "@atoll/test-kit";
import { type Calls, type Counter, callsIdl, counterIdl, motoko } from "./canisters-of-tests.ts";

let prepared: TestNetwork;
let counter: TestCanister<Counter>;
let calls: TestCanister<Calls>;
before(async () => {
  prepared = await createNetwork({ subnets: [{ kind: "application" }, { kind: "application" }] });
  counter = await prepared.install<Counter>({ wasm: await motoko("counter"), candid: counterIdl, name: "counter" });
  const [, second] = prepared.subnets;
  assert.ok(second);
  const options = { wasm: await motoko("calls"), candid: callsIdl, name: "calls", subnet: second };
  calls = await prepared.install<Calls>(options);
  await counter.actor.add(5n);
});
after(() => prepared.close());

describe("a fork", () => {
  it("goes on from where the network was, and changes nothing there", async () => {
    const fork = await prepared.fork();
    const its = fork.canister(counter);
    assert.equal(await its.actor.inc(), 6n);
    assert.equal(await its.actor.get(), 6n);
    assert.equal(await counter.actor.get(), 5n);
    assert.equal(String(its), "counter");
    fork.advance({ days: 1 });
    await fork.tick();
    assert.ok(prepared.time < fork.time);
    await fork.close();
  });

  it("is like its siblings", async () => {
    const answers = await Promise.all(
      [1, 2, 3].map(async (number) => {
        const fork = await prepared.fork();
        const sum = await fork.canister(counter).actor.add(BigInt(number));
        await fork.close();
        return sum;
      }),
    );
    assert.deepEqual(answers, [6n, 7n, 8n]);
  });

  it("has messages in flight, logs, names and holds of its own", async () => {
    const hold = await prepared.hold({ to: calls, kind: "ingress" });
    const call = await calls.submit("echo", "held");
    await hold.next();
    const fork = await prepared.fork();
    assert.deepEqual(
      fork.messages().map(({ place, method }) => [place, method]),
      [["held", "echo"]],
    );
    await hold.end();
    await expectReply(call, "held");
    assert.deepEqual(prepared.messages(), []);
    assert.equal(fork.messages().length, 1);
    const others = await fork.hold({ to: counter });
    assert.equal(await counter.actor.get(), 5n);
    await others.end();
    assert.equal(
      await fork
        .canister(calls)
        .actor.callEcho(fork.canister(counter).id, "x")
        .catch(() => "no"),
      "no",
    );
    await fork.close();
  });

  it("goes on with calls in flight, each fork in an order of its own", async () => {
    const hold = await prepared.hold({ to: counter, kind: "ingress" });
    const inc = await counter.submit("inc");
    const add = await counter.submit("add", 10n);
    await hold.next();
    await hold.next();
    for (const order of [[0, 1] as const, [1, 0] as const]) {
      const fork = await prepared.fork();
      const held = fork.held();
      assert.deepEqual(
        held.map(({ message }) => message.method),
        ["inc", "add"],
      );
      await fork.release(order.flatMap((i) => held[i] ?? []));
      const answers = await Promise.all([fork.sameCall(inc).answer(), fork.sameCall(add).answer()]);
      assert.deepEqual(answers, order[0] === 0 ? [6n, 16n] : [16n, 15n]);
      await fork.close();
    }
    assert.equal(inc.status(), "received");
    await hold.end();
    assert.deepEqual(prepared.held(), []);
    assert.equal(await add.answer(), 16n);
  });

  it("is recorded with all that came before it, and that can be run again", async () => {
    const recorded = await createNetwork({ subnets: [{ kind: "nns" }, { kind: "application" }], record: true });
    const wasm = await motoko("counter");
    const its = await recorded.install<Counter>({ wasm, candid: counterIdl, subnet: "nns" });
    const hold = await recorded.hold({ to: its });
    const first = await its.submit("inc");
    const second = await its.submit("add", 10n);
    const [a, b] = [await hold.next(), await hold.next()];
    await recorded.release([b, a]);
    await hold.end();
    assert.deepEqual([await first.answer(), await second.answer()], [11n, 10n]);
    const fork = await recorded.fork();
    fork.advance({ days: 1 });
    await fork.faults.trapNext(its, { message: "recorded" });
    await expectReject(fork.canister(its).actor.inc(), { message: "recorded" });
    const outcome = await replayRecording(await fork.recording(), { crypto: { sha256 } });
    assert.equal(outcome.difference, undefined);
    assert.equal(outcome.subnets, 2);
    assert.ok(outcome.batches > (await replayRecording(await recorded.recording(), { crypto: { sha256 } })).batches);
    await assert.rejects(async () => prepared.recording(), TypeError);
    for (const network of [fork, recorded]) await network.close();
  });
});
