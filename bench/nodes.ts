// What a subnet of many node processes does on this machine: rounds a second, how long an update takes until its
// certificate is there, how many there can be, and how soon a node that was killed signs again. Time on the wall counts
// here, because waiting is most of it: other work on the machine makes these figures worse. The rates of verification of
// the same run say what the machine is worth.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { createNodeCrypto } from "@atoll/host-node";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../packages/execution/test/canisters/build.ts";
import { deploy, query, until } from "../packages/replica/test/network.ts";
import { blsVerification } from "./chain-key.ts";
import { openLoad, postBytes } from "./load.ts";
import { ed25519Verification, median, type Row } from "./measure.ts";
import { newSigner, type Signer, updateBody } from "./requests.ts";
import { type RunningNodes, startNodes } from "./server.ts";

interface Sizes {
  readonly large: number;
  readonly windowMs: number;
  readonly calls: number;
  readonly updates: number;
  readonly clients: number;
  readonly kills: number;
}

const FULL: Sizes = { large: 13, windowMs: 20_000, calls: 40, updates: 20_000, clients: 2_400, kills: 3 };
/** No second subnet: `large` is as many as the first one has. */
const SHORT: Sizes = { large: 4, windowMs: 1_500, calls: 2, updates: 64, clients: 16, kills: 1 };

export async function benchNodes({ short }: { readonly short: boolean }): Promise<Row[]> {
  const sizes = short ? SHORT : FULL;
  const port = await createNodeCrypto();
  const rates = [
    `Ed25519: ${(1e6 / ed25519Verification(short ? 5 : 200)).toFixed(0)} verifications a second and core; ` +
      `BLS: ${(1e6 / blsVerification(port, short ? 5 : 50)).toFixed(0)}`,
  ];
  const four = await startNodes(4);
  const rows: Row[] = [];
  const many = async (server: RunningNodes): Promise<Row> => {
    const rounds = await roundsPerSecond(server, sizes);
    return { ...roundsRow("nodes-13", sizes.large, rounds), goal: 1, laterGoal: 2, notes: rates };
  };
  try {
    rows.push({ ...roundsRow("nodes-4", 4, await roundsPerSecond(four, sizes)), goal: 3, laterGoal: 5, notes: rates });
    const id = await deployCounter(four);
    rows.push(latencyRow(await latencies(four, id, sizes), rates));
    rows.push(throughputRow(await throughput(four, id, sizes), sizes, rates));
    rows.push(returnRow(await returns(four, sizes), rates));
    if (sizes.large === 4) return [...rows, await many(four)];
  } finally {
    await four.stop();
  }
  const large = await startNodes(sizes.large);
  try {
    return [...rows, await many(large)];
  } finally {
    await large.stop();
  }
}

function roundsRow(name: string, nodes: number, value: number) {
  const what = `finalized rounds a second of ${nodes} nodes that have nothing else to do`;
  return { name, what, baseline: "", value, unit: "/s", isRate: true };
}

function latencyRow(times: readonly number[], notes: readonly string[]): Row {
  const what = "ms from an update to its certificate, one after the other, 4 nodes: median";
  const name = "nodes-update";
  const [low, high] = [Math.min(...times), Math.max(...times)];
  return { name, what, baseline: "", value: median(times), low, high, unit: "ms", goal: 600, laterGoal: 400, notes };
}

function throughputRow(
  { rate, late }: Awaited<ReturnType<typeof throughput>>,
  { clients }: Sizes,
  rates: readonly string[],
): Row {
  const what = `counter updates a second, signed, each with a certificate, through the front of 4 nodes: ${clients} users that wait`;
  return {
    name: "nodes-updates",
    what,
    baseline: "",
    value: rate,
    isRate: true,
    unit: "/s",
    goal: 1_000,
    laterGoal: 2_000,
    notes: late === 0 ? rates : [...rates, `${late} had their answer later than a node waits for it`],
  };
}

