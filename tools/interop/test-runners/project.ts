// A project of somebody else, with the test kit in its `node_modules` as npm would put it there: packed, not linked, so
// that no runner sees a TypeScript source or a file of this repository.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { buildTestKit } from "../../../packages/test-kit/build.ts";
import { compileMotoko } from "../../motoko/compile.ts";

const HERE = fileURLToPath(new URL("project/", import.meta.url));
const CANISTERS = fileURLToPath(new URL("../../../packages/execution/test/canisters/", import.meta.url));

/** Everything but the runners: the test file in both module formats, two modules, the packed kit. */
export async function prepareProject(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "counter.test.mjs", "node-globals.mjs", "vitest.config.mjs"]) {
    cpSync(join(HERE, file), join(folder, file));
  }
  const source = readFileSync(join(HERE, "counter.test.mjs"), "utf8");
  const { code } = await esbuild.transform(source, { format: "cjs", loader: "js" });
  writeFileSync(join(folder, "counter.test.cjs"), code);
  cpSync(join(CANISTERS, "rust", "fixture.wasm"), join(folder, "counter.wasm"));
  const motoko = await compileMotoko({ source: join(CANISTERS, "motoko", "counter.mo"), width: 64 });
  writeFileSync(join(folder, "counter64.wasm"), motoko.wasm);
  const kit = join(folder, "node_modules", "@atoll", "test-kit");
  rmSync(kit, { recursive: true, force: true });
  await buildTestKit(kit);
}
