// An update of billions of instructions in the real program: others are answered while it runs, SIGKILL in the midst
// of it loses nothing but time, and it ends with its answer.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { wat } from "../../../packages/execution/test/canisters/wat.ts";
import { endAll, type Network, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy } from "./recorder.ts";

const BUSY = wat(`
  (module
    (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (memory 1)
    (func (export "canister_update spin") (local $left i64)
      (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
      (local.set $left (i64.load (i32.const 0)))
      (loop $again
        (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
        (br_if $again (i64.ne (local.tee $left (i64.sub (local.get $left) (i64.const 1))) (i64.const 0))))
      (call $append (i32.const 8) (i32.const 8))
      (call $reply))
    (func (export "canister_query count")
      (call $append (i32.const 8) (i32.const 8))
      (call $reply)))`);

/** About 14 instructions each: some twenty slices. */
const TURNS = 700_000_000n;
const u64 = (value: bigint): Uint8Array => new Uint8Array(new BigUint64Array([value]).buffer);
const numberOf = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);

after(endAll);

test("an update of ten billion instructions, others meanwhile, and a kill in the midst", {
  timeout: 240_000,
}, async (t) => {
  const stateDir = temporaryFolder();
  let network: Network = await startNetwork({ stateDir });
  const agent = agentOf(network);
  const [busy, other] = [await deploy(agent, BUSY), await deploy(agent, BUSY)];
  const { requestId, response } = await agent.call(busy, { methodName: "spin", arg: u64(TURNS), callSync: false });
  assert.ok(response.ok);
  await pause(500);
  const before = performance.now();
  const slowest: number[] = [];
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    const { reply } = await agent.update(other, { methodName: "spin", arg: u64(1n) });
    slowest.push(performance.now() - began);
    assert.equal(numberOf(reply), BigInt(i + 1));
    const query = await agent.query(busy, { methodName: "count", arg: new Uint8Array() });
    assert.equal(query.status, "replied");
    assert.equal(numberOf((query as { reply: { arg: Uint8Array } }).reply.arg), 0n, "what is committed");
  }
  assert.equal(await statusOf(network, busy, requestId), "processing");
  t.diagnostic(
    `3 updates beside it took ${Math.round(performance.now() - before)} ms, the slowest ${Math.round(Math.max(...slowest))} ms`,
  );
  await network.kill("SIGKILL");
  network = await startNetwork({ stateDir, timeoutMs: 60_000 });
  const again = agentOf(network);
  let status = "";
  for (let i = 0; i < 600 && status !== "replied"; i++) {
    await pause(100);
    status = await statusOf(network, busy, requestId);
  }
  assert.equal(status, "replied");
  const query = await again.query(busy, { methodName: "count", arg: new Uint8Array() });
  assert.equal(numberOf((query as { reply: { arg: Uint8Array } }).reply.arg), TURNS);
  const last = await again.update(other, { methodName: "spin", arg: u64(1n) });
  assert.equal(numberOf(last.reply), 4n);
  await network.kill("SIGTERM");
});

async function statusOf(
  network: Network,
  canister: Awaited<ReturnType<typeof deploy>>,
  requestId: Uint8Array,
): Promise<string> {
  const { Certificate, lookupResultToBuffer } = await import("@icp-sdk/core/agent");
  const agent = agentOf(network);
  const path = [new TextEncoder().encode("request_status"), requestId];
  const { certificate } = await agent.readState({ canisterId: canister }, { paths: [path] });
  const verified = await Certificate.create({
    certificate,
    rootKey: network.rootKey,
    principal: { canisterId: canister },
  });
  const found = lookupResultToBuffer(verified.lookup_path([...path, new TextEncoder().encode("status")]));
  return found === undefined ? "unknown" : new TextDecoder().decode(found);
}
