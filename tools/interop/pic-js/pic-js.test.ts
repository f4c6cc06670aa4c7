// The official JavaScript client of PocketIC from npm, unmodified, with bin/pocket-ic as its binary: what its users do,
// from a first counter to live mode.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { IDL as Candid } from "@icp-sdk/core/candid";
import { BINARY } from "../../../packages/pocket-ic-server/test/server-process.ts";
import { compileMotoko } from "../../motoko/compile.ts";
import { loadPic, type PicPackage } from "./client.ts";

/** Without a registry the client cannot be installed; a check of a change must not go on without it. */
let loaded: Awaited<ReturnType<typeof loadPic>> | undefined;
let missing = "";
try {
  loaded = await loadPic();
} catch (error) {
  if (process.env.CI !== undefined) throw error;
  missing = String((error as Error).message).split("\n", 1)[0] ?? "";
}

const isUnsupported = process.platform === "win32" && "the client refuses Windows";
const fetcher = ({ IDL }: { IDL: typeof Candid }) =>
  IDL.Service({
    fetch: IDL.Func([IDL.Text], [IDL.Text], []),
    inc: IDL.Func([], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    incOf: IDL.Func([IDL.Principal], [IDL.Nat], []),
  });
const NEW = { state: { type: "new" } };
const nat = (n: bigint): Uint8Array => new Uint8Array(Candid.encode([Candid.Nat], [n]));

describe("@dfinity/pic", {
  skip: isUnsupported || (loaded === undefined && `it could not be installed: ${missing}`),
}, () => {
  const { PocketIc, PocketIcServer, ...rest } = (loaded as { pic: PicPackage }).pic;
  const { createIdentity, generateRandomIdentity } = rest;
  const { Principal } = (loaded as { require: NodeJS.Require }).require("@icp-sdk/core/principal");
  const agents = (loaded as { require: NodeJS.Require }).require("@icp-sdk/core/agent");
  // biome-ignore lint/suspicious/noExplicitAny: classes of another package
  let server: any;
  let wasm: Uint8Array;

  before(async () => {
    const source = fileURLToPath(
      new URL("../../../packages/pocket-ic-server/test/canisters/fetcher.mo", import.meta.url),
    );
    wasm = (await compileMotoko({ source, width: 64 })).wasm;
    server = await PocketIcServer.start({ binPath: BINARY, ttl: 120 });
  });
  after(() => server?.stop());

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async function within(options: unknown, use: (pic: any) => Promise<void>): Promise<void> {
    const pic = await PocketIc.create(server.getUrl(), options);
    try {
      await use(pic);
    } finally {
      await pic.tearDown();
    }
  }

  test("sets a canister up, calls it, queries it, as an identity", () =>
    within(undefined, async (pic) => {
      const { actor, canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm });
      assert.equal(canisterId.toText(), "lxzze-o7777-77777-aaaaa-cai");
      assert.equal(await actor.inc(), 1n);
      actor.setIdentity(createIdentity("a phrase"));
      assert.equal(await actor.inc(), 2n);
      assert.equal(await actor.get(), 2n);
      const raw = await pic.queryCall({ canisterId, method: "get", arg: new Uint8Array(Candid.encode([], [])) });
      assert.deepEqual(Uint8Array.from(raw), nat(2n));
      await assert.rejects(pic.updateCall({ canisterId, method: "nope" }), /CanisterMethodNotFound/);
    }));

  test("upgrades, reinstalls, stops, starts, changes settings", () =>
    within(undefined, async (pic) => {
      const me = generateRandomIdentity().getPrincipal();
      const all = { sender: me, controllers: [me] };
      const { actor, canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm, ...all });
      await actor.inc();
      await pic.upgradeCanister({
        canisterId,
        wasm,
        sender: me,
        upgradeModeOptions: { skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] },
      });
      assert.equal(await actor.get(), 1n);
      await pic.reinstallCode({ canisterId, wasm, sender: me });
      assert.equal(await actor.get(), 0n);
      await pic.stopCanister({ canisterId, sender: me });
      await assert.rejects(actor.inc(), /CanisterStopped/);
      await pic.startCanister({ canisterId, sender: me });
      await pic.updateCanisterSettings({ canisterId, sender: me, controllers: [me, canisterId] });
      const texts = (await pic.getControllers(canisterId)).map((each: { toText(): string }) => each.toText());
      assert.deepEqual(texts.sort(), [me.toText(), canisterId.toText()].sort());
    }));

  test("moves time and rounds", () =>
    within(undefined, async (pic) => {
      const date = new Date("2030-01-02T03:04:05.678Z");
      await pic.setTime(date);
      await pic.tick(3);
      assert.equal(Math.floor(await pic.getTime()), date.getTime());
      await pic.advanceTime(5_000);
      await pic.setCertifiedTime(date.getTime() + 60_000);
      assert.equal(Math.floor(await pic.getTime()), date.getTime() + 60_000);
      await assert.rejects(pic.setTime(new Date("2000-01-01")), /SettingTimeIntoPast/);
    }));

  test("knows its subnets, and calls go from one to another", () =>
    within({ nns: NEW, sns: NEW, application: [NEW, NEW], system: [NEW] }, async (pic) => {
      const types = (await pic.getTopology()).map(({ type }: { type: string }) => type);
      assert.deepEqual(types.sort(), ["Application", "Application", "NNS", "SNS", "System"]);
      const [first, second] = await pic.getApplicationSubnets();
      const on = (subnet: { id: unknown }) => ({ idlFactory: fetcher, wasm, targetSubnetId: subnet.id });
      const here = await pic.setupCanister(on(first));
      const there = await pic.setupCanister(on(second));
      assert.equal((await pic.getCanisterSubnetId(there.canisterId)).toText(), second.id.toText());
      assert.equal(await here.actor.incOf(there.canisterId), 1n);
      assert.equal(await there.actor.get(), 1n);
      assert.equal((await pic.getPubKey((await pic.getNnsSubnet()).id)).length, 133);
    }));

  test("gives cycles and stable memory", () =>
    within(undefined, async (pic) => {
      const { canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm, cycles: 5n * 10n ** 12n });
      // The client gives a number where one is enough.
      const before = BigInt(await pic.getCyclesBalance(canisterId));
      assert.ok(before < 5n * 10n ** 12n && before > 4n * 10n ** 12n);
      assert.equal(await pic.addCycles(canisterId, 2n ** 64n), before + 2n ** 64n);
      const bytes = new Uint8Array(100_000).map((_, i) => i % 256);
      await pic.setStableMemory(canisterId, bytes);
      const stable: Uint8Array = await pic.getStableMemory(canisterId);
      assert.deepEqual(stable.subarray(0, bytes.length), bytes);
      assert.equal(stable.length, 131_072);
      await assert.rejects(pic.getCyclesBalance(Principal.fromText("rwlgt-iiaaa-aaaaa-aaaaa-cai")), /CanisterNotFound/);
    }));

  test("answers HTTPS outcalls", () =>
    within(undefined, async (pic) => {
      const { canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm });
      const deferred = pic.createDeferredActor(fetcher, canisterId);
      const answer = await deferred.fetch("https://example.com/x");
      await pic.tick(2);
      const [outcall, ...more] = await pic.getPendingHttpsOutcalls();
      assert.equal(more.length, 0);
      const { subnetId, requestId, ...asked } = outcall;
      assert.deepEqual(asked, {
        httpMethod: "POST",
        url: "https://example.com/x",
        headers: [["x-asked-by", "a canister"]],
        body: new TextEncoder().encode("question"),
        maxResponseBytes: 1000,
      });
      const reply = (body: string, date: number) => ({
        type: "success",
        statusCode: 203,
        headers: [["date", String(date)]],
        body: new TextEncoder().encode(body),
      });
      const mock = (response: object, additionalResponses: object[] = []) =>
        pic.mockPendingHttpsOutcall({ requestId, subnetId, response, additionalResponses });
      await assert.rejects(mock(reply("few", 0), [reply("few", 1)]), /InvalidMockCanisterHttpResponses\(\(2, 13\)\)/);
      // Each node saw another date; the transform function drops it.
      await mock(
        reply("answer", 0),
        Array.from({ length: 12 }, (_, i) => reply("answer", i)),
      );
      assert.deepEqual(await pic.getPendingHttpsOutcalls(), []);
      assert.equal(await answer(), "203 answer");
      await assert.rejects(mock(reply("late", 0)), /InvalidCanisterHttpRequestId/);
    }));

  test("takes a snapshot and goes back to it", () =>
    within(undefined, async (pic) => {
      const { actor, canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm });
      await actor.inc();
      const record = Candid.Record({
        canister_id: Candid.Principal,
        replace_snapshot: Candid.Opt(Candid.Vec(Candid.Nat8)),
      });
      const taken = await pic.updateCall({
        canisterId: Principal.managementCanister(),
        method: "take_canister_snapshot",
        arg: new Uint8Array(Candid.encode([record], [{ canister_id: canisterId, replace_snapshot: [] }])),
      });
      const Snapshot = Candid.Record({ id: Candid.Vec(Candid.Nat8) });
      const [{ id }] = Candid.decode([Snapshot], Uint8Array.from(taken)) as unknown as [{ id: Uint8Array }];
      await actor.inc();
      const load = Candid.Record({ canister_id: Candid.Principal, snapshot_id: Candid.Vec(Candid.Nat8) });
      await pic.updateCall({
        canisterId: Principal.managementCanister(),
        method: "load_canister_snapshot",
        arg: new Uint8Array(Candid.encode([load], [{ canister_id: canisterId, snapshot_id: id }])),
      });
      assert.equal(await actor.get(), 1n);
    }));

  test("goes live: an agent, a page, and the real web", () =>
    within({ nns: NEW, application: [NEW] }, async (pic) => {
      const { canisterId } = await pic.setupCanister({ idlFactory: fetcher, wasm });
      const port = await pic.makeLive();
      const web = createServer((_, response) => response.end("from the web")).listen(0, "127.0.0.1");
      try {
        const agent = await agents.HttpAgent.create({ host: `http://127.0.0.1:${port}`, shouldFetchRootKey: true });
        const actor = agents.Actor.createActor(fetcher, { agent, canisterId });
        assert.equal(await actor.inc(), 1n);
        assert.equal(await actor.get(), 1n);
        const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`;
        assert.equal(await actor.fetch(url), "200 from the web");
        const page = await fetch(`http://127.0.0.1:${port}/some/page?canisterId=${canisterId.toText()}`);
        assert.match(await page.text(), /^page at \/some\/page/);
      } finally {
        web.close();
      }
      await pic.stopLive();
      await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
    }));
});
