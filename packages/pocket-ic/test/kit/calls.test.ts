// Calls between canisters as a test makes them and watches them.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createNetwork, type TestCanister, type TestNetwork } from "@atoll/test-kit";
import { type Calls, callsIdl, motoko } from "./canisters-of-tests.ts";

let network: TestNetwork;
let front: TestCanister<Calls>;
let back: TestCanister<Calls>;
before(async () => {
  network = await createNetwork();
  const options = { wasm: await motoko("calls"), candid: callsIdl };
  front = await network.install<Calls>({ ...options, name: "front" });
  back = await network.install<Calls>({ ...options, name: "back" });
});
after(() => network.close());

describe("calls between canisters", () => {
  it("are answered before the actor's promise is", async () => {
    assert.equal(await front.actor.callEcho(back.id, "hello"), "hello");
    assert.deepEqual(await front.actor.sendCycles(back.id, 5_000n, 2_000n), [2_000n, 3_000n]);
  });
});
