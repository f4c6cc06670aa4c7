// The folder that recordings of networks are written to: `<name>.recording`. A recording is never written over another
// one, since it may be what somebody wants to look into.
import fs from "node:fs";
import { join } from "node:path";
import { EnvironmentError } from "@atoll/types/errors";

export const RECORDING_SUFFIX = ".recording";

/** Makes it, if need be. Throws EnvironmentError when nothing can be written there. */
export function requireRecordingsFolder(path: string): void {
  try {
    fs.mkdirSync(path, { recursive: true });
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw cannotKeep(path, error);
  }
}

/** Gives the path: a number comes behind the name when it is taken. Throws EnvironmentError. */
export function keepRecording(folder: string, name: string, file: Uint8Array): string {
  for (let number = 1; ; number++) {
    const path = join(folder, `${name}${number === 1 ? "" : `-${number}`}${RECORDING_SUFFIX}`);
    try {
      fs.writeFileSync(path, file, { flag: "wx" });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw cannotKeep(folder, error);
    }
  }
}

function cannotKeep(path: string, cause: unknown): EnvironmentError {
  const why = (cause as Error).message;
  return new EnvironmentError("RECORDING", `No recording can be kept in ${path}: ${why}; give another folder.`, {
    cause,
  });
}
