// "It never loses anything": a load of updates, SIGKILL at random moments, a restart each time. Every update that was
// answered is there exactly once, every other one at most once, and certificates hold under the same root key; also
// where every other call goes on to another subnet, and cycles with it.
// KILLS=50 runs it longer; SEED=... repeats a run (the moments of the system stay its own).
import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createLoad, type Load } from "./load.ts";
import { endAll, launch, type Network, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, fastBlsVerify, recorderActor, recorderWasm } from "./recorder.ts";
import { chance } from "./seeded.ts";
import { topologyOf } from "./topology.ts";

const KILLS = Number(process.env.KILLS ?? 5);
const USERS = 12;

after(endAll);

/** Two canisters on one subnet, and each on one of its own. Nothing costs cycles on a system subnet. */
const FORMS = [
  { on: "one subnet", kills: KILLS, args: [] },
  { on: "two subnets", kills: Math.ceil(KILLS / 2), args: ["--subnet", "system", "--subnet", "system"] },
] as const;

for (const form of FORMS) {
  const timeout = 60_000 + form.kills * 10_000;
  test(`${form.kills} kills under load on ${form.on}`, { timeout }, (t) => killUnderLoad(t, form));
}

async function killUnderLoad(t: TestContext, { kills: killCount, args }: (typeof FORMS)[number]): Promise<void> {
  const random = chance();
  t.diagnostic(`SEED=${random.seed}`);
  const stateDir = temporaryFolder();
  const isOneSubnet = args.length === 0;
  const start = (more: readonly string[] = []) =>
    startNetwork({ stateDir, args: more, env: checkpointEvery(random.between(1, 40)) });
  const [wasm, blsVerify] = await Promise.all([recorderWasm(), fastBlsVerify()]);
  let network = await start(args);
  const { rootKey } = network;
  const agent = agentOf(network);
  const [, first, second] = isOneSubnet ? [] : (await topologyOf(network)).subnets;
  const near = await deploy(agent, wasm, first?.first);
  const far = await deploy(agent, wasm, second?.first);
  const cyclesOf = async (at: Network): Promise<bigint> => {
    const balances = [near, far].map((id) => recorderActor(agentOf(at), id).balance());
    return (await Promise.all(balances)).reduce((sum, balance) => sum + balance);
  };
  const cycles = await cyclesOf(network);
  const load = createLoad({ users: USERS, near, far, blsVerify });
  let restartMs = 0;
  for (let kills = 0; kills < killCount; ) {
    kills += await killOnce(random.below(8), network, load, random.between(0, 700));
    // Some of the next starts do not get far either.
    while (kills < killCount && random.below(4) === 0) {
      kills += await killStart(stateDir, random.between(20, 1000));
    }
    const before = performance.now();
    network = await start();
    restartMs = Math.max(restartMs, performance.now() - before);
    assert.deepEqual(network.rootKey, rootKey, "the root key of a network never changes");
    await load.check(network);
    if (random.below(2) === 0) await load.resend(network);
  }
  await load.resend(network);
  await load.checkAtRest(network);
  if (!isOneSubnet) assert.equal(await cyclesOf(network), cycles, "no cycles are lost or made on the way");
  // An update whose certificate the agent checks by itself, under the first root key.
  const actor = recorderActor(agentOf({ ...network, rootKey }), near);
  assert.ok((await actor.record(BigInt(USERS), 0n)) > 0n);
  // An orderly end in the middle of the load loses nothing either.
  const running = load.run(network);
  await pause(300);
  const { code, stderr } = await network.kill("SIGTERM");
  assert.equal(code, 0, stderr);
  await running.stop();
  network = await start();
  await load.check(network);
  await network.kill("SIGKILL");
  t.diagnostic(
    `${load.answeredCount} of ${load.sentCount} updates were answered, ${load.resentCount} requests sent again, ` +
      `slowest restart ${Math.round(restartMs)} ms`,
  );
  assert.ok(load.answeredCount > killCount, "a load that nobody answers proves nothing");
}

/** Kills a network that runs; gives the number of kills. */
async function killOnce(kind: number, network: Network, load: Load, delayMs: number): Promise<number> {
  // As soon as it is ready, without any load.
  if (kind === 0) {
    await network.kill("SIGKILL");
    return 1;
  }
  const running = load.run(network);
  await pause(delayMs);
  // In the middle of its orderly end, while it writes its last checkpoint.
  if (kind === 1) {
    void network.kill("SIGTERM");
    await pause(delayMs % 60);
  }
  await network.kill("SIGKILL");
  await running.stop();
  return 1;
}

/** Kills a start, most likely before it is through; gives the number of kills. */
async function killStart(stateDir: string, delayMs: number): Promise<number> {
  const started = launch(["start", "--port", "0", "--state-dir", stateDir, "--no-sample", "--json"], {
    env: checkpointEvery(3),
  });
  await pause(delayMs);
  const { signal, stderr } = await started.kill("SIGKILL");
  assert.equal(signal, "SIGKILL", stderr);
  return 1;
}

for (const { on, args } of FORMS) {
  test(`kills during the very first start of ${on}`, { timeout: 60_000 }, (t) => killFirstStart(t, args));
}

async function killFirstStart(t: TestContext, more: readonly string[]): Promise<void> {
  const random = chance();
  t.diagnostic(`SEED=${random.seed}`);
  const stateDir = temporaryFolder();
  const args = ["start", "--port", "0", "--state-dir", stateDir, "--json", ...more];
  const rootKeys = new Set<string>();
  for (let kills = 0; kills < Math.max(4, KILLS / 5); kills++) {
    const started = launch(args);
    await pause(random.between(100, 1100));
    const { signal, stdout, stderr } = await started.kill("SIGKILL");
    assert.equal(signal, "SIGKILL", stderr);
    if (stdout !== "") rootKeys.add((JSON.parse(stdout) as { root_key: string }).root_key);
  }
  const started = launch(args);
  const { rootKey, gatewayUrl } = await started.ready;
  rootKeys.add(Buffer.from(rootKey).toString("hex"));
  assert.equal(rootKeys.size, 1, "a root key that was shown stays");
  await agentOf({ rootKey, gatewayUrl }).status();
  assert.equal((await started.kill("SIGTERM")).code, 0);
}

function checkpointEvery(batches: number): Record<string, string> {
  return { ATOLL_TEST_CHECKPOINT_BATCHES: String(batches) };
}
