// GET /_/topology as the PocketIC gateway answers it: clients of a network for development ask it where new canisters
// go. Shape from PocketIC's REST types; a network of other people's nodes does not have it.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { principalToBytes, principalToText } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import { createHttpHandler } from "../../src/http/index.ts";
import { CANISTER, type CertifiedBackend, createCertifiedBackend } from "./certified-backend.ts";
import { headers, testTimer, textOf } from "./requests.ts";

let backend: CertifiedBackend;
before(async () => {
  backend = await createCertifiedBackend();
});

function ask(target: string, { method = "GET", topology = true } = {}): Promise<HttpResponse> {
  const handle = createHttpHandler(backend, { timer: testTimer, topology });
  return handle({ method, target, headers: headers({}), body: new Uint8Array(0) });
}

test("names the subnet, its canister ids and where new canisters go", async () => {
  const answer = await ask("/_/topology");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.headers["access-control-allow-origin"], "*");
  const { default_effective_canister_id: effective, subnet_configs: subnets } = JSON.parse(textOf(answer));
  const base64 = (id: string) => Buffer.from(principalToBytes(id as typeof CANISTER)).toString("base64");
  assert.deepEqual(effective, { canister_id: base64(CANISTER) });
  const { subnet } = backend;
  assert.deepEqual(Object.keys(subnets), [principalToText(subnet.subnetId)]);
  const { subnet_seed: seed, ...rest } = subnets[principalToText(subnet.subnetId)];
  assert.deepEqual(rest, {
    subnet_kind: "Application",
    subnet_admins: null,
    cost_schedule: "Normal",
    instruction_config: "Production",
    canister_ranges: subnet.canisterRanges.map(([start, end]) => ({
      start: { canister_id: base64(start) },
      end: { canister_id: base64(end) },
    })),
  });
  assert.equal(seed.length, 32);
  for (const byte of seed) assert.ok(Number.isInteger(byte) && byte >= 0 && byte < 256);
});

test("is the same with a query string and for HEAD, and wants GET", async () => {
  assert.equal((await ask("/_/topology?x=1")).status, 200);
  assert.equal((await ask("/_/topology", { method: "HEAD" })).status, 200);
  const wrong = await ask("/_/topology", { method: "POST" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.allow, "GET,HEAD");
});

test("is nowhere else, and not there at all when the network is not for development", async () => {
  for (const target of ["/_/topology/", "/_/topologies", "/_/topology/x", "/_/", "/_"]) {
    assert.equal((await ask(target)).status, 404, target);
  }
  assert.equal((await ask("/_/topology", { topology: false })).status, 404);
});
