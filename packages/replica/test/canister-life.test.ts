// What canisters are promised over their life, with real Motoko output in both widths: upgrades, timers, heartbeats,
// inspection, certified data, randomness, traps and limits. Interface specification, "Entry points".
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Certificate, type HttpAgent, lookup_path } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { canister } from "../../execution/test/canisters/build.ts";
import {
  deploy,
  type InstallMode,
  installCode,
  query,
  startNetwork,
  type TestNetwork,
  until,
  update,
} from "./network.ts";

let network: TestNetwork;
let agent: HttpAgent;
before(async () => {
  network = await startNetwork();
  agent = await network.agent(Ed25519KeyIdentity.generate());
});
after(() => network.stop());

const NAT = [IDL.Nat];
/** Where the compiler's width changes nothing that is looked at, one width is enough; WIDTHS=all runs both. */
const ALIKE = { skip: process.env.WIDTHS !== "all" && "the other width shows it; WIDTHS=all runs both" } as const;

for (const width of [32, 64] as const) {
  const wasmOf = async (name: Parameters<typeof canister>[0]) => (await canister(name, { width })).wasm;
  const upgrade: InstallMode = {
    upgrade: width === 64 ? [{ skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] }] : [],
  };

  const alike = width === 64 ? {} : ALIKE;

  describe(`${width} bits`, () => {
    test("variables survive three versions; a failed upgrade changes nothing", async () => {
      const id = await deploy(agent, await wasmOf("stable-v1"));
      const state = IDL.Record({ count: IDL.Nat, names: IDL.Vec(IDL.Text), sinceUpgrade: IDL.Nat, hooks: IDL.Text });
      const get = () =>
        query<{ count: bigint; names: string[]; sinceUpgrade: bigint; hooks: string }>(agent, id, "get", undefined, [
          state,
        ]);
      await update(agent, id, "add", [[IDL.Text], ["Ada"]]);
      await installCode(agent, id, await wasmOf("stable-v2"), { mode: upgrade });
      await update(agent, id, "add", [[IDL.Text], ["Bob"]]);
      const before = await get();
      assert.deepEqual(before.names, ["Ada", "Bob"]);
      assert.equal(before.sinceUpgrade, 1n);
      await update(agent, id, "setTrapInPreupgrade", [[IDL.Bool], [true]]);
      await assert.rejects(
        installCode(agent, id, await wasmOf("stable-v3"), { mode: upgrade }),
        /told to trap in preupgrade/,
      );
      assert.deepEqual(await get(), before);
      assert.equal(await query(agent, id, "version", undefined, NAT), 2n);
      await update(agent, id, "setTrapInPreupgrade", [[IDL.Bool], [false]]);
      await installCode(agent, id, await wasmOf("stable-v3"), { mode: upgrade });
      assert.equal(await query(agent, id, "version", undefined, NAT), 3n);
      if (width === 32) return;
      // Enhanced orthogonal persistence checks the types of the variables; classical persistence drops what it cannot read.
      await assert.rejects(installCode(agent, id, await wasmOf("stable-incompatible"), { mode: upgrade }));
      assert.equal(await query(agent, id, "version", undefined, NAT), 3n);
    });

    test("timers fire, are cancelled, and survive one that traps", alike, async () => {
      const id = await deploy(agent, await wasmOf("timers"));
      const after = (ms: number, name: string) =>
        update<bigint>(
          agent,
          id,
          "after",
          [
            [IDL.Nat, IDL.Text],
            [ms, name],
          ],
          NAT,
        );
      const get = () =>
        query<{ fired: string[]; recurring: bigint }>(agent, id, "get", undefined, [
          IDL.Record({ fired: IDL.Vec(IDL.Text), recurring: IDL.Nat }),
        ]);
      await update(agent, id, "trapAfter", [NAT, [10]]);
      await after(100, "a");
      const cancelled = await after(700, "never");
      await after(200, "b");
      await update(agent, id, "cancel", [NAT, [cancelled]]);
      await update(agent, id, "every", [NAT, [100]]);
      await until(async () => (await get()).recurring >= 8n);
      await update(agent, id, "stop");
      assert.deepEqual((await get()).fired, ["a", "b"]);
    });

    test("the global timer rings three times; a heartbeat beats, traps, calls", alike, async () => {
      const timer = await deploy(agent, await wasmOf("global-timer"));
      await until(async () => (await query(agent, timer, "get", undefined, NAT)) === 3n);
      const heart = await deploy(agent, await wasmOf("heartbeat"));
      const MODE = IDL.Variant({ count: IDL.Null, trap: IDL.Null, call: IDL.Null });
      const get = () =>
        query<{ beats: bigint; answered: bigint }>(agent, heart, "get", undefined, [
          IDL.Record({ beats: IDL.Nat, answered: IDL.Nat }),
        ]);
      await until(async () => (await get()).beats >= 2n);
      await update(agent, heart, "setMode", [[MODE], [{ trap: null }]]);
      const { beats } = await get();
      await new Promise((resolve) => setTimeout(resolve, 1200));
      assert.equal((await get()).beats, beats);
      await update(agent, heart, "setMode", [[MODE], [{ call: null }]]);
      await until(async () => (await get()).answered >= 2n);
    });

    test("inspection lets in, refuses, and never changes the state", alike, async () => {
      const id = await deploy(agent, await wasmOf("inspect"));
      const anonymous = await network.agent();
      assert.equal(await update(anonymous, id, "open", undefined, NAT), 1n);
      await assert.rejects(update(anonymous, id, "closed", undefined, NAT), /refused message/);
      await assert.rejects(update(anonymous, id, "signed", undefined, NAT), /refused message/);
      assert.equal(await update(agent, id, "signed", undefined, NAT), 2n);
      await assert.rejects(update(agent, id, "small", [[IDL.Text], ["x".repeat(200)]], NAT), /refused message/);
      await assert.rejects(update(agent, id, "trapping"), /trapped in inspect/);
      assert.equal(await query(agent, id, "get", undefined, NAT), 2n);
    });

    test("certified data comes with a certificate that proves it", async () => {
      const id = await deploy(agent, await wasmOf("certified"));
      await update(agent, id, "set", [[IDL.Vec(IDL.Nat8)], [Uint8Array.of(1, 2, 3)]]);
      const { certificate } = await query<{ certificate: [] | [Uint8Array] }>(agent, id, "get", undefined, [
        IDL.Record({ data: IDL.Vec(IDL.Nat8), certificate: IDL.Opt(IDL.Vec(IDL.Nat8)) }),
      ]);
      const verified = await Certificate.create({
        certificate: new Uint8Array(certificate[0] ?? []),
        rootKey: network.rootKey,
        principal: { canisterId: id },
      });
      const found = lookup_path(["canister", id.toUint8Array(), "certified_data"], verified.cert.tree);
      assert.deepEqual("value" in found ? new Uint8Array(found.value as Uint8Array) : found, Uint8Array.of(1, 2, 3));
      assert.deepEqual(await update(agent, id, "certificateInUpdate", undefined, [IDL.Opt(IDL.Vec(IDL.Nat8))]), []);
    });

    test("raw_rand gives 32 bytes, other ones each time", alike, async () => {
      const id = await deploy(agent, await wasmOf("randomness"));
      const [one, two] = await update<[Uint8Array, Uint8Array]>(agent, id, "twice", undefined, [
        IDL.Vec(IDL.Nat8),
        IDL.Vec(IDL.Nat8),
      ]);
      assert.equal(one.length, 32);
      assert.notDeepEqual(one, two);
      const dice = await update<bigint>(agent, id, "dice", [NAT, [6]], NAT);
      assert.ok(dice >= 1n && dice <= 6n);
    });

    test("memory: heap and regions grow, a recursion without end traps, big replies pass", async () => {
      const id = await deploy(agent, await wasmOf("memory"));
      const facts = IDL.Record({ blocks: IDL.Nat, pages: IDL.Nat64, steps: IDL.Nat });
      await update(agent, id, "allocate", [NAT, [16]]);
      assert.equal(await update(agent, id, "growRegion", [[IDL.Nat64], [100n]], [IDL.Nat64]), 0n);
      await update(agent, id, "touch", [
        [IDL.Nat64, IDL.Nat8],
        [6_000_000n, 42],
      ]);
      assert.equal(await query(agent, id, "peek", [[IDL.Nat64], [6_000_000n]], [IDL.Nat8]), 42);
      await update(agent, id, "touchPages", [[IDL.Nat64], [1000n]]);
      await assert.rejects(update(agent, id, "recurseForever", undefined, NAT), /IC0502|IC0503/);
      const reply = await query<Uint8Array>(agent, id, "bigReply", [NAT, [1_500_000]], [IDL.Vec(IDL.Nat8)]);
      assert.equal(reply.length, 1_500_000);
      assert.deepEqual(await query(agent, id, "get", undefined, [facts]), { blocks: 16n, pages: 100n, steps: 0n });
    });

    test("a query's changes and a trap's changes are gone", async () => {
      const id = await deploy(agent, await wasmOf("counter"));
      const get = () => query(agent, id, "get", undefined, NAT);
      await update(agent, id, "add", [NAT, [5]], NAT);
      assert.equal(await query(agent, id, "incInQuery", undefined, NAT), 6n);
      assert.equal(await query(agent, id, "incInQuery", undefined, NAT), 6n);
      await assert.rejects(update(agent, id, "trapAfterChange"), /trapped after the change/);
      await assert.rejects(update(agent, id, "trapInCallback"), /trapped in the callback/);
      assert.equal(await get(), 6n);
    });
  });
}

