// Canisters on different subnets of one network call each other over certified streams, and the official agent believes
// what each subnet certifies.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import { figuresOf, toFetch } from "@atoll/replica";
import { type CanisterId, type PrincipalId, principalToBytes, principalToText } from "@atoll/types";
import { HttpAgent, StatePaths } from "@icp-sdk/core/agent";
import * as u from "../../execution/test/canisters/universal.ts";
import { Network, type NetworkSubnet } from "../src/index.ts";
import { ALICE, call, universal } from "./universal-canister.ts";

let network: Network;
before(async () => {
  const timer = {
    after: (ms: number, callback: () => void) => {
      const handle = setTimeout(callback, ms);
      return () => clearTimeout(handle);
    },
  };
  const subnets = [{ kind: "nns" }, { kind: "application" }, { kind: "application" }, { kind: "system" }] as const;
  const ports = {
    crypto: await createNodeCrypto(),
    clock: nodeClock,
    timer,
    log: { log: (_: string, text: string) => assert.fail(text) },
  };
  network = await Network.create({ subnets, trace: true }, ports);
});
after(() => network.close());

describe("canisters on different subnets", () => {
  it("call each other, with cycles, both ways", async () => {
    const [, one, two] = subnetIds();
    const [a, b] = [await universal(network, one), await universal(network, two)];
    const accept = u.seq(
      u.cyclesAccept(400n),
      u.op("drop"),
      u.op("drop"),
      u.reply(u.concat(u.bytes("got "), u.argData())),
    );
    const program = u.call({
      callee: u.bytes(principalToBytes(b)),
      method: "update",
      arg: u.bytes(accept),
      cycles: 1_000n,
    });
    const before = balance(b);
    assert.equal(new TextDecoder().decode(await update(a, program)).slice(0, 4), "got ");
    assert.ok(balance(b) > before - 1_000_000_000n);
    assert.ok(
      (await update(
        b,
        u.call({ callee: u.bytes(principalToBytes(a)), method: "update", arg: u.bytes(u.reply()) }),
      )) instanceof Uint8Array,
    );
  });

  it("are seen on their way, and afterwards as a tree with what it took", async () => {
    const [, one, two] = subnetIds();
    const [a, b] = [await universal(network, one), await universal(network, two)];
    const arg = u.call({
      callee: u.bytes(principalToBytes(b)),
      method: "update",
      arg: u.bytes(u.reply(u.bytes("far"))),
    });
    const rule = { receiver: b, messageKind: "request", atMost: 1 } as const;
    assert.equal((await network.intervene(two as PrincipalId, [{ kind: "hold", rule }]))[0]?.ok, true);
    const call = { sender: ALICE, receiver: a, methodName: "update", arg };
    const sent = await network.submit(call);
    if (!sent.ok) throw new Error(sent.error.message);
    assert.equal(await network.awaitMessage(sent.message, 5), undefined);
    const [held] = network.messagesInFlight().get(two as PrincipalId) ?? [];
    assert.deepEqual([held?.place, held?.from, held?.to], ["held", a, b]);
    await network.intervene(two as PrincipalId, [{ kind: "release", numbers: [held?.number as number] }]);
    assert.equal((await network.awaitMessage(sent.message))?.state, "replied");
    const root = network.messageTree(sent.message);
    const [child] = root?.children ?? [];
    assert.deepEqual([root?.subnet, child?.subnet, child?.canister], [one, two, b]);
    assert.ok(root !== undefined && figuresOf(root).instructions > 0);
  });

  it("take no interventions that no batch could hold", async () => {
    const [, one] = subnetIds();
    const canister = await universal(network, one);
    const part = { kind: "set_stable_memory", canister, content: new Uint8Array(100 * 1024 * 1024) } as const;
    const height = network.subnets.get(one as PrincipalId)?.executor.durable.machine.state.height;
    const results = await network.intervene(one as PrincipalId, [part, part]);
    assert.match(JSON.stringify(results), /more than 167772160 bytes.*more than/);
    const message = "\ud800";
    const [result] = await network.intervene(one as PrincipalId, [{ kind: "trap_next", canister, message }]);
    assert.match(JSON.stringify(result), /not well-formed/);
    assert.equal(network.subnets.get(one as PrincipalId)?.executor.durable.machine.state.height, height);
  });

  it("are told by reject when there is nobody", async () => {
    const [, one, two] = subnetIds();
    const a = await universal(network, one);
    const nobody = network.subnets.get(two as PrincipalId)?.config.allocationRanges?.[0]?.[1] ?? assert.fail();
    const program = u.call({
      callee: u.bytes(principalToBytes(nobody)),
      method: "update",
      onReject: u.reply(u.rejectMessage()),
    });
    assert.match(new TextDecoder().decode(await update(a, program)), /not found/);
  });
});

describe("a fork", () => {
  it("has messages in flight between subnets, and goes its own way", async () => {
    const [, one, two] = subnetIds();
    const [a, b] = [await universal(network, one), await universal(network, two)];
    const callee = u.bytes(principalToBytes(b));
    const program = u.call({
      callee,
      method: "update",
      arg: u.bytes(u.reply(u.bytes("there"))),
      onReply: u.reply(u.argData()),
    });
    const submission = await network.submit({ sender: ALICE, receiver: a, methodName: "update", arg: program });
    assert.ok(submission.ok);
    await network.tick();
    const fork = await network.fork();
    assert.equal(fork.status(submission.message)?.state, "processing");
    const status = await fork.awaitMessage(submission.message);
    assert.deepEqual(
      [status?.state, status?.state === "replied" && new TextDecoder().decode(status.reply)],
      ["replied", "there"],
    );
    assert.equal(network.status(submission.message)?.state, "processing");
    const again = await network.awaitMessage(submission.message);
    assert.deepEqual(again, status);
    for (const [id, subnet] of network.subnets) {
      const root = (each?: NetworkSubnet) => each?.replica.backend.certifiedState()?.certificate([], "none");
      assert.deepEqual(root(fork.subnets.get(id)), root(subnet));
    }
    await fork.close();
  });
});

describe("the agent", () => {
  it("verifies certificates and query signatures of every subnet with the root key", async () => {
    network.startProgress();
    const agent = await HttpAgent.create({
      host: "http://network.test",
      fetch: fetchOf(network),
      rootKey: network.rootKey,
      shouldSyncTime: false,
    });
    for (const subnet of subnetIds()) {
      const id = await universal(network, subnet);
      const canisterId = principalToText(id);
      const query = await agent.query(canisterId, { methodName: "query", arg: u.reply(u.bytes("hello")) });
      assert.equal(query.status, "replied");
      const { requestDetails, response } = await agent.call(canisterId, { methodName: "update", arg: u.reply() });
      assert.ok(requestDetails !== undefined && response.ok);
      const { values } = await agent.readState({ canisterId }, { paths: [StatePaths.time] });
      assert.ok(values.get(StatePaths.time));
    }
    await network.stopProgress();
  });
});

function subnetIds(): PrincipalId[] {
  return [...network.subnets.keys()];
}

function fetchOf({ api }: Network): typeof globalThis.fetch {
  const answer = toFetch(api);
  return ((input: Request | URL | string, init?: RequestInit) => answer(new Request(input, init))) as never;
}

function balance(id: CanisterId): bigint {
  for (const { executor } of network.subnets.values()) {
    const canister = executor.durable.machine.state.canisters.get(id);
    if (canister !== undefined) return canister.cycles;
  }
  return assert.fail();
}

const update = (id: CanisterId, program: Uint8Array) => call(network, id, "update", program);
