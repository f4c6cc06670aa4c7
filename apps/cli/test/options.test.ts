// The command line: what cannot be meant is refused in one sentence that says what can be said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommand } from "../src/options.ts";

const refused: readonly (readonly [args: string[], message: RegExp])[] = [
  [["strat"], /^There is no command "strat"\./],
  [["start", "more"], /^Unexpected argument 'more'\./],
  [["start", "--subnets", "2"], /^Unknown option '--subnets'\./],
  [["start", "--port"], /^Option '--port <value>' argument missing\./],
  [["start", "--port", "-1"], /^--port needs a value; one that begins with a dash is given as --port=VALUE\./],
  [["start", "--port", "--json"], /^--port needs a value/],
  [["start", "--port=-1"], /^"-1" is not a port: give a number from 0 to 65535\./],
  [["start", "--port", "65536"], /^"65536" is not a port/],
  [["start", "--state-dir", ""], /^--state-dir needs the name of a folder\./],
  [["start", "--subnet", "Application"], /^"Application" is not a kind of subnet: give application, system,/],
  [["start", "--subnet", "ii", "--subnet", "ii"], /^A network has one ii subnet/],
  [
    ["start", "--nodes", "14", "--subnet", "sns", "--subnet", "nns", "--subnet", "ii"],
    /^3 subnets, the NNS included, of 14/,
  ],
  [["start", "--nodes", "4", "--subnet", "ii", "--record", "x"], /^--nodes and --record cannot be used together/],
  [["replay", "a", "b"], /^replay takes one file or one folder\./],
];

for (const [args, message] of refused) {
  test(`"${args.join(" ")}" is refused`, () => {
    assert.throws(() => parseCommand(args), { code: "USAGE", message });
    assert.throws(() => parseCommand(args), /"atoll --help" shows what can be said\.$/);
  });
}
