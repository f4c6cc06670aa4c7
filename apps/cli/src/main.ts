// The program behind bin/atoll and npm start: reads the command line and hands over to the command. Every failure
// of the surroundings ends in one sentence and an exit code that is not 0.
import { readFileSync } from "node:fs";
import { EnvironmentError } from "@atoll/types/errors";
import { holdsNodes } from "./nodes/nodes-folder.ts";
import { parseCommand, type StartOptions, USAGE } from "./options.ts";
import { endOnSignals, fatal } from "./signals.ts";

async function main(args: readonly string[]): Promise<void> {
  const command = parseCommand(args);
  switch (command.kind) {
    case "help":
      process.stdout.write(`${USAGE}\n`);
      return;
    case "version":
      process.stdout.write(`${packageVersion()}\n`);
      return;
    case "pocket-ic": {
      const { pocketIc } = await import("@atoll/pocket-ic-server");
      await pocketIc(command.args);
      return;
    }
    case "start": {
      const ending = endOnSignals(fatal);
      if (isOfNodes(command.options)) {
        const { startNodes } = await import("./nodes/start-nodes.ts");
        await startNodes(command.options, ending);
        return;
      }
      const { start } = await import("./start.ts");
      await start(command.options, packageVersion(), ending);
      return;
    }
    case "node": {
      const ending = endOnSignals(fatal);
      const { runNode } = await import("./nodes/run-node.ts");
      await runNode(command.options, packageVersion(), ending);
      return;
    }
    case "genesis": {
      const { genesis } = await import("./nodes/genesis.ts");
      await genesis(command.command);
      return;
    }
    case "registry": {
      const { registry } = await import("./nodes/registry.ts");
      await registry(command.command);
      return;
    }
    case "replay": {
      const { replay } = await import("./replay.ts");
      process.exitCode = await replay(command.options);
    }
  }
}

/** Asked for, or what the state folder holds. */
function isOfNodes({ nodes, clean, stateDir, record }: StartOptions): boolean {
  if (nodes !== undefined) return true;
  if (clean || !holdsNodes(stateDir)) return false;
  if (record === undefined) return true;
  throw new EnvironmentError(
    "OTHER_NETWORK",
    `The network in ${stateDir} has many nodes, with which --record cannot be used: choose another state folder.`,
  );
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  process.stderr.write(`atoll: ${error.message}\n`);
  process.exit(1);
}
