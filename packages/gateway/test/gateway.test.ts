// From a browser's request to a canister and back (HTTP gateway specification), with canisters that behave and
// canisters that do not.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { ErrorCode, fromHex, principalToText } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { CANISTER, OTHER_CANISTER } from "../../replica/test/http/certified-backend.ts";
import { toFetch } from "../src/index.ts";
import {
  type AskedFields,
  bodyOf,
  bytesOf,
  CANISTER_TEXT,
  createWeb,
  decodeAsked,
  encodeAnswer,
  header,
  Token,
  type Web,
} from "./web-canister.ts";

let web: Web;
before(async () => {
  web = await createWeb({ frontPage: () => ({ links: [["Sample", "/?canisterId=x&y=<z>"]] }) });
});

describe("a page", () => {
  it("is what the canister answers", async () => {
    let asked: AskedFields | undefined;
    web.answer((request) => {
      asked = request;
      return {
        status: 201,
        headers: [
          ["Content-Type", "text/html"],
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ],
        body: "<h1>hi</h1>",
      };
    });
    const page = await web.get("/a/b?c=d", {
      method: "POST",
      body: new TextEncoder().encode("form"),
      fields: { "x-one": "1" },
    });
    assert.equal(page.status, 201);
    assert.equal(await bodyOf(page), "<h1>hi</h1>");
    assert.equal(header(page, "content-length"), "11");
    assert.equal(page.headers.filter(([name]) => name === "Set-Cookie").length, 2);
    assert.equal(asked?.method, "POST");
    assert.equal(asked?.url, "/a/b?c=d");
    assert.equal(new TextDecoder().decode(asked?.body), "form");
    assert.deepEqual(asked?.certificate_version, [2]);
    assert.deepEqual(
      asked?.headers.find(([name]) => name === "x-one"),
      ["x-one", "1"],
    );
  });

  it("keeps the length of a body that HEAD does not fetch", async () => {
    web.answer(() => ({ headers: [["content-length", "12345"]] }));
    const page = await web.get("/", { method: "HEAD" });
    assert.equal(header(page, "content-length"), "12345");
    assert.equal((await bytesOf(page)).length, 0);
  });

  it("has no headers about the connection and no wrong length", async () => {
    web.answer(() => ({
      headers: [
        ["Connection", "keep-alive, X-Private"],
        ["Transfer-Encoding", "chunked"],
        ["X-Private", "1"],
        ["Content-Length", "99"],
        ["ETag", '"x"'],
      ],
      body: "four",
    }));
    const page = await web.get("/");
    assert.deepEqual(page.headers, [
      ["ETag", '"x"'],
      ["content-length", "4"],
    ]);
  });

  it("may have text beyond ASCII in headers, as UTF-8 bytes", async () => {
    web.answer(() => ({ headers: [["x-name", "é"]] }));
    assert.equal(header(await web.get("/"), "x-name"), "\u00c3\u00a9");
  });

  it("goes through the Fetch standard as well", async () => {
    web.answer(() => ({
      headers: [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ],
      body: "page",
    }));
    const response = await toFetch(web.gateway)(new Request(`http://${CANISTER_TEXT}.localhost:4943/x`));
    assert.equal(await response.text(), "page");
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
  });
});

describe("hosts", () => {
  const host = async (name: string, target = "/") => {
    let reached = false;
    web.answer(() => {
      reached = true;
      return {};
    });
    const { status } = await web.get(target, { fields: { host: name } });
    return reached ? "canister" : status;
  };
  const rows: [string, string, "canister" | number][] = [
    [`${CANISTER_TEXT}.localhost`, "/", "canister"],
    [`${CANISTER_TEXT}.localhost:8080`, "/x", "canister"],
    [`${CANISTER_TEXT.toUpperCase()}.LOCALHOST.`, "/", "canister"],
    [`${CANISTER_TEXT}.raw.localhost`, "/", "canister"],
    [`shop--${CANISTER_TEXT}.localhost`, "/", "canister"],
    ["127.0.0.1:4943", `/?canisterId=${CANISTER_TEXT}`, "canister"],
    ["localhost:4943", `/x?a=b&canisterId=${CANISTER_TEXT}`, "canister"],
    ["[::1]:4943", `/?canisterId=${CANISTER_TEXT}`, "canister"],
    ["localhost", "/", 200],
    ["127.0.0.1:4943", "/", 200],
    ["", "/", 200],
    ["localhost", "/nothing", 404],
    ["nobody.localhost", "/", 400],
    ["aaaaa-aa.localhost", "/", 400],
    ["localhost", "/?canisterId=nobody", 400],
    [`${CANISTER_TEXT}.evil`, "/", 200],
    [`${CANISTER_TEXT}.notlocalhost`, "/", 200],
  ];
  for (const [name, target, expected] of rows) {
    it(`${name || "(none)"} ${target}: ${expected}`, async () => assert.equal(await host(name, target), expected));
  }

  it("of canisters serve the interface to their pages", async () => {
    const status = await web.get("/api/v2/status");
    assert.equal(status.status, 200);
    assert.equal(header(status, "content-type"), "application/cbor");
    web.answer(() => ({ body: "mine" }));
    assert.equal(await bodyOf(await web.get("/api/todos")), "mine");
  });

  it("may have names", async () => {
    const named = await createWeb({ resolveName: (name) => (name === "shop" ? CANISTER : undefined) });
    named.answer(() => ({ body: "shop" }));
    assert.equal(await bodyOf(await named.get("/", { fields: { host: "shop.localhost" } })), "shop");
  });
});

