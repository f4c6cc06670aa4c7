// Which status code and text answers which request, and in which order things are refused: sections "HTTPS
// interface" and "Authentication" of the interface specification, texts as the replica's.
import assert from "node:assert/strict";
import { before, beforeEach, describe, it } from "node:test";
import { type CborMap, decodeCbor, ErrorCode, encodeCbor, fromHex, principalToText, userError } from "@atoll/types";
import type { HttpHandler, HttpResponse } from "@atoll/types/http";
import { createHttpHandler } from "../../src/http/index.ts";
import { type CertifiedBackend, createCertifiedBackend, OTHER_CANISTER } from "./certified-backend.ts";
import { CANISTER_TEXT, envelope, headers, nowNs, post, testTimer, textOf } from "./requests.ts";

let backend: CertifiedBackend;
let handle: HttpHandler;
const CALL = `/api/v4/canister/${CANISTER_TEXT}/call`;
const ASYNC_CALL = `/api/v2/canister/${CANISTER_TEXT}/call`;
const QUERY = `/api/v3/canister/${CANISTER_TEXT}/query`;
const READ_STATE = `/api/v3/canister/${CANISTER_TEXT}/read_state`;

before(async () => {
  backend = await createCertifiedBackend();
  handle = createHttpHandler(backend, { timer: testTimer, syncCallTimeoutMs: 100 });
});

beforeEach(() => {
  Object.assign(backend.switches, {
    health: "healthy",
    certified: true,
    poolFull: false,
    filter: () => undefined,
    outcome: () => "reply",
    query: () => ({ kind: "replied", reply: new Uint8Array(1) }),
  });
});

function fields(response: HttpResponse): CborMap {
  assert.equal(response.status, 200, textOf(response));
  assert.equal(response.headers["content-type"], "application/cbor");
  assert.deepEqual(response.body.subarray(0, 3), Uint8Array.of(0xd9, 0xd9, 0xf7), "self-describe tag");
  return decodeCbor(response.body) as CborMap;
}

function refused(response: HttpResponse, status: number, text: RegExp | string): void {
  assert.equal(response.status, status, textOf(response));
  assert.equal(response.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(response.headers["access-control-allow-origin"], "*");
  if (typeof text === "string") assert.equal(textOf(response), text);
  else assert.match(textOf(response), text);
}

describe("routes", () => {
  const existing: [string, string][] = [
    ["GET", "/api/v2/status"],
    ...["v2", "v3", "v4"].map((v): [string, string] => ["POST", `/api/${v}/canister/${CANISTER_TEXT}/call`]),
    ...["v2", "v3"].map((v): [string, string] => ["POST", `/api/${v}/canister/${CANISTER_TEXT}/query`]),
    ...["v2", "v3"].map((v): [string, string] => ["POST", `/api/${v}/canister/${CANISTER_TEXT}/read_state`]),
    ...["v2", "v3"].map((v): [string, string] => ["POST", `/api/${v}/subnet/${CANISTER_TEXT}/read_state`]),
    ["POST", `/api/v4/subnet/${CANISTER_TEXT}/call`],
    ["POST", `/api/v3/subnet/${CANISTER_TEXT}/query`],
  ];
  for (const [method, target] of existing) {
    it(`${method} ${target} is there, and not with another method`, async () => {
      const right = await handle({ method, target, headers: headers({}), body: new Uint8Array(0) });
      assert.notEqual(right.status, 404);
      assert.notEqual(right.status, 405);
      const wrong = await handle({ method: "PUT", target, headers: headers({}), body: new Uint8Array(0) });
      assert.equal(wrong.status, 405);
      assert.equal(wrong.headers.allow, method === "GET" ? "GET,HEAD" : "POST");
    });
  }

  const missing = [
    "/",
    "/api/v2/status/",
    "/api/v1/status",
    `/api/v2/subnet/${CANISTER_TEXT}/call`,
    `/api/v3/subnet/${CANISTER_TEXT}/call`,
    `/api/v2/subnet/${CANISTER_TEXT}/query`,
    `/api/v4/canister/${CANISTER_TEXT}/query`,
    `/api/v4/canister/${CANISTER_TEXT}/call/`,
    `/api/v4/canister/${CANISTER_TEXT}`,
    "/api/v2//status",
    "/__proto__/constructor",
  ];
  for (const target of missing) {
    it(`${target} is not there`, async () => refused(await post(handle, target, new Uint8Array(0)), 404, /nothing at/));
  }

  it("ignores a query string", async () => {
    const answer = await handle({
      method: "GET",
      target: "/api/v2/status?x=/",
      headers: headers({}),
      body: new Uint8Array(0),
    });
    assert.equal(answer.status, 200);
  });

  it("answers a preflight for any path", async () => {
    const answer = await handle({ method: "OPTIONS", target: CALL, headers: headers({}), body: new Uint8Array(0) });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], "*");
    assert.equal(answer.headers["access-control-allow-methods"], "GET,POST");
    assert.equal(answer.headers["access-control-allow-headers"], "authorization,accept,content-type");
    assert.equal(answer.headers.vary, undefined);
  });

  for (const id of ["xyz", "aaaaa-a", "ryjl3-tyaaa-aaaaa-aaaba-cai-cai", "%2e", "AAAAA_AA"]) {
    it(`refuses the id ${id} with 400, never 404`, async () => {
      refused(await post(handle, `/api/v4/canister/${id}/call`, envelope("call")), 400, /cannot parse/);
    });
  }

  it("takes ids in upper case", async () => {
    assert.equal(
      (await post(handle, `/api/v3/canister/${CANISTER_TEXT.toUpperCase()}/query`, envelope("query"))).status,
      200,
    );
  });

  const types = ["", "text/plain", "application/cbor; charset=utf-8", "application/json"];
  for (const type of types) {
    it(`refuses the content type "${type}"`, async () => {
      const answer = await post(handle, QUERY, envelope("query"), { headers: headers({ "content-type": type }) });
      refused(answer, 400, "Unexpected content-type, expected application/cbor.");
    });
  }

  it("takes the content type in any case", async () => {
    const answer = await post(handle, QUERY, envelope("query"), {
      headers: headers({ "content-type": "Application/CBOR" }),
    });
    assert.equal(answer.status, 200);
  });

  it("refuses a body above 5 MiB with 413", async () => {
    refused(await post(handle, QUERY, new Uint8Array(5 * 1024 * 1024 + 1)), 413, /larger than/);
  });

  it("refuses one request more than an endpoint serves at a time with 429", async () => {
    const narrow = createHttpHandler(backend, { timer: testTimer, syncCallTimeoutMs: 60, limits: { syncCall: 1 } });
    backend.switches.outcome = () => "never";
    const first = post(narrow, CALL, envelope("call"));
    refused(await post(narrow, CALL, envelope("call")), 429, "The service is overloaded.");
    assert.equal((await post(narrow, QUERY, envelope("query"))).status, 200, "other endpoints are not affected");
    assert.equal((await first).status, 202);
    backend.switches.outcome = () => "reply";
    assert.equal((await post(narrow, CALL, envelope("call"))).status, 200, "there is room again");
  });

  it("does not show the inside of a failure", async () => {
    backend.switches.query = () => {
      throw new Error("secret");
    };
    const answer = await post(handle, QUERY, envelope("query"));
    refused(answer, 500, /Internal error/);
    assert.doesNotMatch(textOf(answer), /secret/);
  });
});

