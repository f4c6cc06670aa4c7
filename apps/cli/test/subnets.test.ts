// `--subnet`: several subnets in one network, each with its own key, through the official agent: canisters on all of
// them, certificates that go back to the root key, subnets added while the network runs and by a later start, restarts,
// and what is said when something is wrong.
import assert from "node:assert/strict";
import { cpSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { loadSample } from "@atoll/example-hello/sample";
import { Cbor, Certificate, type HttpAgent } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type Exit, endAll, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";
import { type SubnetFacts, topologyOf } from "./topology.ts";

const TWO = ["--subnet", "application", "--subnet", "application"];
const text = new TextEncoder();
const stateDir = temporaryFolder();
let network: Network;
let wasm: Uint8Array;
let agent: HttpAgent;
let subnets: readonly SubnetFacts[];
/** A recorder on each subnet. */
const recorders: Principal[] = [];

before(async () => {
  wasm = await recorderWasm();
  network = await startNetwork({ stateDir, args: TWO });
  agent = agentOf(network);
  ({ subnets } = await topologyOf(network));
  for (const { first } of subnets) recorders.push(await deploy(agent, wasm, first));
});
after(endAll);

test("an NNS and what was asked for, with ids of their own", async () => {
  assert.deepEqual(
    network.subnets.map(({ kind }) => kind),
    ["nns", "application", "application"],
  );
  assert.deepEqual(
    subnets.map(({ id, kind }) => [id.toText(), kind]),
    network.subnets.map(({ id, kind }) => [id, kind === "nns" ? "NNS" : "Application"]),
  );
  assert.equal(new Set(subnets.map(({ id }) => id.toText())).size, 3);
  for (const [i, id] of recorders.entries()) {
    const [start, end] = subnets[i]?.ranges.at(-1) ?? assert.fail();
    assert.ok(start.ltEq(id) && id.ltEq(end), `${id} is on subnet ${i}`);
  }
  const { home } = await topologyOf(network);
  assert.equal(home.toText(), subnets[1]?.first.toText(), "new canisters go to the first application subnet");
  const id = await deploy(agent, wasm, home);
  const [start, end] = subnets[1]?.ranges[0] ?? assert.fail();
  assert.ok(start.ltEq(id) && id.ltEq(end));
});

test("the agent verifies updates, queries and reads on each subnet under the root key", async () => {
  for (const [i, id] of recorders.entries()) {
    const actor = recorderActor(agent, id);
    // The agent checks certificates with their delegations, and the signatures of nodes under queries.
    assert.equal(await actor.record(1n, 0n), 1n);
    assert.equal(await actor.totalCount(), 1n);
    const subnet = subnets[i]?.id.toUint8Array() ?? assert.fail();
    const path = [text.encode("subnet"), subnet, text.encode("public_key")];
    const { certificate } = await agent.readState({ canisterId: id }, { paths: [path] });
    const { rootKey } = network;
    const verified = await Certificate.create({ certificate, rootKey, principal: { canisterId: id } });
    assert.equal((verified.lookup_path(path) as { value?: Uint8Array }).value?.length, 133);
    const parsed = Cbor.decode<{ delegation?: unknown }>(certificate);
    assert.equal(parsed.delegation !== undefined, i > 0, "all but the root subnet show a delegation");
  }
});

test("each subnet is described to those who ask it or its canisters, in both versions", async () => {
  for (const [i, { id }] of subnets.entries()) {
    const canisterId = recorders[i] ?? assert.fail();
    for (const [where, principal] of [
      [`v2/subnet/${id}`, { subnetId: id }],
      [`v3/subnet/${id}`, { subnetId: id }],
      [`v2/canister/${canisterId}`, { canisterId }],
      [`v3/canister/${canisterId}`, { canisterId }],
    ] as const) {
      const path = [text.encode("subnet"), id.toUint8Array(), text.encode("public_key")];
      const content = {
        request_type: "read_state",
        sender: Principal.anonymous().toUint8Array(),
        paths: [path],
        ingress_expiry: BigInt(Date.now()) * 1_000_000n + 240_000_000_000n,
      };
      const answer = await fetch(`${network.gatewayUrl}/api/${where}/read_state`, {
        method: "POST",
        headers: { "content-type": "application/cbor" },
        body: Cbor.encode({ content }) as Uint8Array<ArrayBuffer>,
      });
      assert.equal(answer.status, 200, await answer.clone().text());
      const { certificate } = Cbor.decode<{ certificate: Uint8Array }>(new Uint8Array(await answer.arrayBuffer()));
      const { rootKey } = network;
      await Certificate.create({ certificate, rootKey, principal });
    }
  }
});

test("canisters on different subnets call each other at once", async (t) => {
  const [, near = assert.fail(), far = assert.fail()] = recorders;
  const actor = recorderActor(agent, near);
  const times: number[] = [];
  for (let number = 0n; number < 5n; number++) {
    const before = performance.now();
    assert.ok((await actor.relay(far, 2n, number)) > number);
    times.push(performance.now() - before);
  }
  assert.deepEqual(await recorderActor(agent, far).countsOf(2n), new Uint8Array(5).fill(1));
  assert.deepEqual(await actor.countsOf(2n), new Uint8Array(5).fill(1));
  times.sort((a, b) => a - b);
  t.diagnostic(`calls to another subnet and back took ${times.map(Math.round).join(", ")} ms`);
  // Two subnets that sleep for a second each would take three.
  assert.ok((times[2] ?? 0) < 1_000, `${times.map(Math.round)} ms`);
});

test("web pages come from canisters of every subnet", async () => {
  const { wasm: page } = await loadSample();
  for (const { first, kind } of subnets) {
    const id = await deploy(agent, page, first);
    const { port } = new URL(network.gatewayUrl);
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { host: `${id}.localhost:${port}` } });
    assert.equal(answer.status, 200, `${kind}: ${await answer.clone().text()}`);
  }
});

