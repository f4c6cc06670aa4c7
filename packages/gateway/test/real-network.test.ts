// The gateway in front of a real network: real Wasm, real certificates, a real server, and plain HTTP requests as a
// browser or a command line sends them. Every way in which a canister can fail to serve a page has its own page.
// HTTP gateway specification, "The HTTP gateway protocol".
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { after, before, describe, test } from "node:test";
import { nodeClock, nodeEntropy, sha256 } from "@atoll/host-node";
import { type HttpServer, startHttpServer } from "@atoll/host-node/http-server";
import { Actor, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { wat } from "../../execution/test/canisters/wat.ts";
import { testTimer } from "../../replica/test/http/requests.ts";
import { createCanister, deploy, startNetwork, type TestNetwork, update } from "../../replica/test/network.ts";
import { createGateway } from "../src/index.ts";
import { encodeAnswer } from "./web-canister.ts";

let network: TestNetwork;
let agent: HttpAgent;
let server: HttpServer;
let web: Principal;

before(async () => {
  network = await startNetwork();
  agent = await network.agent();
  const ports = { api: network.api, clock: nodeClock, entropy: nodeEntropy, crypto: { sha256 }, timer: testTimer };
  server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    apiHandler: network.api,
    gatewayHandler: createGateway(ports),
  });
  web = await deploy(agent, (await canister("http")).wasm);
});
after(async () => {
  await server?.close();
  await network?.stop();
});

