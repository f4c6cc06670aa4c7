// Live mode over real sockets: gateways in front of an instance and of a replica's URL, their domains, TLS, what they show
// of the instance; and how they end.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { request as plainRequest } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from "../../host-node/test/loopback-certificate.ts";
import type { Json } from "../src/json.ts";
import { type Fields, postJson, RustClient, rustInstance, send } from "./rest-client.ts";
import { endAll, type Server, startServer, temporaryFolder } from "./server-process.ts";

let server: Server;
let pic: RustClient;
let web: Principal;
before(async () => {
  server = await startServer();
  pic = await RustClient.create(server.url, rustInstance({ nns: {}, application: [{}] }));
  web = await pic.createCanister();
  await pic.install(web, (await canister("http")).wasm);
});
after(endAll);

async function open(more: Fields = {}): Promise<{ id: number; port: number }> {
  const forward_to = { PocketIcInstance: Number(pic.created.instance_id) };
  const none = {
    ip_addr: null,
    port: null,
    domains: null,
    https_config: null,
    domain_custom_provider_local_file: null,
  };
  const { status, json } = await postJson(`${server.url}/http_gateway`, { forward_to, ...none, ...more });
  assert.equal(status, 201, JSON.stringify(json));
  const { instance_id, port } = (json as { Created: { instance_id: number; port: number } }).Created;
  return { id: instance_id, port };
}

const stop = (id: number) => send(`${server.url}/http_gateway/${id}/stop`, { method: "POST" });

/** A page at a host that need not be in any name server. */
function get(
  port: number,
  host: string,
  path: string,
  ca?: string,
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, headers: { host: `${host}:${port}` }, agent: false as const };
    const call = ca === undefined ? plainRequest(options) : request({ ...options, ca, servername: "localhost" });
    call.on("error", reject).on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    call.end();
  });
}

