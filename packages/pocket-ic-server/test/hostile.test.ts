// What nobody should send, sent: bodies that are not what they should be, ids of nothing, numbers beyond reason, many
// requests at once, instances that go while they are used, clients that vanish. The right answer each time, the server
// goes on, and nothing is left.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { canister } from "../../execution/test/canisters/build.ts";
import { INSTANCE_ROUTES } from "../src/instance-routes.ts";
import type { Json } from "../src/json.ts";
import {
  ANONYMOUS,
  type Answer,
  base64,
  EMPTY,
  type Fields,
  postJson,
  principalBase64,
  RustClient,
  rustInstance,
  send,
} from "./rest-client.ts";
import { endAll, type Server, startServer } from "./server-process.ts";

let server: Server;
let pic: RustClient;
before(async () => {
  server = await startServer({ args: ["--log-levels", "error"] });
  pic = await RustClient.create(server.url);
});
after(async () => {
  try {
    assert.equal((await send(`${server.url}/status`)).status, 200);
    assert.deepEqual(server.output, { stdout: "", stderr: "" });
  } finally {
    await endAll();
  }
});

const posts = [...INSTANCE_ROUTES].filter(([, { method }]) => method === "POST").map(([path]) => path);

function assertRefused({ status, json }: Answer, what: string): void {
  assert.ok(status >= 400 && status < 500, `${what}: ${status}`);
  const { message } = (json ?? {}) as Fields;
  assert.ok(typeof message === "string" && message.length > 0 && message.length < 1_000, `${what}: ${String(message)}`);
}

