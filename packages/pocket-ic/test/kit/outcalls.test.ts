// HTTPS outcalls answered by a test: for all nodes, for each node, not at all, and by a function.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createNetwork, expectReject, type TestCanister, type TestNetwork } from "@atoll/test-kit";
import { motoko, type Outcalls, outcallsIdl } from "./canisters-of-tests.ts";

const URL = "https://example.com/rate";

let network: TestNetwork;
let client: TestCanister<Outcalls>;
before(async () => {
  network = await createNetwork();
  client = await network.install<Outcalls>({ wasm: await motoko("outcalls"), candid: outcallsIdl, name: "client" });
});
after(() => network.close());

describe("an outcall", () => {
  it("is seen and answered", async () => {
    const call = await client.submit("fetch", URL, "none", [2_000n]);
    const outcall = await network.nextOutcall();
    assert.deepEqual(network.outcalls().length, 1);
    assert.equal(outcall.url, URL);
    assert.equal(outcall.method, "GET");
    assert.deepEqual(outcall.headers, { accept: "text/plain" });
    assert.equal(outcall.text(), "");
    assert.equal(outcall.maxResponseBytes, 2_000);
    assert.equal(outcall.nodes, 13);
    assert.equal(outcall.canister.toText(), client.id.toText());
    assert.equal(outcall.transform, undefined);
    await outcall.reply({ status: 201, headers: { "content-type": "text/plain" }, body: "7.25" });
    assert.equal(await call.answer(), "201 1 headers: 7.25");
    assert.deepEqual(network.outcalls(), []);
    await assert.rejects(outcall.reply({}), /has been answered, or has timed out/);
  });

  it("gets an answer of each node, which a transform function makes the same", async () => {
    const call = await client.submit("fetch", URL, "clean", []);
    const outcall = await network.nextOutcall();
    assert.equal(outcall.transform, "clean");
    const each = Array.from({ length: outcall.nodes }, (_, node) => ({ headers: { date: `node ${node}` }, body: "x" }));
    await assert.rejects(outcall.replyEach(each.slice(1)), /the subnet has 13 nodes, and there are 12 answers/);
    await outcall.replyEach(each);
    assert.equal(await call.answer(), "200 0 headers: context");
  });

  it("fails when the nodes do not agree", async () => {
    const call = await client.submit("fetch", URL, "none", []);
    const outcall = await network.nextOutcall();
    await outcall.replyEach(Array.from({ length: outcall.nodes }, (_, node) => ({ body: `node ${node}` })));
    const reject = await expectReject(call, { message: "No consensus could be reached" });
    assert.match(reject.tree, /└─ management canister\.http_request\(record \{ url = "https:\/\/example\.com\/rate"/);
  });

  it("is rejected, and times out", async () => {
    const call = await client.submit("fetch", URL, "none", []);
    await (await network.nextOutcall()).reject("SYS_TRANSIENT", "connection refused");
    await expectReject(call, { message: "connection refused" });
    const late = await client.submit("fetch", URL, "none", []);
    const outcall = await network.nextOutcall();
    network.advance({ minutes: 2 });
    await expectReject(late, { message: "timed out" });
    await assert.rejects(outcall.reply({ body: "too late" }), /has timed out/);
  });

  it("is named when a call waits for it", async () => {
    const call = await client.submit("fetch", URL, "none", []);
    await assert.rejects(call.answer(), /an outcall waits for an answer of the test: GET https:\/\/example\.com\/rate/);
    await (await network.nextOutcall()).reply({ body: "at last" });
    assert.match(await call.answer(), /at last/);
  });

  it("is answered by a function while a call is awaited", async () => {
    const asked: string[] = [];
    network.onOutcall(async (outcall) => {
      asked.push(outcall.url);
      if (outcall.url.endsWith("/down")) return { reject: { code: "SYS_TRANSIENT", message: "down" } };
      if (outcall.url.endsWith("/each")) return Array.from({ length: outcall.nodes }, () => ({ body: "each" }));
      return { body: new TextEncoder().encode("bytes") };
    });
    assert.equal(await client.actor.fetch(`${URL}/up`, "none", []), "200 0 headers: bytes");
    assert.equal(await client.actor.fetch(`${URL}/each`, "none", []), "200 0 headers: each");
    await expectReject(client.actor.fetch(`${URL}/down`, "none", []), { message: "down" });
    assert.deepEqual(asked, [`${URL}/up`, `${URL}/each`, `${URL}/down`]);
    network.onOutcall(undefined);
    await assert.rejects(network.nextOutcall(), /no canister made an outcall in 100 rounds/);
  });
});
