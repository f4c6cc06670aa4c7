// HTTPS outcalls of the program as a user runs it: a canister reaches a server on this machine, its transform function
// runs, and an outcall that was open when the process was killed is made again. Specification, "IC method http_request".
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Actor, type ActorSubclass } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../../packages/execution/test/canisters/build.ts";
import { endAll, type Ready, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy } from "./recorder.ts";

interface Outcalls {
  fetch(url: string, transform: string, maxBytes: [] | [bigint]): Promise<string>;
  latestAnswer(): Promise<string>;
}

const outcalls: IDL.InterfaceFactory = () =>
  IDL.Service({
    fetch: IDL.Func([IDL.Text, IDL.Text, IDL.Opt(IDL.Nat64)], [IDL.Text], []),
    latestAnswer: IDL.Func([], [IDL.Text], ["query"]),
  });

function actor(network: Ready, id: Principal): ActorSubclass<Outcalls> {
  return Actor.createActor<Outcalls>(outcalls, { agent: agentOf(network), canisterId: id });
}

let requests = 0;
/** What waits for its answer on /wait. */
const waiting: ServerResponse[] = [];
const server = createServer((request, response) => {
  requests++;
  if (request.url === "/wait") waiting.push(response);
  else response.end(`you asked for ${request.url}`);
});
let origin: string;

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  await endAll();
  server.closeAllConnections();
  server.close();
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); await pause(50)) assert.ok(Date.now() < end, "not in time");
}

test("a canister asks a server on this machine, also across a kill", { timeout: 120_000 }, async () => {
  const stateDir = temporaryFolder();
  const network = await startNetwork({ stateDir });
  const id = await deploy(agentOf(network), (await canister("outcalls")).wasm);
  const first = actor(network, id);
  assert.match(await first.fetch(`${origin}/page`, "none", [2_000n]), /^200 \d headers: you asked for \/page$/);
  assert.equal(await first.fetch(`${origin}/page`, "clean", [2_000n]), "200 0 headers: context");
  await assert.rejects(first.fetch("http://example.com/", "none", [2_000n]), /Url need to specify https scheme/);
  assert.equal(requests, 2, "each outcall is one request");

  first.fetch(`${origin}/wait`, "none", [2_000n]).catch(() => undefined);
  await until(() => waiting.length === 1);
  await network.kill("SIGKILL");
  const again = actor(await startNetwork({ stateDir }), id);
  await until(() => waiting.length === 2);
  waiting[1]?.end("at last");
  await until(async () => (await again.latestAnswer()).endsWith("headers: at last"));
});
