// The checkers notice when a rule is missing: all mutations still apply to the code, and some of them are tried. All of them
// are tried by `npm run sim:mutations`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mutated, noticeMutations } from "./mutate.ts";
import { MUTATIONS } from "./mutations.ts";

for (const mutation of MUTATIONS)
  test(`there is a rule to take out: ${mutation.name}`, () => {
    assert.notEqual(mutated(mutation), "");
  });

test("a missing rule is noticed", () => {
  const tried = MUTATIONS.filter(({ isInShortTest }) => isInShortTest === true);
  assert.ok(tried.length >= 2);
  for (const { mutation, seed } of noticeMutations(tried, 3, () => undefined))
    assert.notEqual(seed, undefined, `nobody noticed: ${mutation.name}`);
});
