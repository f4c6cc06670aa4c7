// Damage to the state folder of a stopped network: every file cut short, with changed bits, or gone. Either the start
// refuses with one sentence that names the file, or the damage is harmless and nothing at all is missing.
// FAULTS=all tries several places in each file, and the state of a network that ended in order as well.
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, launch, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";
import { type Chance, chance } from "./seeded.ts";

type Ending = "SIGTERM" | "SIGKILL";

const isThorough = process.env.FAULTS === "all";
/** State of a network that ended in order, and of one that was killed and has batches to replay. */
const endings: readonly Ending[] = isThorough ? ["SIGTERM", "SIGKILL"] : ["SIGKILL"];
/** Files that hold nothing of the network. */
const isOfTheProcess = (file: string) => file === "pid" || file.startsWith("lock.sqlite");

const folders = new Map<Ending, string>();
const RECORDED = 12;
let canisterId: Principal;
let rootKey: Uint8Array;
let checksum: bigint;

before(async () => {
  const stateDir = temporaryFolder();
  const wasm = await recorderWasm();
  const env = { ATOLL_TEST_CHECKPOINT_BATCHES: "6" };
  let network = await startNetwork({ stateDir, env });
  ({ rootKey } = network);
  canisterId = await deploy(agentOf(network), wasm);
  const actor = () => recorderActor(agentOf(network), canisterId);
  await actor().fill(20_000n);
  checksum = await actor().checksum();
  await Promise.all(Array.from({ length: RECORDED / 2 }, (_, i) => actor().record(0n, BigInt(i))));
  await network.kill("SIGTERM");
  network = await startNetwork({ stateDir, env: { ATOLL_TEST_CHECKPOINT_BATCHES: "1000000" } });
  for (let i = RECORDED / 2; i < RECORDED; i++) await actor().record(0n, BigInt(i));
  await network.kill("SIGKILL");
  folders.set("SIGKILL", copyOf(stateDir));
  network = await startNetwork({ stateDir });
  await network.kill("SIGTERM");
  folders.set("SIGTERM", stateDir);
});

after(endAll);

for (const ending of endings) {
  for (const damage of ["cut", "flip", "remove"] as const) {
    test(`after ${ending}: every file, ${damage}`, { timeout: 120_000 }, async (t) => {
      const random = chance();
      const original = folders.get(ending) as string;
      const results: string[] = [];
      const cases = filesBelow(original)
        .filter((file) => isThorough || !isOfTheProcess(file))
        .flatMap((file) => damagesTo(join(original, file), damage, random).map((act) => ({ file, act })));
      for (let next = 0; next < cases.length; next += 2) {
        const pair = cases.slice(next, next + 2);
        results.push(...(await Promise.all(pair.map(({ file, act }) => outcomeOf(original, file, act)))));
      }
      t.diagnostic(`SEED=${random.seed}; ${results.join(", ")}`);
    });
  }
}

interface Damage {
  readonly name: string;
  apply(path: string): void;
}

/** Starts on a copy with one damaged file. Gives what happened, when it is one of the two things that may. */
async function outcomeOf(original: string, file: string, damage: Damage): Promise<string> {
  const stateDir = copyOf(original);
  damage.apply(join(stateDir, file));
  const what = `${file} ${damage.name}`;
  const bytesBefore = contentOf(stateDir);
  const started = launch(["start", "--port", "0", "--no-sample", "--json", "--state-dir", stateDir]);
  const ready = await Promise.race([started.ready.catch(() => undefined), started.exited.then(() => undefined)]);
  try {
    if (ready === undefined) {
      const { code, stdout, stderr } = await started.exited;
      assert.equal(code, 1, `${what}: ${stderr}`);
      assert.equal(stdout, "");
      assert.match(stderr, /^atoll: [^\n]+\.\n$/, `${what}: one line`);
      const isNamed = stderr.includes(basename(file).replace(/^log-\d+/, damage.name === "removed" ? "log-*" : "$&"));
      assert.ok(isNamed, `${what}: the sentence names the file: ${stderr}`);
      assert.match(stderr, /restore a copy|--clean|remove /, `${what}: the sentence says what to do: ${stderr}`);
      assert.deepEqual(contentOf(stateDir), bytesBefore, `${what}: a start that is refused changes nothing`);
      return `${what}: refused`;
    }
    assert.deepEqual(ready.rootKey, rootKey, `${what}: another network`);
    const actor = recorderActor(agentOf(ready), canisterId);
    const counts = await actor.countsOf(0n);
    assert.deepEqual(
      [...counts],
      Array.from({ length: RECORDED }, () => 1),
      `${what}: something is lost`,
    );
    assert.equal(await actor.checksum(), checksum, `${what}: the memory is another one`);
    assert.equal(await actor.record(0n, BigInt(RECORDED)), BigInt(RECORDED + 1), `${what}: it goes on`);
    return `${what}: harmless`;
  } finally {
    await started.kill("SIGKILL");
    rmSync(stateDir, { recursive: true });
  }
}

function damagesTo(path: string, kind: "cut" | "flip" | "remove", random: Chance): Damage[] {
  const { size } = statSync(path);
  if (kind === "remove") return [{ name: "removed", apply: (file) => rmSync(file) }];
  if (size === 0) return kind === "cut" ? [] : [garbage];
  if (kind === "cut") {
    const lengths = new Set([0, size - 1, random.below(size)]);
    return some(lengths, random).map((length) => ({
      name: `cut to ${length} of ${size}`,
      apply: (file) => truncateSync(file, length),
    }));
  }
  const offsets = new Set([
    random.below(Math.min(size, 32)),
    random.below(size),
    size - 1 - random.below(Math.min(size, 64)),
  ]);
  return some(offsets, random).map((offset) => {
    const bit = random.below(8);
    return {
      name: `with bit ${bit} of byte ${offset} of ${size} changed`,
      apply(file) {
        const bytes = readFileSync(file);
        bytes[offset] = (bytes[offset] as number) ^ (1 << bit);
        writeFileSync(file, bytes);
      },
    };
  });
}

/** All of them, or one. */
function some(values: ReadonlySet<number>, random: Chance): readonly number[] {
  const all = [...values];
  const one = random.below(all.length);
  return isThorough ? all : all.slice(one, one + 1);
}

const garbage: Damage = { name: "with garbage", apply: (file) => writeFileSync(file, "this is not what was here") };

function copyOf(stateDir: string): string {
  const copy = temporaryFolder();
  cpSync(stateDir, copy, { recursive: true });
  return copy;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath.slice(folder.length + 1), entry.name))
    .sort();
}

/** All that the network consists of; not who holds the lock. */
function contentOf(folder: string): Record<string, string> {
  const kept = filesBelow(folder).filter((file) => !isOfTheProcess(file));
  return Object.fromEntries(kept.map((file) => [file, readFileSync(join(folder, file), "latin1")]));
}
