// The routes beside the instances' own, and what all answers have in common: health, the description of the interface,
// signatures of canisters, operations that outlive their client's patience, other origins, what canisters print.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { compileMotoko } from "../../../tools/motoko/compile.ts";
import { canister } from "../../execution/test/canisters/build.ts";
import { CanisterIdentity } from "../../replica/test/canister-signature.ts";
import { INSTANCE_ROUTES } from "../src/instance-routes.ts";
import {
  base64,
  candid,
  type Fields,
  postJson,
  principalBase64,
  RustClient,
  rustInstance,
  send,
} from "./rest-client.ts";
import { endAll, type Server, startServer } from "./server-process.ts";

let server: Server;
before(async () => {
  server = await startServer();
});
after(endAll);

test("health and the description of the interface", async () => {
  const { status, text } = await send(`${server.url}/status`);
  assert.deepEqual([status, text], [200, ""]);
  const { json } = await send(`${server.url}/api.json`);
  const { openapi, paths } = json as { openapi: string; paths: Fields };
  assert.equal(openapi, "3.1.0");
  for (const path of INSTANCE_ROUTES.keys()) assert.ok(`/instances/{id}/${path}` in paths, path);
});

test("a signature of a canister is verified from the root key", async () => {
  const pic = await RustClient.create(server.url, rustInstance({ nns: {}, application: [{}] }));
  const id = await pic.createCanister();
  await pic.install(id, (await canister("certified")).wasm);
  await pic.post("auto_progress", { artificial_delay_ms: null });
  const { Created } = (await postJson(`${server.url}/http_gateway`, {
    forward_to: { PocketIcInstance: Number(pic.created.instance_id) },
  }).then(({ json }) => json)) as { Created: { port: number } };
  const host = `http://127.0.0.1:${Created.port}`;
  const identity = new CanisterIdentity(
    await HttpAgent.create({ host, shouldFetchRootKey: true }),
    id,
    Uint8Array.of(1),
  );
  const msg = new TextEncoder().encode("a message");
  const sig = new Uint8Array(await identity.sign(msg));
  const pubkey = new Uint8Array(identity.getPublicKey().toDer());
  const subnet_id = principalBase64(Principal.fromText(pic.subnets("NNS")[0] as string));
  const root = Uint8Array.from((await pic.post("read/pub_key", { subnet_id })) as number[]);
  const verify = async (over: Fields = {}) => {
    const body = { msg: base64(msg), sig: base64(sig), pubkey: base64(pubkey), root_pubkey: base64(root), ...over };
    const { status, json } = await postJson(`${server.url}/verify_signature`, body);
    return [status, Object.keys(json as Fields)[0], JSON.stringify(json)] as const;
  };
  assert.deepEqual(await verify(), [200, "Ok", '{"Ok":null}']);
  assert.deepEqual((await verify({ msg: base64(Uint8Array.of(1)) })).slice(0, 2), [406, "Err"]);
  assert.deepEqual((await verify({ sig: base64(sig.slice(0, -1)) })).slice(0, 2), [406, "Err"]);
  assert.match((await verify({ pubkey: base64(root) }))[2], /public key/);
  assert.match((await verify({ root_pubkey: base64(pubkey) }))[2], /root public key/);
  await pic.drop();
});

describe("an operation that takes longer than its client waits", () => {
  const unknown = { effective_principal: "None", message_id: base64(new Uint8Array(32)) };
  const hasty = { "processing-timeout-ms": "1" };

  test("is asked for until it is done, and then forgotten; others are told to come again", async () => {
    const pic = await RustClient.create(server.url);
    const started = await postJson(`${pic.url}/update/await_ingress_message`, unknown, {
      "processing-timeout-ms": "0",
    });
    assert.equal(started.status, 202);
    const { state_label, op_id } = started.json as { state_label: string; op_id: string };
    assert.deepEqual(Object.keys(started.json as Fields), ["state_label", "op_id"]);
    assert.equal(Buffer.from(state_label, "base64url").length, 16);
    const busy = await postJson(`${pic.url}/update/set_time`, { nanos_since_epoch: 1 }, hasty);
    if (busy.status === 409) assert.deepEqual(busy.json, { state_label, op_id });
    const place = `${state_label}/${op_id}`;
    let polled = await send(`${server.url}/read_graph/${place}`);
    for (; polled.status === 404; polled = await send(`${server.url}/read_graph/${place}`)) {
      assert.match(String((polled.json as Fields).message), /not found/);
      await pause(5);
    }
    assert.equal(polled.status, 400);
    assert.match(String((polled.json as Fields).message), /after 100 rounds/);
    const prune = () => send(`${server.url}/prune_graph/${place}`, { method: "DELETE" });
    assert.deepEqual([(await prune()).status, (await prune()).status], [200, 404]);
    await pic.drop();
  });
});