describe("status", () => {
  it("has the root key, health and height", async () => {
    const status = fields(
      await handle({ method: "GET", target: "/api/v2/status", headers: headers({}), body: new Uint8Array(0) }),
    );
    assert.deepEqual(status.get("root_key"), backend.subnet.rootKey);
    assert.equal(backend.subnet.rootKey.length, 133);
    assert.equal(status.get("replica_health_status"), "healthy");
    assert.equal(typeof status.get("impl_version"), "string");
    assert.equal(typeof status.get("certified_height"), "number");
  });

  it("is served before the replica is ready", async () => {
    backend.switches.health = "waiting_for_certified_state";
    backend.switches.certified = false;
    const status = fields(
      await handle({ method: "GET", target: "/api/v2/status", headers: headers({}), body: new Uint8Array(0) }),
    );
    assert.equal(status.get("replica_health_status"), "waiting_for_certified_state");
    assert.equal(status.has("certified_height"), false);
  });
});

describe("call", () => {
  it("refuses what is not CBOR, before anything else", async () => {
    refused(await post(handle, CALL, Uint8Array.of(0xff)), 400, /Failed to deserialize cbor request/);
    refused(await post(handle, CALL, envelope("query")), 400, /request_type|unknown variant/);
  });

  it("refuses another canister than in the URL before it looks at the expiry", async () => {
    const answer = await post(
      handle,
      CALL,
      envelope("call", { canister_id: fromHex(OTHER_CANISTER), ingress_expiry: 1 }),
    );
    refused(answer, 400, /^Specified canister ID .* does not match effective canister ID in URL /);
  });

  it("refuses more than 2 MiB with 413 before it looks at the expiry, and allows 2 MiB", async () => {
    const tooMuch = envelope("call", { arg: new Uint8Array(2 * 1024 * 1024), ingress_expiry: 1 });
    refused(await post(handle, CALL, tooMuch), 413, /is larger than the max allowed 2097152/);
    const overhead = envelope("call", { arg: new Uint8Array(70_000) }).length - 70_000;
    const most = envelope("call", { arg: new Uint8Array(2 * 1024 * 1024 - overhead - 4) });
    assert.equal((await post(handle, ASYNC_CALL, most)).status, 202);
  });

  it("names the words that clients look for when the expiry is wrong", async () => {
    const late = envelope("call", { ingress_expiry: nowNs() + 6n * 60_000_000_000n });
    refused(await post(handle, CALL, late), 400, /^Invalid request expiry: /);
    refused(
      await post(handle, CALL, envelope("call", { ingress_expiry: nowNs() - 1n })),
      400,
      /^Invalid request expiry: /,
    );
  });

  it("refuses a sender without a signature", async () => {
    refused(
      await post(handle, CALL, envelope("call", { sender: Uint8Array.of(1, 2, 2) })),
      400,
      /^Missing signature from user: /,
    );
  });

  it("has no answer before there is a certified state", async () => {
    backend.switches.certified = false;
    refused(await post(handle, CALL, envelope("call")), 503, /Certified state/);
  });

  it("answers the ingress filter's reject with 200", async () => {
    backend.switches.filter = () => userError(ErrorCode.CanisterNotFound, "Canister not found");
    const reject = { reject_code: 3, reject_message: "Canister not found", error_code: "IC0301" };
    assert.deepEqual(Object.fromEntries(fields(await post(handle, ASYNC_CALL, envelope("call")))), reject);
    const sync = fields(await post(handle, CALL, envelope("call")));
    assert.deepEqual(Object.fromEntries(sync), { status: "non_replicated_rejection", ...reject });
  });

  it("answers 503 when the pool is full", async () => {
    backend.switches.poolFull = true;
    refused(await post(handle, CALL, envelope("call")), 503, "Service is overloaded, try again later.");
    refused(await post(handle, ASYNC_CALL, envelope("call")), 503, "Service is overloaded, try again later.");
    assert.equal(backend.waiting(), 0);
  });

  it("answers an asynchronous call with 202 and nothing", async () => {
    const answer = await post(handle, ASYNC_CALL, envelope("call"));
    assert.equal(answer.status, 202);
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["access-control-allow-origin"], "*");
  });

  it("says replied with a certificate, also for a rejected call", async () => {
    backend.switches.outcome = () => userError(ErrorCode.CanisterTrapped, "boom");
    const answer = fields(await post(handle, CALL, envelope("call")));
    assert.equal(answer.get("status"), "replied");
    assert.ok(answer.get("certificate") instanceof Uint8Array);
  });

  it("answers a finished request from the certified state without submitting it again", async () => {
    const body = envelope("call");
    await post(handle, CALL, body);
    const count = backend.submitted.length;
    backend.switches.filter = () => userError(ErrorCode.CanisterStopped, "stopped since");
    assert.equal(fields(await post(handle, CALL, body)).get("status"), "replied");
    assert.equal(backend.submitted.length, count);
  });

  it("answers 202 with a reason after the time is up, and to a duplicate at once", async () => {
    backend.switches.outcome = () => "never";
    const body = envelope("call");
    const first = post(handle, CALL, body);
    await new Promise((resolve) => setTimeout(resolve, 20));
    refused(await post(handle, CALL, body), 202, /^Duplicate request/);
    assert.equal(backend.waiting(), 1);
    refused(await first, 202, /did not complete/);
    assert.equal(backend.waiting(), 0);
  });

  it("forgets a client that went away", async () => {
    const patient = createHttpHandler(backend, { timer: testTimer, syncCallTimeoutMs: 60_000 });
    backend.switches.outcome = () => "never";
    let leave = () => {};
    const onDisconnect = (callback: () => void) => {
      leave = callback;
      return () => {};
    };
    const pending = post(patient, CALL, envelope("call"), { onDisconnect });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(backend.waiting(), 1);
    leave();
    await pending;
    assert.equal(backend.waiting(), 0);
  });
});

