// Checkers notice what they are there for: each is shown a run that keeps to its rule, and one that does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Artifact } from "@atoll/consensus";
import { principalFromBytes } from "@atoll/types";
import { AcceptedMessages } from "../src/checkers/accepted-messages.ts";
import { type Observed, observer } from "../src/checkers/checker.ts";
import { executionChecker } from "../src/checkers/execution.ts";
import { randomnessChecker } from "../src/checkers/randomness.ts";
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
  messages.checker.executed(executed(1, "a"));
  messages.check(2 * SECOND);
});

test("a node that is gone has lost what it took in", () => {
  const messages = new AcceptedMessages();
  messages.sent("a");
  messages.accepted("a", 0, SECOND);
  messages.checker.crashed({ node: node(0), kind: "crashed" });
  messages.check(2 * SECOND);
});

test("nothing is executed that nobody has sent", () => {
  const messages = new AcceptedMessages();
  messages.sent("a");
  messages.checker.executed(executed(1, "a"));
  assert.throws(() => messages.checker.executed(executed(1, "b")), /message b was executed, and nobody has sent it/);
});

test("a certified state was executed by somebody honest, be it by a process that ended before it could tell", () => {
  const certified = (height: number) =>
    ({ node: node(0), kind: "event", event: { kind: "certified", height, hash: "" } }) as const;
  const check = observer([executionChecker({ fewestMembers: 1 })]);
  check(executed(0));
  check(certified(1));
  assert.throws(() => check(certified(2)), /height 2 is certified, but executed by 0 honest nodes/);
  check({ node: node(0), kind: "crashed" });
  check({ node: node(0), kind: "started", height: 2 });
  check(certified(2));
  assert.throws(() => check(certified(3)), /height 3 is certified, but executed by 0 honest nodes/);
});

test("nobody signs a tape before the block below it is final, nor a beacon before the one below it is notarized", () => {
  const check = observer([randomnessChecker()]);
  const signs = (kind: "random-tape-share" | "random-beacon-share", height: number): void => {
    const dkgId = { startHeight: 0, dealerSubnet: node(9).id, tag: "low", target: undefined } as const;
    const share = { dkgId, protocolVersion: "atoll-1", signer: node(0).id, signature: new Uint8Array() };
    const artifact = { ...share, kind, height, parent: new Uint8Array() } as Artifact;
    check({ node: node(0), kind: "published", id: "", artifact, isOld: false, isDurable: true });
  };
  const event = (index: number, kind: "notarized" | "finalized", height: number): void =>
    check({ node: node(index), kind: "event", event: { kind, height, hash: "", rank: 0 } });
  event(0, "notarized", 4);
  signs("random-beacon-share", 5);
  signs("random-tape-share", 1);
  // What another node knows is not what this one knows.
  event(1, "finalized", 5);
  assert.throws(() => signs("random-beacon-share", 6), /signs beacon 6 when 4 is notarized/);
  assert.throws(() => signs("random-tape-share", 2), /signs tape 2 when 0 is final/);
  event(0, "finalized", 3);
  signs("random-tape-share", 4);
  // It has notarized one more, and ended before it could tell.
  const artifact = { kind: "notarization", height: 6 } as Artifact;
  check({ node: node(0), kind: "published", id: "", artifact, isOld: true, isDurable: true });
  assert.throws(() => signs("random-beacon-share", 7), /signs beacon 7 when 4 is notarized/);
  check({ node: node(0), kind: "started", height: 3 });
  signs("random-beacon-share", 7);
  assert.throws(() => signs("random-beacon-share", 8), /signs beacon 8 when 6 is notarized/);
});
