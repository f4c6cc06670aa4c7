// The HTTP interface of a network of subnets: which subnet answers, and how the network describes itself.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { nodeClock as clock, createNodeCrypto } from "@atoll/host-node";
import { principalToBytes, principalToText } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import { Network } from "../src/index.ts";

let network: Network;
before(async () => {
  const crypto = await createNodeCrypto();
  const timer = { after: () => () => undefined };
  const subnets = [{ kind: "system" }, { kind: "application" }, { kind: "application" }, { kind: "nns" }] as const;
  network = await Network.create({ subnets }, { clock, crypto, timer, log: { log: () => undefined } });
});

function ask(target: string, method = "GET", body = ""): Promise<HttpResponse> {
  const headers = new Map(body === "" ? [] : [["content-type", "application/json"]]);
  return network.api({ method, target, headers, body: new TextEncoder().encode(body) });
}

test("the topology names all subnets, and where new canisters go", async () => {
  const answer = await ask("/_/topology");
  assert.equal(answer.status, 200);
  const topology = JSON.parse(new TextDecoder().decode(answer.body));
  const subnets = [...network.subnets.values()];
  assert.deepEqual(
    Object.entries<{ subnet_kind: string }>(topology.subnet_configs).map(([id, { subnet_kind }]) => [id, subnet_kind]),
    [
      [principalToText(subnets[0]?.id ?? assert.fail()), "NNS"],
      [principalToText(subnets[1]?.id ?? assert.fail()), "System"],
      [principalToText(subnets[2]?.id ?? assert.fail()), "Application"],
      [principalToText(subnets[3]?.id ?? assert.fail()), "Application"],
    ],
  );
  const base64 = (id: Parameters<typeof principalToBytes>[0]) => Buffer.from(principalToBytes(id)).toString("base64");
  const nns = topology.subnet_configs[principalToText(network.root.id)];
  assert.deepEqual(
    nns.canister_ranges,
    network.root.config.canisterRanges.map(([first, last]) => ({
      start: { canister_id: base64(first) },
      end: { canister_id: base64(last) },
    })),
  );
  assert.deepEqual(nns.subnet_seed, [...network.root.seed]);
  const [[first] = assert.fail()] = subnets[2]?.config.canisterRanges ?? assert.fail();
  assert.deepEqual(topology.default_effective_canister_id, { canister_id: base64(first) });
});

test("a network of a test gets no subnets over HTTP, and has nothing else there", async () => {
  assert.equal((await ask("/_/subnets", "POST", '{"kind":"application"}')).status, 404);
  assert.equal((await ask("/_/topology", "POST", "{}")).status, 405);
  assert.equal((await ask("/_/other")).status, 404);
});

test("what is on no subnet is said to be on none", async () => {
  const nobodys = "2vxsx-fae";
  const answer = await ask(`/api/v3/canister/${nobodys}/query`, "POST");
  assert.equal(answer.status, 400);
  assert.match(new TextDecoder().decode(answer.body), /"2vxsx-fae" is on no subnet of this network/);
});

test("a call about no canister is told where to go, for no client would believe the answer", async () => {
  const answer = await ask("/api/v4/canister/aaaaa-aa/call", "POST", "{}");
  assert.equal(answer.status, 400);
  assert.match(new TextDecoder().decode(answer.body), /several subnets.*default_effective_canister_id/);
});
