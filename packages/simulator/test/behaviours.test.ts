// Every malicious flag of the public replica has its counterpart here, or a reason why it has none, and each way to lie that has
// a name is told by somebody.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeHost } from "../../../tools/simulation/host.ts";
import { BEHAVIOURS, type Behaviour, drawPlan, runPlan } from "../src/index.ts";
import { SECOND } from "../src/scheduler.ts";

/** Those of today and, last, those of the older gossip; what one subnet of a run cannot show is tested where it can be. */
const FLAGS: Readonly<Record<string, readonly Behaviour[] | string>> = {
  propose_equivocating_blocks: ["equivocate", "equivocate-openly"],
  propose_empty_blocks: ["empty-blocks"],
  finalize_all: ["finalize-all"],
  notarize_all: ["notarize-all"],
  tweak_dkg: ["bad-dealings"],
  certify_invalid_hash: ["wrong-root"],
  malfunctioning_xnet_endpoint: "one subnet has no streams: packages/replica/test/xnet",
  disable_execution: ["no-execution"],
  corrupt_own_state_at_heights: ["corrupt-state"],
  disable_ingress_validation: ["unchecked-ingress"],
  corrupt_idkg_dealings: "there are no such keys",
  delay_execution: ["slow-execution"],
  delay_state_sync: ["slow-sync"],
  alter_certified_hash: "one subnet has no streams: packages/replica/test/xnet",
  alter_state_sync_chunk_sending_side: ["alter-answers"],
  alter_state_sync_chunk_receiving_side: ["alter-received"],
  gossip_drop_requests: ["drop-requests"],
  gossip_artifact_not_found: ["drop-requests"],
  gossip_send_many_artifacts: ["flood"],
  gossip_send_invalid_artifacts: ["invalid-shares", "flood"],
  gossip_send_late_artifacts: ["late", "late-answers"],
};

test("each malicious flag of the public replica is a way to lie", () => {
  for (const [flag, counterpart] of Object.entries(FLAGS))
    for (const behaviour of typeof counterpart === "string" ? [] : counterpart)
      assert.ok(behaviour in BEHAVIOURS, `${flag}: ${behaviour}`);
});

test("each way to lie is told by somebody", () => {
  const sources = ["liar.ts", "voice.ts", "sim-node.ts"].map((name) =>
    readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"),
  );
  for (const behaviour of Object.keys(BEHAVIOURS)) {
    const asks = [`has("${behaviour}")`, `includes("${behaviour}")`];
    assert.ok(
      sources.some((source) => asks.some((ask) => source.includes(ask))),
      `nobody does ${behaviour}`,
    );
  }
});

test("a node whose state is corrupted finds out, and comes back with that of the others", async () => {
  const lines: string[] = [];
  const plan = drawPlan("corrupt", { members: 4, safetyNs: 4 * SECOND, hasFaults: false, lies: ["corrupt-state"] });
  const { failure } = await runPlan(plan, await nodeHost("counting"), {
    tell: (line) => void lines.push(line),
    heals: false,
  });
  assert.equal(failure, undefined, failure?.message ?? "");
  const diverged = lines.findIndex((line) => line.includes("node 0 has diverged at height 11"));
  assert.ok(diverged >= 0, "nobody noticed");
  assert.ok(
    lines.slice(diverged).some((line) => line.includes("node 0 certified")),
    "it did not come back",
  );
});

test("calls that no client has signed are in blocks with calls, and are refused", async () => {
  const lines: string[] = [];
  const plan = drawPlan("forged calls", {
    ...{ members: 4, safetyNs: 5 * SECOND, hasFaults: false },
    lies: ["unchecked-ingress"],
  });
  const load = { clients: 4, pauseNs: SECOND / 10, queries: 0, reads: 0 };
  const { failure } = await runPlan({ ...plan, load }, await nodeHost("whole"), {
    tell: (line) => void lines.push(line),
    heals: false,
  });
  assert.equal(failure, undefined, failure?.message ?? "");
  assert.ok(
    lines.some((line) => line.includes("payload that breaks the rules")),
    "nobody has refused a block",
  );
});