interface Page {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** A request to the host of a canister, or to any host given as text. */
async function get(
  where: Principal | string,
  path = "/",
  { method = "GET", body, headers }: Asked = {},
): Promise<Page> {
  const host = typeof where === "string" ? where : `${where.toText()}.localhost:${server.port}`;
  const all = { host, accept: "text/html", ...headers };
  const sent = request({ host: "127.0.0.1", port: server.port, method, path, headers: all }).end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += chunk;
  return { status: answer.statusCode, headers: answer.headers, body: text };
}

describe("pages of a Motoko canister", () => {
  test("a query is enough for a page", async () => {
    const page = await get(web);
    assert.equal(page.status, 200);
    assert.equal(page.headers["content-type"], "text/plain; charset=utf-8");
    assert.equal(page.body, "hello from a canister\n");
  });

  test("path and query string reach the canister as they are", async () => {
    assert.equal((await get(web, "/url?a=%2F&b=c%20d")).body, "/url?a=%2F&b=c%20d");
  });

  test("headers reach the canister", async () => {
    const { body } = await get(web, "/headers", { headers: { "x-color": "blue" } });
    assert.match(body, /\("x-color", "blue"\)/);
    assert.match(body, new RegExp(`\\("host", "${web.toText()}\\.localhost:${server.port}"\\)`));
  });

  test("redirects and unknown paths are the canister's own", async () => {
    const redirect = await get(web, "/redirect");
    assert.equal(redirect.status, 302);
    assert.equal(redirect.headers.location, "/");
    const unknown = await get(web, "/nowhere");
    assert.equal(unknown.status, 404);
    assert.equal(unknown.body, "no such path\n");
  });

  test("a request that changes something becomes an update", async () => {
    const first = await get(web, "/form?x=1", { method: "POST", body: "name=Ada" });
    assert.equal(first.status, 201);
    assert.equal(first.body, "POST /form?x=1 8 bytes, post 1");
    assert.equal((await get(web, "/form", { method: "POST", body: "x".repeat(100_000) })).body.slice(-6), "post 2");
    assert.equal((await get(web, "/posts")).body, "2");
  });

  test("a body larger than a message is refused in words", async () => {
    const page = await get(web, "/form", { method: "POST", body: "x".repeat(2_200_000) });
    assert.equal(page.status, 413);
    assert.match(page.body, /Request too large/);
    assert.equal((await get(web, "/posts")).body, "2");
  });

  test("a long body comes piece by piece", async () => {
    const page = await get(web, "/stream");
    assert.equal(page.status, 200);
    assert.equal(page.headers["transfer-encoding"], "chunked");
    assert.equal(page.body, "part 0\npart 1\npart 2\npart 3\npart 4\n");
  });

  test("HEAD has the headers of GET and no body", async () => {
    const page = await get(web, "/", { method: "HEAD" });
    assert.equal(page.status, 200);
    assert.equal(page.headers["content-length"], "22");
    assert.equal(page.headers["content-type"], "text/plain; charset=utf-8");
    assert.equal(page.body, "");
    assert.equal((await get(web, "/stream", { method: "HEAD" })).body, "");
  });

  test("many at once, queries and updates mixed", async () => {
    const asked = (i: number) => (i % 4 === 0 ? get(web, "/form", { method: "POST" }) : get(web, `/url?${i}`));
    const bodies = (await Promise.all(Array.from({ length: 40 }, (_, i) => asked(i)))).map(({ body }) => body);
    const updates = bodies.filter((_, i) => i % 4 === 0);
    const numbers = updates.map((body) => Number(/post (\d+)$/.exec(body)?.[1])).sort((a, b) => a - b);
    assert.deepEqual(numbers, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    for (const [i, body] of bodies.entries()) if (i % 4 !== 0) assert.equal(body, `/url?${i}`);
  });
});

describe("which canister a request is for", () => {
  test("the parameter canisterId on any other host", async () => {
    const own = `localhost:${server.port}`;
    assert.equal((await get(own, `/?canisterId=${web.toText()}`)).body, "hello from a canister\n");
    assert.equal((await get("127.0.0.1", `/nowhere?canisterId=${web.toText()}`)).body, "no such path\n");
    assert.equal((await get(own, "/?canisterId=nobody")).status, 400);
  });

  test("other forms of the host name", async () => {
    for (const host of [
      `${web.toText()}.LOCALHOST`,
      `${web.toText()}.raw.localhost`,
      `blog--${web.toText()}.localhost`,
      `${web.toText()}.localhost.`,
    ]) {
      assert.equal((await get(host)).body, "hello from a canister\n", host);
    }
    assert.equal((await get("nobody.localhost")).status, 400);
  });

  test("the network's own address", async () => {
    const page = await get(`localhost:${server.port}`);
    assert.equal(page.status, 200);
    assert.match(page.body, /Internet Computer/);
  });
});

describe("a canister that cannot serve", () => {
  test("no such canister", async () => {
    const missing = Principal.fromUint8Array(Uint8Array.of(0, 0, 0, 0, 0, 15, 255, 255, 1, 1));
    await failsWith(missing, 404, /Canister not found/);
  });

  test("not on this network", async () => {
    await failsWith(Principal.fromText("2225w-rqaaa-aaaai-qtqca-cai"), 404, /Canister not found/);
  });

  test("no code installed", async () => {
    await failsWith(await createCanister(agent), 404, /The canister is empty/);
  });

  test("no http_request", async () => {
    await failsWith(await deploy(agent, (await canister("counter")).wasm), 404, /No web page here/);
  });

  test("a trap, whose words cannot become markup", async () => {
    const id = await deploy(agent, webCanister(encodeAnswer({}), "<script>alert(1)</script>"));
    const page = await failsWith(id, 502, /The canister failed/, { method: "DELETE" });
    assert.match(page.body, /&lt;script&gt;alert/);
    assert.doesNotMatch(page.body, /<script/);
  });

  test("a trap after the upgrade to an update", async () => {
    const id = await deploy(agent, webCanister(encodeAnswer({ upgrade: true }), "no update today"));
    const page = await failsWith(id, 502, /The canister failed/);
    assert.match(page.body, /no update today/);
  });

  test("an upgrade without http_request_update", async () => {
    const id = await deploy(agent, webCanister(encodeAnswer({ upgrade: true })));
    await failsWith(id, 404, /No web page here/);
  });

  test("an answer that is none", async () => {
    await failsWith(await deploy(agent, webCanister(IDL.encode([IDL.Text], ["page"]))), 502, /malformed/);
    await failsWith(await deploy(agent, webCanister(new Uint8Array([1, 2, 3]))), 502, /malformed/);
  });

  test("a canister that is stopped, and started again", async () => {
    const id = await deploy(agent, (await canister("http")).wasm);
    await manage("stop_canister", id);
    await failsWith(id, 503, /The canister is stopped/);
    await failsWith(id, 503, /The canister is stopped/, { method: "POST" });
    await manage("start_canister", id);
    assert.equal((await get(id)).status, 200);
  });

  test("a canister that is deleted", async () => {
    const id = await deploy(agent, (await canister("http")).wasm);
    assert.equal((await get(id)).status, 200);
    await manage("stop_canister", id);
    await manage("delete_canister", id);
    await failsWith(id, 404, /Canister not found/);
  });

  test("a canister whose module was exchanged serves the new one at once", async () => {
    const id = await deploy(agent, webCanister(encodeAnswer({ body: "one" })));
    assert.equal((await get(id)).body, "one");
    await manage("uninstall_code", id);
    await failsWith(id, 404, /The canister is empty/);
  });

  test("the network goes on after all of this", async () => {
    assert.equal((await get(web)).status, 200);
    assert.deepEqual(await update(agent, web, "http_request_update", [[Asked], [ASKED]], [Answer]), {
      status_code: 201,
    });
  });
});

const Asked = IDL.Record({
  method: IDL.Text,
  url: IDL.Text,
  headers: IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text)),
  body: IDL.Vec(IDL.Nat8),
});
const ASKED = { method: "POST", url: "/", headers: [], body: new Uint8Array() };
const Answer = IDL.Record({ status_code: IDL.Nat16 });