describe("the front page", () => {
  it("is HTML for browsers with escaped links, text for others", async () => {
    const html = await web.get("/", { fields: { host: "localhost:1<b>" } });
    assert.equal(header(html, "content-type"), "text/html; charset=utf-8");
    const text = await bodyOf(html);
    assert.match(text, /canisterId=x&amp;y=&lt;z&gt;/);
    assert.doesNotMatch(text, /<b>/);
    const plain = await web.get("/", { fields: { host: "localhost", accept: "*/*" } });
    assert.equal(header(plain, "content-type"), "text/plain; charset=utf-8");
    const shown = await bodyOf(plain);
    for (const path of [
      "v4/canister/<canister id>/call",
      "v4/subnet/<subnet id>/call",
      "v3/subnet/<subnet id>/query",
    ]) {
      assert.ok(shown.includes(`POST /api/${path}`), shown);
    }
  });
});

describe("paths below /_/", () => {
  it("are the replica's on the network's own host, the canister's on its own", async () => {
    web.answer(() => ({ body: "the canister's" }));
    const own = await web.get("/_/topology", { fields: { host: "localhost:8000" } });
    assert.equal(own.status, 404);
    assert.match(await bodyOf(own), /There is nothing at \/_\/topology/);
    assert.equal(await bodyOf(await web.get("/_/topology")), "the canister's");
  });
});

describe("errors", () => {
  const rows: [keyof typeof ErrorCode, number, RegExp][] = [
    ["CanisterNotFound", 404, /no canister .*cai/],
    ["CanisterMethodNotFound", 404, /no http_request/],
    ["CanisterWasmModuleNotFound", 404, /no code installed/],
    ["CanisterStopped", 503, /stopped/],
    ["CanisterStopping", 503, /stopped/],
    ["CanisterOutOfCycles", 503, /cycles/],
    ["CanisterTrapped", 502, /stopped with an error/],
    ["CanisterCalledTrap", 502, /stopped with an error/],
    ["CanisterInstructionLimitExceeded", 502, /stopped with an error/],
    ["CanisterRejectedMessage", 502, /rejected/],
    ["CanisterQueueFull", 503, /Try again/],
  ];
  for (const [name, status, text] of rows) {
    it(`${name}: ${status}`, async () => {
      web.answer(() => ErrorCode[name]);
      const html = await web.get("/");
      assert.equal(html.status, status);
      assert.match(await bodyOf(html), text);
      assert.match(await bodyOf(html), new RegExp(`IC0${ErrorCode[name]}`));
      assert.match(await bodyOf(html), /&lt;script&gt;/);
      assert.doesNotMatch(await bodyOf(html), /<script/);
      assert.ok(!(await bodyOf(html)).includes("\u001b"));
      const plain = await web.get("/", { fields: { accept: "application/json" } });
      assert.equal(header(plain, "content-type"), "text/plain; charset=utf-8");
      assert.match(await bodyOf(plain), text);
    });
  }

  it("a network that is not ready: 503", async () => {
    web.backend.switches.health = "starting";
    const page = await web.get("/");
    web.backend.switches.health = "healthy";
    assert.equal(page.status, 503);
    assert.match(await bodyOf(page), /not ready/);
  });

  it("a request that fits into no message: 413", async () => {
    const page = await web.get("/", { method: "POST", body: new Uint8Array(5 * 1024 * 1024) });
    assert.equal(page.status, 413);
  });
});

