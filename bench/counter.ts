// What an update and a query of a counter cost the server, in Ed25519 verifications: a Motoko counter of 64 bits behind
// the HTTP interface of a running network. Updates are signed, synchronous calls of version 4: each answer is a
// certificate. Some of them are checked with the official agent.
import assert from "node:assert/strict";
import { type CborMap, decodeCbor } from "@atoll/types";
import { Certificate, HttpAgent, lookupResultToBuffer } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../packages/execution/test/canisters/build.ts";
import { deploy } from "../packages/replica/test/network.ts";
import { type Load, openLoad, postBytes, type Sample } from "./load.ts";
import { cpuByThread, cpuOf, ed25519Verification, median, type Row, spread } from "./measure.ts";
import { newSigner, queryBody, updateBody } from "./requests.ts";
import { type RunningServer, startServer } from "./server.ts";

const CLIENTS = 64;

interface Sizes {
  readonly windows: number;
  readonly updates: number;
  readonly queries: number;
  readonly baselineMs: number;
}

const FULL: Sizes = { windows: 15, updates: 4_000, queries: 6_000, baselineMs: 300 };
const SHORT: Sizes = { windows: 2, updates: 640, queries: 1_280, baselineMs: 50 };

/** `nodeOptions` go to the server: for profiles. */
export async function benchCounter(options: {
  readonly short: boolean;
  readonly nodeOptions?: readonly string[];
  readonly sizes?: Sizes;
}): Promise<Row[]> {
  const sizes = options.sizes ?? (options.short ? SHORT : FULL);
  const server = await startServer(options.nodeOptions);
  try {
    const agent = await HttpAgent.create({
      host: `http://127.0.0.1:${server.port}`,
      identity: Ed25519KeyIdentity.generate(),
      rootKey: server.rootKey,
    });
    const { wasm } = await canister("counter", { width: 64 });
    const id = await deploy(agent, wasm);
    const load = await openLoad(server.port, CLIENTS);
    try {
      const update = await benchUpdates(server, load, id, sizes);
      const query = await benchQueries(server, load, id, sizes);
      return [update, query];
    } finally {
      load.close();
    }
  } finally {
    await server.stop();
  }
}

async function benchUpdates(server: RunningServer, load: Load, id: Principal, sizes: Sizes): Promise<Row> {
  const signers = Array.from({ length: CLIENTS }, newSigner);
  const path = `/api/v4/canister/${id.toText()}/call`;
  let requestIds: Uint8Array[] = [];
  const prepare = (count: number): Uint8Array[] => {
    requestIds = [];
    return Array.from({ length: count }, (_, i) => {
      const { requestId, body } = updateBody(
        signers[i % CLIENTS] as (typeof signers)[number],
        id.toUint8Array(),
        "inc",
      );
      requestIds.push(requestId);
      return postBytes(server.port, path, body);
    });
  };
  const sampleEvery = Math.ceil(sizes.updates / 4);
  const check = async ({ index, body }: Sample): Promise<void> =>
    checkUpdate(body, requestIds[index] as Uint8Array, server.rootKey, id);
  const windows = await measure(server, load, { sizes, count: sizes.updates, prepare, sampleEvery, check });
  return {
    name: "update",
    what: "signed counter update, v4 call to certificate, 64 clients at once, server CPU per update",
    baseline: "CPU of one Ed25519 verification",
    goal: 4,
    laterGoal: 2,
    ...windows,
  };
}

async function benchQueries(server: RunningServer, load: Load, id: Principal, sizes: Sizes): Promise<Row> {
  const path = `/api/v3/canister/${id.toText()}/query`;
  const prepare = (count: number): Uint8Array[] =>
    Array.from({ length: count }, () => postBytes(server.port, path, queryBody(id.toUint8Array(), "get")));
  const sampleEvery = Math.ceil(sizes.queries / 4);
  const check = async ({ body }: Sample): Promise<void> => {
    assert.equal((decodeCbor(body) as CborMap).get("status"), "replied");
  };
  const windows = await measure(server, load, { sizes, count: sizes.queries, prepare, sampleEvery, check });
  return {
    name: "query",
    what: "anonymous query of the same counter, server CPU per query",
    baseline: "CPU of one Ed25519 verification",
    goal: 2,
    laterGoal: 1,
    ...windows,
  };
}

interface Series {
  readonly sizes: Sizes;
  readonly count: number;
  readonly sampleEvery: number;
  prepare(count: number): Uint8Array[];
  check(sample: Sample): Promise<void>;
}

/** Windows of requests in turn with windows of the baseline; before them the server gets as warm as it gets. */
async function measure(server: RunningServer, load: Load, series: Series) {
  const { sizes, count } = series;
  await load.run(series.prepare(count));
  await load.run(series.prepare(count));
  const ratios: number[] = [];
  const costs: number[] = [];
  const rates: number[] = [];
  const baselines: number[] = [];
  const threads = new Map<string, number>();
  for (let window = 0; window < sizes.windows; window++) {
    const requests = series.prepare(count);
    const verificationBefore = ed25519Verification(sizes.baselineMs);
    const threadsBefore = cpuByThread(server.pid);
    const before = cpuOf(server.pid);
    const { samples, seconds } = await load.run(requests, series.sampleEvery);
    const cost = (cpuOf(server.pid) - before) / count;
    for (const [name, cpu] of cpuByThread(server.pid)) {
      threads.set(name, (threads.get(name) ?? 0) + (cpu - (threadsBefore.get(name) ?? 0)) / count / sizes.windows);
    }
    for (const sample of samples) await series.check(sample);
    // Before and after, because the speed of a shared machine drifts.
    const verification = (verificationBefore + ed25519Verification(sizes.baselineMs)) / 2;
    baselines.push(verification);
    costs.push(cost);
    rates.push(count / seconds);
    ratios.push(cost / verification);
  }
  const shares = [...threads].filter(([, cpu]) => cpu >= 1).map(([name, cpu]) => `${name} ${cpu.toFixed(0)}`);
  return {
    ...spread(ratios),
    notes: [
      `${median(costs).toFixed(0)} us of server CPU each (${shares.join(", ")}); one verification ` +
        `${median(baselines).toFixed(0)} us; ${median(rates).toFixed(0)} a second with the client on the same machine`,
    ],
  };
}

/** The official agent's word on a certificate: it verifies, and it says that the request was replied to. */
async function checkUpdate(
  body: Uint8Array,
  requestId: Uint8Array,
  rootKey: Uint8Array,
  canisterId: Principal,
): Promise<void> {
  const answer = decodeCbor(body) as CborMap;
  assert.equal(answer.get("status"), "replied");
  const certificate = await Certificate.create({
    certificate: answer.get("certificate") as Uint8Array,
    rootKey,
    principal: { canisterId },
  });
  const status = lookupResultToBuffer(certificate.lookup_path(["request_status", requestId, "status"]));
  assert.equal(status && Buffer.from(status).toString(), "replied");
}
