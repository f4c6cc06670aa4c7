// A network of four node processes, as `npm start -- --nodes 4` makes it, through the one address in front of it: nobody
// who uses it notices when any one of the nodes is killed, a node that was killed comes back under its address and catches
// up, and one that lost its disk joins again. Answers are verified by the official agent under the first root key.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Cbor } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { createLoad } from "./load.ts";
import { endAll, launch, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, fastBlsVerify, recorderActor, recorderWasm } from "./recorder.ts";

const COUNT = 4;
const USERS = 6;
const OPTIONS = { timeout: 600_000 } as const;
const START_MS = 120_000;
const stateDir = temporaryFolder();
let network: Network;
let canister: Principal;
/** That the first one calls. */
let other: Principal;
/** Everything that any of the processes printed. */
const printed: string[] = [];

before(async () => {
  network = await startNetwork({ stateDir, args: ["--nodes", String(COUNT)], timeoutMs: START_MS });
  const wasm = await recorderWasm();
  canister = await deploy(agentOf(network), wasm);
  other = await deploy(agentOf(network), wasm);
}, OPTIONS);
after(endAll, OPTIONS);

test("the ready line names the nodes, and each answers by itself under the one root key", OPTIONS, async () => {
  assert.equal(network.nodes.length, COUNT);
  assert.equal(new Set(network.nodes.map(({ pid }) => pid)).size, COUNT);
  for (const { url, pid } of network.nodes) {
    process.kill(pid, 0);
    assert.deepEqual((await statusOf(url))?.rootKey, network.rootKey);
  }
});

test("each node answers queries with its own signature", OPTIONS, async () => {
  const signers = new Set<string>();
  for (const { url, id } of network.nodes) {
    // The agent checks the signature under the key that the certified state has for that node.
    const agent = agentOf({ ...network, gatewayUrl: url });
    const arg = new Uint8Array([68, 73, 68, 76, 0, 0]);
    const answer = await agent.query(canister, { methodName: "totalCount", arg });
    for (const { identity } of answer.signatures ?? []) signers.add(Principal.fromUint8Array(identity).toText());
    assert.ok(signers.has(id), `${[...signers]} has ${id}`);
  }
  assert.equal(signers.size, COUNT);
});

test("nodes can be killed while updates run, and no user notices", OPTIONS, async (t) => {
  const load = createLoad({ users: USERS, near: canister, far: other, blsVerify: await fastBlsVerify() });
  const running = load.run(network);
  let slowestMs = 0;
  // Two of them: they are alike, and each takes ten seconds.
  for (const { url } of network.nodes.slice(0, 2)) {
    await pause(1_000);
    const pid = await pidOf(url);
    const killedAt = performance.now();
    process.kill(pid, "SIGKILL");
    // The front has to notice; then the supervisor starts it again, under the same address.
    await until(async () => (await statusOf(url)) === undefined);
    const tip = Math.max(...(await heights()));
    await until(async () => ((await statusOf(url))?.certifiedHeight ?? 0) > tip);
    slowestMs = Math.max(slowestMs, performance.now() - killedAt);
    assert.notEqual(await pidOf(url), pid);
  }
  await running.stop();
  assert.equal(load.answeredCount, load.sentCount, "every update was answered");
  await load.checkAtRest(network);
  t.diagnostic(`${load.answeredCount} updates were answered; slowest to come back: ${Math.round(slowestMs)} ms`);
  assert.ok(load.answeredCount > 4 * COUNT, "a load that nobody answers proves nothing");
});