describe("calls to the management canister", () => {
  const management = (method: string, arg: Uint8Array) =>
    envelope("call", { canister_id: new Uint8Array(0), method_name: method, arg });
  const candid = async (field: string, id: string) => {
    const { IDL } = await import("@icp-sdk/core/candid");
    const { Principal } = await import("@icp-sdk/core/principal");
    return new Uint8Array(IDL.encode([IDL.Record({ [field]: IDL.Principal })], [{ [field]: Principal.fromText(id) }]));
  };

  it("must name the canister in the URL", async () => {
    const right = management("start_canister", await candid("canister_id", CANISTER_TEXT));
    assert.equal((await post(handle, ASYNC_CALL, right)).status, 202);
    const wrong = management("start_canister", await candid("canister_id", principalToText(OTHER_CANISTER)));
    refused(await post(handle, ASYNC_CALL, wrong), 400, /does not match effective canister ID/);
    const chunked = management(
      "install_chunked_code",
      await candid("target_canister", principalToText(OTHER_CANISTER)),
    );
    refused(await post(handle, ASYNC_CALL, chunked), 400, /does not match effective canister ID/);
  });

  it("may have arguments of any size", async () => {
    const { IDL } = await import("@icp-sdk/core/candid");
    const { Principal } = await import("@icp-sdk/core/principal");
    const Install = IDL.Record({ canister_id: IDL.Principal, wasm_module: IDL.Vec(IDL.Nat8) });
    const install = (id: string) =>
      new Uint8Array(
        IDL.encode([Install], [{ canister_id: Principal.fromText(id), wasm_module: new Uint8Array(100_000) }]),
      );
    const wrong = management("install_code", install(principalToText(OTHER_CANISTER)));
    refused(await post(handle, ASYNC_CALL, wrong), 400, /does not match effective canister ID/);
    assert.equal((await post(handle, ASYNC_CALL, management("install_code", install(CANISTER_TEXT)))).status, 202);
  });

  it("leaves arguments that it cannot read to the ingress filter", async () => {
    const bomb = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 1, 0x6d, 0x7f, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f);
    for (const arg of [new Uint8Array(0), bomb, new Uint8Array(1000)]) {
      assert.equal((await post(handle, ASYNC_CALL, management("start_canister", arg))).status, 202);
    }
  });

  it("are the only ones at a subnet, and only to create canisters", async () => {
    const own = `/api/v4/subnet/${principalToText(backend.subnet.subnetId)}/call`;
    const empty = new TextEncoder().encode("DIDL\0\0");
    const create = management("provisional_create_canister_with_cycles", empty);
    assert.equal(fields(await post(handle, own, create)).get("status"), "replied");
    refused(await post(handle, own, management("raw_rand", empty)), 400, /create a canister/);
    refused(await post(handle, own, envelope("call")), 400, /create a canister/);
    refused(await post(handle, `/api/v4/subnet/${CANISTER_TEXT}/call`, create), 400, /subnet in the URL/);
  });
});

