// SIGINT and SIGTERM end the program with exit code 0. Installed before anything else is loaded, because a person may
// press Ctrl+C at once; during the start there is nothing to put in order, the state folder survives any end.
import { EnvironmentError, OTHER_VERSION_NEEDED } from "@atoll/types/errors";

export interface Ending {
  /** From now on a signal ends the program this way. */
  by(end: () => Promise<void>): void;
}

const PARENT_CHECK_MS = 500;
/** How long an orderly end may take when the process that waited for it is gone. */
const ORPHAN_MS = 10_000;

export function endOnSignals(onFailure: (error: unknown) => void): Ending {
  let isEnding = false;
  let end = async (): Promise<void> => undefined;
  const onSignal = (): void => {
    if (isEnding) return;
    isEnding = true;
    end().then(() => process.exit(0), onFailure);
  };
  const isSupervised = process.send !== undefined;
  // A terminal sends Ctrl+C to all processes: the supervisor alone decides what it means.
  process.on("SIGINT", () => !isSupervised && onSignal());
  process.on("SIGTERM", onSignal);
  if (isSupervised) {
    process.on("disconnect", () => {
      setTimeout(() => process.exit(0), ORPHAN_MS).unref();
      onSignal();
    });
  }
  // npm puts a shell between itself and us that dies of a signal without passing it on: then its parent is gone too.
  if (process.env.npm_lifecycle_event === "start") {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && onSignal(), PARENT_CHECK_MS).unref();
  }
  return {
    by(orderly) {
      end = orderly;
    },
  };
}

/** Of a process that is of no use before somebody has installed another version of the program. */
export const OTHER_VERSION_EXIT = 79;

/** Something that must not happen, or that only a new start can mend: say it and stop, the state folder is safe. */
export function fatal(error: unknown): never {
  if (error instanceof EnvironmentError) {
    process.stderr.write(`atoll: ${error.message}\n`);
    process.exit(error.code === OTHER_VERSION_NEEDED ? OTHER_VERSION_EXIT : 1);
  }
  const what = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`atoll: stopped by an error of its own, the state folder is not damaged: ${what}\n`);
  process.exit(70);
}