describe("bodies", () => {
  const broken: [string, string | Uint8Array<ArrayBuffer>][] = [
    ["nothing", ""],
    ["no JSON", "{"],
    ["bytes that are no text", Uint8Array.of(0xff, 0xfe, 0)],
    ["null", "null"],
    ["a number", "1"],
    ["a list", "[]"],
    ["an empty object", "{}"],
    ["a text", '"text"'],
    ["depth", `${"[".repeat(50_000)}12345678901234567890${"]".repeat(50_000)}`],
    ["digits", `{"amount":${"9".repeat(100_000)}}`],
    ["a prototype", '{"__proto__":{"canister_id":"","amount":1}}'],
  ];
  for (const [name, body] of broken) {
    test(`of ${name} are refused by every route`, async () => {
      for (const path of posts) {
        // A round needs no options.
        if (path === "update/tick" && name !== "nothing" && ["an empty object", "a prototype", "digits"].includes(name))
          continue;
        const headers = { "content-type": "application/json" };
        assertRefused(await send(`${pic.url}/${path}`, { method: "POST", body, headers }), `${path} ${name}`);
      }
      const headers = { "content-type": "application/json" };
      for (const path of ["instances", "http_gateway"]) {
        const { status, json } = await send(`${server.url}/${path}`, { method: "POST", body, headers });
        assert.ok(status >= 400 && status < 500, `${path} ${name} ${status}`);
        assert.equal(typeof ((json as Fields).Error as Fields).message, "string");
      }
      assertRefused(await send(`${server.url}/verify_signature`, { method: "POST", body, headers }), name);
    });
  }

  test("of another type are refused", async () => {
    for (const type of ["text/plain", "application/cbor", "application/x-www-form-urlencoded"]) {
      const answer = await send(`${pic.url}/update/tick`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": type },
      });
      assert.equal(answer.status, 415);
      assertRefused(answer, type);
    }
  });

  test("with fields of another type name the field", async () => {
    const call = { sender: ANONYMOUS, canister_id: ANONYMOUS, effective_principal: "None", method: "m", payload: "" };
    const cases: [string, Fields, RegExp][] = [
      ["read/query", { ...call, sender: 4 }, /^sender: expected base64/],
      ["read/query", { ...call, sender: "BA" }, /^sender: expected base64/],
      ["read/query", { ...call, sender: "BA*=" }, /^sender: expected base64/],
      ["read/query", { ...call, sender: base64(new Uint8Array(30)) }, /^sender: expected a principal/],
      ["read/query", { ...call, method: null }, /^method: expected a string/],
      ["read/query", { ...call, effective_principal: "Some" }, /^effective_principal: expected one of/],
      ["read/query", { ...call, effective_principal: { SubnetId: "!" } }, /^effective_principal\.SubnetId: /],
      ["read/query", { ...call, effective_principal: { None: null, CanisterId: "" } }, /expected one of/],
      ["read/query", { ...call, effective_principal: "constructor" }, /expected one of/],
      ["update/set_time", { nanos_since_epoch: -1 }, /^nanos_since_epoch: expected an integer from 0/],
      ["update/set_time", { nanos_since_epoch: 1.5 }, /^nanos_since_epoch/],
      ["update/set_time", { nanos_since_epoch: "1" }, /^nanos_since_epoch/],
      ["update/set_time", { nanos_since_epoch: 2n ** 64n }, /^nanos_since_epoch/],
      ["update/add_cycles", { canister_id: ANONYMOUS, amount: 2n ** 128n }, /^amount/],
      ["update/add_cycles", { canister_id: ANONYMOUS, amount: 10n ** 63n }, /^amount/],
      ["update/tick", { blockmakers: {} }, /^blockmakers: expected a list/],
      ["update/tick", { blockmakers: [{ subnet: { subnet_id: 1 } }] }, /^blockmakers\[0\]\.subnet\.subnet_id/],
      ["read/ingress_status", { raw_message_id: { effective_principal: "None", message_id: "AA==" } }, /32 bytes/],
    ];
    for (const [path, body, message] of cases) {
      const answer = await postJson(`${pic.url}/${path}`, body);
      assertRefused(answer, path);
      assert.match(String((answer.json as Fields).message), message);
    }
  });

  test("that unpack to more than anybody has are refused", async () => {
    const canister_id = principalBase64(await pic.createCanister());
    const upload = (body: Uint8Array) =>
      send(`${server.url}/blobstore`, {
        method: "POST",
        body: new Uint8Array(body),
        headers: { "content-encoding": "gzip" },
      });
    const { text } = await upload(new TextEncoder().encode("no gzip at all"));
    const blob_id = base64(new Uint8Array(Buffer.from(text, "hex")));
    assertRefused(await postJson(`${pic.url}/update/set_stable_memory`, { canister_id, blob_id }), "gzip");
    const cut = await upload(gzipSync(new Uint8Array(100_000)).subarray(0, 60));
    const cutId = base64(new Uint8Array(Buffer.from(cut.text, "hex")));
    assertRefused(await postJson(`${pic.url}/update/set_stable_memory`, { canister_id, blob_id: cutId }), "cut");
    assert.equal(
      (await send(`${server.url}/blobstore`, { method: "POST", body: "x", headers: { "content-encoding": "br" } }))
        .status,
      400,
    );
    assert.equal((await send(`${server.url}/blobstore/${"0".repeat(64)}`)).status, 404);
    assert.equal((await send(`${server.url}/blobstore/nothing`)).status, 400);
  });

  test("of creations that break a rule say which", async () => {
    const free = { cost_schedule: "Free" };
    const admins = { subnet_admins: [{ principal_id: ANONYMOUS }] };
    const cases: [Fields, RegExp][] = [
      [rustInstance({}), /must contain at least one subnet/],
      [rustInstance({ nns: admins }), /Subnet admins can only be specified for subnet of kind/],
      [rustInstance({ system: [free] }), /Non-default cost schedule can only be specified/],
      [rustInstance({ application: [admins] }), /with cost schedule of kind `Free`/],
      [rustInstance({ cloud_engine: [{}] }), /Every subnet of kind `CloudEngine`/],
      [rustInstance({ application: Array.from({ length: 5_000 }, () => ({})) }), /at most 256 subnets/],
      [rustInstance({ nns: { state_config: { FromPath: "/nowhere" } } }), /^not supported: .*FromPath/],
      [rustInstance({ nns: { state_config: { FromBlobStore: "" } } }), /^not supported: .*FromBlobStore/],
      [rustInstance({ nns: { state_config: "Old" } }), /state_config: expected one of New/],
      [
        rustInstance(undefined, { icp_features: { registry: "DefaultConfig" } }),
        /^not supported: the ICP feature registry/,
      ],
      [rustInstance(undefined, { bitcoind_addr: ["127.0.0.1:18444"] }), /^not supported: bitcoind_addr/],
      [rustInstance(undefined, { dogecoind_addr: ["127.0.0.1:18444"] }), /^not supported: dogecoind_addr/],
      [rustInstance(undefined, { icp_config: { beta_features: "Enabled" } }), /^not supported: beta_features/],
      [
        rustInstance(undefined, { icp_config: { canister_execution_rate_limiting: "Enabled" } }),
        /^not supported: canister_execution_rate_limiting/,
      ],
      [rustInstance(undefined, { disable_ingress_validation: true }), /^not supported: disable_ingress_validation/],
      [rustInstance(undefined, { log_level: "loud" }), /Failed to parse log level/],
      [rustInstance(undefined, { http_gateway_config: { port: 65_536 } }), /^http_gateway_config\.port/],
      [
        rustInstance(undefined, { initial_time: { Timestamp: { nanos_since_epoch: 2n ** 64n - 1n } } }),
        /initial timestamp/,
      ],
      [rustInstance(undefined, { state_dir: "\u0000" }), /./],
      [rustInstance(undefined, { state_dir: "/dev/null/x" }), /./],
    ];
    const before = ((await send(`${server.url}/instances`)).json as Json[]).length;
    for (const [body, message] of cases) {
      const { status, json } = await postJson(`${server.url}/instances`, body);
      const said = String(((json as Fields).Error as Fields | undefined)?.message);
      assert.ok(status === 400 || status === 422, `${status} ${said}`);
      assert.match(said, message);
    }
    assert.equal(((await send(`${server.url}/instances`)).json as Json[]).length, before);
  });
});

