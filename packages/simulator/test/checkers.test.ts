// Checkers notice what they are there for: each is shown a run that keeps to its rule, and one that does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { principalFromBytes } from "@atoll/types";
import { AcceptedMessages } from "../src/checkers/accepted-messages.ts";
import type { Observed } from "../src/checkers/checker.ts";
import { SECOND } from "../src/scheduler.ts";

const node = (index: number): Observed => ({
  index,
  id: principalFromBytes(Uint8Array.of(index)),
  isHonest: true,
  corruptsState: false,
  hasForgotten: false,
  protocolVersion: "atoll-1",
});
const executed = (index: number, ...requests: string[]) =>
  ({ node: node(index), kind: "executed", height: 1, time: 1n, digest: "", requests, rootHash: "" }) as const;

test("a message that a node took in has to be executed", () => {
  const messages = new AcceptedMessages();
  messages.sent("a");
  messages.accepted("a", 0, SECOND);
  assert.throws(() => messages.check(2 * SECOND), /message a of node 0 was accepted and never executed/);
  messages.checker(executed(1, "a"));
  messages.check(2 * SECOND);
});

test("a node that is gone has lost what it took in", () => {
  const messages = new AcceptedMessages();
  messages.sent("a");
  messages.accepted("a", 0, SECOND);
  messages.checker({ node: node(0), kind: "crashed" });
  messages.check(2 * SECOND);
});

test("nothing is executed that nobody has sent", () => {
  const messages = new AcceptedMessages();
  messages.sent("a");
  messages.checker(executed(1, "a"));
  assert.throws(() => messages.checker(executed(1, "b")), /message b was executed, and nobody has sent it/);
});
