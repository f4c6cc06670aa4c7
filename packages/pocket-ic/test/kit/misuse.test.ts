// The kit used wrongly, as Node and Vitest let a test do it since they do not check types: a misspelt option is an
// error that says what there is, never an option that was left out.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createNetwork, expectBudget, expectReject, type TestCanister, type TestNetwork } from "@atoll/test-kit";
import { type Counter, counterIdl, motoko, type Outcalls, outcallsIdl } from "./canisters-of-tests.ts";

let network: TestNetwork;
let counter: TestCanister<Counter>;
let wasm: Uint8Array;
before(async () => {
  network = await createNetwork();
  wasm = await motoko("counter");
  counter = await network.install<Counter>({ wasm, candid: counterIdl });
});
after(() => network.close());

// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse
const wrong = (value: unknown): any => value;

async function refused(promise: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(promise, { name: "TypeError", message });
}

describe("the kit used wrongly", () => {
  it("names the options and kinds of networks and subnets", async () => {
    await refused(createNetwork(wrong({ subnet: "application" })), /takes no "subnet"; there is: subnets, startTime,/);
    await refused(createNetwork(wrong({ subnets: ["application"] })), /a subnet takes an object with kind,.*not "appl/);
    await refused(
      createNetwork(wrong({ subnets: [{ kind: "app" }] })),
      /"app" is not a kind of subnet; there is: nns,/,
    );
    await refused(createNetwork(wrong({ subnets: { application: 2 } })), /`subnets` is a list/);
    await refused(network.addSubnet(wrong({ kind: "Application" })), /"Application" is not a kind of subnet/);
  });

  it("knows times and spans", async () => {
    assert.throws(() => network.advance(wrong({ hour: 1 })), /takes no "hour"; there is: days, hours, minutes/);
    assert.throws(() => network.advance(wrong(5)), /takes an object with days, hours.*not 5/);
    assert.throws(() => network.setTime(wrong(1_700_000_000_000)), /1700000000000 is no moment: give a Date, or ns/);
    await refused(createNetwork(wrong({ startTime: "2026-01-01" })), /is no moment/);
  });

  it("knows what canisters are made of", async () => {
    await refused(network.install(wrong({ wasm, controller: "aaaaa-aa" })), /takes no "controller"; there is: subnet,/);
    await refused(network.install(wrong({ wasm: "counter.wasm" })), /bytes of a module; `wasmFile\(path\)` reads them/);
    await refused(network.install(wrong({})), /bytes of a module/);
    await refused(network.install(wrong({ wasm, subnet: 1 })), /the network has no 1 subnet/);
    await refused(counter.upgrade(wrong({ wasm, mode: "keep" })), /upgrade takes no "mode"/);
    await refused(counter.reinstall(wrong(wasm)), /reinstall takes an object with wasm,/);
    await refused(counter.updateSettings(wrong({ freezing: 5 })), /settings takes no "freezing"/);
    assert.throws(() => counter.as("alice"), /a user of that name is network\.identity\("alice"\)/);
    await refused(network.call(wrong({ canister: counter, method: "inc", arg: "x" })), /`arg` is the bytes/);
    await refused(network.query(wrong({ canister: counter, methodName: "get" })), /takes no "methodName"/);
  });

  it("knows expectations, holds and faults", async () => {
    await refused(expectBudget(counter.actor.inc(), wrong({ instruction: 1 })), /takes no "instruction"/);
    await refused(expectBudget(counter.actor.inc(), wrong({ byCanister: { counter: { cycle: 1n } } })), /no "cycle"/);
    await refused(
      expectReject(counter.actor.inc(), wrong(/trap/)),
      /takes an object with code,.*message, not \/trap\//,
    );
    await refused(network.hold(wrong({ kind: "reply" })), /"reply" is not a kind of message/);
    await refused(network.hold(wrong({ receiver: counter })), /hold takes no "receiver"/);
    await refused(network.faults.trapNext(counter, wrong({ in: "reply" })), /"reply" is not a kind of execution/);
    const hold = await network.hold({ count: 1 });
    await counter.submit("inc");
    const held = await hold.next();
    await refused(held.reject(wrong("FATAL"), "no"), /"FATAL" is not a reject code; there is: SYS_FATAL,/);
    await hold.end();
  });

  it("knows answers of the web", async () => {
    const web = await network.install<Outcalls>({ wasm: await motoko("outcalls"), candid: outcallsIdl });
    const call = await web.submit("fetch", "https://a.example/", "", []);
    const outcall = await network.nextOutcall();
    await refused(
      outcall.reply(wrong("hello")),
      /an answer of the web takes an object with status, headers, body, not "he/,
    );
    await refused(outcall.reply(wrong({ statusCode: 200 })), /takes no "statusCode"/);
    await refused(outcall.reject(wrong("DOWN"), "no"), /"DOWN" is not a reject code/);
    network.onOutcall(() => wrong("hello"));
    await refused(call.answer(), /an answer of the web takes an object/);
    network.onOutcall(undefined);
    await outcall.reject("SYS_TRANSIENT", "down");
    await expectReject(call, { message: "down" });
  });

  it("says that a closed network was closed", async () => {
    const closed = await network.fork();
    await closed.close();
    await assert.rejects(closed.canister(counter).actor.inc(), /its network is closed/);
    await assert.rejects(closed.fork(), /its network is closed/);
  });
});