function returnRow(times: readonly number[], notes: readonly string[]): Row {
  const what = "ms from SIGKILL of one of 4 nodes to its next signed share";
  return {
    name: "nodes-return",
    what,
    baseline: "",
    value: median(times),
    unit: "ms",
    goal: 5_000,
    laterGoal: 2_000,
    notes,
  };
}

async function deployCounter({ port, rootKey }: RunningNodes): Promise<Principal> {
  const identity = Ed25519KeyIdentity.generate();
  const agent = await HttpAgent.create({ host: `http://127.0.0.1:${port}`, identity, rootKey });
  return deploy(agent, (await canister("counter", { width: 64 })).wasm);
}

async function roundsPerSecond({ nodes }: RunningNodes, { windowMs }: Sizes): Promise<number> {
  const [{ url } = { url: "" }] = nodes;
  const before = await metric(url, 'atoll_height{step="finalized"}');
  const began = performance.now();
  await pause(windowMs);
  const after = await metric(url, 'atoll_height{step="finalized"}');
  return ((after - before) * 1000) / (performance.now() - began);
}

async function latencies(server: RunningNodes, id: Principal, { calls }: Sizes): Promise<number[]> {
  const load = await openLoad(server.port, 1);
  const times: number[] = [];
  for (let i = 0; i < calls; i++) {
    const [request] = updates(server, id, 1);
    const began = performance.now();
    await load.run([request as Uint8Array]);
    times.push(performance.now() - began);
    // Calls come at any moment of a round.
    await pause(Math.random() * 300);
  }
  load.close();
  return times;
}

/** Each client is a user with a key of its own. On a slow machine some wait longer than a node does: the counter knows. */
async function throughput(
  server: RunningNodes,
  id: Principal,
  { updates: count, clients }: Sizes,
): Promise<{ readonly rate: number; readonly late: number }> {
  const agent = await HttpAgent.create({ host: `http://127.0.0.1:${server.port}`, rootKey: server.rootKey });
  const counted = () => query<bigint>(agent, id, "get", undefined, [IDL.Nat]);
  const load = await openLoad(server.port, clients, { mayBeLate: true });
  const signers = Array.from({ length: clients }, newSigner);
  await load.run(updates(server, id, Math.ceil(count / 4), signers));
  await until(async () => (await counted()) >= Math.ceil(count / 4), 60_000);
  const before = await counted();
  const requests = updates(server, id, count, signers);
  const began = performance.now();
  const { late } = await load.run(requests);
  const wanted = before + BigInt(count);
  if (late > 0) await until(async () => (await counted()) >= wanted, 60_000);
  const rate = (count * 1000) / (performance.now() - began);
  load.close();
  await until(async () => (await counted()) >= wanted, 60_000);
  assert.equal(await counted(), wanted, "each update counts once");
  return { rate, late };
}

async function returns({ nodes }: RunningNodes, { kills }: Sizes): Promise<number[]> {
  const times: number[] = [];
  for (const { url, pid } of nodes.slice(0, kills)) {
    const began = performance.now();
    process.kill(pid, "SIGKILL");
    // Nobody answers any more; then it is another process, which has signed nothing at first.
    while ((await metric(url, "atoll_healthy")) !== 0) await pause(10);
    while ((await metric(url, 'atoll_consensus_events_total{kind="signed"}')) === 0) await pause(10);
    times.push(performance.now() - began);
  }
  return times;
}

function updates(
  { port }: RunningNodes,
  id: Principal,
  count: number,
  signers: readonly Signer[] = [newSigner()],
): Uint8Array[] {
  const path = `/api/v4/canister/${id.toText()}/call`;
  return Array.from({ length: count }, (_, i) =>
    postBytes(port, path, updateBody(signers[i % signers.length] as Signer, id.toUint8Array(), "inc").body),
  );
}

/** 0: it is not there, or the node does not answer. */
async function metric(url: string, name: string): Promise<number> {
  try {
    const text = await (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2_000) })).text();
    const line = text.split("\n").find((each) => each.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  } catch {
    return 0;
  }
}
