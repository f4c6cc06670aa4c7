// A restart with state: every canister and every page is back, whatever ended the process before. Prints how long it
// took until the first good status; CANISTERS=100 makes it the size that the time is promised for (3 s).
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Cbor } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, launch, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, fastBlsVerify, recorderActor, recorderWasm } from "./recorder.ts";

const CANISTERS = Number(process.env.CANISTERS ?? 10);
/** Of the canister's array: makes about a megabyte of pages. */
const WORDS = 3_500n;

after(endAll);

test(`${CANISTERS} canisters with a megabyte each are back after a restart`, { timeout: 300_000 }, async (t) => {
  const stateDir = temporaryFolder();
  const [wasm, blsVerify] = await Promise.all([recorderWasm(), fastBlsVerify()]);
  const network = await startNetwork({ stateDir });
  const agent = agentOf(network);
  const ids: Principal[] = [];
  for (let i = 0; i < CANISTERS; i++) ids.push(await deploy(agent, wasm));
  const expected: bigint[] = [];
  for (const [i, id] of ids.entries()) {
    const actor = recorderActor(agent, id, blsVerify);
    await actor.fill(WORDS + BigInt(i));
    expected.push(await actor.checksum());
  }
  assert.equal((await network.kill("SIGTERM")).code, 0);
  for (const ending of ["SIGKILL", "SIGKILL", "SIGTERM"] as const) {
    const port = await freePort();
    const before = performance.now();
    const started = launch(["start", "--port", String(port), "--no-sample", "--json", "--state-dir", stateDir]);
    await firstGoodStatus(port, started.exited);
    const ms = performance.now() - before;
    const ready = await started.ready;
    assert.deepEqual(ready.rootKey, network.rootKey);
    const again = agentOf(ready);
    for (const [i, id] of ids.entries()) {
      assert.equal(await recorderActor(again, id).checksum(), expected[i], `canister ${i}`);
    }
    // Leaves something to replay for the restart after a SIGKILL.
    for (const id of ids.slice(0, 5)) await recorderActor(again, id, blsVerify).record(0n, 0n);
    await started.kill(ending);
    t.diagnostic(`first good status ${Math.round(ms)} ms after the start of the process`);
    assert.ok(ms < 20_000);
  }
});

async function firstGoodStatus(port: number, exited: Promise<unknown>): Promise<void> {
  let hasExited = false;
  void exited.then(() => {
    hasExited = true;
  });
  for (;;) {
    assert.ok(!hasExited, "the program ended");
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v2/status`);
      const status = Cbor.decode<{ replica_health_status?: string }>(new Uint8Array(await answer.arrayBuffer()));
      if (status.replica_health_status === "healthy") return;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await pause(10);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
