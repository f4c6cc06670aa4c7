// Instances leave recordings: when they are deleted and when the server ends, by the flag and by the environment; what
// they did, calls between subnets and interventions included, is executed again by `atoll replay`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as u from "../../execution/test/canisters/universal.ts";
import { principalBase64, RustClient, rustInstance } from "./rest-client.ts";
import { endAll, start, startServer, temporaryFolder } from "./server-process.ts";

const atoll = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));
after(endAll);

async function replay(path: string): Promise<{ equal: boolean; subnets: number; batches: number; files?: object[] }> {
  return JSON.parse((await promisify(execFile)(atoll, ["replay", "--json", path])).stdout);
}

/** A canister on each of two subnets, one of which calls the other. */
async function useInstance(url: string): Promise<RustClient> {
  const instance = await RustClient.create(url, rustInstance({ application: [{}, {}] }));
  const [one, two] = instance.subnets("Application");
  const wasm = u.universalModule({});
  const [near, far] = [await instance.createCanister(one), await instance.createCanister(two)];
  for (const id of [near, far]) await instance.install(id, wasm, new Uint8Array());
  await instance.post("update/add_cycles", { canister_id: principalBase64(far), amount: 10n ** 12n });
  const callee = u.bytes(far.toUint8Array());
  const program = u.call({
    callee,
    method: "update",
    arg: u.bytes(u.reply(u.bytes("far"))),
    onReply: u.reply(u.argData()),
  });
  assert.equal(new TextDecoder().decode(await instance.update(near, "update", program)), "far");
  return instance;
}

test("a deleted instance and one that is there when the server ends, beside older files", async () => {
  const folder = join(temporaryFolder(), "recordings");
  for (const names of [
    ["instance-0", "instance-1"],
    ["instance-0-2", "instance-0", "instance-1"],
  ]) {
    const server = await startServer({ args: ["--record", folder] });
    const deleted = await useInstance(server.url);
    if (names.length === 2) {
      const live = await RustClient.create(server.url, rustInstance({ system: [{}] }));
      await live.post("auto_progress", { artificial_delay_ms: null });
    }
    assert.equal((await deleted.drop()).status, 200);
    assert.ok(readdirSync(folder).length >= names.length - 1);
    assert.equal((await server.kill("SIGTERM")).code, 0);
    assert.deepEqual(
      readdirSync(folder),
      names.map((name) => `${name}.recording`),
    );
  }
  const { equal, subnets, batches, files } = await replay(folder);
  assert.deepEqual([equal, subnets, files?.length], [true, 5, 3]);
  assert.ok(batches > 20, `${batches} batches`);
});

test("by the environment; an instance that goes on from its folder is not recorded, and that is said", async () => {
  const [folder, state_dir] = [temporaryFolder(), temporaryFolder()];
  const server = await startServer({ env: { ATOLL_RECORDINGS: folder } });
  for (let time = 0; time < 2; time++) {
    const kept = await RustClient.create(server.url, rustInstance({ application: [{}] }, { state_dir }));
    await kept.createCanister();
    await kept.drop();
  }
  const { code, stdout } = await server.kill("SIGTERM");
  assert.equal(code, 0);
  assert.match(stdout, / WARN [^\n]*Instance 1 is not recorded: it goes on from its state folder/);
  assert.deepEqual(readdirSync(folder), ["instance-0.recording"]);
  assert.equal((await replay(join(folder, "instance-0.recording"))).equal, true);
});

test("a folder that cannot be is told before the server listens", async () => {
  const { code, stderr } = await start(["--record", join(atoll, "folder")]).exited;
  assert.equal(code, 1);
  assert.match(stderr, /^pocket-ic: No recording can be kept in [^\n]+; give another folder\.\n$/);
});
