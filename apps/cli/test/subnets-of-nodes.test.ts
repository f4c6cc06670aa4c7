// Two subnets whose nodes are processes, as `npm start -- --nodes N --subnet application` makes them, behind one address:
// canisters of both call each other, and the official agent verifies the answers of both under the one root key. What nodes
// serve to each other is not behind that address. Of one node each, because processes of eight take a small machine a
// minute: with ATOLL_TEST_NODES=4 there are four, and one of each subnet is killed before the calls. Four nodes of each
// subnet in one process: packages/replica/test/consensus/two-subnets.test.ts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";
import { topologyOf } from "./topology.ts";

const COUNT = Number(process.env.ATOLL_TEST_NODES ?? 1);
const OPTIONS = { timeout: 300_000 } as const;
const stateDir = temporaryFolder();
let network: Network;
const recorders: Principal[] = [];

before(async () => {
  const args = ["--nodes", String(COUNT), "--subnet", "application"];
  const [started, wasm] = await Promise.all([startNetwork({ stateDir, args, timeoutMs: 250_000 }), recorderWasm()]);
  network = started;
  const { subnets } = await topologyOf(network);
  recorders.push(...(await Promise.all(subnets.map(({ first }) => deploy(agentOf(network), wasm, first)))));
}, OPTIONS);
after(endAll, OPTIONS);

test("the ready line names the subnets, and of each node its subnet", OPTIONS, async () => {
  assert.deepEqual(
    network.subnets.map(({ kind }) => kind),
    ["nns", "application"],
  );
  const ids = network.subnets.map(({ id }) => id);
  assert.deepEqual(
    network.nodes.map(({ subnet }) => subnet),
    ids.flatMap((id) => Array.from({ length: COUNT }, () => id)),
  );
  const { subnets, home } = await topologyOf(network);
  assert.deepEqual(
    subnets.map(({ id }) => id.toText()),
    ids,
  );
  assert.equal(home.toText(), subnets[1]?.first.toText(), "new canisters go to the application subnet");
});

test("canisters of both call each other, while a node of each is down where there are enough", OPTIONS, async () => {
  const killed = COUNT < 4 ? [] : [1, COUNT + 2];
  for (const place of killed) process.kill(network.nodes[place]?.pid ?? 0, "SIGKILL");
  const [near, far] = recorders as [Principal, Principal];
  const calls = [
    [near, far],
    [far, near],
  ] as const;
  await Promise.all(calls.map(([own, peer], i) => recorderActor(agentOf(network), own).relay(peer, 7n, BigInt(i))));
  for (const id of recorders) {
    assert.deepEqual([...(await recorderActor(agentOf(network), id).countsOf(7n))], [1, 1]);
  }
});

test(
  "a node gives other subnets slices of its streams, for as long as who asks waits; the front gives none",
  OPTIONS,
  async () => {
    const [nns, application] = network.subnets.map(({ id }) => id);
    const [{ url } = { url: "" }] = network.nodes;
    const path = (from: number | string) => `/_/streams/${application}?from=${from}&most=9&signals=0`;
    let slice = new Uint8Array();
    // A stream keeps what has not been signalled, or the header alone with signals of the other side.
    for (let tries = 0; slice.length === 0 && tries < 50; tries++, await pause(100)) {
      for (let from = 0; from < 4 && slice.length === 0; from++) {
        const answer = await fetch(`${url}${path(from)}`, { signal: AbortSignal.timeout(500) }).catch(() => undefined);
        if (answer?.status === 200) slice = new Uint8Array(await answer.arrayBuffer());
      }
    }
    assert.ok(slice.length > 100);
    for (const bad of [path("x"), `${path(0)}0x`, `/_/streams/${nns}`, "/_/streams/nobody?from=0&most=1&signals=0"]) {
      assert.equal((await fetch(`${url}${bad}`)).status, 400, bad);
    }
    assert.notEqual((await fetch(`${network.gatewayUrl}${path(0)}`)).status, 200);
  },
);

test("what a folder holds stays; a later start takes no other subnets and keeps these", OPTIONS, async () => {
  const { code, stderr } = await network.kill("SIGTERM");
  assert.equal(code, 0, stderr);
  for (const { pid } of network.nodes) assert.throws(() => process.kill(pid, 0), "no node is left");
  const another = await run(["start", "--port", "0", "--state-dir", stateDir, "--subnet", "sns"]);
  assert.equal(another.code, 1);
  assert.match(another.stderr, /has no sns subnet/);
  const more = await run(["start", "--port", "0", "--state-dir", stateDir, "--nodes", "7"]);
  assert.match(more.stderr, new RegExp(`has ${COUNT} nodes for each subnet, not 7`));
});
