// Four nodes agree on blocks, execute them, certify the states together, and an unmodified agent believes the answers of
// each of them; also after nodes were killed, and after one lost its disk.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
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

describe("a subnet of four nodes", { concurrency: false }, () => {
  test("finalizes, executes and certifies", async () => {
    await until("certified height 5", () => heights().every(({ certifiedHeight }) => certifiedHeight >= 5));
    const agent = await subnet.node(2).agent();
    const status = await agent.status();
    assert.equal(status.replica_health_status, "healthy");
  });

  test("nobody complained", () => {
    assert.deepEqual(subnet.problems, []);
  });
});
