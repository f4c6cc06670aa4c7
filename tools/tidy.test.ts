// Holds the tree to its own rules: layers, hosts, sizes, names, READMEs. First on the project itself, then on a small
// tree with every violation planted, because a rule that cannot fail protects nothing.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { checkCode, maxFunctionLines } from "./tidy/code-rules.ts";
import { layers, mayAwait } from "./tidy/layers.ts";
import { checkText } from "./tidy/text-rules.ts";
import { readTree, type Violation } from "./tidy/tree.ts";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");
const opening = "// A planted file.\n// It stands for a real one.\n";
const readme = "# x\n\n## Owns\n\n## Does not own\n\n## Enter at\n\n## Invariants\n\n## How tested\n";

describe("the tree is tidy", () => {
  const files = readTree(root);
  const violations = [...checkCode(files), ...checkText(files)];
  for (const folder of new Set(files.map((file) => area(file.path)))) {
    it(folder, () => {
      const found = violations.filter((each) => area(each.path) === folder);
      if (found.length > 0) assert.fail(show(found));
    });
  }
  it("finds the project's files", () => assert.ok(files.some((file) => file.path === "packages/types/src/index.ts")));
});

describe("the table of layers", () => {
  it("has arrows that only point down", () => {
    const names = [...layers.keys()];
    for (const [name, layer] of layers) {
      for (const other of layer.mayImport) assert.ok(names.indexOf(other) < names.indexOf(name), `${name} -> ${other}`);
    }
  });
  it("keeps consensus and messaging apart", () => {
    assert.ok(!layers.get("consensus")?.mayImport.includes("messaging"));
    assert.ok(!layers.get("messaging")?.mayImport.includes("consensus"));
  });
  it("gives a reason for each file that may wait", () => {
    const paths = new Set(readTree(root).map((file) => file.path));
    for (const [path, reason] of mayAwait) assert.ok(paths.has(path) && reason.length > 20, path);
  });
});

describe("a planted violation is caught", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "atoll-tidy-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function plant(path: string, text: string): Violation[] {
    const tree = join(folder, String(Math.random()));
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    writeFileSync(join(tree, path), text);
    const files = readTree(tree);
    return [...checkCode(files), ...checkText(files)];
  }

  const inSource: [rule: string, code: string, path?: string][] = [
    ["layers", 'import { a } from "@atoll/replica";'],
    ["layers", 'export * from "@atoll/messaging/route";', "packages/consensus/src/planted.ts"],
    ["layers", 'import { a } from "../../replica/src/index.ts";'],
    ["layers", 'import { readFileSync } from "node:fs";'],
    ["layers", 'import { readFileSync } from "fs";', "packages/gateway/src/planted.ts"],
    ["layers", 'import { Hono } from "hono";'],
    ["import-ending", 'import { a } from "./other";'],
    ["import-ending", 'import { a } from "./other.js";', "packages/types/test/planted.test.ts"],
    ["host", "export const now = Date.now();"],
    ["host", "export const now = new Date();", "packages/replica/src/planted.ts"],
    ["host", "export const chance = Math.random();"],
    ["host", "export const late = () => setTimeout(() => {}, 1);", "packages/gateway/src/planted.ts"],
    ["host", "export const mark = performance.now();"],
    ["host", "export const home = globalThis.process.env;"],
    ["host", "export const bytes = Buffer.alloc(1);"],
    ["host", "export const bytes = Buffer.alloc(1);", "packages/pocket-ic/src/worker/planted.ts"],
    ["layers", 'import { readFileSync } from "node:fs";', "packages/pocket-ic/src/worker/planted.ts"],
    ["host", "export const order = (a: string, b: string) => a.localeCompare(b);"],
    ["await", "export async function wait(a: Promise<void>) {\n  await a;\n}"],
    ["await", 'export const later = () => import("./other.ts");'],
    ["file-size", "\n".repeat(600)],
    ["function-size", `export function long() {${"\n".repeat(maxFunctionLines)}}`],
    ["machine-path", `export const path = "/${"home"}/someone";`],
    ["name", "export {};", "packages/types/src/string-utils.ts"],
    ["name", "export {};", "packages/types/src/hashTree.ts"],
  ];
  for (const [rule, code, path = "packages/types/src/planted.ts"] of inSource) {
    it(`${rule}: ${code.trim().split("\n")[0] || path}`, () => {
      const found = plant(path, `${opening}${code}\n// The end.\n`);
      assert.ok(
        found.some((each) => each.rule === rule && each.path === path),
        show(found),
      );
    });
  }

  it("opening: too short, too long, just right", () => {
    const rules = (text: string) => plant("packages/types/src/planted.ts", text).map((each) => each.rule);
    assert.deepEqual(rules("// One line.\nexport {};\n"), ["opening"]);
    assert.deepEqual(rules(`${"// Line.\n".repeat(9)}export {};\n`), ["opening"]);
    assert.deepEqual(rules(`${opening}export {};\n`), []);
    assert.deepEqual(rules("/* Two\n   lines. */\nexport {};\n"), []);
  });

  it("words in strings, comments, keys and members are no violation", () => {
    const code = 'export const a = { process: "Date.now()", Date: 1 }; // setTimeout\nexport const b = a.process;\n';
    assert.equal(show(plant("packages/types/src/planted.ts", opening + code)), "");
  });

  it("readme: missing, without a heading, too long", () => {
    const path = "packages/types/README.md";
    const rules = (text: string, at = path) => {
      const tree = join(folder, String(Math.random()));
      mkdirSync(join(tree, "packages/types"), { recursive: true });
      writeFileSync(join(tree, "packages/types/package.json"), "{}");
      writeFileSync(join(tree, at), text);
      return checkText(readTree(tree)).map((each) => each.rule);
    };
    assert.deepEqual(rules(readme), []);
    assert.deepEqual(rules(readme, "packages/types/OTHER.md"), ["readme"]);
    assert.deepEqual(rules(readme.replace("## Owns", "")), ["readme"]);
    assert.deepEqual(rules(readme + "line\n".repeat(40)), ["readme"]);
    assert.deepEqual(rules(`${readme}<!-- test -->\nno block\n`), ["docs"]);
    assert.deepEqual(rules(`${readme}<!-- test -->\n\`\`\`ts\n\`\`\`\n`), []);
  });

  it("dependencies: not imported, or a package outside the table", () => {
    const named = plant("packages/state/package.json", '{"dependencies":{"@atoll/types":"0.1.0"}}');
    assert.match(show(named), /names @atoll\/types, which is not imported/);
    assert.match(show(plant("packages/extra/package.json", "{}")), /not in the table of layers/);
  });
});

function area(path: string): string {
  return /^(?:packages|apps|examples)\/[^/]+|^[^/]+(?=\/)/.exec(path)?.[0] ?? "root";
}

function show(violations: readonly Violation[]): string {
  return violations.map(({ path, line, rule, message }) => `${path}:${line} ${rule}: ${message}`).join("\n");
}
