// A canister that asks the web, all the way: the official agent, a node with its real client, servers on loopback.
// Specification, "IC method http_request".
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { createOutcallClient } from "@atoll/host-node";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from "../../host-node/test/loopback-certificate.ts";
import { deploy, startNetwork, type TestNetwork, update } from "./network.ts";

const server = createServer({ key: LOOPBACK_KEY, cert: LOOPBACK_CERTIFICATE }, (request, response) => {
  const { url, headers } = request;
  response.end(url === "/large" ? "b".repeat(5_000) : `${url} ${headers.accept} ${headers["user-agent"]}`);
});
let network: TestNetwork;
let agent: HttpAgent;
let id: Principal;
let origin: string;

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  network = await startNetwork();
  network.replica.outcalls.serve(createOutcallClient({ authorities: [LOOPBACK_CERTIFICATE] }));
  agent = await network.agent();
  id = await deploy(agent, (await canister("outcalls")).wasm);
});
after(async () => {
  await network.stop();
  server.close();
});

const fetch = (url: string, transform: string): Promise<string> =>
  update(
    agent,
    id,
    "fetch",
    [
      [IDL.Text, IDL.Text, IDL.Opt(IDL.Nat64)],
      [url, transform, [2_000n]],
    ],
    [IDL.Text],
  );

test("an answer reaches the canister, as it came and transformed", async () => {
  assert.match(await fetch(`${origin}/page`, "none"), /^200 \d headers: \/page text\/plain ic\/1\.0$/);
  assert.equal(await fetch(`${origin}/page`, "clean"), "200 0 headers: context");
});

test("twenty at the same time are answered each with its own", async () => {
  const texts = await Promise.all(Array.from({ length: 20 }, (_, i) => fetch(`${origin}/${i}`, "none")));
  assert.deepEqual(
    texts.map((text) => text.split(" ")[3]),
    Array.from({ length: 20 }, (_, i) => `/${i}`),
  );
});

test("what goes wrong outside is a reject of the call", async () => {
  await assert.rejects(fetch(`${origin}/large`, "none"), /Http body exceeds size limit of 2000 bytes\./);
  await assert.rejects(fetch("http://127.0.0.1/", "none"), /Url need to specify https scheme/);
  await assert.rejects(fetch("https://127.0.0.1:1/", "none"), /Connecting to 127\.0\.0\.1 failed: /);
  await assert.rejects(fetch(`${origin}/page`, "broken"), /cannot transform/);
});