describe("query", () => {
  it("is not served while the replica is not healthy", async () => {
    backend.switches.health = "certified_state_behind";
    refused(await post(handle, QUERY, envelope("query")), 503, /certified_state_behind.*\/api\/v2\/status/);
    refused(await post(handle, READ_STATE, envelope("read_state")), 503, /certified_state_behind.*\/api\/v2\/status/);
  });

  it("takes any expiry from the anonymous sender", async () => {
    assert.equal(fields(await post(handle, QUERY, envelope("query", { ingress_expiry: 0 }))).get("status"), "replied");
  });

  it("carries one signature with time and node", async () => {
    const answer = fields(await post(handle, QUERY, envelope("query")));
    const [signature, ...more] = answer.get("signatures") as CborMap[];
    assert.equal(more.length, 0);
    assert.deepEqual(signature?.get("identity"), fromHex(backend.subnet.nodeId));
    assert.equal((signature?.get("signature") as Uint8Array | undefined)?.length, 64);
    assert.equal(typeof signature?.get("timestamp"), "bigint");
  });

  it("of a subnet is list_canisters and nothing else", async () => {
    const own = `/api/v3/subnet/${principalToText(backend.subnet.subnetId)}/query`;
    const toManagement = (method_name: string) => envelope("query", { canister_id: new Uint8Array(0), method_name });
    assert.equal(fields(await post(handle, own, toManagement("list_canisters"))).get("status"), "replied");
    refused(await post(handle, own, toManagement("canister_status")), 400, /list_canisters/);
    refused(await post(handle, own, envelope("query", { method_name: "list_canisters" })), 400, /list_canisters/);
  });
});

describe("malformed envelopes", () => {
  const bodies: [string, Uint8Array][] = [
    ["nothing", new Uint8Array(0)],
    ["an array", encodeCbor([])],
    ["no content", encodeCbor({})],
    ["content that is text", encodeCbor({ content: "x" })],
    ["a thousand arrays", new Uint8Array(1000).fill(0x81)],
    ["a length beyond the end", Uint8Array.of(0x5b, 255, 255, 255, 255, 255, 255, 255, 255)],
    [
      "a signature without a key",
      encodeCbor({
        content: (decodeCbor(envelope("call")) as CborMap).get("content") ?? null,
        sender_sig: new Uint8Array(64),
      }),
    ],
  ];
  for (const [name, body] of bodies) {
    it(`${name}: 400 everywhere`, async () => {
      for (const target of [CALL, ASYNC_CALL, QUERY, READ_STATE]) {
        const answer = await post(handle, target, body);
        assert.equal(answer.status, 400, `${target}: ${textOf(answer)}`);
      }
    });
  }
});