describe("a gateway", () => {
  test("serves pages of canisters, the HTTP interface and what the instance is", async () => {
    const { id, port } = await open();
    assert.deepEqual(await get(port, `${web.toText()}.localhost`, "/url?a=b"), { status: 200, body: "/url?a=b" });
    assert.equal((await get(port, "localhost", `/?canisterId=${web.toText()}`)).body, "hello from a canister\n");
    const { json } = await send(`http://127.0.0.1:${port}/_/topology`);
    assert.deepEqual(json, await pic.get("read/topology"));
    assert.match((await send(`http://127.0.0.1:${port}/_/dashboard`)).text, new RegExp(web.toText()));
    await pic.post("auto_progress", { artificial_delay_ms: null });
    const agent = await HttpAgent.create({ host: `http://127.0.0.1:${port}`, shouldFetchRootKey: true });
    const actor = Actor.createActor<{ http_request_update(request: object): Promise<{ status_code: number }> }>(
      () => IDL.Service({ http_request_update: IDL.Func([Request], [IDL.Record({ status_code: IDL.Nat16 })], []) }),
      { agent, canisterId: web },
    );
    const asked = { method: "POST", url: "/", headers: [], body: new Uint8Array(), certificate_version: [] };
    assert.equal((await actor.http_request_update(asked)).status_code, 201);
    await pic.post("stop_progress", null);
    await stop(id);
  });

  test("has the domains that it is given, and no others", async () => {
    const { id, port } = await open({ domains: ["example.test", "other.test"] });
    assert.equal((await get(port, `${web.toText()}.other.test`, "/")).body, "hello from a canister\n");
    assert.notEqual((await get(port, `${web.toText()}.localhost`, "/")).body, "hello from a canister\n");
    await stop(id);
  });

  test("knows the hosts of a file that tools write while it runs", async () => {
    const file = join(temporaryFolder(), "custom-domains.txt");
    const { id, port } = await open({ domain_custom_provider_local_file: file });
    assert.notEqual((await get(port, "web.local.localhost", "/")).body, "hello from a canister\n");
    writeFileSync(file, `nonsense\n\nWeb.local.localhost:${web.toText()}\nother.test:aaaaa-aa\n`);
    await pause(1_100);
    assert.equal((await get(port, "web.local.localhost", "/")).body, "hello from a canister\n");
    assert.notEqual((await get(port, "other.test", "/")).body, "hello from a canister\n");
    rmSync(file);
    await pause(1_100);
    assert.notEqual((await get(port, "web.local.localhost", "/")).body, "hello from a canister\n");
    await stop(id);
  });

  test("speaks TLS with the certificate that it is given", async () => {
    const folder = temporaryFolder();
    const [cert_path, key_path] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(cert_path, LOOPBACK_CERTIFICATE);
    writeFileSync(key_path, LOOPBACK_KEY);
    const https_config = { cert_path, key_path };
    const { id, port } = await open({ https_config });
    assert.equal(
      (await get(port, `${web.toText()}.localhost`, "/", LOOPBACK_CERTIFICATE)).body,
      "hello from a canister\n",
    );
    const listed = (await send(`${server.url}/http_gateway`)).json as unknown as Fields[];
    assert.deepEqual(
      listed.find(({ instance_id }) => instance_id === id),
      {
        instance_id: id,
        port,
        forward_to: { PocketIcInstance: Number(pic.created.instance_id) },
        domains: null,
        https_config,
      },
    );
    await stop(id);
    for (const wrong of [
      { cert_path: "/nowhere", key_path },
      { cert_path: key_path, key_path: cert_path },
    ]) {
      const body = { forward_to: { PocketIcInstance: 0 }, https_config: wrong } as Json;
      const { status, json } = await postJson(`${server.url}/http_gateway`, body);
      assert.equal(status, 400);
      assert.ok(String(((json as Fields).Error as Fields).message).length > 10);
    }
  });

  test("forwards to a replica at a URL", async () => {
    const first = await open();
    const second = await open({ forward_to: { Replica: `http://127.0.0.1:${first.port}/` } });
    assert.equal((await get(second.port, `${web.toText()}.localhost`, "/")).body, "hello from a canister\n");
    await stop(first.id);
    assert.equal((await send(`http://127.0.0.1:${second.port}/api/v2/status`)).status, 502);
    await stop(second.id);
    for (const Replica of ["nothing", "file:///etc/passwd", ""]) {
      const { status } = await postJson(`${server.url}/http_gateway`, { forward_to: { Replica } });
      assert.equal(status, 400);
    }
  });

  test("comes with an instance, and goes with it", async () => {
    const http_gateway_config = {
      ip_addr: null,
      port: null,
      domains: null,
      https_config: null,
      domain_custom_provider_local_file: null,
    };
    const own = await RustClient.create(server.url, rustInstance(undefined, { http_gateway_config }));
    const { port, instance_id } = own.created.http_gateway_info as unknown as { port: number; instance_id: number };
    assert.equal((await send(`http://127.0.0.1:${port}/api/v2/status`)).status, 200);
    await own.drop();
    await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v2/status`));
    const listed = (await send(`${server.url}/http_gateway`)).json as unknown as Fields[];
    assert.ok(listed.every((each) => each.instance_id !== instance_id));
    assert.deepEqual((await stop(instance_id)).json, null);
  });

  test("at a port that is taken is refused, and so is the instance that it came with", async () => {
    const { port } = new URL(server.url);
    const taken = { port: Number(port), ip_addr: null, domains: null, https_config: null };
    const before = (await send(`${server.url}/instances`)).json as string[];
    const { status, json } = await postJson(
      `${server.url}/instances`,
      rustInstance(undefined, { http_gateway_config: taken }),
    );
    assert.equal(status, 400);
    assert.match(String(((json as Fields).Error as Fields).message), /already in use/);
    const states = (await send(`${server.url}/instances`)).json as string[];
    assert.deepEqual(states, before);
    const https_config = { cert_path: "", key_path: "" };
    const unsafe = await postJson(
      `${server.url}/instances`,
      rustInstance(undefined, { http_gateway_config: { ...taken, port: null, https_config } }),
    );
    assert.match(String(((unsafe.json as Fields).Error as Fields).message), /^TLS config could not be created/);
    const after = (await send(`${server.url}/instances`)).json as string[];
    assert.deepEqual(after.slice(before.length), ["Deleted"]);
  });

  test("answers 404 for a page of a canister that no subnet hosts", async () => {
    const { id, port } = await open();
    const unhosted = Principal.fromUint8Array(Uint8Array.of(0, 0, 0, 255, 255, 255, 255, 255, 1, 1));
    assert.equal((await get(port, `${unhosted.toText()}.localhost`, "/index.html")).status, 404);
    await stop(id);
  });
});

const Header = IDL.Tuple(IDL.Text, IDL.Text);
const Request = IDL.Record({
  method: IDL.Text,
  url: IDL.Text,
  headers: IDL.Vec(Header),
  body: IDL.Vec(IDL.Nat8),
  certificate_version: IDL.Opt(IDL.Nat16),
});
