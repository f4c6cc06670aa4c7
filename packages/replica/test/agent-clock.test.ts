// Clients whose clock is wrong by more than a message may live: the words of the refusal make the agent ask the
// network for the time and try again. Interface specification, "Authentication" (ingress_expiry).
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { type HttpServer, startHttpServer } from "@atoll/host-node/http-server";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import type { Outcome, WrongClock } from "./agent-on-another-clock.ts";
import { deploy, query, startNetwork, type TestNetwork } from "./network.ts";

let network: TestNetwork;
let server: HttpServer;
let counter: Principal;
let worker: Worker;
let count = 0n;

before(async () => {
  network = await startNetwork();
  server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler: network.api });
  worker = new Worker(new URL("agent-on-another-clock.ts", import.meta.url));
  counter = await deploy(await network.agent(), (await canister("counter")).wasm);
});
after(async () => {
  await worker?.terminate();
  await server?.close();
  await network?.stop();
});

const MINUTE = 60_000;
for (const signed of [true, false]) {
  for (const minutes of [-60 * 24 * 365, -20, -2, 2, 20, 60 * 24 * 365]) {
    const who = signed ? "a signed" : "an anonymous";
    test(`${who} call from a clock that is ${minutes} minutes ahead`, async () => {
      const outcome = await callWith({ aheadMs: minutes * MINUTE, signed });
      count++;
      assert.equal(outcome.error, undefined);
      assert.equal(outcome.update, count);
      assert.equal(outcome.query, count);
      // An expiry five minutes from now by the client's clock may be half a minute too far ahead, or past.
      const synced = minutes > 0.5 || minutes < -5 ? -minutes * MINUTE : 0;
      assert.ok(Math.abs((outcome.timeDiffMs ?? 0) - synced) < 10_000, `thinks it is off by ${outcome.timeDiffMs} ms`);
    });
  }
}

test("nothing was executed twice on the way", async () => {
  assert.equal(await query(await network.agent(), counter, "get", undefined, [IDL.Nat]), count);
});

async function callWith(clock: Pick<WrongClock, "aheadMs" | "signed">): Promise<Outcome> {
  worker.postMessage({ url: server.url, canisterId: counter.toText(), ...clock } satisfies WrongClock);
  const [outcome] = (await once(worker, "message")) as [Outcome];
  return outcome;
}
