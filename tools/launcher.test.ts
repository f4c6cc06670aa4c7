// bin/atoll must work from any folder, through any chain of links, with the project's own Node, and say in one
// sentence what to do when that is not there. Run against a tree with a command line that only reports how it was run.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");
const report =
  "console.log(JSON.stringify({ args: process.argv.slice(2), main: import.meta.main, node: process.execPath }));";

describe("bin/atoll", { skip: process.platform === "win32" && "bin/atoll.cmd serves Windows" }, () => {
  let folder = "";
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "atoll bin-")));
    mkdirSync(join(folder, "tree/bin"), { recursive: true });
    mkdirSync(join(folder, "tree/apps/cli/src"), { recursive: true });
    for (const name of ["bin/atoll", "bin/node"]) copyFileSync(join(root, name), join(folder, "tree", name));
    writeFileSync(
      join(folder, "tree/apps/cli/src/main.ts"),
      `const typed: number = 1;\n${report}\nprocess.exit(typed + 6);\n`,
    );
    symlinkSync("tree/bin/atoll", join(folder, "relative"));
    symlinkSync(join(folder, "relative"), join(folder, "absolute"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function start(command: string, args: string[] = [], env: NodeJS.ProcessEnv = process.env) {
    const { status, stdout, stderr } = spawnSync(join(folder, command), args, { cwd: tmpdir(), encoding: "utf8", env });
    return { status, stdout, stderr };
  }

  it("says what to do when nothing is installed", () => {
    const { status, stdout, stderr } = start("absolute");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.equal(stderr, `atoll: its dependencies are not installed; run npm ci in ${folder}/tree.\n`);
  });

  it("says what to do when there is no Node 26", () => {
    mkdirSync(join(folder, "tree/node_modules"));
    mkdirSync(join(folder, "old"));
    writeFileSync(join(folder, "old/node"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const { status, stderr } = start("absolute", [], { PATH: `${folder}/old:/usr/bin:/bin` });
    assert.equal(status, 1);
    assert.match(stderr, /^atoll: [^\n]* install Node 26 or later, then start again\.\n$/);
  });

  it("takes the machine's Node when npm has none for the platform and it is new enough", () => {
    const own = join(process.execPath, "..");
    assert.equal(start("tree/bin/atoll", [], { PATH: `${own}:/usr/bin:/bin` }).status, 7);
  });

  it("passes arguments, exit code and nothing else on, with the project's Node", () => {
    rmSync(join(folder, "tree/node_modules"), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "tree/node_modules"));
    for (const command of ["tree/bin/atoll", "relative", "absolute"]) {
      const { status, stdout, stderr } = start(command, ["start", "a b", "", "--json"], { PATH: "/usr/bin:/bin" });
      assert.deepEqual([status, stderr], [7, ""]);
      assert.deepEqual(JSON.parse(stdout), {
        args: ["start", "a b", "", "--json"],
        main: true,
        node: process.execPath,
      });
    }
  });
});
