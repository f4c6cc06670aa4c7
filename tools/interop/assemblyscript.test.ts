// A canister in AssemblyScript, on a network that `atoll start` runs, called by the official agent: state across
// messages, a trap, a timer, stable memory over an upgrade, and the language's own collector at work meanwhile.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Actor, type ActorSubclass, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, startNetwork, temporaryFolder } from "../../apps/cli/test/process.ts";
import { agentOf } from "../../apps/cli/test/recorder.ts";
import { compileAssemblyScript } from "../../packages/execution/test/canisters/assemblyscript.ts";
import { deploy, installCode } from "../../packages/replica/test/network.ts";

interface Notes {
  append(text: string): Promise<string>;
  append_and_trap(text: string): Promise<void>;
  read(): Promise<string>;
  ring(): Promise<void>;
  rings(): Promise<bigint>;
}

const notes: IDL.InterfaceFactory = () =>
  IDL.Service({
    append: IDL.Func([IDL.Text], [IDL.Text], []),
    append_and_trap: IDL.Func([IDL.Text], [], []),
    read: IDL.Func([], [IDL.Text], ["query"]),
    ring: IDL.Func([], [], []),
    rings: IDL.Func([], [IDL.Nat64], ["query"]),
  });

const SOURCE = new URL("../../packages/execution/test/canisters/assemblyscript/notes.as", import.meta.url);

describe("a canister in AssemblyScript", () => {
  let agent: HttpAgent;
  let id: Principal;
  let actor: ActorSubclass<Notes>;
  let wasm: Uint8Array;

  before(async () => {
    agent = agentOf(await startNetwork({ stateDir: temporaryFolder() }));
    wasm = await compileAssemblyScript(SOURCE);
    id = await deploy(agent, wasm);
    actor = Actor.createActor<Notes>(notes, { agent, canisterId: id });
  });
  after(endAll);

  test("update and query", async () => {
    assert.equal(await actor.append("one"), "one");
    assert.equal(await actor.append("zwölf"), "one,zwölf");
    assert.equal(await actor.read(), "one,zwölf");
  });

  test("a trap takes back what its message changed, and says why", async () => {
    await assert.rejects(actor.append_and_trap("lost"), /Canister called `ic0.trap` with message: 'as asked'/);
    assert.equal(await actor.read(), "one,zwölf");
  });

  test("a timer runs by itself", async () => {
    await actor.ring();
    for (let tries = 0; (await actor.rings()) === 0n; tries++) {
      assert.ok(tries < 100, "the timer never ran");
      await pause(100);
    }
  });

  test("an upgrade keeps stable memory and begins a new heap, also for notes of more than a page", async () => {
    await actor.append("x".repeat(200_000));
    await installCode(agent, id, wasm, { mode: { upgrade: [] } });
    assert.equal(await actor.read(), `one,zwölf,${"x".repeat(200_000)}`);
    assert.equal(await actor.rings(), 0n);
  });
});
