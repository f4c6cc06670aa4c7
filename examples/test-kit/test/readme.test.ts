// The README answers "how do I test?" with a file of this example, which runs as a test here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("the README shows the first test", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const shown = readFileSync(new URL("first.test.ts", import.meta.url), "utf8").trim();
  assert.ok(readme.includes(shown), "README.md differs from examples/test-kit/test/first.test.ts");
});
