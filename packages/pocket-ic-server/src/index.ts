// A PocketIC server: the REST interface of many test networks in one process, for the clients that start a binary and
// talk to it. `pocketIc` is the command behind bin/pocket-ic; server.ts is where to start reading.
import { EnvironmentError } from "@atoll/types/errors";
import { parseFlags, SERVER_USAGE, SERVER_VERSION } from "./flags.ts";

/** Runs the command line; what is wrong with it or with this machine is one sentence and an exit code. */
export async function pocketIc(args: readonly string[]): Promise<void> {
  try {
    await perform(args);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    process.stderr.write(`pocket-ic: ${error.message}\n`);
    process.exit(error.code === "USAGE" ? 2 : 1);
  }
}

async function perform(args: readonly string[]): Promise<void> {
  const command = parseFlags(args);
  switch (command.kind) {
    case "help":
      process.stdout.write(`${SERVER_USAGE}\n`);
      return;
    case "version":
      process.stdout.write(`pocket-ic-server ${process.env.ATOLL_POCKET_IC_VERSION || SERVER_VERSION}\n`);
      return;
    case "serve": {
      // The curves are made ready while the rest of the program loads, most of it off this thread.
      const { createNodeCrypto } = await import("@atoll/host-node/crypto-node");
      const crypto = createNodeCrypto();
      const { runServer } = await import("./server.ts");
      await runServer(command.flags, crypto);
    }
  }
}