describe("canisters that misbehave", () => {
  const malformed: [string, Parameters<Web["answer"]>[0]][] = [
    ["status 0", () => ({ status: 0 })],
    ["status 101", () => ({ status: 101 })],
    ["status 1000", () => ({ status: 1000 })],
    ["a line break in a value", () => ({ headers: [["x", "a\r\nset-cookie: evil=1"]] })],
    ["a zero in a value", () => ({ headers: [["x", "a\0b"]] })],
    ["a line break in a name", () => ({ headers: [["x\r\ny", "a"]] })],
    ["a colon in a name", () => ({ headers: [["x:y", "a"]] })],
    ["a header without a name", () => ({ headers: [["", "a"]] })],
    ["a name beyond ASCII", () => ({ headers: [["é", "a"]] })],
    ["too many headers", () => ({ headers: new Array(500).fill(["x", "y"]) })],
    ["headers too large", () => ({ headers: [["x", "y".repeat(100_000)]] })],
    ["no Candid", () => new Uint8Array(100)],
    ["nothing", () => new Uint8Array(0)],
    ["another type", () => new Uint8Array(IDL.encode([IDL.Text], ["hello"]))],
    ["no status", () => new Uint8Array(IDL.encode([IDL.Record({ body: IDL.Text })], [{ body: "x" }]))],
    [
      "four billion nulls",
      () => Uint8Array.from([0x44, 0x49, 0x44, 0x4c, 1, 0x6d, 0x7f, 1, 0, 255, 255, 255, 255, 15]),
    ],
  ];
  for (const [name, answer] of malformed) {
    it(`${name}: 502`, async () => {
      web.answer(answer);
      const page = await web.get("/");
      assert.equal(page.status, 502);
      assert.match(await bodyOf(page), /malformed/);
    });
  }
});

describe("upgrade", () => {
  it("asks again by an update and answers what that certifies", async () => {
    web.answer(() => ({ status: 404, upgrade: true, body: "not this" }));
    const { backend } = web;
    const page = web.get("/save", { method: "POST", body: Uint8Array.of(1, 2) });
    // The certified backend answers an update with its argument: an HTTP request, which is no HTTP response.
    assert.equal((await page).status, 502);
    const message = backend.submitted.at(-1);
    assert.equal(message?.methodName, "http_request_update");
    assert.equal(decodeAsked(message?.arg ?? new Uint8Array(0)).url, "/save");
    assert.deepEqual(decodeAsked(message?.arg ?? new Uint8Array(0)).certificate_version, []);
  });

  it("waits for an answer that comes after the synchronous call", async () => {
    web.answer(() => ({ upgrade: true }));
    web.backend.switches.outcome = () => "never";
    const count = web.backend.submitted.length;
    const page = web.get("/late");
    while (web.backend.submitted.length === count) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 400));
    web.backend.switches.outcome = () => "reply";
    const message = web.backend.submitted.at(-1);
    assert.ok(message);
    web.backend.finish({ ...message, arg: encodeAnswer({ status: 202, body: "late" }) });
    assert.equal((await page).status, 202);
    assert.equal(await bodyOf(await page), "late");
  });

  it("shows why the update failed", async () => {
    web.answer(() => ({ upgrade: true }));
    web.backend.switches.outcome = () => ({ code: ErrorCode.CanisterCalledTrap, message: "trapped in update" });
    const page = await web.get("/");
    web.backend.switches.outcome = () => "reply";
    assert.equal(page.status, 502);
    assert.match(await bodyOf(page), /trapped in update/);
  });

  it("twice leads nowhere", async () => {
    web.answer(() => ({ upgrade: true }));
    const count = web.backend.submitted.length;
    await web.get("/");
    assert.equal(web.backend.submitted.length, count + 1);
  });
});

