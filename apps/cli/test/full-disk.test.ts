// A disk that is full: nothing is acknowledged that is not on it, what is there is served, and when there is room
// again the network goes on with everything. On a small file system of its own; mounting one needs root.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, launch, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";

const DISK_BYTES = 48 * 1024 * 1024;
/** The last line says it; a block that failed may have been logged before. */
const DISK_IS_FULL = /(^|\n)atoll: [^\n]*the disk is full; free some space[^\n]*\.\n$/;
const disk = temporaryFolder();
const stateDir = join(disk, "state");
const ballast = join(disk, "ballast");
const isMounted = mountDisk();
const skip = isMounted ? false : "needs a file system of its own: mount is not allowed here";

let network: Network;
let canisterId: Principal;
const actor = () => recorderActor(agentOf(network), canisterId);
const countsOf = async (client: bigint) => [...(await actor().countsOf(client))];

before(async () => {
  if (!isMounted) return;
  const wasm = await recorderWasm();
  network = await startNetwork({ stateDir, env: checkpointEvery(1_000_000) });
  canisterId = await deploy(agentOf(network), wasm);
});

after(async () => {
  await endAll();
  if (isMounted) execFileSync("umount", [disk]);
});

test("updates wait while the disk is full, queries and status do not, and afterwards all goes on", {
  skip,
}, async () => {
  fillDisk(0);
  const { waiting, answered } = await callUntilNoAnswer(0n);
  assert.deepEqual(await countsOf(0n), ones(answered));
  assert.equal((await fetch(`${network.gatewayUrl}/api/v2/status`)).status, 200);
  assert.match(network.output().stderr, /disk is full; free some space/);
  await pause(2500);
  emptyDisk();
  await waiting;
  const { stderr } = network.output();
  assert.equal(stderr.match(/could not be made durable/g)?.length, 1, "said once, not at each attempt");
  assert.match(stderr, /Block \d+ is durable now; the network goes on\./);
  assert.deepEqual(await countsOf(0n), ones(answered + 1));
});

test("an update that was never answered runs at most once, those that were are all there", { skip }, async () => {
  fillDisk(0);
  const { waiting, answered } = await callUntilNoAnswer(1n);
  await network.kill("SIGKILL");
  await assert.rejects(waiting);
  // Whether a start gets by with what is left of the last blocks or not: it serves, or it says why it cannot.
  const started = launch(["start", "--port", "0", "--state-dir", stateDir, "--no-sample", "--json"]);
  const ready = await started.ready.catch(() => undefined);
  if (ready !== undefined) {
    assert.deepEqual(
      [...(await recorderActor(agentOf(ready), canisterId).countsOf(1n))].slice(0, answered),
      ones(answered),
    );
    await started.kill("SIGKILL");
  } else {
    const refused = await started.exited;
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, DISK_IS_FULL);
  }
  emptyDisk();
  network = await startNetwork({ stateDir, env: checkpointEvery(4) });
  const counts = await countsOf(1n);
  assert.deepEqual(counts.slice(0, answered), ones(answered));
  assert.ok((counts[answered] ?? 0) <= 1);
});

test("a checkpoint that finds the disk full is made up for later, with all that it would have held", {
  skip,
}, async () => {
  // The pages of this are many times the room that is left; the batch itself is small.
  fillDisk(256 * 1024);
  await actor().fill(100_000n);
  const checksum = await actor().checksum();
  for (let number = 0n; number < 5n; number++) await actor().record(2n, number);
  assert.match(network.output().stderr, /No checkpoint could be written[^\n]*disk is full/);
  emptyDisk();
  // Changes one page or two; the others must come from what the failed checkpoint left open.
  for (let number = 5n; number < 10n; number++) await actor().record(2n, number);
  const { code } = await network.kill("SIGTERM");
  assert.equal(code, 0);
  network = await startNetwork({ stateDir });
  assert.deepEqual(await countsOf(2n), ones(10));
  assert.equal(await actor().checksum(), checksum);
});

test("a new network on a full disk is refused, and starts when there is room", { skip }, async () => {
  const other = join(disk, "other");
  fillDisk(0);
  const refused = await run(["start", "--port", "0", "--state-dir", other, "--no-sample", "--json"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, DISK_IS_FULL);
  emptyDisk();
  const second = await startNetwork({ stateDir: other });
  await second.kill("SIGKILL");
  await agentOf(network).status();
});

/** The last block of a file still takes some batches; the first call that gets no answer ends it. */
async function callUntilNoAnswer(client: bigint): Promise<{ waiting: Promise<bigint>; answered: number }> {
  for (let answered = 0; ; answered++) {
    const waiting = actor().record(client, BigInt(answered));
    waiting.catch(() => undefined);
    if ((await Promise.race([waiting, pause(1500)])) === undefined) return { waiting, answered };
    assert.ok(answered < 200, "updates are acknowledged on a full disk");
  }
}

const ones = (count: number): number[] => Array.from({ length: count }, () => 1);

/** Leaves `bytes` of room. */
function fillDisk(bytes: number): void {
  const fd = openSync(ballast, "w");
  try {
    const { bavail, bsize } = statfsSync(disk);
    const block = Buffer.alloc(bsize, 1);
    for (let free = bavail * bsize - bytes; free > 0; free -= bsize) writeSync(fd, block);
    fsyncSync(fd);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
}

function emptyDisk(): void {
  rmSync(ballast);
}

function mountDisk(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function checkpointEvery(batches: number): Record<string, string> {
  return { ATOLL_TEST_CHECKPOINT_BATCHES: String(batches) };
}
