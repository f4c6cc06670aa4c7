// A canister of a test from its creation to its deletion: actors, callers, settings, cycles, memory, snapshots, logs.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CanisterReject, createNetwork, type TestCanister, type TestNetwork } from "@atoll/test-kit";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../execution/test/canisters/universal.ts";
import { universalModule } from "../../../execution/test/canisters/universal.ts";
import { type Counter, counterIdl, type Greeter, greeterIdl, greeterInit, motoko } from "./canisters-of-tests.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

let network: TestNetwork;
before(async () => {
  network = await createNetwork({ subnets: [{ kind: "nns" }, { kind: "application" }, { kind: "application" }] });
});
after(() => network.close());

async function installCounter(): Promise<TestCanister<Counter>> {
  return network.install<Counter>({ wasm: await motoko("counter"), candid: counterIdl, name: "counter" });
}

async function rejectOf(promise: Promise<unknown>): Promise<CanisterReject> {
  const error = await promise.then(
    () => assert.fail("the call did not fail"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CanisterReject, String(error));
  return error;
}

/** A module of nothing but a passive data segment. */
function largeModule(bytes: number): Uint8Array {
  const leb = (value: number) =>
    Uint8Array.of(...[0, 7, 14, 21].map((by) => ((value >> by) & 127) | (by < 21 ? 128 : 0)));
  const head = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  const segment = u.seq(Uint8Array.of(1, 1), leb(bytes), new Uint8Array(bytes));
  return u.seq(head, Uint8Array.of(11), leb(segment.length), segment);
}

describe("a canister of a test", () => {
  it("has a typed actor, called by anybody", async () => {
    const counter = await installCounter();
    const first: bigint = await counter.actor.inc();
    assert.equal(first, 1n);
    assert.equal(await counter.actor.add(5n), 6n);
    assert.equal(await counter.actor.get(), 6n);
    assert.equal((await counter.actor.whoami()).toText(), "2vxsx-fae");
    const alice = network.identity("alice");
    assert.equal((await counter.as(alice).actor.whoami()).toText(), alice.principal.toText());
    assert.equal(await network.actor<Counter>(counterIdl, counter.id.toText()).get(), 6n);
  });

  it("is called in several ways at once", async () => {
    const { actor } = await installCounter();
    const counts = await Promise.all([actor.inc(), actor.inc(), actor.inc()]);
    assert.deepEqual([...counts].sort(), [1n, 2n, 3n]);
  });

  it("says what is wrong with a call before it is made", async () => {
    const counter = await installCounter();
    await assert.rejects(counter.actor.add("5" as never), /the arguments of add cannot be encoded: .*nat/);
    await assert.rejects((counter.actor.add as () => Promise<bigint>)(), /add takes 1 arguments, 0 are given/);
    await assert.rejects(network.canister(counter.id).submit("decrement"), /no method "decrement"; it has: .*inc/);
    assert.throws(() => network.canister("not a principal"), /"not a principal" is not the text of a principal/);
  });

  it("fails with codes, words and place", async () => {
    const counter = await installCounter();
    const reject = await rejectOf(counter.actor.trapAfterChange());
    assert.equal(reject.code, "CANISTER_ERROR");
    assert.equal(reject.errorCode, "IC0503");
    assert.equal(reject.errorName, "CanisterCalledTrap");
    assert.match(reject.message, /^counter\.trapAfterChange: IC0503: .*trapped after the change/);
    assert.equal(reject.canister, counter.id.toText());
    assert.equal(await counter.actor.get(), 0n);
    const missing = await rejectOf(network.query({ canister: counter, method: "none" }));
    assert.equal(missing.errorCode, "IC0536");
  });

  it("is submitted to without waiting", async () => {
    const counter = await installCounter();
    const call = await counter.submit("add", 3n);
    assert.equal(call.status(), "submitted");
    assert.equal(await counter.actor.get(), 0n);
    await network.tick();
    assert.equal(call.status(), "replied");
    // The network forgets answers after five minutes; the call does not.
    network.advance({ minutes: 20 });
    await network.tick(2);
    const answer: bigint = await call.answer();
    assert.equal(answer, 3n);
    assert.match(call.id, /^[0-9a-f]{64}$/);
  });

  it("is created where and as a test wants it", async () => {
    const [nns, , second] = network.subnets;
    assert.ok(nns && second);
    const wasm = universalModule();
    const arg = u.seq();
    const there = await network.install({ wasm, arg, subnet: second });
    assert.equal(there.subnet.toText(), second.id.toText());
    const id = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
    const ledger = await network.install({ wasm, arg, id, cycles: 7n * 10n ** 12n });
    assert.equal(ledger.id.toText(), id.toText());
    assert.equal(ledger.subnet.toText(), nns.id.toText());
    assert.equal((await network.createCanister({ subnet: "nns" })).subnet.toText(), nns.id.toText());
    await assert.rejects(network.install({ wasm, arg, id }), /already/);
    await assert.rejects(network.createCanister({ subnet: "bitcoin" }), /the network has no bitcoin subnet/);
    const alice = network.identity("alice");
    const hers = await network.install({ wasm, arg, as: alice });
    assert.deepEqual(hers.controllers.map(String), [alice.principal.toText()]);
  });

  it("takes its installation argument as bytes or as values", async () => {
    const args = [{ greeting: "Hello", times: 2n }];
    const wasm = await motoko("init-arg");
    const greeter = await network.install<Greeter>({ wasm, candid: greeterIdl, init: greeterInit, args });
    assert.equal(await greeter.actor.greet("Ada"), "Hello, Ada! Hello, Ada! ");
    await assert.rejects(network.install({ wasm, args }), /`args` needs `init`/);
    await assert.rejects(network.install({ wasm }), CanisterReject);
  });

  it("is installed in chunks when its module is large", async () => {
    const wasm = largeModule(3_000_000);
    const canister = await network.install({ wasm });
    const status = await canister.status();
    assert.equal(status.memoryMetrics.wasmChunkStoreSize, 0n);
    assert.equal(status.memoryMetrics.wasmBinarySize, BigInt(wasm.length));
    const named = universalModule({ metadata: { "icp:public candid:service": "service : {}" } });
    await canister.reinstall({ wasm: named, arg: u.seq() });
    assert.equal(decoder.decode(canister.metadata("candid:service")), "service : {}");
    assert.equal(canister.metadata("other"), undefined);
  });

  it("is stopped, started, upgraded, reinstalled, uninstalled and deleted", async () => {
    const counter = await installCounter();
    await counter.actor.inc();
    await counter.stop();
    assert.equal((await counter.status()).status, "stopped");
    assert.equal((await rejectOf(counter.actor.inc())).errorCode, "IC0508");
    await counter.start();
    await counter.upgrade({ wasm: await motoko("counter") });
    assert.equal(await counter.actor.get(), 1n);
    await counter.reinstall({ wasm: await motoko("counter") });
    assert.equal(await counter.actor.get(), 0n);
    await counter.uninstall();
    assert.equal((await counter.status()).moduleHash, undefined);
    assert.equal((await rejectOf(counter.actor.inc())).errorCode, "IC0537");
    await counter.stop();
    await counter.delete();
    await assert.rejects(counter.status(), /there is no canister/);
  });

  it("changes hands, and what only controllers may do is done as one of them", async () => {
    const counter = await installCounter();
    const [alice, bob] = [network.identity("alice"), network.identity("bob")];
    await counter.updateSettings({ controllers: [alice], freezingThreshold: 1000, logVisibility: [bob] });
    assert.deepEqual(counter.controllers.map(String), [alice.principal.toText()]);
    const { settings } = await counter.status();
    assert.equal(settings.freezingThreshold, 1000n);
    assert.deepEqual((settings.logVisibility as readonly Principal[]).map(String), [bob.principal.toText()]);
    await counter.updateSettings({ environmentVariables: { MODE: "test" } });
    assert.deepEqual((await counter.status()).settings.environmentVariables, { MODE: "test" });
    await counter.updateSettings({ controllers: [] });
    await assert.rejects(counter.stop(), CanisterReject);
  });

  it("gets and loses cycles, and pays for storage as time passes", async () => {
    const counter = await network.install({ wasm: await motoko("counter"), cycles: 10n ** 13n });
    const before = counter.cycles();
    await counter.addCycles(5n * 10n ** 12n);
    assert.equal(counter.cycles() - before, 5n * 10n ** 12n);
    await counter.setCycles(10n ** 12n);
    assert.equal(counter.cycles(), 10n ** 12n);
    assert.equal((await counter.status()).cycles, 10n ** 12n);
    network.advance({ days: 10 });
    await network.tick();
    assert.ok(counter.cycles() < 10n ** 12n);
    assert.equal((await counter.status()).cycles, counter.cycles());
  });

  it("shows its stable memory and takes another one", async () => {
    const canister = await network.install({ wasm: universalModule(), arg: u.seq() });
    const write = u.seq(u.stableGrow(1), u.stableWrite(3, u.bytes("stable")), u.reply());
    await network.call({ canister, method: "update", arg: write });
    const memory = canister.stableMemory();
    assert.equal(memory.length, 65536);
    assert.equal(decoder.decode(memory.subarray(3, 9)), "stable");
    await canister.setStableMemory(encoder.encode("of a test"));
    const read = u.reply(u.stableRead(0, 9));
    assert.equal(decoder.decode(await network.query({ canister, method: "query", arg: read })), "of a test");
  });

  it("has snapshots", async () => {
    const counter = await installCounter();
    await counter.actor.add(7n);
    const snapshot = await counter.takeSnapshot();
    assert.ok(snapshot.bytes > 0n);
    await counter.actor.add(1n);
    await counter.loadSnapshot(snapshot);
    assert.equal(await counter.actor.get(), 7n);
    const replaced = await counter.takeSnapshot({ replace: snapshot });
    assert.deepEqual(
      (await counter.snapshots()).map(({ id }) => id),
      [replaced.id],
    );
    await counter.deleteSnapshot(replaced);
    assert.deepEqual(await counter.snapshots(), []);
  });

  it("has a log with method and height, of more lines than the network keeps", async () => {
    const canister = await network.install({ wasm: universalModule(), arg: u.seq() });
    const say = (text: string) => u.seq(u.debugPrint(text), u.reply());
    await network.call({ canister, method: "update", arg: say("first") });
    await network.call({ canister, method: "update", arg: say("x".repeat(3000)) });
    await network.call({ canister, method: "update", arg: say("y".repeat(3000)) });
    await network.call({ canister, method: "update", arg: u.trap("last") }).catch(() => undefined);
    const lines = canister.logs();
    assert.deepEqual(
      lines.map(({ index }) => index),
      [0n, 1n, 2n, 3n],
    );
    assert.equal(lines[0]?.text, "first");
    assert.equal(lines[0]?.method, "update");
    assert.match(lines[3]?.text ?? "", /last/);
    const heights = lines.map(({ height }) => height);
    assert.deepEqual(
      heights,
      [...new Set(heights)].sort((a, b) => a - b),
    );
    assert.ok((lines[0]?.time ?? 0n) > 1_620_000_000_000_000_000n);
  });
});

describe("the network of a test", () => {
  it("shows its subnets, and gets further ones", async () => {
    const before = network.subnets;
    assert.deepEqual(
      before.map(({ kind, size }) => [kind, size]),
      [
        ["nns", 40],
        ["application", 13],
        ["application", 13],
      ],
    );
    const added = await network.addSubnet({ kind: "system" });
    const canister = await network.createCanister({ subnet: added });
    assert.equal(canister.subnet.toText(), added.id.toText());
    const ranges = added.canisterRanges.map((range) => range.map(String));
    assert.ok(ranges.some(([first = "", last = ""]) => first <= last));
  });

  it("serves an unmodified agent, which verifies its certificates, while it moves by itself", async () => {
    const live = await createNetwork({ subnets: [{ kind: "nns" }, { kind: "application" }] });
    const counter = await live.install<Counter>({ wasm: await motoko("counter"), candid: counterIdl });
    const alice = live.identity("alice");
    const identity = Ed25519KeyIdentity.generate(alice.seed);
    live.startProgress();
    const agent = await HttpAgent.create({
      host: "http://localhost",
      fetch: live.fetch,
      identity,
      rootKey: live.rootKey,
    });
    const actor = Actor.createActor<Counter>(counterIdl, { agent, canisterId: counter.id });
    assert.equal((await actor.whoami()).toText(), alice.principal.toText());
    assert.equal(await counter.as(identity).actor.inc(), 1n);
    assert.equal(await actor.get(), 1n);
    await live.stopProgress();
    await live.close();
  });

  it("is the same network for the same calls and seed", async () => {
    const run = async (seed: Uint8Array) => {
      const other = await createNetwork({ seed });
      const canister = await other.install({ wasm: universalModule(), arg: u.seq() });
      const subnet = other.subnets[0]?.id.toText();
      await other.close();
      return [subnet, canister.id.toText()].join();
    };
    const [first, second, third] = [
      await run(Uint8Array.of(1)),
      await run(Uint8Array.of(1)),
      await run(Uint8Array.of(2)),
    ];
    assert.equal(first, second);
    assert.notEqual(first, third);
  });
});
