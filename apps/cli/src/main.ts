// The program behind bin/atoll and npm start: reads the command line and hands over to the command. Every failure
// of the surroundings ends in one sentence and an exit code that is not 0.
import { readFileSync } from "node:fs";
import { EnvironmentError } from "@atoll/types/errors";
import { parseCommand, USAGE } from "./options.ts";
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
      const { start } = await import("./start.ts");
      await start(command.options, packageVersion(), ending);
      return;
    }
    case "replay": {
      const { replay } = await import("./replay.ts");
      process.exitCode = await replay(command.options);
    }
  }
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
