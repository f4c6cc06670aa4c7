// For real: four hosts in network namespaces, each with a node, and what happens to hosts: cables that are pulled, a machine
// that stands still, a process that is killed, a disk that is lost, a link that is slow. The subnet goes on as long as three
// of four can talk, stands still when they cannot, and never says two different things; every update that was answered is
// there exactly once. What is quickest to show is shown always; HOSTS=long goes through all of it three times.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Principal } from "@icp-sdk/core/principal";
import { run, temporaryFolder } from "../process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "../recorder.ts";
import { type Hosts, makeHosts, whyNoHosts } from "./namespaces.ts";
import { NodeHost } from "./node-host.ts";
import { alarms, checkAgreement, checkSigned } from "./node-logs.ts";

const COUNT = 4;
const IS_LONG = process.env.HOSTS === "long";
const TURNS = IS_LONG ? 3 : 1;
const why = whyNoHosts();
const options = { skip: why ?? false, timeout: 600_000 } as const;

let hosts: Hosts | undefined;
let nodes: NodeHost[] = [];
let canister: Principal;
let rootKey: Uint8Array<ArrayBuffer>;
/** Of the one user: calls that were answered. */
const answered: number[] = [];
let sent = 0;

before(async () => {
  if (why !== undefined) return;
  hosts = makeHosts(COUNT);
  const folder = join(temporaryFolder(), "subnet");
  const given = hosts.hosts.flatMap(({ address }) => ["--host", address]);
  // A catch-up package every 20 blocks, so that one that lost all soon finds one.
  const pace = ["--unit-delay-ms", "300", "--notary-delay-ms", "100", "--dkg-interval", "19"];
  const { code, stderr } = await run(["genesis", "--out", folder, ...given, ...pace], { timeoutMs: 60_000 });
  assert.equal(code, 0, stderr);
  nodes = hosts.hosts.map((host, i) => new NodeHost(join(folder, `node-${i + 1}`), host));
  for (const node of nodes) node.logEverything();
  for (const node of nodes) node.start();
  await all(nodes, (height) => height > 2);
  rootKey = (await nodes[0]?.status())?.rootKey as Uint8Array<ArrayBuffer>;
  canister = await deploy(agent(0), await recorderWasm());
  // A node that has not executed the installation yet refuses calls to the canister.
  const installed = await heightOf(nodeAt(0));
  await all(nodes, (height) => height >= installed);
}, options);

after(async () => {
  await Promise.all(nodes.map((node) => node.end("SIGKILL")));
  hosts?.remove();
});

for (let turn = 0; turn < TURNS; turn++) {
  const victim = (turn + 1) % COUNT;
  const name = (text: string) => (TURNS === 1 ? text : `${text}, turn ${turn + 1}`);
  test(name("one host is cut off: the others go on, and it catches up when the cable is back"), options, () =>
    whileAway(
      [victim],
      async () => nodeAt(victim).host.pullOut(),
      async () => nodeAt(victim).host.plugIn(),
    ),
  );
  test(
    name("two hosts are cut off: nothing is decided anywhere, and all goes on when the cables are back"),
    options,
    () => twoCutOff([victim, (victim + 1) % COUNT]),
  );
  if (!IS_LONG) continue;
  test(name("a node is killed and started again"), options, () =>
    whileAway(
      [victim],
      async () => void (await nodeAt(victim).end("SIGKILL")),
      async () => nodeAt(victim).start(),
    ),
  );
  test(name("a host stands still for ten seconds"), options, () =>
    whileAway(
      [victim],
      async () => nodeAt(victim).signal("SIGSTOP"),
      async () => {
        await pause(10_000);
        nodeAt(victim).signal("SIGCONT");
      },
    ),
  );
  test(name("a disk is lost: the node joins again by fetching the state"), options, () =>
    whileAway(
      [victim],
      async () => {
        await nodeAt(victim).end("SIGKILL");
        nodeAt(victim).loseDisk();
      },
      async () => nodeAt(victim).start(),
    ),
  );
  test(name("a link is slow"), options, () => slowLink(victim));
}

