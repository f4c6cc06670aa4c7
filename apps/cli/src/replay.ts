// `atoll replay FILE`: executes a recorded network again and compares the state hash after each batch. Somebody else's
// failing test is such a file: where both machines agree, it fails here in the same way.
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { sha256 } from "@atoll/host-node";
import { type ReplayOutcome, replayRecording } from "@atoll/replica";
import { EnvironmentError, principalToText } from "@atoll/types";
import type { ReplayOptions } from "./options.ts";

/** Between two lines that say how far it is. */
const PROGRESS_MS = 2000;

/** Gives the exit code: 0 when every hash is the recorded one, 1 when one is not. */
export async function replay({ file, json }: ReplayOptions): Promise<number> {
  const bytes = readRecording(file);
  // As on the thread of a node that executes: a trap is an exception whose stack nobody looks at.
  Error.stackTraceLimit = 0;
  const start = performance.now();
  let told = start;
  const outcome = await replayRecording(bytes, {
    crypto: { sha256 },
    crc32,
    onProgress: ({ entries, of, instructions }) => {
      const now = performance.now();
      if (now < told + PROGRESS_MS) return;
      told = now;
      const million = Math.floor(instructions / 1e6).toLocaleString("en");
      process.stderr.write(
        `${entries.toLocaleString("en")} of ${of.toLocaleString("en")}, ${million} M instructions\n`,
      );
    },
  });
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(`${json ? asJson(outcome, seconds) : asText(outcome, seconds)}\n`);
  return outcome.difference === undefined ? 0 : 1;
}

function readRecording(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new EnvironmentError("RECORDING", `The recording "${file}" cannot be read: ${why}.`, { cause: error });
  }
}

function asJson({ difference, ...figures }: ReplayOutcome, seconds: number): string {
  const shown = difference && { ...difference, subnet: principalToText(difference.subnet) };
  const instructionsPerSecond = Math.round(figures.instructions / seconds);
  return JSON.stringify({
    equal: difference === undefined,
    ...figures,
    seconds: Number(seconds.toFixed(3)),
    instructionsPerSecond,
    ...(shown && { difference: shown }),
  });
}

function asText({ subnets, batches, instructions, difference }: ReplayOutcome, seconds: number): string {
  if (difference !== undefined) {
    const { subnet, height, expected, found } = difference;
    return (
      `Subnet ${principalToText(subnet)} differs at height ${height}, after ${batches} equal batches.\n` +
      `  recorded: ${expected}\n  found:    ${found}`
    );
  }
  const rate = Math.round(instructions / seconds / 1e6).toLocaleString("en");
  return (
    `All ${batches.toLocaleString("en")} batches of ${subnets} subnets lead to the recorded state: ` +
    `${instructions.toLocaleString("en")} instructions in ${seconds.toFixed(1)} s (${rate} M a second).`
  );
}
