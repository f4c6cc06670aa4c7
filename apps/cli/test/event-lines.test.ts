// Lines of the terminal: canister, method and round; text of canisters in many lines, and hostile text.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canisterIdFromIndex } from "@atoll/types";
import { eventLines } from "../src/event-lines.ts";

const canister = canisterIdFromIndex(7n);
const printed = (text: string, method = "greet") =>
  eventLines(
    { kind: "canister-log", canister, method, time: 0n, text: new TextEncoder().encode(text) } as never,
    "@12",
  );

test("say who printed what, and when", () => {
  assert.deepEqual(printed("hello"), ["[rdmx6-jaaaa-aaaaa-aaadq-cai greet @12] hello"]);
  assert.deepEqual(printed(""), ["[rdmx6-jaaaa-aaaaa-aaadq-cai greet @12] "]);
  const failed = { kind: "failed", canister, method: "greet", message: "Canister trapped: unreachable" } as const;
  assert.deepEqual(eventLines(failed, "query"), [
    "[rdmx6-jaaaa-aaaaa-aaadq-cai greet query] failed: Canister trapped: unreachable",
  ]);
  assert.deepEqual(eventLines(failed, "@3", "application-1"), [
    "[rdmx6-jaaaa-aaaaa-aaadq-cai greet @3 on application-1] failed: Canister trapped: unreachable",
  ]);
});

test("show files and lines under a failure", () => {
  const places = ["app::inner (src/lib.rs:12)", "run (src/lib.rs:7)"];
  const failed = {
    kind: "failed",
    canister,
    method: "greet",
    message: "Canister trapped: unreachable",
    places,
  } as const;
  assert.deepEqual(eventLines(failed, "@3"), [
    "[rdmx6-jaaaa-aaaaa-aaadq-cai greet @3] failed: Canister trapped: unreachable",
    "    at app::inner (src/lib.rs:12)",
    "    at run (src/lib.rs:7)",
  ]);
});

test("show a backtrace under its trap", () => {
  assert.deepEqual(printed("[TRAP]: unreachable\nCanister Backtrace:\ninner\nouter\n"), [
    "[rdmx6-jaaaa-aaaaa-aaadq-cai greet @12] [TRAP]: unreachable",
    "    Canister Backtrace:",
    "    inner",
    "    outer",
  ]);
});

test("never begin as another canister's line would, and never control the terminal", () => {
  const lines = printed("a\n[aaaaa-aa x @1] fake\r\n\u001b[2Jgone\u009b", "m\n[");
  assert.deepEqual(lines, ["[rdmx6-jaaaa-aaaaa-aaadq-cai m [ @12] a", "    [aaaaa-aa x @1] fake", "     [2Jgone "]);
});