describe("addresses", () => {
  test("of nothing are 404 without a word, other methods 405", async () => {
    for (const path of [
      "/",
      "/nothing",
      "/instances/0/nothing",
      "/instances/0/read/nothing",
      "/http_gateway/1/start",
      "/blobstore/a/b",
    ]) {
      const { status, text } = await send(server.url + path);
      assert.deepEqual([status, text], [404, ""], path);
    }
    for (const [method, path] of [
      ["DELETE", "/status"],
      ["PUT", "/instances"],
      ["GET", "/instances/0/update/tick"],
      ["POST", "/instances/0/read/get_time"],
      ["GET", "/prune_graph/a/b"],
    ] as const) {
      assert.equal((await send(server.url + path, { method })).status, 405, path);
    }
  });

  test("with numbers of nothing are refused", async () => {
    for (const id of ["999", "-1", "1e3", "0x1", "99999999999999999999", "%00", "..%2f"]) {
      assertRefused(await send(`${server.url}/instances/${id}/read/get_time`), id);
      assertRefused(await send(`${server.url}/instances/${id}`, { method: "DELETE" }), id);
    }
    assertRefused(await send(`${server.url}/read_graph/short/x`), "label");
    assertRefused(await send(`${server.url}/read_graph/${"A".repeat(22)}==/x`), "unknown");
    assertRefused(await postJson(`${pic.url}/update/tick`, {}, { "processing-timeout-ms": "soon" }), "timeout");
    const body = { forward_to: { PocketIcInstance: 999 } };
    const { status, json } = await postJson(`${server.url}/http_gateway`, body);
    assert.deepEqual([status, json], [400, { Error: { message: "Instance not found" } }]);
    assert.equal((await send(`${server.url}/http_gateway/999/stop`, { method: "POST" })).status, 200);
  });
});

describe("one instance", () => {
  test("takes many operations at once, each whole", async () => {
    const one = await RustClient.create(server.url);
    const id = await one.createCanister();
    await one.install(id, (await canister("counter")).wasm);
    const calls = Array.from({ length: 40 }, () => one.update(id, "inc", EMPTY));
    const ticks = Array.from({ length: 40 }, () => one.post("update/tick", {}));
    const reads = Array.from({ length: 40 }, () => one.get("read/get_time"));
    await Promise.all([...calls, ...ticks, ...reads]);
    const answers = await Promise.all([...Array(20)].map(() => one.query(id, "get", EMPTY)));
    assert.equal(new Set(answers.map((each) => base64(each))).size, 1);
    await one.drop();
  });

  test("may be deleted while it is used, by several at once", async () => {
    const one = await RustClient.create(server.url);
    await one.post("auto_progress", { artificial_delay_ms: 0 });
    const used = Array.from({ length: 30 }, (_, i) =>
      i % 2 === 0 ? postJson(`${one.url}/update/tick`, {}) : send(`${one.url}/read/get_time`),
    );
    const deleted = Array.from({ length: 3 }, () => one.drop());
    for (const { status } of await Promise.all(deleted)) assert.equal(status, 200);
    for (const answer of await Promise.all(used)) {
      if (answer.status !== 200)
        assert.deepEqual([answer.status, answer.json], [400, { message: "Instance was deleted" }]);
    }
    assert.equal((await send(`${one.url}/api/v2/status`)).status, 400);
  });

  test("is left alone by clients that vanish", async () => {
    const one = await RustClient.create(server.url);
    const { port } = new URL(server.url);
    const body = JSON.stringify({ effective_principal: "None", message_id: base64(new Uint8Array(32)) });
    for (let i = 0; i < 20; i++) {
      const socket = connect(Number(port), "127.0.0.1");
      const path = `/instances/${String(one.created.instance_id)}/update/await_ingress_message`;
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
      );
      socket.write(i % 2 === 0 ? body : body.slice(0, 10));
      await pause(2);
      socket.destroy();
    }
    await one.post("update/tick", {});
    const { nanos_since_epoch } = (await one.get("read/get_time")) as { nanos_since_epoch: bigint };
    // At most what had begun when its client went has run.
    assert.ok(nanos_since_epoch - 1_620_328_630_000_000_000n < 10n * 102n);
    await one.drop();
  });
});

test("memory after 1,000 created and deleted instances is flat", {
  skip: process.platform !== "linux" && "reads /proc",
}, async (t) => {
  const memory = (): number => {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8")) ?? [];
    return Number(kib) / 1_024;
  };
  const create = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await (await RustClient.create(server.url)).drop();
  };
  await create(300);
  const early = memory();
  await create(700);
  const late = memory();
  t.diagnostic(`${early.toFixed(0)} MiB after 300 instances, ${late.toFixed(0)} MiB after 1,000`);
  assert.ok(late - early < 60, `${early.toFixed(0)} MiB after 300, ${late.toFixed(0)} MiB after 1,000`);
});
