// A canister in TypeScript, built by Azle as npm gives it, on a network that `atoll start` runs: JavaScript in an
// interpreter in Wasm. State in stable memory, the heap across messages, timers, calls, traps, upgrades.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { Actor, type ActorSubclass, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { endAll, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";
import { agentOf } from "../../../apps/cli/test/recorder.ts";
import { createCanister, installCode } from "../../../packages/replica/test/network.ts";
import { type AzleCanister, buildAzleCanister } from "./build.ts";

interface Notes {
  put(key: string, text: string): Promise<[] | [string]>;
  get(key: string): Promise<[] | [string]>;
  counts(): Promise<{ changes: bigint; rings: bigint }>;
  ring(): Promise<void>;
  whoami(): Promise<Principal>;
  askMyself(): Promise<Principal>;
  putAndTrap(): Promise<void>;
}

const notes: IDL.InterfaceFactory = () =>
  IDL.Service({
    put: IDL.Func([IDL.Text, IDL.Text], [IDL.Opt(IDL.Text)], []),
    get: IDL.Func([IDL.Text], [IDL.Opt(IDL.Text)], ["query"]),
    counts: IDL.Func([], [IDL.Record({ changes: IDL.Nat, rings: IDL.Nat })], ["query"]),
    ring: IDL.Func([], [], []),
    whoami: IDL.Func([], [IDL.Principal], []),
    askMyself: IDL.Func([], [IDL.Principal], []),
    putAndTrap: IDL.Func([], [], []),
  });

/** Without a registry Azle cannot be installed; a check of a change must not go on without it. */
let built: AzleCanister | undefined;
let missing = "";
try {
  built = await buildAzleCanister();
} catch (error) {
  if (process.env.CI !== undefined) throw error;
  missing = String((error as Error).message).split("\n", 1)[0] ?? "";
}

describe("a canister of Azle", { skip: built === undefined ? `Azle could not be built: ${missing}` : false }, () => {
  let agent: HttpAgent;
  let id: Principal;
  let actor: ActorSubclass<Notes>;
  let wasm: Uint8Array;

  before(async () => {
    agent = agentOf(await startNetwork({ stateDir: temporaryFolder() }));
    // Above 2 MiB as it is: compressed, as its users send it.
    wasm = gzipSync(built?.wasm ?? new Uint8Array());
    id = await createCanister(agent);
    await installCode(agent, id, wasm, { arg: new Uint8Array(IDL.encode([IDL.Text], ["one"])) });
    actor = Actor.createActor<Notes>(notes, { agent, canisterId: id });
  });
  after(endAll);

  test("has the interface that its decorators say", () => {
    assert.match(built?.candid ?? "", /counts: \(\) -> \(record \{ ?changes:\s?nat; rings:\s?nat ?\}\) query;/);
  });

  test("update and query: stable memory and the heap across messages", async () => {
    assert.deepEqual(await actor.get("first"), ["one"]);
    assert.deepEqual(await actor.put("a", "b"), []);
    assert.deepEqual(await actor.put("a", "c"), ["b"]);
    assert.deepEqual(await actor.get("a"), ["c"]);
    assert.deepEqual(await actor.counts(), { changes: 2n, rings: 0n });
  });

  test("callers and calls: an await inside an update", async () => {
    assert.equal((await actor.whoami()).toText(), (await agent.getPrincipal()).toText());
    assert.equal((await actor.askMyself()).toText(), id.toText());
  });

  test("a trap takes back what its message changed, and says why", async () => {
    await assert.rejects(actor.putAndTrap(), /Canister called `ic0.trap` with message: 'as asked'/);
    assert.deepEqual(await actor.get("first"), ["one"]);
    assert.equal((await actor.counts()).changes, 2n);
  });

  test("a timer runs by itself", async () => {
    await actor.ring();
    for (let tries = 0; (await actor.counts()).rings === 0n; tries++) {
      assert.ok(tries < 100, "the timer never ran");
      await pause(100);
    }
  });

  test("an upgrade keeps stable memory and begins a new heap", async () => {
    await installCode(agent, id, wasm, { mode: { upgrade: [] } });
    assert.deepEqual(await actor.get("a"), ["c"]);
    assert.deepEqual(await actor.get("first"), ["one"]);
    assert.deepEqual(await actor.counts(), { changes: 0n, rings: 0n });
  });
});
