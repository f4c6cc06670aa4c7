// `--record`: a network of several subnets whose canisters call each other, recorded while it runs, killed, executed
// again by `atoll replay` while it is down and while it runs, gone on with, and what is said when that cannot be.
import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import type { RecordingEntry } from "../../../packages/replica/src/recording.ts";
import {
  encodeRecord,
  encodeRecording,
  growingStart,
  openRecording,
} from "../../../packages/replica/src/recording-file.ts";
import { endAll, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";
import { topologyOf } from "./topology.ts";

const TWO = ["--subnet", "system", "--subnet", "system"];
const FILES = ["nns.recording", "system-1.recording", "system-2.recording"];
const folder = temporaryFolder();
const recordings = join(folder, "recordings");
const stateDir = join(folder, "state");
let network: Network;
let near: Principal;
let far: Principal;

before(async () => {
  const wasm = await recorderWasm();
  network = await startNetwork({ stateDir, args: [...TWO, "--record", recordings] });
  const [, first, second] = (await topologyOf(network)).subnets;
  near = await deploy(agentOf(network), wasm, first?.first);
  far = await deploy(agentOf(network), wasm, second?.first);
  await relay(0, 3);
});
after(endAll);

/** Calls from one subnet to the other. */
async function relay(first: number, count: number): Promise<void> {
  const actor = recorderActor(agentOf(network), near);
  for (let number = first; number < first + count; number++) {
    assert.ok((await actor.relay(far, 1n, BigInt(number))) > 0n);
  }
}

interface Outcome {
  readonly equal: boolean;
  readonly batches: number;
  readonly unfinished?: { readonly height: number; readonly tornBytes: number };
  readonly difference?: { readonly subnet: string; readonly height: number };
}

async function replay(path = recordings, code = 0): Promise<Outcome & { files: (Outcome & { file: string })[] }> {
  const exit = await run(["replay", "--json", path]);
  assert.equal(exit.code, code, exit.stderr);
  return JSON.parse(exit.stdout);
}

const entriesOf = (file: string) => [...openRecording(readFileSync(join(recordings, file))).read()];

test("what is recorded so far is executed again while the network runs, and when it was killed", async () => {
  const running = await replay();
  assert.equal(running.equal, true);
  await relay(3, 3);
  await network.kill("SIGKILL");
  const killed = await replay();
  assert.deepEqual([killed.equal, killed.files.map(({ file }) => file)], [true, FILES]);
  assert.deepEqual(readdirSync(recordings), FILES);
  assert.ok(killed.batches > running.batches, `${killed.batches} batches`);
  for (const { batches, unfinished } of killed.files) assert.equal(unfinished?.height, batches);
  const slices = FILES.slice(1).flatMap((file) =>
    entriesOf(file).filter((entry) => entry.kind === "batch" && (entry.batch.slices?.length ?? 0) > 0),
  );
  assert.ok(slices.length >= 12, "the calls went over streams");
});

test("a recording that a kill has torn is executed again up to there, and made whole by the next start", async () => {
  const [, file = assert.fail()] = FILES;
  const path = join(recordings, file);
  const whole = readFileSync(path);
  const { batches } = await replay(path);
  truncateSync(path, whole.length - 7);
  const text = await run(["replay", path]);
  assert.equal(text.code, 0);
  const end = new RegExp(
    `\n {2}It ends at height ${batches - 1}, without the record of an orderly end, and \\d+ bytes of`,
  );
  assert.match(text.stdout, end);
  network = await startNetwork({ stateDir, args: ["--record", recordings] });
  await relay(6, 2);
  const { code, stderr } = await network.kill("SIGTERM");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(readFileSync(path).subarray(0, whole.length), whole, "what the kill took is there again");
  const ended = await replay();
  assert.equal(ended.equal, true);
  assert.deepEqual(
    ended.files.map(({ unfinished }) => unfinished),
    [undefined, undefined, undefined],
  );
});

test("a changed byte is found, at its subnet and height", async () => {
  const { subnets } = network;
  const copy = temporaryFolder();
  for (const file of FILES) copyFileSync(join(recordings, file), join(copy, file));
  const [, , file = assert.fail()] = FILES;
  const entries = entriesOf(file);
  const called = entries.findLastIndex((entry) => entry.kind === "batch" && entry.batch.ingress.length > 0);
  const entry = entries[called] as Extract<RecordingEntry, { kind: "batch" }>;
  // With good checksums: only executing it again can tell.
  const [message = assert.fail(), ...others] = entry.batch.ingress;
  const arg = message.arg.slice();
  arg[arg.length - 1] = (arg[arg.length - 1] as number) ^ 1;
  const batch = { ...entry.batch, ingress: [{ ...message, arg }, ...others] };
  writeFileSync(join(copy, file), encodeRecording(entries.with(called, { ...entry, batch })));
  const { files, equal } = await replay(copy, 1);
  assert.equal(equal, false);
  assert.deepEqual(
    files.map((each) => each.difference?.height),
    [undefined, undefined, entry.batch.height],
  );
  assert.equal(files[2]?.difference?.subnet, subnets[2]?.id);
  // Without: it is told what is damaged, and nothing of that file is executed.
  const bytes = readFileSync(join(recordings, file));
  const at = recordSizes(entries.slice(0, called)) + 30;
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(join(copy, file), bytes);
  const { code, stderr } = await run(["replay", "--json", copy]);
  assert.equal(code, 1);
  const place = `behind height ${entry.batch.height - 1} of subnet ${subnets[2]?.id}`;
  assert.match(stderr, new RegExp(`^atoll: ${file}: The recording is damaged: entry ${called}, .*${place}`));
});

function recordSizes(entries: readonly RecordingEntry[]): number {
  const parts = [growingStart(), ...entries.flatMap((entry) => encodeRecord(entry))];
  return parts.reduce((sum, { length }) => sum + length, 0);
}

test("a recording that misses something is refused in a sentence", async () => {
  const start = async (...args: string[]) => {
    const exit = await run(["start", "--port", "0", "--no-sample", "--json", ...args]);
    assert.deepEqual([exit.code, exit.stdout], [1, ""]);
    assert.match(exit.stderr, /^atoll: [^\n]+\.\n$/);
    return exit.stderr;
  };
  const before = FILES.map((file) => readFileSync(join(recordings, file)));
  network = await startNetwork({ stateDir });
  await network.kill("SIGTERM");
  const resumed = await start("--state-dir", stateDir, "--record", recordings);
  assert.match(
    resumed,
    /\.recording ends at height \d+, and this network goes on with height \d+; start without --record/,
  );
  const noFolder = join(recordings, FILES[0] as string);
  assert.match(await start("--record", noFolder), /^atoll: No recording can be kept in [^\n]*; give another folder/);
  assert.deepEqual(
    FILES.map((file) => readFileSync(join(recordings, file))),
    before,
  );
  assert.match(await start("--record", ""), /--record needs the name of a folder/);
});
