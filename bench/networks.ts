// Networks as tests use them: in this process through the engine, and in a PocketIC server through its REST interface.
// What the echo of a bare node:http server takes in the same run is the baseline of everything that goes over a socket.
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import { type CanisterCall, Network, type NetworkPorts } from "@atoll/pocket-ic";
import { ANONYMOUS, principalToBytes } from "@atoll/types";
import * as u from "../packages/execution/test/canisters/universal.ts";
import { universalBy } from "../packages/pocket-ic/test/universal-canister.ts";
import { median, type Row, spread } from "./measure.ts";
import { type RestServer, startEcho, startPocketIc } from "./rest.ts";

interface Sizes {
  readonly windows: number;
  readonly starts: number;
  readonly calls: number;
  readonly instances: number;
  readonly forks: number;
  readonly ticks: number;
}

const FULL: Sizes = { windows: 9, starts: 5, calls: 200, instances: 500, forks: 500, ticks: 3_000 };
const SHORT: Sizes = { windows: 2, starts: 1, calls: 10, instances: 5, forks: 50, ticks: 50 };

const SUBNETS = [{ kind: "nns" }, { kind: "application" }] as const;
const TWO_SUBNETS = JSON.stringify({
  subnet_config_set: {
    nns: { state_config: "New", instruction_config: "Production" },
    application: [{ state_config: "New", instruction_config: "Production" }],
    system: [],
    verified_application: [],
  },
});

export async function benchNetworks({ short }: { readonly short: boolean }): Promise<Row[]> {
  const sizes = short ? SHORT : FULL;
  const echo = await startEcho();
  try {
    return [
      await firstInstance(sizes),
      ...(await withPocketIc(async (server) => [
        await furtherInstance(sizes, server),
        await restCalls(sizes, server, echo),
      ])),
      ...(await library(sizes, echo)),
    ];
  } finally {
    await echo.stop();
  }
}

async function withPocketIc(use: (server: RestServer) => Promise<Row[]>): Promise<Row[]> {
  const server = await startPocketIc();
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

async function firstInstance({ starts }: Sizes): Promise<Row> {
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let i = 0; i < starts; i++) {
    ours.push(await started(startPocketIc, (server) => createInstance(server)));
    bare.push(await started(startEcho, (server) => server.send("POST", "/", TWO_SUBNETS)));
  }
  return {
    name: "first-instance",
    what: "ms from the start of bin/pocket-ic until an instance of two subnets is there",
    baseline: "in the notes: a bare node:http echo, until it has answered once",
    ...spread(ours),
    unit: "ms",
    goal: 300,
    laterGoal: 200,
    notes: [`the echo: ${median(bare).toFixed(0)} ms`],
  };
}

async function started(start: () => Promise<RestServer>, ask: (server: RestServer) => Promise<unknown>) {
  const before = performance.now();
  const server = await start();
  await ask(server);
  const took = performance.now() - before;
  await server.stop();
  return took;
}

async function createInstance(server: RestServer): Promise<number> {
  const { status, body } = await server.send("POST", "/instances", TWO_SUBNETS);
  if (status !== 201) throw new Error(`no instance: ${status} ${body.slice(0, 200)}`);
  return (JSON.parse(body) as { Created: { instance_id: number } }).Created.instance_id;
}

async function furtherInstance({ instances }: Sizes, server: RestServer): Promise<Row> {
  await createInstance(server);
  const [before, times]: [number, number[]] = [residentBytes(server.pid), []];
  const ids: number[] = [];
  for (let i = 0; i < instances; i++) times.push(await timed(async () => ids.push(await createInstance(server))));
  const each = (residentBytes(server.pid) - before) / instances / 1024 ** 2;
  for (const id of ids) await server.send("DELETE", `/instances/${id}`);
  return {
    name: "further-instance",
    what: `ms for one more instance of two subnets, up to ${instances} in one server`,
    baseline: "",
    ...spread(windowsOf(times)),
    unit: "ms",
    goal: 10,
    laterGoal: 5,
    notes: [`resident memory of the server: ${each.toFixed(2)} MiB more for each`],
  };
}