test("the logs of all nodes agree, and no node complained or signed twice", options, (t: TestContext) => {
  const logs = nodes.map((node) => node.lines());
  const { heights } = checkAgreement(logs);
  for (const lines of logs) checkSigned(lines);
  t.diagnostic(`heights: ${JSON.stringify(heights)}; ${answered.length} of ${sent} updates were answered`);
  assert.ok(heights.finalized > 20 && heights.certified > 20 && heights["catch-up package"] > 0);
  assert.deepEqual(logs.flatMap(alarms), []);
  assert.deepEqual(
    nodes.map((node) => node.complaints()),
    nodes.map(() => ""),
  );
});

test("a node ends in order when it is asked to", options, async () => {
  const codes = await Promise.all(nodes.map((node) => node.end("SIGTERM")));
  assert.deepEqual(codes, [0, 0, 0, 0]);
});

/** Three of four go on while one is away; the one catches up afterwards, with every update once. */
async function whileAway(
  away: readonly number[],
  go: () => Promise<void>,
  comeBack: () => Promise<void>,
): Promise<void> {
  const others = nodes.filter((_, i) => !away.includes(i));
  await go();
  const before = await heightOf(others[0] as NodeHost);
  await update((away[0] as number) + 1);
  await all(others, (height) => height >= before + 5);
  await update((away[0] as number) + 2);
  await comeBack();
  const tip = await heightOf(others[0] as NodeHost);
  await all(nodes, (height) => height >= tip);
  await checkUpdates();
}

async function twoCutOff(away: readonly number[]): Promise<void> {
  for (const i of away) nodeAt(i).host.pullOut();
  const others = nodes.filter((_, i) => !away.includes(i));
  // What was decided before may still be on its way.
  await pause(3_000);
  const before = await Promise.all(others.map(heightOf));
  await pause(5_000);
  assert.deepEqual(await Promise.all(others.map(heightOf)), before, "two of four decide nothing");
  for (const i of away) nodeAt(i).host.plugIn();
  await all(nodes, (height) => height > Math.max(...before) + 3);
  await update(away[0] as number);
  await checkUpdates();
}

async function slowLink(victim: number): Promise<void> {
  const { host } = nodeAt(victim);
  host.slowDown(1);
  const before = await heightOf(nodeAt(victim + 1));
  await update(victim);
  await all(nodes, (height) => height > before + 5);
  host.fullSpeed();
  await checkUpdates();
}

/** An update through one node, certificate verified by the agent under the one root key. */
async function update(place: number): Promise<void> {
  const call = sent++;
  await recorderActor(agent(place), canister).record(1n, BigInt(call));
  answered.push(call);
}

async function checkUpdates(): Promise<void> {
  for (const place of nodes.keys()) {
    // A node that has just come back may be some heights behind.
    for (let tries = 0; ; tries++) {
      const counts = await recorderActor(agent(place), canister).countsOf(1n);
      if (answered.every((call) => counts[call] === 1)) break;
      assert.ok(tries < 50, `node ${place + 1} has the counts ${counts} of ${answered.length} answered calls`);
      await pause(200);
    }
  }
}

function nodeAt(place: number): NodeHost {
  return nodes[place % COUNT] as NodeHost;
}

function agent(place: number): ReturnType<typeof agentOf> {
  return agentOf({ gatewayUrl: nodeAt(place).url, rootKey });
}

async function heightOf(node: NodeHost): Promise<number> {
  for (;;) {
    const status = await node.status();
    if (status !== undefined) return status.certifiedHeight;
    await pause(200);
  }
}

/** Waits until all are there. A test's own time limit ends it. */
async function all(which: readonly NodeHost[], isThere: (height: number) => boolean): Promise<void> {
  const waiting = new Set(which);
  while (waiting.size > 0) {
    for (const node of waiting) {
      assert.ok(node.isRunning, `a node has ended: ${node.complaints()}`);
      const status = await node.status();
      if (status?.health === "healthy" && isThere(status.certifiedHeight)) waiting.delete(node);
    }
    await pause(100);
  }
}
