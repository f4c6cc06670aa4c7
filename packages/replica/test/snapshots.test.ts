// Snapshots over the HTTP interface by the official agent, with Motoko canisters behind: taken, loaded, downloaded,
// uploaded onto another canister, and all there again after a restart from the checkpoint or from the log.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Actor, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { snapshotMethods } from "../../execution/test/management/snapshot-interface.ts";
import { createCanister, deploy, query, startNetwork, type TestNetwork, update } from "./network.ts";

const NAT = [IDL.Nat];
const owner = Ed25519KeyIdentity.generate();
let network: TestNetwork;
let agent: HttpAgent;

async function start(previous?: TestNetwork): Promise<void> {
  network = await startNetwork(previous && { storage: previous.storage, secrets: previous.secrets });
  agent = await network.agent(owner);
}
before(() => start());
after(() => network.stop());

const service = IDL.Service(
  Object.fromEntries(
    Object.entries(snapshotMethods).map(([name, { arg, result }]) => [
      name,
      IDL.Func(arg as never, result as never, []),
    ]),
  ),
);

// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
type Result = Promise<any>;

function call(method: keyof typeof snapshotMethods, id: Principal, arg: object, by = agent): Result {
  const actor = Actor.createActor(() => service, {
    agent: by,
    canisterId: Principal.managementCanister(),
    callTransform: () => ({ effectiveCanisterId: id }),
  });
  return (actor[method] as (arg: object) => Result)({ canister_id: id, ...arg });
}

const take = async (id: Principal): Promise<Uint8Array> =>
  (await call("take_canister_snapshot", id, { replace_snapshot: [], uninstall_code: [], sender_canister_version: [] }))
    .id;
const load = (id: Principal, snapshot: Uint8Array): Result =>
  call("load_canister_snapshot", id, { snapshot_id: snapshot, sender_canister_version: [] });
const count = (id: Principal) => query<bigint>(agent, id, "get", undefined, NAT);
const add = (id: Principal, amount: number) => update(agent, id, "add", [NAT, [amount]], NAT);

for (const width of [32, 64] as const) {
  describe(`a counter of ${width} bits`, () => {
    test("goes back to its snapshot, for updates and for queries", async () => {
      const id = await deploy(agent, (await canister("counter", { width })).wasm);
      await add(id, 7);
      const snapshot = await take(id);
      await add(id, 5);
      assert.equal(await count(id), 12n);
      await load(id, snapshot);
      assert.equal(await count(id), 7n);
      assert.equal(await update(agent, id, "inc", undefined, NAT), 8n);
      assert.equal((await call("list_canister_snapshots", id, {})).length, 1);
      await call("delete_canister_snapshot", id, { snapshot_id: snapshot });
      assert.deepEqual(await call("list_canister_snapshots", id, {}), []);
      await assert.rejects(load(id, snapshot), /Could not find the snapshot ID/);
    });

    test("moves to another canister by download and upload", async () => {
      const id = await deploy(agent, (await canister("counter", { width })).wasm);
      await add(id, 9);
      const snapshot_id = await take(id);
      const told = await call("read_canister_snapshot_metadata", id, { snapshot_id });
      const target = await createCanister(agent);
      const { snapshot_id: made } = await call("upload_canister_snapshot_metadata", target, {
        ...told,
        replace_snapshot: [],
      });
      for (const [name, size] of [
        ["wasm_module", told.wasm_module_size],
        ["wasm_memory", told.wasm_memory_size],
        ["stable_memory", told.stable_memory_size],
      ] as const) {
        for (let offset = 0n; offset < size; offset += 1_900_000n) {
          const length = size - offset < 1_900_000n ? size - offset : 1_900_000n;
          const kind = { [name]: { offset, size: length } };
          const { chunk } = await call("read_canister_snapshot_data", id, { snapshot_id, kind });
          await call("upload_canister_snapshot_data", target, {
            snapshot_id: made,
            kind: { [name]: { offset } },
            chunk,
          });
        }
      }
      await load(target, made);
      assert.equal(await count(target), 9n);
      assert.equal(await add(target, 1), 10n);
    });
  });
}

test("strangers are refused before a block", async () => {
  const id = await deploy(agent, (await canister("counter", { width: 64 })).wasm);
  const stranger = await network.agent(Ed25519KeyIdentity.generate());
  await assert.rejects(
    call(
      "take_canister_snapshot",
      id,
      { replace_snapshot: [], uninstall_code: [], sender_canister_version: [] },
      stranger,
    ),
    /Only controllers of canister .* can call ic00 method take_canister_snapshot/,
  );
  await assert.rejects(
    call("list_canister_snapshots", id, {}, stranger),
    /is not allowed to call list_canister_snapshots/,
  );
});

for (const [from, isSaved] of [
  ["the log", false],
  ["the checkpoint", true],
] as const) {
  test(`snapshots are there after a restart from ${from}`, async () => {
    const id = await deploy(agent, (await canister("counter", { width: 64 })).wasm);
    await add(id, 3);
    const first = await take(id);
    await add(id, 4);
    const second = await take(id);
    await add(id, 5);
    const listed = await call("list_canister_snapshots", id, {});
    if (isSaved) network.executor.durable.checkpoint();
    const previous = network;
    await previous.stop();
    await start(previous);
    assert.deepEqual(await call("list_canister_snapshots", id, {}), listed);
    assert.equal(await count(id), 12n);
    await load(id, first);
    assert.equal(await count(id), 3n);
    await load(id, second);
    assert.equal(await add(id, 1), 8n);
    await load(id, first);
    assert.equal(await count(id), 3n);
  });
}
