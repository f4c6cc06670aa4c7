// The README's minute from nothing to a canister of one's own, as a reader would do it: same files, same command.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Network, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";

const here = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

const networks: Network[] = [];
after(() => Promise.all(networks.map((network) => network.kill("SIGTERM"))));

for (const [what, args] of Object.entries({ "one subnet": [], "several subnets": ["--subnet", "application"] })) {
  test(`the example deploys and counts on a network of ${what}`, async () => {
    const network = await startNetwork({ stateDir: temporaryFolder(), args });
    networks.push(network);
    const { status, stdout, stderr } = spawnSync(process.execPath, [here("deploy.ts"), network.gatewayUrl], {
      encoding: "utf8",
      timeout: 120_000,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /has counted to 2\n$/);
  });
}

test("the README shows these very files", () => {
  const readme = readFileSync(here("../../README.md"), "utf8");
  for (const file of ["counter.mo", "deploy.ts"]) {
    assert.ok(readme.includes(readFileSync(here(file), "utf8").trim()), `README.md differs from ${file}`);
  }
});
