// Recordings as files: where a network that runs writes them, one of each subnet, and how `atoll replay` finds and reads
// them. A subnet can be executed again alone, as its batches hold what came from the others.
import fs from "node:fs";
import { basename, join } from "node:path";
import { RECORDING_SUFFIX } from "@atoll/host-node";
import type { RecordingSource } from "@atoll/replica";
import { EnvironmentError } from "@atoll/types";

/** Of the subnet with this name, in the folder. */
export function recordingName(subnet: string): string {
  return subnet + RECORDING_SUFFIX;
}

export interface FoundRecording {
  readonly name: string;
  readonly path: string;
}

/** The file, or those in the folder. Throws EnvironmentError. */
export function findRecordings(path: string): readonly FoundRecording[] {
  return readable(path, () => {
    if (!fs.statSync(path).isDirectory()) return [{ name: basename(path), path }];
    const names = fs.readdirSync(path).filter((name) => name.endsWith(RECORDING_SUFFIX));
    if (names.length === 0) {
      throw new EnvironmentError(
        "RECORDING",
        `There is no recording in "${path}": no file there ends in ${RECORDING_SUFFIX}.`,
      );
    }
    return names.sort().map((name) => ({ name, path: join(path, name) }));
  });
}

/** A recording may be larger than the memory: only what is asked for is read. A network may be writing it. */
export async function withRecording<T>(path: string, use: (source: RecordingSource) => Promise<T>): Promise<T> {
  const fd = readable(path, () => fs.openSync(path, "r"));
  try {
    return await use({
      size: readable(path, () => fs.fstatSync(fd).size),
      read: (at, length) => readable(path, () => readAt(fd, at, length)),
    });
  } finally {
    fs.closeSync(fd);
  }
}

function readAt(fd: number, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length; ) {
    const count = fs.readSync(fd, bytes, have, length - have, at + have);
    if (count === 0) throw new Error("it has become shorter");
    have += count;
  }
  return bytes;
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new EnvironmentError("RECORDING", `The recording "${path}" cannot be read: ${why}.`, { cause: error });
  }
}
