// Lines of a node's log, for people and for programs.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogPort } from "@atoll/types";
import { createNodeLog, logEvent } from "../src/nodes/node-log.ts";

function logOf(
  format: "text" | "json",
  level: "debug" | "info" | "warning" | "error",
): { log: LogPort; lines: string[] } {
  const lines: string[] = [];
  const log = createNodeLog(
    { format, level },
    (line) => lines.push(line),
    () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
  );
  return { log, lines };
}

test("a line for people has time, level, message and fields, and is one line whatever it is told", () => {
  const { log, lines } = logOf("text", "info");
  log.log("info", "it serves", { url: "http://127.0.0.1:8080", nodes: 4, why: "two words", odd: 'a\n"b"' });
  log.log("warning", "first\nsecond\u001b[31m");
  assert.deepEqual(lines, [
    '2026-01-02T03:04:05.006Z info it serves url=http://127.0.0.1:8080 nodes=4 why="two words" odd="a\\n\\"b\\""',
    "2026-01-02T03:04:05.006Z warning first second [31m",
  ]);
});

test("a line for programs is one object", () => {
  const { log, lines } = logOf("json", "debug");
  logEvent(log, { kind: "finalized", height: 7, hash: "ab", rank: 0 });
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "2026-01-02T03:04:05.006Z",
    level: "debug",
    message: "finalized",
    height: 7,
    hash: "ab",
    rank: 0,
  });
});

test("what is below the level is not written; alarms always are", () => {
  const { log, lines } = logOf("text", "error");
  logEvent(log, { kind: "finalized", height: 7, hash: "ab", rank: 0 });
  logEvent(log, { kind: "halted", height: 7, version: undefined });
  logEvent(log, { kind: "alarm", what: "no time" });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /error no time$/);
});

test("a subnet that stops for an upgrade says for which version", () => {
  const { log, lines } = logOf("text", "info");
  logEvent(log, { kind: "halted", height: 7, version: "atoll-2" });
  logEvent(log, { kind: "halting", height: 6, version: undefined });
  logEvent(log, { kind: "outdated", height: 9, version: "atoll-2" });
  const said = lines.map((line) => line.slice(line.indexOf(" ") + 1));
  assert.deepEqual(said, [
    "warning the subnet is halted for an upgrade: it waits for another version of the protocol height=7 version=atoll-2",
    "warning the subnet is halting height=6",
    "error the subnet has gone on without this node height=9 version=atoll-2",
  ]);
});