describe("streaming", () => {
  const self = Principal.fromUint8Array(fromHex(CANISTER));
  const first = (callback: [Principal, string] = [self, "next"]) =>
    encodeAnswer({
      headers: [
        ["content-type", "text/plain"],
        ["content-length", "3"],
      ],
      body: "one ",
      streaming: { callback, token: { key: "k", index: 0n, seen: [Uint8Array.of(9)] } },
    });
  const part = (body: string, next?: bigint) =>
    new Uint8Array(
      IDL.encode(
        [IDL.Record({ body: IDL.Vec(IDL.Nat8), token: IDL.Opt(Token) })],
        [
          {
            body: new TextEncoder().encode(body),
            token: next === undefined ? [] : [{ key: "k", index: next, seen: [] }],
          },
        ],
      ),
    );

  it("follows the canister's own tokens to the end", async () => {
    const tokens: unknown[] = [];
    web.backend.switches.query = ({ methodName, arg, receiver }) => {
      if (methodName === "http_request") return { kind: "replied", reply: first() };
      assert.equal(methodName, "next");
      assert.equal(receiver, CANISTER);
      const [token] = IDL.decode([Token], new Uint8Array(arg)) as unknown as [
        { key: string; index: bigint; seen: unknown[] },
      ];
      tokens.push(token);
      return { kind: "replied", reply: token.index === 2n ? part("end") : part("more ", token.index + 1n) };
    };
    const page = await web.get("/");
    assert.equal(header(page, "content-length"), undefined);
    assert.equal(await bodyOf(page), "one more more end");
    assert.deepEqual(tokens[0], { key: "k", index: 0n, seen: [Uint8Array.of(9)] });
    assert.equal(tokens.length, 3);
  });

  it("may be served by another canister", async () => {
    const other = Principal.fromUint8Array(fromHex(OTHER_CANISTER));
    web.backend.switches.query = ({ methodName, receiver }) => {
      if (methodName === "http_request") return { kind: "replied", reply: first([other, "next"]) };
      assert.equal(principalToText(receiver), other.toText());
      return { kind: "replied", reply: part("two") };
    };
    assert.equal(await bodyOf(await web.get("/")), "one two");
  });

  it("breaks when the callback fails, and ends when nobody reads", async () => {
    let calls = 0;
    web.backend.switches.query = ({ methodName }) => {
      if (methodName === "http_request") return { kind: "replied", reply: first() };
      return ++calls === 2 ? { kind: "replied", reply: Uint8Array.of(1) } : { kind: "replied", reply: part("x", 1n) };
    };
    await assert.rejects(async () => bodyOf(await web.get("/")), /callback did not answer/);
    calls = 10;
    const { body } = await web.get("/");
    assert.ok(!(body instanceof Uint8Array));
    for await (const _ of body) if (++calls > 20) break;
    const seen = calls;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(calls, seen);
  });

  it("does not go on for ever", async () => {
    web.backend.switches.query = ({ methodName }) =>
      methodName === "http_request" ? { kind: "replied", reply: first() } : { kind: "replied", reply: part("", 1n) };
    const { streamByCallback } = await import("../src/streaming.ts");
    let calls = 0;
    const endless = streamByCallback(
      new Uint8Array(0),
      { canisterId: CANISTER, methodName: "x", arg: new Uint8Array(0) },
      async () => {
        calls++;
        return { body: new Uint8Array(0), nextArg: new Uint8Array(0) };
      },
      50,
    );
    await assert.rejects(async () => {
      for await (const _ of endless) assert.fail("empty pieces are not passed on");
    }, /more than 50/);
    assert.equal(calls, 50);
  });

  it("does not start for HEAD", async () => {
    let calls = 0;
    web.backend.switches.query = ({ methodName }) => {
      if (methodName !== "http_request") calls++;
      return { kind: "replied", reply: first() };
    };
    const page = await web.get("/", { method: "HEAD" });
    assert.ok(page.body instanceof Uint8Array);
    assert.equal(calls, 0);
  });

  it("puts byte ranges together when the browser asked for everything", async () => {
    const whole = "0123456789";
    web.answer((asked) => {
      const range = asked.headers.find(([name]) => name === "Range")?.[1];
      const start = range === undefined ? 0 : Number(/bytes=(\d+)-/.exec(range)?.[1]);
      const end = Math.min(start + 3, whole.length) - 1;
      return {
        status: 206,
        headers: [
          ["Content-Range", `bytes ${start}-${end}/${whole.length}`],
          ["ETag", "e"],
          ["Content-Length", "3"],
        ],
        body: whole.slice(start, end + 1),
      };
    });
    const page = await web.get("/");
    assert.equal(page.status, 200);
    assert.equal(header(page, "content-length"), "10");
    assert.equal(header(page, "content-range"), undefined);
    assert.equal(await bodyOf(page), whole);
    const ranged = await web.get("/", { fields: { range: "bytes=0-2" } });
    assert.equal(ranged.status, 206);
    assert.equal(await bodyOf(ranged), "012");
  });

  it("breaks when byte ranges do not follow each other", async () => {
    web.answer(() => ({ status: 206, headers: [["content-range", "bytes 0-2/10"]], body: "012" }));
    await assert.rejects(async () => bodyOf(await web.get("/")), /did not follow/);
  });
});
