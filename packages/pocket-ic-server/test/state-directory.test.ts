// Instances that keep their state in a folder: they come back with time, topology and canisters, however the server
// ended; a folder belongs to one instance at a time. And snapshots of canisters in folders.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import {
  ANONYMOUS,
  base64,
  candid,
  EMPTY,
  type Fields,
  fromBase64,
  postJson,
  principalBase64,
  RustClient,
  rustInstance,
} from "./rest-client.ts";
import { endAll, type Server, startServer, temporaryFolder } from "./server-process.ts";

let server: Server;
let counter: Uint8Array;
before(async () => {
  counter = (await canister("counter")).wasm;
  server = await startServer();
});
after(endAll);

const nat = (bytes: Uint8Array): bigint => IDL.decode([IDL.Nat], bytes)[0] as unknown as bigint;
const kept = (state_dir: string, set?: Fields) => rustInstance(set ?? {}, { state_dir });

describe("a state folder", () => {
  test("brings an instance back after it was deleted", async () => {
    const folder = temporaryFolder();
    const first = await RustClient.create(server.url, kept(folder, { nns: {}, application: [{}] }));
    const id = await first.createCanister();
    await first.install(id, counter);
    await first.update(id, "inc", EMPTY);
    await first.post("update/set_time", { nanos_since_epoch: 1_900_000_000_000_000_000n });
    await first.createCanister(undefined, Principal.fromText("rdmx6-jaaaa-aaaaa-aaadq-cai"));
    const topology = await first.get("read/topology");
    const before = (await first.get("read/get_time")) as { nanos_since_epoch: bigint };
    assert.equal((await first.drop()).status, 200);

    // Which subnets there are is in the folder.
    const second = await RustClient.create(server.url, kept(folder));
    // A round at the end of the one and at the beginning of the other.
    assert.deepEqual(await second.get("read/get_time"), { nanos_since_epoch: before.nanos_since_epoch + 2n });
    assert.deepEqual(await second.get("read/topology"), topology);
    assert.deepEqual(second.subnets("II").length, 1);
    assert.equal(nat(await second.query(id, "get", EMPTY)), 1n);
    assert.equal(nat(await second.update(id, "inc", EMPTY)), 2n);
    const { nanos_since_epoch } = (await second.get("read/get_time")) as { nanos_since_epoch: bigint };
    assert.ok(nanos_since_epoch >= 1_900_000_000_000_000_000n && nanos_since_epoch < 1_900_000_000_000_001_000n);
    const another = await postJson(`${server.url}/instances`, kept(folder));
    assert.equal(another.status, 400);
    assert.match(String(((another.json as Fields).Error as Fields).message), /in use/);
    await second.drop();
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`brings it back in another server after ${signal}`, async () => {
      const folder = temporaryFolder();
      const one = await startServer();
      const first = await RustClient.create(one.url, kept(folder, { application: [{}, {}] }));
      const ids = [];
      for (const subnet of first.subnets("Application")) {
        const id = await first.createCanister(subnet);
        await first.install(id, counter);
        await first.update(id, "add", candid([IDL.Nat], 7n));
        ids.push(id);
      }
      await one.kill(signal);
      const second = await RustClient.create(server.url, kept(folder));
      assert.deepEqual(second.topology, first.topology);
      for (const id of ids) assert.equal(nat(await second.update(id, "inc", EMPTY)), 8n);
      await second.drop();
    });
  }

  test("with somebody else's files is left alone", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "topology.json"), "{}");
    const { status, json } = await postJson(`${server.url}/instances`, kept(folder, { application: [{}] }));
    assert.equal(status, 400);
    assert.match(String(((json as Fields).Error as Fields).message), /is not a state folder of Atoll/);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name === "topology.json"),
      ["topology.json"],
    );
  });
});

describe("a snapshot in a folder", () => {
  const sender = { principal_id: ANONYMOUS };
  const Taken = IDL.Record({ id: IDL.Vec(IDL.Nat8) });
  const CanisterRecord = IDL.Record({ canister_id: IDL.Principal });
  const LoadRecord = IDL.Record({ canister_id: IDL.Principal, snapshot_id: IDL.Vec(IDL.Nat8) });

  test("goes out, and comes in as another canister", async () => {
    const pic = await RustClient.create(server.url);
    const id = await pic.createCanister();
    await pic.install(id, counter);
    await pic.update(id, "add", candid([IDL.Nat], 41n));
    const reply = await pic.manage(id, "take_canister_snapshot", CanisterRecord, { canister_id: id });
    const [taken] = IDL.decode([Taken], reply) as unknown as [{ id: Uint8Array }];
    const snapshot_dir = join(temporaryFolder(), "snapshot");
    const canister_id = { canister_id: principalBase64(id) };
    const download = { sender, canister_id, snapshot_id: base64(Uint8Array.from(taken.id)), snapshot_dir };
    assert.equal(await pic.post("update/canister_snapshot_download", download), null);
    assert.deepEqual(readdirSync(snapshot_dir).sort(), ["metadata.json", "wasm_memory.bin", "wasm_module.bin"]);
    assert.deepEqual(new Uint8Array(readFileSync(join(snapshot_dir, "wasm_module.bin"))), counter);
    const metadata = JSON.parse(readFileSync(join(snapshot_dir, "metadata.json"), "utf8"));
    assert.equal(metadata.wasm_module_size, counter.length);
    assert.deepEqual(metadata.source, { taken_from_canister: null });
    assert.ok(["inactive", null].includes(metadata.global_timer));
    await assert.rejects(pic.post("update/canister_snapshot_download", download), /InvalidCanisterSnapshotDirectory/);

    const other = await pic.createCanister();
    const target = { canister_id: principalBase64(other) };
    const upload = { sender, canister_id: target, replace_snapshot: null, snapshot_dir };
    const { snapshot_id } = (await pic.post("update/canister_snapshot_upload", upload)) as { snapshot_id: string };
    const load = { canister_id: other, snapshot_id: fromBase64(snapshot_id) };
    await pic.manage(other, "load_canister_snapshot", LoadRecord, load);
    assert.equal(nat(await pic.update(other, "inc", EMPTY)), 42n);
    const again = { ...upload, replace_snapshot: { snapshot_id } };
    assert.notEqual(((await pic.post("update/canister_snapshot_upload", again)) as Fields).snapshot_id, snapshot_id);
  });

  test("of nothing, into nowhere, by nobody is refused", async () => {
    const pic = await RustClient.create(server.url);
    const id = await pic.createCanister();
    const canister_id = { canister_id: principalBase64(id) };
    const base = { sender, canister_id, snapshot_dir: join(temporaryFolder(), "new") };
    const missing = { ...base, snapshot_id: base64(new Uint8Array(18)) };
    await assert.rejects(pic.post("update/canister_snapshot_download", missing), /CanisterSnapshotError/);
    const nowhere = { ...missing, snapshot_dir: "/dev/null/x" };
    await assert.rejects(pic.post("update/canister_snapshot_download", nowhere), /400 .*(Directory|Snapshot)/);
    await assert.rejects(pic.post("update/canister_snapshot_upload", base), /metadata/);
    const folder = temporaryFolder();
    for (const text of ["", "{}", "[", '{"wasm_module_size":-1}']) {
      writeFileSync(join(folder, "metadata.json"), text);
      await assert.rejects(
        pic.post("update/canister_snapshot_upload", { ...base, snapshot_dir: folder }),
        /metadata\.json cannot be read/,
      );
    }
  });
});
