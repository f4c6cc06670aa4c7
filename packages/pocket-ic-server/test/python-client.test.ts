// The contract as the Python client sees it: plain requests, no retries, update calls driven by ticks of its own. Its
// sequence of requests and its bodies, old fields included.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import type { Json } from "../src/json.ts";
import { ANONYMOUS, base64, candid, type Fields, fromBase64, postJson, principalBase64, send } from "./rest-client.ts";
import { endAll, type Server, startServer } from "./server-process.ts";

let server: Server;
before(async () => {
  server = await startServer();
});
after(endAll);

/** Whatever is not 200, 201 or 202 is an exception there. */
async function checked(answer: Promise<{ status: number; text: string; json: Json | undefined }>): Promise<Json> {
  const { status, text, json } = await answer;
  assert.ok([200, 201, 202].includes(status), `${status} ${text}`);
  return json as Json;
}

test("a canister, from its creation to its stable memory", async () => {
  const spec = { state_config: "New", instruction_config: "Production", dts_flag: "Enabled" };
  const none = { bitcoin: null, fiduciary: null, ii: null, sns: null };
  const lists = { application: [spec], system: [], verified_application: [] };
  const config = { subnet_config_set: { ...none, ...lists, nns: spec } };
  const old = { state_dir: "", nonmainnet_features: false, log_level: null, bitcoind_addr: null };
  const { Created } = (await checked(
    postJson(`${server.url}/instances`, { ...config, ...old, state_dir: null }),
  )) as Fields;
  const url = `${server.url}/instances/${String((Created as Fields).instance_id)}`;
  const post = (endpoint: string, body: Json) => checked(postJson(`${url}/${endpoint}`, body));

  const { subnet_configs } = (await checked(send(`${url}/read/topology`))) as {
    subnet_configs: Record<string, Fields>;
  };
  const nns = Object.keys(subnet_configs).find((id) => subnet_configs[id]?.subnet_kind === "NNS") as string;
  const rootKey = await post("read/pub_key", { subnet_id: principalBase64(Principal.fromText(nns)) });
  assert.equal((rootKey as number[]).length, 133);

  const call = async (canister_id: string, effective_principal: Json, method: string, payload: Uint8Array) => {
    const body = { sender: ANONYMOUS, effective_principal, canister_id, method, payload: base64(payload) };
    const { Ok } = (await post("update/submit_ingress_message", body)) as { Ok: Json };
    for (let round = 0; round < 100; round++) {
      await post("update/tick", {});
      const result = await post("read/ingress_status", { raw_message_id: Ok, raw_caller: null });
      if (result !== null) return fromBase64((result as Fields).Ok);
    }
    return assert.fail("not completed within 100 rounds");
  };
  const Create = IDL.Record({ settings: IDL.Opt(IDL.Record({})), specified_id: IDL.Opt(IDL.Principal) });
  const created = await call(
    "",
    "None",
    "provisional_create_canister_with_cycles",
    candid([Create], { settings: [], specified_id: [] }),
  );
  const [{ canister_id: id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], created) as unknown as [
    { canister_id: Principal },
  ];
  const canister_id = principalBase64(id);

  const balance = (await post("update/add_cycles", { canister_id, amount: 2_000_000_000_000 })) as Fields;
  assert.deepEqual(await post("read/get_cycles", { canister_id }), balance);
  const Install = IDL.Record({
    wasm_module: IDL.Vec(IDL.Nat8),
    canister_id: IDL.Principal,
    arg: IDL.Vec(IDL.Nat8),
    mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null }),
  });
  const { wasm } = await canister("counter");
  const install = candid([Install], { wasm_module: wasm, arg: candid([]), canister_id: id, mode: { install: null } });
  await call("", { CanisterId: canister_id }, "install_code", install);
  assert.deepEqual(await call(canister_id, "None", "inc", candid([])), candid([IDL.Nat], 1n));
  const query = {
    sender: ANONYMOUS,
    effective_principal: "None",
    canister_id,
    method: "get",
    payload: base64(candid([])),
  };
  assert.deepEqual(await post("read/query", query), { Ok: base64(candid([IDL.Nat], 1n)) });

  const { nanos_since_epoch } = (await checked(send(`${url}/read/get_time`))) as { nanos_since_epoch: bigint };
  assert.equal(await post("update/set_time", { nanos_since_epoch: nanos_since_epoch + 10n ** 9n }), null);
  const { text: blob } = await send(`${server.url}/blobstore`, { method: "POST", body: "stable" });
  const blob_id = Buffer.from(blob, "hex").toString("base64");
  assert.equal(await post("update/set_stable_memory", { canister_id, blob_id }), null);
  const stable = fromBase64(((await post("read/get_stable_memory", { canister_id })) as Fields).blob);
  assert.equal(new TextDecoder().decode(stable.subarray(0, 6)), "stable");
  assert.deepEqual(await checked(send(`${server.url}/instances`)), ["Available"]);
  await send(url, { method: "DELETE" });
  assert.deepEqual(await checked(send(`${server.url}/instances`)), ["Deleted"]);
});