test("a subnet is added while the network runs", async () => {
  const add = (body: string, type = "application/json") =>
    fetch(`${network.gatewayUrl}/_/subnets`, { method: "POST", headers: { "content-type": type }, body });
  for (const [body, type] of [
    ['{"kind":"application"}', "text/plain"],
    ["{", "application/json"],
    ['{"kind":7}', "application/json"],
    ['{"kind":"cloud"}', "application/json"],
    ['{"kind":"nns"}', "application/json"],
  ] as const) {
    const refused = await add(body, type);
    assert.equal(refused.status, 400, body);
    assert.match(await refused.text(), /^[^\n]+\.$/);
  }
  const preflight = await fetch(`${network.gatewayUrl}/_/subnets`, { method: "OPTIONS" });
  assert.equal(preflight.status, 405, "pages of other origins may not");
  const before = performance.now();
  const answer = await add('{"kind":"verified-application"}');
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.ok(performance.now() - before < 5_000);
  const added = (await answer.json()) as { subnet_id: string; subnet_kind: string; canister_ranges: string[][] };
  assert.equal(added.subnet_kind, "VerifiedApplication");
  const { subnets: now } = await topologyOf(network);
  assert.deepEqual(now.map(({ id }) => id.toText()).slice(0, 3), subnets.map(({ id }) => id.toText()).slice(0, 3));
  assert.equal(now[3]?.id.toText(), added.subnet_id);
  assert.equal(now[3]?.first.toText(), added.canister_ranges[0]?.[0]);
  subnets = now;
  const id = await deploy(agent, wasm, Principal.fromText(added.canister_ranges[0]?.[0] ?? assert.fail()));
  assert.equal(await recorderActor(agent, id).record(1n, 0n), 1n);
  assert.equal(await recorderActor(agent, id).totalCount(), 1n);
  recorders.push(id);
});

test("a restart brings the same network back, and more can be asked for", async () => {
  const { rootKey } = network;
  assert.equal(network.output().stderr, "", "nothing to warn of until here");
  const before = subnets.map(({ id }) => id.toText());
  const countsOf = () => Promise.all(recorders.map((id) => recorderActor(agent, id).totalCount()));
  const counts = await countsOf();
  for (const [ending, args, added] of [
    ["SIGKILL", ["--subnet", "application"], []],
    ["SIGTERM", [...TWO, "--subnet", "application", "--subnet", "sns"], ["Application", "SNS"]],
  ] as const) {
    await network.kill(ending);
    network = await startNetwork({ stateDir, args });
    assert.deepEqual(network.rootKey, rootKey);
    agent = agentOf(network);
    const { subnets: now } = await topologyOf(network);
    assert.deepEqual(now.map(({ id }) => id.toText()).slice(0, before.length), before);
    assert.deepEqual(
      now.slice(before.length).map(({ kind }) => kind),
      added,
    );
    before.push(...now.slice(before.length).map(({ id }) => id.toText()));
    assert.deepEqual(await countsOf(), counts);
    subnets = now;
  }
  const sns = subnets.at(-1) ?? assert.fail();
  assert.equal(sns.id.toText(), "x33ed-h457x-bsgyx-oqxqf-6pzwv-wkhzr-rm2j3-npodi-purzm-n66cg-gae");
  const id = await deploy(agent, wasm, sns.first);
  assert.equal(await recorderActor(agent, id).record(1n, 0n), 1n);
});

