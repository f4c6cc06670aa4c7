// The network of a browser's Worker, driven over a MessageChannel by the page's side of it: the same code as in a tab,
// with two threads of Node's event loop in place of page and Worker. Signed requests by the real agent.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { MANAGEMENT_CANISTER, principalFromText } from "@atoll/types";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { type NetworkInWorker, openNetwork } from "../src/worker/network-in-worker.ts";
import type { MessageEnd } from "../src/worker/protocol.ts";
import { serveNetwork } from "../src/worker/serve-network.ts";

const CREATE = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 13n] }]);
const ANYBODY = principalFromText("2vxsx-fae") as never;

function open(): { channel: MessageChannel; page: MessageEnd } {
  const channel = new MessageChannel();
  const end = (port: MessagePort): MessageEnd => {
    port.start();
    return {
      postMessage: (message) => port.postMessage(message),
      addEventListener: (type, listener) => {
        if (type === "message") port.on(type, (data) => listener({ data }));
      },
    };
  };
  serveNetwork(end(channel.port2));
  return { channel, page: end(channel.port1) };
}

describe("a network in a Worker", () => {
  const { channel, page } = open();
  let network: NetworkInWorker;
  before(async () => {
    network = await openNetwork(page, { subnets: [{ kind: "application" }, { kind: "application" }] });
  });
  after(async () => {
    await network.close();
    channel.port1.close();
  });

  it("has the subnets that were asked for, each with its own ids", async () => {
    const { subnets, rootKey } = await network.status();
    assert.equal(subnets.length, 2);
    assert.notEqual(subnets[0]?.id, subnets[1]?.id);
    assert.notDeepEqual(subnets[0]?.range, subnets[1]?.range);
    assert.equal(rootKey.length, 133);
  });

  it("moves when it is told to, and in its own time", async () => {
    const before = await network.status();
    const after = await network.tick(3);
    assert.deepEqual(
      after.subnets.map(({ height }) => height),
      before.subnets.map(({ height }) => height + 3),
    );
    const later = after.time + 1_000_000_000n;
    assert.equal((await network.setTime(later)).time, later);
    await assert.rejects(network.setTime(1n), /cannot go back/);
  });

  it("takes calls as anybody, on either subnet", async () => {
    const { subnets } = await network.status();
    for (const { id, range } of subnets) {
      const status = await network.call({
        sender: ANYBODY,
        receiver: MANAGEMENT_CANISTER,
        methodName: "provisional_create_canister_with_cycles",
        arg: CREATE,
        effective: principalFromText(id) as never,
      });
      assert.equal(status?.state, "replied");
      assert.equal(idIn(status.reply), range[0]);
    }
    assert.deepEqual(
      (await network.status()).subnets.map(({ canisters }) => canisters),
      [1, 1],
    );
  });

  it("serves an unmodified agent, which verifies what both subnets say", async () => {
    const { subnets, rootKey } = await network.startProgress();
    const agent = HttpAgent.createSync({
      host: "http://network.localhost",
      fetch: network.fetch,
      rootKey,
      identity: Ed25519KeyIdentity.generate(),
    });
    for (const { range } of subnets) {
      const { certificate, reply } = await agent.update(Principal.managementCanister(), {
        methodName: "provisional_create_canister_with_cycles",
        arg: CREATE,
        effectiveCanisterId: Principal.fromText(range[0]),
      });
      assert.ok(certificate !== undefined && idIn(reply) !== "");
    }
    const heights = (await network.status()).subnets.map(({ height }) => height);
    await new Promise((resolve) => setTimeout(resolve, 250));
    const { subnets: later } = await network.stopProgress();
    assert.ok(later.every(({ height }, i) => height > (heights[i] as number)));
  });

  it("says what is wrong with a question", async () => {
    await assert.rejects(
      network.addSubnet({ kind: "app" as never }),
      /"app" is not a kind of subnet; there is: nns, sns/,
    );
    await assert.rejects(network.open({ subnets: [{ kind: "application" }] }), /one Worker, one network/);
    const answered = new Promise<{ ok: boolean; message: string }>((resolve) => {
      page.addEventListener("message", ({ data }) => {
        if ((data as { id: number }).id === -1) resolve(data as never);
      });
    });
    page.postMessage({ id: -1, operation: "toString", argument: undefined });
    const { ok, message } = await answered;
    assert.equal(ok, false);
    assert.match(message, /no operation "toString"/);
    assert.equal((await network.fetch("http://network.localhost/nowhere")).status, 404);
  });
});

function idIn(reply: Uint8Array): string {
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
    { canister_id: Principal },
  ];
  return canister_id.toText();
}
