// The first thing anybody does: deploy a counter with the official agent and its defaults, count, read, trap.
// Both widths of the Motoko compiler, Rust, AssemblyScript.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Actor, type HttpAgent } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { canister } from "../../execution/test/canisters/build.ts";
import { deploy, startNetwork, type TestNetwork } from "./network.ts";

let network: TestNetwork;
let agent: HttpAgent;
before(async () => {
  network = await startNetwork();
  agent = await network.agent(Ed25519KeyIdentity.generate());
});
after(() => network.stop());

const counter = ({ IDL: idl }: { IDL: typeof IDL }) =>
  idl.Service({
    inc: idl.Func([], [idl.Nat], []),
    get: idl.Func([], [idl.Nat], ["query"]),
    trapAfterChange: idl.Func([], [], []),
  });

for (const width of [32, 64] as const) {
  test(`a Motoko counter of ${width} bits counts, and a trap leaves no trace`, async () => {
    const { wasm } = await canister("counter", { width });
    const canisterId = await deploy(agent, wasm);
    const actor = Actor.createActor<{
      inc(): Promise<bigint>;
      get(): Promise<bigint>;
      trapAfterChange(): Promise<void>;
    }>(counter as never, { agent, canisterId });
    await actor.inc();
    await actor.inc();
    assert.equal(await actor.get(), 2n);
    await assert.rejects(actor.trapAfterChange(), /IC0503/);
    assert.equal(await actor.get(), 2n);
  });
}
