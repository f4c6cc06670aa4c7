// What a subnet of one node says to who wants keys for another subnet: it makes none, and nobody waits for them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { IngressPool } from "@atoll/replica/ingress-pool";
import { SoloSequencer } from "@atoll/replica/solo-sequencer";
import { type PrincipalId, RejectCode } from "@atoll/types";

test("one node alone refuses to make keys for other subnets, at once", () => {
  const entropy = { randomBytes: (length: number) => new Uint8Array(length) };
  const sequencer = new SoloSequencer(new IngressPool(), entropy, "aa02" as PrincipalId);
  const target = new Uint8Array(32).fill(3);
  const remoteDkgs = [{ target, receivers: ["bb02" as PrincipalId], registryVersion: 1 }];
  const round = { height: 1, time: 10n, hasMoreWork: false, wakeAt: undefined };
  sequencer.ended({ ...round, remoteDkgs });
  assert.ok(sequencer.isDue(11n));
  const [response, ...more] = sequencer.nextBatch(11n).remoteDkgs ?? [];
  assert.ok(response?.result.kind === "reject" && more.length === 0);
  assert.deepEqual([response.target, response.result.code], [target, RejectCode.CANISTER_REJECT]);
  sequencer.ended({ ...round, height: 2, time: 11n, remoteDkgs: [] });
  assert.equal(sequencer.nextBatch(12n).remoteDkgs, undefined);
});
