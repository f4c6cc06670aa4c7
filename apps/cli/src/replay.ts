// `atoll replay PATH`: executes recorded subnets again and compares the state hash after each batch. Somebody else's
// failing test is such a file: where both machines agree, it fails here in the same way.
import { crc32 } from "node:zlib";
import { sha256 } from "@atoll/host-node";
import { type ReplayOutcome, replayRecording } from "@atoll/replica";
import { EnvironmentError, principalToText } from "@atoll/types";
import type { ReplayOptions } from "./options.ts";
import { findRecordings, withRecording } from "./recordings.ts";

/** Between two lines that say how far it is. */
const PROGRESS_MS = 2000;

interface Replayed {
  /** Of the file, where there is a folder of them. */
  readonly file: string | undefined;
  readonly outcome: ReplayOutcome;
  readonly seconds: number;
}

/** Gives the exit code: 0 when every hash is the recorded one, 1 when one is not. */
export async function replay({ path, json }: ReplayOptions): Promise<number> {
  // As on the thread of a node that executes: a trap is an exception whose stack nobody looks at.
  Error.stackTraceLimit = 0;
  const found = findRecordings(path);
  const isOne = found.length === 1 && found[0]?.path === path;
  const all: Replayed[] = [];
  for (const { name, path } of found) {
    const file = isOne ? undefined : name;
    const replayed = await replayOne(path, file);
    all.push(replayed);
    if (!json) process.stdout.write(`${asText(replayed)}\n`);
  }
  if (json) process.stdout.write(`${JSON.stringify(isOne ? asJson(all[0] as Replayed) : together(all))}\n`);
  return all.some(({ outcome }) => outcome.difference !== undefined) ? 1 : 0;
}

async function replayOne(path: string, file: string | undefined): Promise<Replayed> {
  const start = performance.now();
  let told = start;
  const onProgress = (done: { entries: number; of: number; instructions: number }): void => {
    const now = performance.now();
    if (now < told + PROGRESS_MS) return;
    told = now;
    const million = number(Math.floor(done.instructions / 1e6));
    process.stderr.write(`${number(done.entries)} of ${number(done.of)}, ${million} M instructions\n`);
  };
  try {
    const outcome = await withRecording(path, (source) =>
      replayRecording(source, { crypto: { sha256 }, crc32, onProgress }),
    );
    return { file, outcome, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    if (!(error instanceof EnvironmentError) || file === undefined) throw error;
    throw new EnvironmentError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

function asJson({ outcome: { difference, ...figures }, seconds }: Replayed): object {
  return {
    equal: difference === undefined,
    ...figures,
    ...timing(figures.instructions, seconds),
    ...(difference && { difference: { ...difference, subnet: principalToText(difference.subnet) } }),
  };
}

function together(all: readonly Replayed[]): object {
  const sum = (figure: (each: Replayed) => number) => all.reduce((total, each) => total + figure(each), 0);
  const instructions = sum(({ outcome }) => outcome.instructions);
  return {
    equal: all.every(({ outcome }) => outcome.difference === undefined),
    subnets: sum(({ outcome }) => outcome.subnets),
    batches: sum(({ outcome }) => outcome.batches),
    instructions,
    ...timing(
      instructions,
      sum(({ seconds }) => seconds),
    ),
    files: all.map((each) => ({ file: each.file, ...asJson(each) })),
  };
}

function timing(instructions: number, seconds: number): object {
  return { seconds: Number(seconds.toFixed(3)), instructionsPerSecond: Math.round(instructions / seconds) };
}

function asText({ file, outcome, seconds }: Replayed): string {
  const { subnets, batches, instructions, difference, unfinished } = outcome;
  const name = file === undefined ? "" : `${file}: `;
  if (difference !== undefined) {
    const { subnet, height, expected, found } = difference;
    return (
      `${name}Subnet ${principalToText(subnet)} differs at height ${height}, after ${batches} equal batches.\n` +
      `  recorded: ${expected}\n  found:    ${found}`
    );
  }
  const rate = number(Math.round(instructions / seconds / 1e6));
  const all = batches === 1 ? "The one batch" : `All ${number(batches)} batches`;
  const equal =
    `${name}${all} of ${subnets} ${subnets === 1 ? "subnet" : "subnets"} ${batches === 1 ? "leads" : "lead"} to the recorded ` +
    `state: ${number(instructions)} instructions in ${seconds.toFixed(1)} s (${rate} M a second).`;
  if (unfinished === undefined) return equal;
  const { height, tornBytes } = unfinished;
  const torn = tornBytes === 0 ? "" : `, and ${number(tornBytes)} bytes of what came next`;
  return `${equal}\n  It ends at height ${height}, without the record of an orderly end${torn}.`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}
