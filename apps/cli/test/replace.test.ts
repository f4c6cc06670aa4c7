// A node is replaced while the subnet runs: the operator signs a record with a new node in the place of an old one and gives
// it to one node only. The new one, which has nothing but its keys and the genesis file, fetches the state, gets its share of
// the subnet's keys, and then counts: the subnet goes on with it when others are gone. The subnet's key stays what it was.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { freePorts } from "../src/nodes/local-ports.ts";
import { NodeHost } from "./hosts/node-host.ts";
import { checkAgreement, checkSigned } from "./hosts/node-logs.ts";
import { endAll, run, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";

const OPTIONS = { timeout: 600_000 } as const;
const folder = join(temporaryFolder(), "subnet");
const nodes: NodeHost[] = [];

after(async () => {
  await Promise.all(nodes.map((node) => node.end("SIGKILL")));
  await endAll();
});

test("a new node takes the place of an old one while the subnet runs", OPTIONS, async () => {
  const [first = 0] = await freePorts([0]);
  // The four ports from a free one on are not all sure to be free; what is taken is told by the node that wants it.
  const ports = ["--p2p-port", String(first), "--http-port", String(first + 10)];
  await atoll("genesis", "--out", folder, "--nodes", "4", ...ports, ...PACE);
  for (const i of [1, 2, 3, 4]) add(`node-${i}`);
  await until(async () => (await heights()).every((height) => height > 1));
  const rootKey = await rootKeyOf(0);
  const agent = (place: number) => agentOf({ gatewayUrl: nodes[place]?.url ?? "", rootKey });
  const canister = await deploy(agent(0), await recorderWasm());
  await recorderActor(agent(0), canister).record(1n, 0n);

  const [p2p, http] = [`127.0.0.1:${first + 4}`, `127.0.0.1:${first + 14}`];
  await atoll("genesis", "identity", "--out", join(folder, "new"), "--address", p2p, "--http", http);
  copyFileSync(join(folder, "genesis.json"), join(folder, "new", "genesis.json"));
  const old = idOf("node-1");
  const change = ["--add", join(folder, "new", "identity.json"), "--remove", old];
  const keys = ["--registry-keys", join(folder, "registry-keys.json")];
  // One is told; the others hear of it from each other.
  await atoll("registry", "change", ...keys, "--node", nodes[2]?.url ?? "", ...change);
  add("new");
  const shown = async (node: NodeHost) => JSON.parse(await atoll("registry", "show", "--node", node.url));
  await until(async () => (await shown(nodes[1] as NodeHost)).version === 2);

  // It follows at first; it signs when it has its share.
  await until(async () => signsCertifications(nodes[4] as NodeHost));
  // The old one is not needed any more, nor is any single one of the others.
  await nodes[0]?.end("SIGTERM");
  await nodes[1]?.end("SIGKILL");
  const tip = await heightOf(4);
  await until(async () => (await heightOf(4)) > tip + 10);
  const actor = recorderActor(agent(4), canister);
  await actor.record(1n, 1n);
  assert.deepEqual([...(await actor.countsOf(1n))], [1, 1]);
  assert.deepEqual(await rootKeyOf(4), rootKey);
  const logs = nodes.map((node) => node.lines());
  checkAgreement(logs);
  for (const lines of logs) checkSigned(lines);
});

const PACE = ["--unit-delay-ms", "300", "--notary-delay-ms", "80", "--dkg-interval", "9"];

function add(name: string): void {
  const node = new NodeHost(join(folder, name));
  node.logEverything();
  node.start();
  nodes.push(node);
}

function idOf(name: string): string {
  return (JSON.parse(readFileSync(join(folder, name, "identity.json"), "utf8")) as { nodeId: string }).nodeId;
}

function signsCertifications(node: NodeHost): boolean {
  return node.lines().some(({ message, what }) => message === "signed" && what === "certification-share");
}

async function rootKeyOf(place: number): Promise<Uint8Array<ArrayBuffer>> {
  for (;;) {
    const status = await nodes[place]?.status();
    if (status !== undefined) return status.rootKey;
  }
}

async function heightOf(place: number): Promise<number> {
  return (await nodes[place]?.status())?.certifiedHeight ?? 0;
}

function heights(): Promise<number[]> {
  return Promise.all(nodes.map((_, place) => heightOf(place)));
}

/** Runs a command that has to succeed; gives what it printed. */
async function atoll(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args, { timeoutMs: 60_000 });
  assert.equal(code, 0, stderr);
  return stdout;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    for (const node of nodes) assert.equal(node.complaints(), "", "a node complains");
    await pause(100);
  }
}
