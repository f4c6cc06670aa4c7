// Rounds of four nodes, worked to the message: section 5.10.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestSubnet } from "./harness/many-nodes.ts";

describe("a subnet of four nodes", () => {
  it("makes rounds, certifies and makes catch-up packages, and nobody blames anybody", () => {
    const subnet = new TestSubnet();
    assert.ok(subnet.run(60_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= 45)));
    subnet.run(500);
    for (const [i, { toy }] of subnet.nodes.entries()) {
      assert.ok(toy.certifiedHeight() >= 44, `node ${i} certified ${toy.certifiedHeight()}`);
      assert.ok(subnet.running(i).catchUpPackage().height >= 40);
    }
    assert.deepEqual(subnet.rules.invalid, []);
    assert.deepEqual(subnet.rules.alarms, []);
  });
});