/** A page for people and a text for programs, both without anything the reader cannot act on. */
async function failsWith(id: Principal, status: number, words: RegExp, asked: Asked = {}): Promise<Page> {
  const page = await get(id, "/", asked);
  assert.equal(page.status, status, page.body);
  assert.match(page.body, words);
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(page.headers["cache-control"], "no-store");
  const text = await get(id, "/", { ...asked, headers: { accept: "*/*" } });
  assert.equal(text.status, status);
  assert.equal(text.headers["content-type"], "text/plain; charset=utf-8");
  assert.match(text.body, words);
  return page;
}

/** Answers http_request with these bytes; with `trapText`, DELETE and every update trap with it. */
function webCanister(answer: Uint8Array, trapText?: string): Uint8Array {
  const bytes = [...answer].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  const trapping = `(call $trap (i32.const 60000) (i32.const ${trapText?.length ?? 0}))`;
  return wat(`(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_arg_data_size" (func $size (result i32)))
    (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
    (import "ic0" "trap" (func $trap (param i32 i32)))
    (memory 2)
    (data (i32.const 0) "${bytes}")
    (data (i32.const 60000) "${trapText ?? ""}")
    (func (export "canister_query http_request")
      (local $i i32)
      (call $copy (i32.const 65536) (i32.const 0) (call $size))
      (loop $next
        (if (i32.eq (i32.load (i32.add (i32.const 65536) (local.get $i))) (i32.const 0x454c4544)) (then ${trapping}))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (call $size))))
      (call $append (i32.const 0) (i32.const ${answer.length}))
      (call $reply))
    ${trapText === undefined ? "" : `(func (export "canister_update http_request_update") ${trapping})`})`);
}

type ManagementMethod = "stop_canister" | "start_canister" | "delete_canister" | "uninstall_code";

async function manage(method: ManagementMethod, id: Principal): Promise<void> {
  const service = IDL.Service({ [method]: IDL.Func([IDL.Record({ canister_id: IDL.Principal })], [], []) });
  const actor = Actor.createActor<Record<string, (arg: unknown) => Promise<void>>>(() => service, {
    agent,
    canisterId: Principal.managementCanister(),
    callTransform: () => ({ effectiveCanisterId: id }),
  });
  await actor[method]?.({ canister_id: id });
}
