// The packed kit as npm would install it, in a project that knows nothing of this repository: as ES module and as
// CommonJS in node:test. `npm run interop:test-runners` does the same with Vitest and Jest.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createNetwork } from "@atoll/test-kit";
import { prepareProject } from "../../../tools/interop/test-runners/project.ts";
import { lackOfNode } from "../src/create-network.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules/", import.meta.url));

let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-kit-"));
  await prepareProject(folder);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: 60_000,
    // A runner inside a runner would report to the outer one.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  return { status, output: stdout + stderr };
}

for (const file of ["counter.test.mjs", "counter.test.cjs"]) {
  test(`${file} passes with the packed kit`, () => {
    const { status, output } = run(["--test", "--test-reporter=tap", "--import", "./node-globals.mjs", file]);
    assert.equal(status, 0, output);
    assert.match(output, /# pass 3/);
  });
}

test("its declarations are enough for TypeScript", () => {
  mkdirSync(join(folder, "node_modules", "@icp-sdk"), { recursive: true });
  cpSync(join(MODULES, "@icp-sdk", "core"), join(folder, "node_modules", "@icp-sdk", "core"), { recursive: true });
  const code = `import { createNetwork, type TestCanister } from "@atoll/test-kit";
const network = await createNetwork({ subnets: [{ kind: "application" }] });
const counter: TestCanister<{ inc(): Promise<bigint> }> = await network.install({ wasm: new Uint8Array() });
export const count: bigint = await counter.actor.inc();
// @ts-expect-error: there is no such method
counter.actor.dec();
`;
  writeFileSync(join(folder, "typed.mts"), code);
  const tsc = join(MODULES, "typescript", "bin", "tsc");
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--module", "nodenext", "--target", "es2024"];
  const { status, output } = run([tsc, ...options, "typed.mts"]);
  assert.equal(status, 0, output);
});

test("it stays of a size that one installs without a thought", () => {
  const bytes = statSync(join(folder, "node_modules", "@atoll", "test-kit", "index.mjs")).size;
  assert.ok(bytes < 3_000_000, `${bytes} bytes`);
});

test("a Node that is too old is told in one sentence", async () => {
  assert.match(lackOfNode("20.20.2") ?? "", /^The test kit needs Node 22 or newer.*; this is Node 20\.20\.2\.$/);
  for (const version of ["22.12.0", "24.0.0", "26.10.0"]) assert.equal(lackOfNode(version), undefined);
  await (await createNetwork()).close();
});
