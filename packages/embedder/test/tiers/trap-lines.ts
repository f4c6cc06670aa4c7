// Prints the log lines of all traps of some random programs, first as they come, then after much running: a process of
// its own, started by a test with other settings of the engine. Arguments: first seed, number of seeds.
import { CONTEXTS, type Context, input, runnable } from "../system-api/executing.ts";
import { trappingProgram } from "./trapping-program.ts";

const [first = 0, count = 0] = process.argv.slice(2).map(Number);
const update = CONTEXTS.U?.[0] as Context;
for (let seed = first; seed < first + count; seed++) {
  const { text, sites } = trappingProgram(seed);
  const program = runnable(text, { names: true });
  const lineAt = (site: number): string => {
    const ran = program.run(input(update, { arg: new Uint8Array(site), instructionLimit: 100_000_000 }));
    return new TextDecoder().decode(ran.effects.log.kept()[0]);
  };
  const lines = Array.from({ length: sites }, (_, i) => lineAt(i + 1));
  for (let i = 0; i < 3; i++) lineAt(0);
  const later = Array.from({ length: sites }, (_, i) => lineAt(i + 1));
  console.log(JSON.stringify({ seed, lines, later }));
}