function residentBytes(pid: number): number {
  if (process.platform !== "linux") return Number.NaN;
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
  return pages * 4096;
}

async function restCalls({ windows, calls }: Sizes, server: RestServer, echo: RestServer): Promise<Row> {
  const instance = `/instances/${await createInstance(server)}`;
  const post = async (path: string, body: object): Promise<unknown> => {
    const { status, body: answer } = await server.send("POST", instance + path, JSON.stringify(body));
    if (status !== 200) throw new Error(`${path}: ${status} ${answer.slice(0, 200)}`);
    return JSON.parse(answer);
  };
  const update = async (call: CanisterCall): Promise<Uint8Array> => {
    const submitted = (await post("/update/submit_ingress_message", restCall(call))) as { Ok: object };
    const result = (await post("/update/await_ingress_message", submitted.Ok)) as { Ok: string };
    return new Uint8Array(Buffer.from(result.Ok, "base64"));
  };
  const id = await universalBy(update);
  const call = { sender: ANONYMOUS, receiver: id, methodName: "update", arg: u.reply(u.bytes("done")) };
  const echoed = JSON.stringify(restCall(call));
  const ratios: number[] = [];
  const costs: number[] = [];
  for (let window = 0; window < windows; window++) {
    const bare = await timed(() => times(2 * calls, () => echo.send("POST", "/", echoed)));
    const ours = await timed(() => times(calls, () => update(call)));
    ratios.push(ours / bare);
    costs.push(ours / calls);
  }
  const ticks = await timed(() => times(calls, () => post("/update/tick", {})));
  return {
    name: "rest-call",
    what: "an update through the PocketIC server, submitted and awaited: two requests, one after the other",
    baseline: "two requests to a bare node:http echo of the same body",
    ...spread(ratios),
    goal: 4,
    laterGoal: 2,
    notes: [
      `${(1000 / median(costs)).toFixed(0)} updates a second`,
      `${((1000 * calls) / ticks).toFixed(0)} ticks a second, each a request`,
    ],
  };
}

function restCall({ sender, receiver, methodName, arg, effective }: CanisterCall): object {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  return {
    sender: base64(principalToBytes(sender)),
    canister_id: base64(principalToBytes(receiver)),
    effective_principal: effective === undefined ? "None" : { CanisterId: base64(principalToBytes(effective)) },
    method: methodName,
    payload: base64(arg),
  };
}

async function library(sizes: Sizes, echo: RestServer): Promise<Row[]> {
  const ports: NetworkPorts = {
    crypto: await createNodeCrypto(),
    clock: nodeClock,
    timer: { after: () => () => undefined },
    log: { log: () => undefined },
  };
  const network = await Network.create({ subnets: [...SUBNETS, { kind: "application" }] }, ports);
  const rows = [await libraryCalls(sizes, network, echo), await crossSubnet(sizes, network)];
  await network.close();
  return [...rows, await idle(sizes, ports), await forks(sizes, ports)];
}

async function libraryCalls({ windows, calls }: Sizes, network: Network, echo: RestServer): Promise<Row> {
  const update = (call: CanisterCall): Promise<Uint8Array> => updateOn(network, call);
  const id = await universalBy(update);
  const call = { sender: ANONYMOUS, receiver: id, methodName: "update", arg: u.reply(u.bytes("done")) };
  const body = JSON.stringify(restCall(call));
  const ratios: number[] = [];
  const costs: number[] = [];
  for (let window = 0; window < windows; window++) {
    const bare = await timed(() => times(calls, () => echo.send("POST", "/", body)));
    const ours = await timed(() => times(calls, () => update(call)));
    ratios.push(ours / bare);
    costs.push(ours / calls);
  }
  return {
    name: "library-call",
    what: "an update through the library, submitted and awaited in a network of three subnets, one after the other",
    baseline: "a request to a bare node:http echo of the same body",
    ...spread(ratios),
    goal: 2,
    laterGoal: 1,
    notes: [`${(1000 / median(costs)).toFixed(0)} updates a second`],
  };
}