test("a network goes on where it was, with the same root key", async () => {
  const first = await startNetwork();
  const before = await first.agent();
  const { wasm } = await canister("counter", { width: 64 });
  const id = await deploy(before, wasm);
  await update(before, id, "add", [NAT, [7]], NAT);
  await first.stop();
  const second = await startNetwork({ storage: first.storage, secrets: first.secrets });
  const afterwards = await second.agent();
  assert.equal(await query(afterwards, id, "get", undefined, NAT), 7n);
  assert.equal(await update(afterwards, id, "inc", undefined, NAT), 8n);
  assert.deepEqual(second.rootKey, first.rootKey);
  await second.stop();
});

test("modules that another version prepared are prepared again at the start", async () => {
  const first = await startNetwork();
  const id = await deploy(await first.agent(), (await canister("counter", { width: 64 })).wasm);
  const { modules } = first.executor.durable.machine.state;
  for (const module of [...modules.all()]) {
    const description = { ...(module.description as object), rewriterVersion: 0 };
    modules.replacePrepared({ ...module, prepared: new Uint8Array(), description });
  }
  await first.stop();
  const second = await startNetwork({ storage: first.storage, secrets: first.secrets });
  assert.equal(await update(await second.agent(), id, "inc", undefined, NAT), 1n);
  await second.stop();
});
