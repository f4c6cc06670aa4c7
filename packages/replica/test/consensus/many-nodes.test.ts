// Four nodes agree on blocks, execute them, certify the states together, and an unmodified agent believes the answers of
// each of them; also after nodes were killed, and after one lost its disk.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { EnvironmentError, RESTART_NEEDED } from "@atoll/types";
import { Actor } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../../execution/test/canisters/build.ts";
import { deploy } from "../network.ts";
import { ManyNodes } from "./many-nodes.ts";

let subnet: ManyNodes;
before(async () => {
  subnet = await ManyNodes.start(4);
});
after(async () => {
  await subnet.stop();
});

async function until(what: string, isSo: () => boolean, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!isSo()) {
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s; ${subnet.problems.join("\n")}`);
    await setTimeout(20);
  }
}

const heights = () => [...subnet.nodes.values()].map(({ replica }) => replica.status());

interface Counter {
  inc(): Promise<bigint>;
  get(): Promise<bigint>;
}
const counter = ({ IDL: idl }: { IDL: typeof IDL }) =>
  idl.Service({ inc: idl.Func([], [idl.Nat], []), get: idl.Func([], [idl.Nat], ["query"]) });

let canisterId: Principal;

/** By one node; the agent verifies certificates, and the signatures of nodes on answers to queries. */
async function counterAt(place: number): Promise<Counter> {
  const agent = await subnet.node(place).agent();
  return Actor.createActor<Counter>(counter as never, { agent, canisterId });
}

/** What one node has certified by now all of them have. */
async function everywhere(): Promise<void> {
  const height = Math.max(...heights().map(({ certifiedHeight }) => certifiedHeight));
  await until(`height ${height} everywhere`, () => certified() >= height);
}

const certified = () => Math.min(...heights().map(({ certifiedHeight }) => certifiedHeight));

describe("a subnet of four nodes", { concurrency: false }, () => {
  test("finalizes, executes and certifies", async () => {
    await until("certified height 5", () => certified() >= 5);
    const agent = await subnet.node(2).agent();
    const status = (await agent.status()) as { readonly replica_health_status?: string };
    assert.equal(status.replica_health_status, "healthy");
  });

  test("an update through one node is seen through all of them", async () => {
    const { wasm } = await canister("counter", { width: 32 });
    canisterId = await deploy(await subnet.node(0).agent(), wasm);
    await everywhere();
    assert.equal(await (await counterAt(1)).inc(), 1n);
    await everywhere();
    for (const place of [0, 1, 2, 3]) assert.equal(await (await counterAt(place)).get(), 1n);
  });

  test("the summary of an interval leads to a catch-up package", async () => {
    await until("a catch-up package", () => heights().every(({ catchUpHeight }) => catchUpHeight > 0));
  });

  test("goes on while one node is down, which catches up when it is back", async () => {
    const { id } = subnet.node(3);
    subnet.node(3).kill();
    for (const expected of [2n, 3n]) assert.equal(await (await counterAt(0)).inc(), expected);
    const { replica } = await subnet.startNode(id);
    const height = heights()[0]?.executedHeight ?? 0;
    await until("the node catches up", () => replica.status().certifiedHeight >= height);
    assert.equal(await (await counterAt(3)).get(), 3n);
  });

  test("a node that lost its disk takes the state over from the others", async () => {
    const { id } = subnet.node(2);
    subnet.node(2).kill();
    assert.equal(await (await counterAt(0)).inc(), 4n);
    const { replica } = await subnet.startNode(id, { isEmpty: true });
    const height = heights()[0]?.executedHeight ?? 0;
    await until("the node catches up", () => replica.status().certifiedHeight >= height, 120);
    assert.equal(await (await counterAt(2)).get(), 4n);
  });

  test("a node that cannot know what is on its disk ends, once, and goes on from there when it is started again", async () => {
    const { id, poolStorage } = subnet.node(1);
    poolStorage.sync = () => {
      throw new EnvironmentError(RESTART_NEEDED, "The sync has failed.");
    };
    await until("it ends", () => subnet.problems.length > 0);
    const { notarizedHeight } = subnet.node(1).replica.status();
    assert.equal(await (await counterAt(0)).inc(), 5n);
    assert.equal(subnet.node(1).replica.status().notarizedHeight, notarizedHeight);
    assert.match(subnet.problems.join(), /^EnvironmentError: The sync has failed\./);
    assert.equal(subnet.problems.splice(0).length, 1);
    subnet.node(1).kill();
    Reflect.deleteProperty(poolStorage, "sync");
    const { replica } = await subnet.startNode(id);
    const height = heights()[0]?.executedHeight ?? 0;
    await until("the node catches up", () => replica.status().certifiedHeight >= height);
  });

  test("all nodes that are killed at once go on together", async () => {
    for (const pauseMs of [7, 150]) {
      const before = certified();
      await setTimeout(pauseMs);
      for (const { kill } of [...subnet.nodes.values()]) kill();
      for (const id of subnet.ids) await subnet.startNode(id);
      await until("they go on", () => certified() > before + 1);
    }
  });

  test("nobody complained", () => {
    assert.deepEqual(subnet.problems, []);
  });
});