test("a kill while a subnet is added leaves the network with it or without it", async (t) => {
  for (const delayMs of [0, 100]) {
    const known = subnets.map(({ id }) => id.toText());
    const body = '{"kind":"system"}';
    const headers = { "content-type": "application/json" };
    const added = fetch(`${network.gatewayUrl}/_/subnets`, { method: "POST", headers, body }).then(
      (answer) => answer.json() as Promise<{ subnet_id: string }>,
      () => undefined,
    );
    await pause(delayMs);
    await network.kill("SIGKILL");
    network = await startNetwork({ stateDir });
    agent = agentOf(network);
    ({ subnets } = await topologyOf(network));
    const now = subnets.map(({ id }) => id.toText());
    assert.deepEqual(now.slice(0, known.length), known);
    const answered = await added.catch(() => undefined);
    t.diagnostic(`after ${delayMs} ms: ${now.length - known.length} more, ${answered ? "" : "not "}answered`);
    assert.ok(now.length - known.length <= 1);
    if (answered !== undefined) assert.equal(now.at(-1), answered.subnet_id, "what was answered is there");
    const [, near = assert.fail(), far = assert.fail()] = recorders;
    const number = BigInt((await recorderActor(agent, near).countsOf(3n)).length);
    assert.ok((await recorderActor(agent, near).relay(far, 3n, number)) > 0n);
  }
});

function assertRefused({ code, stdout, stderr }: Exit, ...parts: readonly string[]): void {
  assert.equal(code, 1, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /^atoll: [^\n]+\.\n$/, "one line");
  for (const part of parts) assert.ok(stderr.includes(part), `"${stderr}" says "${part}"`);
}

test("what is missing of a network is told, and what cannot be asked for", async () => {
  await network.kill("SIGTERM");
  const start = (dir: string, ...more: string[]) =>
    run(["start", "--port", "0", "--no-sample", "--json", "--state-dir", dir, ...more]);
  const copy = (): string => {
    const dir = temporaryFolder();
    cpSync(stateDir, dir, { recursive: true });
    return dir;
  };
  const [noSubnet, noKeys, strangeSubnet, damaged] = [copy(), copy(), copy(), copy()];
  truncateSync(join(damaged, "subnet-application-2", "state-manifest"), 30);
  assertRefused(await start(damaged), "Subnet application-2: ", "state-manifest", "damaged");
  rmSync(join(noSubnet, "subnet-application-2"), { recursive: true });
  assertRefused(await start(noSubnet), "subnet-application-2/state-manifest", "missing");
  rmSync(join(noKeys, "secret-network"));
  assertRefused(await start(noKeys), "secret-network", "missing");
  assertRefused(await start(noKeys, ...TWO), "secret-network", "missing");
  renameSync(join(strangeSubnet, "subnet-application-1"), join(strangeSubnet, "subnet-application-9"));
  assertRefused(await start(strangeSubnet), "subnet-application-1/state-manifest", "missing");
  const single = temporaryFolder();
  const solo = await startNetwork({ stateDir: single });
  assert.deepEqual(
    solo.subnets.map(({ kind }) => kind),
    ["application"],
  );
  const added = await fetch(`${solo.gatewayUrl}/_/subnets`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"kind":"application"}',
  });
  assert.equal(added.status, 400);
  assert.match(await added.text(), /one subnet .*--subnet/);
  await solo.kill("SIGTERM");
  assertRefused(await start(single, "--subnet", "application"), single, "one subnet");
  assert.deepEqual((await startNetwork({ stateDir: single })).rootKey, solo.rootKey);
  assertRefused(await start(temporaryFolder(), "--subnet", "cloud"), '"cloud"', "verified-application");
  assertRefused(await start(temporaryFolder(), "--subnet", "sns", "--subnet", "sns"), "one sns subnet");
});