test("a node that hangs does not keep its users waiting for ever", OPTIONS, async () => {
  const [{ url } = { url: "" }] = network.nodes;
  const pid = await pidOf(url);
  process.kill(pid, "SIGSTOP");
  try {
    const actor = recorderActor(agentOf(network), canister);
    for (let call = 0; call < 4; call++) await actor.record(99n, BigInt(call));
    assert.deepEqual([...(await actor.countsOf(99n))], [1, 1, 1, 1]);
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("metrics say how far each node is, and nothing that is secret", OPTIONS, async () => {
  const connected = (text: string) => [...text.matchAll(/^atoll_peer_connected\{peer="[a-z0-9-]+"\} 1$/gm)].length;
  for (const { url } of network.nodes) {
    let text = "";
    // One that was killed or stood still may still be looking for the others.
    await until(async () => {
      const answer = await fetch(`${url}/metrics`);
      assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      text = await answer.text();
      return connected(text) === COUNT - 1;
    });
    printed.push(text);
    assert.match(text, /^atoll_height\{step="certified"\} [1-9]\d*$/m);
    assert.match(text, /^process_resident_memory_bytes [1-9]\d*$/m);
  }
});

test("the registry's newest record can be seen, and one that is not the operator's is refused", OPTIONS, async () => {
  const [{ url } = { url: "" }] = network.nodes;
  const { stdout, code, stderr } = await run(["registry", "show", "--node", url]);
  assert.equal(code, 0, stderr);
  const shown = JSON.parse(stdout) as { version: number; nodes: { nodeId: string }[] };
  assert.equal(shown.version, 1);
  assert.deepEqual(shown.nodes.map(({ nodeId }) => nodeId).sort(), network.nodes.map(({ id }) => id).sort());
  const record = new Uint8Array(await (await fetch(`${url}/_/registry`)).arrayBuffer());
  record[0] = 2;
  const post = (body: Uint8Array<ArrayBuffer>, type: string) =>
    fetch(`${url}/_/registry`, { method: "POST", body, headers: { "content-type": type } });
  const refused = await post(record, "application/octet-stream");
  assert.equal(refused.status, 400);
  assert.match(await refused.text(), /the operator has not signed it/);
  assert.equal((await post(record, "text/plain")).status, 415);
});

test(
  "a node that lost its disk and one whose disk is damaged join again; the network is the same after a restart",
  OPTIONS,
  async () => {
    const before = await recorderActor(agentOf(network), canister).totalCount();
    const tip = Math.max(...(await heights()));
    const { code, stderr, stdout } = await network.kill("SIGTERM");
    assert.equal(code, 0, stderr);
    printed.push(stderr, stdout);
    for (const { pid } of network.nodes) assert.throws(() => process.kill(pid, 0), "no node is left");
    rmSync(join(stateDir, "nodes", "node-2", "data"), { recursive: true });
    damageState(join(stateDir, "nodes", "node-3", "data", "subnet-root"));
    const { rootKey, nodes } = network;
    // The folder knows what it holds.
    network = await startNetwork({ stateDir, timeoutMs: START_MS });
    assert.deepEqual(network.rootKey, rootKey);
    assert.deepEqual(
      network.nodes.map(({ id, url }) => ({ id, url })),
      nodes.map(({ id, url }) => ({ id, url })),
    );
    for (const place of [1, 2]) {
      const gatewayUrl = network.nodes[place]?.url ?? "";
      // It follows the chain of certificates while it still fetches the state, and answers nobody until it has it.
      await until(async () => {
        const status = await statusOf(gatewayUrl);
        return status?.health === "healthy" && status.certifiedHeight > tip;
      });
      const itself = agentOf({ ...network, gatewayUrl });
      assert.equal(await recorderActor(itself, canister).totalCount(), before);
    }
  },
);

/** One bit in the midst of the largest file of the checkpoints. */
function damageState(folder: string): void {
  const files = readdirSync(folder).filter((name) => /^state-\d/.test(name));
  const sizes = files
    .map((name) => ({ name, size: statSync(join(folder, name)).size }))
    .sort((a, b) => b.size - a.size);
  const path = join(folder, sizes[0]?.name ?? "");
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

test("what cannot be is refused in one sentence", OPTIONS, async () => {
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [["--state-dir", stateDir, "--nodes", "4"], /is in use by the process/],
    [["--nodes", "0"], /--nodes must be a whole number from 1 to 40/],
  ];
  for (const [args, message] of refusals) {
    const { code, stderr } = await run(["start", "--port", "0", "--json", ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /^atoll: [^\n]+\.\n$/);
    assert.match(stderr, message);
  }
});

test("no node outlives a supervisor that is killed", OPTIONS, async () => {
  const { stderr, stdout } = await network.kill("SIGKILL");
  printed.push(stderr, stdout);
  for (const { pid } of network.nodes) await until(async () => !isRunning(pid));
});

test(
  "another number of nodes than the folder has is refused, and so is --nodes on another kind of network",
  OPTIONS,
  async () => {
    const args = ["start", "--port", "0", "--json", "--state-dir"];
    const other = await run([...args, stateDir, "--nodes", "5"]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /has 4 nodes, not 5/);
    const solo = await startNetwork({ stateDir: temporaryFolder() });
    await solo.kill("SIGTERM");
    const refused = await run([...args, solo.stateDir, "--nodes", "4"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /runs in one process/);
  },
);

test("a key file that others can read keeps the network from starting", OPTIONS, async () => {
  const { chmodSync } = await import("node:fs");
  const keys = join(stateDir, "nodes", "node-3", "node-keys.json");
  chmodSync(keys, 0o644);
  const refused = await run(["start", "--port", "0", "--json", "--state-dir", stateDir], { timeoutMs: START_MS });
  chmodSync(keys, 0o600);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /Node 3 could not start: .* can be read by others \(mode 644\)/);
});

test("no secret is in anything that was printed or written, but for the key files", OPTIONS, () => {
  const files = readdirSync(stateDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const keyFiles = files.filter((path) => path.endsWith("-keys.json"));
  const secrets = keyFiles.flatMap((path) => {
    const { content } = JSON.parse(readFileSync(path, "utf8")) as { content: string };
    return (content.match(/.{64}/g) ?? []).map((hex) => Buffer.from(hex, "hex"));
  });
  assert.equal(secrets.length, 3 * COUNT + 1);
  const forms = secrets.flatMap((bytes) => [
    bytes,
    Buffer.from(bytes.toString("hex")),
    Buffer.from(bytes.toString("base64").slice(0, 40)),
  ]);
  for (const path of files) {
    if (keyFiles.includes(path)) continue;
    const content = readFileSync(path);
    assert.ok(!forms.some((form) => content.includes(form)), path);
  }
  const texts = Buffer.from(printed.join("\n"));
  assert.ok(!forms.some((form) => texts.includes(form)), "what was printed");
});

test("a first start that is killed leaves nothing that the next one stumbles over", OPTIONS, async () => {
  const folder = temporaryFolder();
  const args = ["start", "--port", "0", "--state-dir", folder, "--json", "--nodes", "2", "--no-sample"];
  for (const delayMs of [300, 1_500, 3_000]) {
    const started = launch(args);
    await pause(delayMs);
    await started.kill("SIGKILL");
  }
  const started = launch(args);
  const ready = await started.ready;
  assert.equal(ready.nodes.length, 2);
  await agentOf(ready).status();
  assert.equal((await started.kill("SIGTERM")).code, 0);
});

interface Status {
  readonly health: string;
  readonly rootKey: Uint8Array;
  readonly certifiedHeight: number;
}

/** Undefined: it does not answer. */
async function statusOf(url: string): Promise<Status | undefined> {
  try {
    const answer = await fetch(`${url}/api/v2/status`, { signal: AbortSignal.timeout(2_000) });
    const status = Cbor.decode<Record<string, unknown>>(new Uint8Array(await answer.arrayBuffer()));
    return {
      health: String(status.replica_health_status),
      rootKey: new Uint8Array(status.root_key as Uint8Array),
      certifiedHeight: Number(status.certified_height ?? 0),
    };
  } catch {
    return undefined;
  }
}

async function heights(): Promise<number[]> {
  return Promise.all(network.nodes.map(async ({ url }) => (await statusOf(url))?.certifiedHeight ?? 0));
}

/** By its data folder's lock: the ready line is about the first start of a node. */
async function pidOf(url: string): Promise<number> {
  const place = network.nodes.findIndex((node) => node.url === url) + 1;
  return Number(readFileSync(join(stateDir, "nodes", `node-${place}`, "data", "pid"), "utf8"));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(50);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