test("answers below /instances may be read by pages of any origin", async () => {
  const pic = await RustClient.create(server.url);
  const { headers } = await send(`${pic.url}/read/get_time`, { headers: { origin: "https://example.org" } });
  assert.equal(headers.get("access-control-allow-origin"), "*");
  const asked = await send(`${pic.url}/update/tick`, { method: "OPTIONS" });
  assert.equal(asked.status, 200);
  assert.match(asked.headers.get("access-control-allow-headers") ?? "", /content-type/);
  const dashboard = await send(`${pic.url}/_/dashboard`);
  assert.match(dashboard.headers.get("content-type") ?? "", /^text\/html/);
  assert.match(dashboard.text, /Application subnet/);
  assert.equal((await send(`${pic.url}/read/get_time/`)).status, 200);
});

test("what a canister prints is on standard error; an outcall waits for its mock", async () => {
  const source = fileURLToPath(new URL("canisters/fetcher.mo", import.meta.url));
  const { wasm } = await compileMotoko({ source, width: 64 });
  const pic = await RustClient.create(server.url);
  const id = await pic.createCanister();
  await pic.install(id, wasm);
  const url = "https://example.com/a?b=\u001b";
  const call = pic.call(id, "fetch", candid([IDL.Text], "https://example.com/"));
  const { Ok } = (await pic.post("update/submit_ingress_message", call)) as { Ok: Fields };
  await pic.post("update/tick", { blockmakers: null });
  await pic.post("update/tick", { blockmakers: null });
  const [outcall] = (await pic.get("read/get_canister_http")) as unknown as [Fields];
  const { subnet_id, request_id, ...asked } = outcall;
  assert.deepEqual(asked, {
    http_method: "POST",
    url: "https://example.com/",
    headers: [{ name: "x-asked-by", value: "a canister" }],
    body: base64(new TextEncoder().encode("question")),
    max_response_bytes: 1000,
  });
  const mock = (response: Fields, request: unknown = request_id) =>
    postJson(`${pic.url}/update/mock_canister_http`, {
      subnet_id: subnet_id as Fields,
      request_id: request as number,
      response,
      additional_responses: [],
    });
  const refusals: [Promise<{ json: unknown }>, RegExp][] = [
    [mock({ CanisterHttpReject: { reject_code: 9, message: "" } }), /InvalidRejectCode\(9\)/],
    [mock({ CanisterHttpReject: { reject_code: 2, message: "" } }, 77), /InvalidCanisterHttpRequestId/],
    [mock({ CanisterHttpReply: { status: 70_000, headers: [], body: "" } }), /status: expected/],
  ];
  for (const [answer, message] of refusals) assert.match(String(((await answer).json as Fields).message), message);
  assert.equal((await mock({ CanisterHttpReject: { reject_code: 2, message: "no web today" } })).json, null);
  const result = (await pic.post("update/await_ingress_message", Ok)) as { Err: Fields };
  assert.match(String(result.Err.reject_message), /no web today/);
  assert.match(
    server.output.stderr,
    new RegExp(
      `^2021-05-06 19:17:10\\.\\d{9} UTC: \\[Canister ${id.toText()}\\] fetching https://example\\.com/$`,
      "m",
    ),
  );
  await pic.query(id, "say", candid([IDL.Text], "in a query"));
  assert.match(server.output.stderr, new RegExp(`\\[Canister ${id.toText()}\\] in a query$`, "m"));
  await pic.post("update/submit_ingress_message", pic.call(id, "fetch", candid([IDL.Text], url)));
  await pic.post("update/tick", {});
  assert.ok(!server.output.stderr.includes("\u001b"));
});
