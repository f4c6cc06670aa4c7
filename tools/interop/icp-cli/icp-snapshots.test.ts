// Snapshots by the official command line: taken, listed, restored, carried through files to another canister, replaced
// and deleted. What is carried is the whole state: heap and globals in one canister, megabytes of stable memory, code.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endAll, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";
import { agentOf } from "../../../apps/cli/test/recorder.ts";
import { canister } from "../../../packages/execution/test/canisters/build.ts";
import { createCanister, deploy } from "../../../packages/replica/test/network.ts";
import { ALICE, BOB, Icp, unsupported } from "./icp.ts";

/** Several chunks of a download, most of them empty. */
const FAR = 9_000_000;

describe("icp canister snapshot", { skip: unsupported }, () => {
  const folder = temporaryFolder();
  let icp: Icp;
  let id: string;
  let other: string;
  let taken: string;

  before(async () => {
    const network = await startNetwork({ stateDir: temporaryFolder() });
    icp = new Icp(folder, network.gatewayUrl);
    await icp.addIdentity("alice", ALICE);
    await icp.addIdentity("bob", BOB);
    const agent = agentOf(network);
    id = (await deploy(agent, (await canister("rust-counter")).wasm)).toText();
    other = (await createCanister(agent)).toText();
    await write("far away");
    await call(id, "inc");
    await call(id, "inc");
  });
  after(endAll);

  const call = async (on: string, method: string, args = "()") =>
    (await icp.on("call", "alice", [on, method, args])).trim();
  const write = (text: string) => call(id, "stable_write", `(${FAR} : nat64, blob "${text}")`);
  const written = (on: string) => call(on, "stable_read", `(${FAR} : nat64, 8 : nat32)`);
  const listed = async (on: string) => {
    const { snapshots } = JSON.parse(await icp.on("snapshot list", "alice", [on, "--json"]));
    return (snapshots as { snapshot_id: string }[]).map((snapshot) => snapshot.snapshot_id);
  };

  async function stopped<T>(on: string, act: () => Promise<T>): Promise<T> {
    await icp.on("stop", "alice", [on]);
    const result = await act();
    await icp.on("start", "alice", [on]);
    return result;
  }

  test("create and list", async () => {
    taken = (await stopped(id, () => icp.on("snapshot create", "alice", [id, "--quiet"]))).trim();
    assert.match(taken, /^[0-9a-f]+$/);
    assert.deepEqual(await listed(id), [taken]);
    assert.match(await icp.on("snapshot list", "alice", [id]), new RegExp(taken));
    const { code, stderr } = await icp.canister("snapshot list", "bob", [id]);
    assert.equal(code, 1);
    assert.match(stderr, /is not allowed to call list_canister_snapshots/);
  });

  test("restore: heap and stable memory are as they were", async () => {
    await call(id, "inc");
    await write("replaced");
    assert.equal(await call(id, "get"), "(3 : nat)");
    await stopped(id, () => icp.on("snapshot restore", "alice", [id, taken]));
    assert.equal(await call(id, "get"), "(2 : nat)");
    assert.equal(await written(id), '(blob "far away")');
  });

  test("download, upload to another canister, restore there: code and state arrive", async () => {
    const files = join(folder, "snapshot");
    await icp.on("snapshot download", "alice", [id, taken, "--output", files]);
    assert.ok(readdirSync(files).length >= 3, readdirSync(files).join(" "));
    const uploaded = (await icp.on("snapshot upload", "alice", [other, "--input", files, "--quiet"])).trim();
    assert.deepEqual(await listed(other), [uploaded]);
    await stopped(other, () => icp.on("snapshot restore", "alice", [other, uploaded]));
    assert.equal(await call(other, "get"), "(2 : nat)");
    assert.equal(await written(other), '(blob "far away")');
    assert.equal(await call(other, "own_id"), `(principal "${other}")`);
    assert.equal(await call(other, "inc"), "(3 : nat)");
    assert.equal(await call(id, "get"), "(2 : nat)", "the first canister goes its own way");
  });

  test("create in the place of another, and delete", async () => {
    const next = await stopped(id, () => icp.on("snapshot create", "alice", [id, "--replace", taken, "--quiet"]));
    assert.deepEqual(await listed(id), [next.trim()]);
    assert.notEqual(next.trim(), taken);
    await icp.on("snapshot delete", "alice", [id, next.trim()]);
    assert.deepEqual(await listed(id), []);
    const { code, stderr } = await icp.canister("snapshot delete", "alice", [id, taken]);
    assert.equal(code, 1);
    assert.match(stderr, /IC0305/);
  });
});