async function crossSubnet({ windows, calls }: Sizes, network: Network): Promise<Row> {
  const update = (call: CanisterCall): Promise<Uint8Array> => updateOn(network, call);
  const [, one, two] = [...network.subnets.keys()];
  const [a, b] = [await universalBy(update, one), await universalBy(update, two)];
  const there = u.call({
    callee: u.bytes(principalToBytes(b)),
    method: "update",
    arg: u.bytes(u.reply(u.bytes("there"))),
    onReply: u.reply(u.argData()),
  });
  const call = { sender: ANONYMOUS, receiver: a, methodName: "update", arg: there };
  const rates: number[] = [];
  for (let window = 0; window < windows; window++) {
    const took = await timed(() => times(Math.ceil(calls / 4), () => update(call)));
    rates.push((1000 * Math.ceil(calls / 4)) / took);
  }
  const many = 10 * calls;
  const together = await timed(async () => {
    const sent = await Promise.all(Array.from({ length: many }, () => network.submit(call)));
    for (const each of sent) if (each.ok) await network.awaitMessage(each.message);
  });
  return {
    name: "cross-subnet",
    what: "round trips a second between canisters on two subnets over certified streams, one after the other",
    baseline: "",
    ...spread(rates),
    unit: "/s",
    isRate: true,
    goal: 100,
    laterGoal: 300,
    notes: [`${((1000 * many) / together).toFixed(0)} a second with ${many} at once`],
  };
}

async function idle({ ticks, windows }: Sizes, ports: NetworkPorts): Promise<Row> {
  const network = await Network.create({ subnets: SUBNETS }, ports);
  const rates: number[] = [];
  for (let window = 0; window < windows; window++) {
    rates.push((1000 * ticks) / (await timed(() => times(ticks, () => network.tick()))));
  }
  await network.close();
  return {
    name: "ticks",
    what: "rounds a second of an idle network of two subnets, through the library",
    baseline: "",
    ...spread(rates),
    unit: "/s",
    isRate: true,
    goal: 3_000,
    laterGoal: 10_000,
    notes: [],
  };
}

const CANISTERS = 12;

async function forks({ forks: count }: Sizes, ports: NetworkPorts): Promise<Row> {
  const network = await Network.create({ subnets: SUBNETS }, ports);
  for (let i = 0; i < CANISTERS; i++) await universalBy((call) => updateOn(network, call));
  const kept: Network[] = [await network.fork()];
  const before = liveBytes();
  const took = await timed(() => times(count, async () => kept.push(await network.fork())));
  const each = (liveBytes() - before) / count / 1024;
  for (const fork of kept) await fork.close();
  await network.close();
  return {
    name: "fork",
    what: `KiB of memory for a fork of a network of two subnets with ${CANISTERS} canisters, ${count} kept`,
    baseline: "",
    value: each,
    unit: "KiB",
    goal: 200,
    laterGoal: 100,
    notes: [`${(took / count).toFixed(2)} ms for each`],
  };
}

/** What is reachable, in the heap and beside it: what is left after a collection. */
function liveBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function updateOn(network: Network, call: CanisterCall): Promise<Uint8Array> {
  const submitted = await network.submit(call);
  if (!submitted.ok) throw new Error(submitted.error.message);
  const status = await network.awaitMessage(submitted.message);
  if (status?.state !== "replied") throw new Error(status?.state === "rejected" ? status.error.message : status?.state);
  return status.reply;
}

/** ms of the wall that `act` takes. */
async function timed(act: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await act();
  return performance.now() - before;
}

async function times(count: number, act: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await act();
}

/** Medians of up to ten parts, in their order: whether the last ones take longer than the first. */
function windowsOf(values: readonly number[]): number[] {
  const size = Math.max(1, Math.ceil(values.length / 10));
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) =>
    median(values.slice(i * size, (i + 1) * size)),
  );
}
