// Runs the code blocks of our pages that are marked with `<!-- test -->`, so that what a reader copies works.
// A `ts` block runs as a module of its own in which our packages resolve, an `sh` block in the project's root;
// both must end by themselves with exit code 0.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { markedBlocks } from "./tidy/text-rules.ts";
import { readTree } from "./tidy/tree.ts";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");
const PATH = join(root, "node_modules", ".bin") + delimiter + (process.env.PATH ?? "");

function run(language: string, code: string): { status: number | null; output: string } {
  const cache = join(root, ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "docs-"));
  try {
    const file = join(folder, `block.${language}`);
    writeFileSync(file, code);
    const [command, args] = language === "ts" ? [process.execPath, [file]] : ["sh", ["-eu", file]];
    const options = { cwd: root, env: { ...process.env, PATH }, encoding: "utf8", timeout: 120_000 } as const;
    const { status, stdout, stderr } = spawnSync(command, args, options);
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("code in our pages runs", () => {
  for (const file of readTree(root).filter(({ path }) => path.endsWith(".md"))) {
    for (const { path, line, language, code } of markedBlocks(file)) {
      it(`${path}:${line}`, () => {
        const { status, output } = run(language, code);
        assert.equal(status, 0, output);
      });
    }
  }

  it("sees a block that fails", () => {
    assert.equal(run("ts", "const status: number = 3;\nprocess.exit(status);\n").status, 3);
    assert.notEqual(run("sh", "false\necho after\n").status, 0);
  });

  it("resolves our packages and runs them", () => {
    const code = 'import * as types from "@atoll/types";\nif (Object.keys(types).length === 0) process.exit(1);\n';
    const { status, output } = run("ts", code);
    assert.equal(status, 0, output);
  });
});
