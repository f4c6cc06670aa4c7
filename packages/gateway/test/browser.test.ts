// The gateway behind a real server, as a browser meets it: host names, cookies, streams that are left early. What the
// server alone promises is tested in `host-node`.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { after, before, describe, it } from "node:test";
import { type HttpServer, startHttpServer } from "@atoll/host-node/http-server";
import { fromHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { CANISTER } from "../../replica/test/http/certified-backend.ts";
import { CANISTER_TEXT, createWeb, encodeAnswer, Token, type Web } from "./web-canister.ts";

describe("gateway on a server", () => {
  let web: Web;
  let server: HttpServer;
  before(async () => {
    web = await createWeb();
    server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler: web.api, gatewayHandler: web.gateway });
  });
  after(() => server.close());

  async function get(path: string, host = `${CANISTER_TEXT}.localhost`): Promise<IncomingMessage> {
    const sent = request({ host: "127.0.0.1", port: server.port, path, headers: { host, accept: "text/html" } }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return answer;
  }

  async function textOf(answer: IncomingMessage): Promise<string> {
    let text = "";
    for await (const chunk of answer) text += chunk;
    return text;
  }

  it("serves a page with its cookies", async () => {
    web.answer(() => ({
      headers: [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
      ],
      body: "hello",
    }));
    const answer = await get("/");
    assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(await textOf(answer), "hello");
  });

  it("sends UTF-8 header values as their bytes", async () => {
    web.answer(() => ({ headers: [["x-name", "naïve ☃"]] }));
    const answer = await get("/");
    assert.equal(Buffer.from(answer.headers["x-name"] as string, "latin1").toString(), "naïve ☃");
    answer.resume();
  });

  it("turns what a canister may not say into a page of its own", async () => {
    web.answer(() => ({ headers: [["x", "1\r\nset-cookie: evil=1"]] }));
    const answer = await get("/");
    assert.equal(answer.statusCode, 502);
    assert.equal(answer.headers["set-cookie"], undefined);
    assert.match(await textOf(answer), /malformed/);
  });

  it("serves the interface on the same host", async () => {
    const answer = await get("/api/v2/status");
    assert.equal(answer.headers["content-type"], "application/cbor");
    answer.resume();
  });

  it("stops asking the canister when the browser leaves a stream", async () => {
    let calls = 0;
    const part = new Uint8Array(
      IDL.encode(
        [IDL.Record({ body: IDL.Vec(IDL.Nat8), token: IDL.Opt(Token) })],
        [{ body: new Uint8Array(500_000), token: [{ key: "", index: 0n, seen: [] }] }],
      ),
    );
    const callback: [Principal, string] = [Principal.fromUint8Array(fromHex(CANISTER)), "next"];
    const first = encodeAnswer({ body: "start", streaming: { callback, token: { key: "", index: 0n, seen: [] } } });
    web.backend.switches.query = ({ methodName }) => {
      if (methodName === "next") calls++;
      return { kind: "replied", reply: methodName === "next" ? part : first };
    };
    const answer = await get("/video");
    await once(answer, "data");
    answer.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const seen = calls;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(calls, seen);
    assert.ok(calls < 200);
  });
});
