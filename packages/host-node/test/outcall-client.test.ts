// HTTPS outcalls against servers on loopback: what is sent, what comes back, and servers that do not end, stall, break
// off, lie about lengths or send the caller elsewhere. Texts and codes of the replica's adapter (rpc_server.rs).
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createRawServer, type Server, type Socket } from "node:net";
import { afterEach, describe, test } from "node:test";
import type { CanisterId, OutcallAnswer, OutcallRequest } from "@atoll/types";
import { createOutcallClient, type OutcallClientOptions } from "../src/outcall-client.ts";
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from "./loopback-certificate.ts";

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (listener: RequestListener): Promise<string> => listen(createServer(listener));
const serveTls = (listener: RequestListener): Promise<string> =>
  listen(createHttpsServer({ key: LOOPBACK_KEY, cert: LOOPBACK_CERTIFICATE }, listener));
/** A server that says these bytes to whatever it is asked, and `then` does what it likes. */
const serveRaw = (text: string, then: (socket: Socket) => void = (socket) => socket.end()): Promise<string> =>
  listen(
    createRawServer((socket) =>
      socket.once("data", () => {
        socket.write(text, "latin1");
        then(socket);
      }),
    ),
  );

const DEVELOPMENT: OutcallClientOptions = { plainHttp: "loopback", authorities: [LOOPBACK_CERTIFICATE] };

function ask(url: string, over: Partial<OutcallRequest> = {}, options = DEVELOPMENT): Promise<OutcallAnswer> {
  return createOutcallClient(options)({
    ...{ outcall: 0, canister: "00" as CanisterId, url, method: "get", headers: [], body: undefined },
    ...{ maxResponseBytes: undefined, transform: undefined, node: undefined, time: 0n },
    ...over,
  });
}

const shown = (answer: OutcallAnswer): string =>
  answer.kind === "reject"
    ? `${answer.code} ${answer.message}`
    : `${answer.reply.status} ${new TextDecoder().decode(answer.reply.body)}`;

async function bodyOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString();
}

describe("a request", () => {
  test("arrives as the canister wrote it, over TLS", async () => {
    const host = await serveTls(async (request, response) => {
      const { method, url, headers } = request;
      const got = { method, url, a: headers["x-a"], agent: headers["user-agent"], body: await bodyOf(request) };
      response.end(JSON.stringify(got));
    });
    const headers = [
      { name: "X-A", value: "1" },
      { name: "x-a", value: "2" },
    ];
    for (const method of ["get", "post", "put", "delete", "patch"] as const) {
      for (const body of [undefined, new TextEncoder().encode("größer")]) {
        const answer = await ask(`https://${host}/p%20a?q=1#fragment`, { method, headers, body });
        const got = JSON.parse(shown(answer).slice(4));
        const text = body === undefined ? "" : "größer";
        assert.deepEqual(got, {
          method: method.toUpperCase(),
          url: "/p%20a?q=1",
          a: "1, 2",
          agent: "ic/1.0",
          body: text,
        });
      }
    }
    assert.equal(shown(await ask(`https://${host}`, { method: "head" })), "200 ");
  });

  test("may name its own user agent, host and length", async () => {
    const host = await serve((request, response) => {
      const { "user-agent": agent, host: name } = request.headers;
      response.end(`${agent} ${name}`);
    });
    const headers = [
      { name: "User-Agent", value: "mine" },
      { name: "Host", value: "example.com" },
    ];
    assert.equal(shown(await ask(`http://${host}`, { headers })), "200 mine example.com");
  });

  test("goes to https only, or to plain http on this machine where that is allowed", async () => {
    const host = await serve((_, response) => response.end("plain"));
    const port = host.split(":")[1];
    const refused = "1 Url need to specify https scheme";
    assert.equal(shown(await ask(`http://${host}`, {}, {})), refused);
    for (const name of [host, `localhost:${port}`]) {
      assert.equal(shown(await ask(`http://${name}`)), "200 plain");
      assert.equal(shown(await ask(`HTTP://${name}`, {}, { plainHttp: "any" })), "200 plain");
    }
    for (const url of [
      "http://example.com",
      "http://127.example.com",
      "http://localhost.example.com",
      "http://[::2]",
    ]) {
      assert.equal(shown(await ask(url)), refused, url);
    }
    for (const url of [
      "example.com",
      "/path",
      "",
      "ftp://localhost",
      "file:///etc/hosts",
      "data:,a",
      "https:example.com",
    ]) {
      assert.equal(shown(await ask(url, {}, { plainHttp: "any" })), refused, url);
    }
    for (const url of [
      "https://",
      "https://a b",
      "https://ü.example",
      "https://[1",
      "https://a:99999",
      "https://a\n",
    ]) {
      assert.match(shown(await ask(url)), /^1 Failed to parse URL: /, url);
    }
  });

  test("with headers that say strange things about it is answered all the same", async () => {
    const host = await serve(async (request, response) => response.end(await bodyOf(request).catch(() => "half")));
    const body = new TextEncoder().encode("body");
    for (const [name, value] of [
      ["trailer", "a"],
      ["transfer-encoding", "chunked"],
      ["transfer-encoding", "gzip"],
      ["content-length", "1"],
      ["content-length", "1000"],
      ["content-length", "x"],
      ["connection", "keep-alive, upgrade"],
      ["upgrade", "websocket"],
      ["expect", "100-continue"],
      ["expect", "something"],
      ["__proto__", "a"],
      ["constructor", "a"],
    ] as const) {
      const options = { ...DEVELOPMENT, timeoutMs: 500 };
      for (const method of ["get", "post"] as const) {
        const answer = shown(await ask(`http://${host}`, { method, headers: [{ name, value }], body }, options));
        assert.match(
          answer,
          /^(200 body|200 b|400 |417 |1 Invalid headers|1 Timeout|2 Connecting)/,
          `${name}: ${value}`,
        );
      }
    }
  });

  test("with a header that is none is not made", async () => {
    for (const [name, value] of [
      ["", "a"],
      ["a b", "a"],
      ["a:", "a"],
      ["ü", "a"],
      ["a", "a\r\nb: c"],
      ["a", "ü"],
      ["a", "\0"],
    ] as const) {
      assert.match(shown(await ask("http://localhost:1", { headers: [{ name, value }] })), /^1 Invalid headers: /);
    }
  });
});

describe("an answer", () => {
  test("is taken as it comes: status, headers in lower case, body", async () => {
    const head = "HTTP/1.1 404 Nothing\r\nX-B: 1\r\nSet-Cookie: a\r\nx-b: 2\r\nContent-Length: 4\r\n\r\n";
    const host = await serveRaw(`${head}gone`);
    const answer = await ask(`http://${host}`);
    assert.deepEqual(answer, {
      kind: "reply",
      reply: {
        status: 404n,
        headers: [
          { name: "x-b", value: "1" },
          { name: "x-b", value: "2" },
          { name: "set-cookie", value: "a" },
          { name: "content-length", value: "4" },
        ],
        body: new TextEncoder().encode("gone"),
      },
    });
  });

  test("that leads elsewhere is an answer: nobody follows it", async () => {
    let requests = 0;
    const host = await serve((_, response) => {
      requests++;
      response.writeHead(302, { location: "/next" }).end("moved");
    });
    assert.equal(shown(await ask(`http://${host}`)), "302 moved");
    assert.equal(requests, 1);
  });

  test("that is packed stays packed", async () => {
    const host = await serve((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip"));
    assert.equal(shown(await ask(`http://${host}`)), "200 no gzip");
  });

  test("may have as many bytes as the canister said, headers and all", async () => {
    const host = await serveRaw("HTTP/1.1 200 OK\r\nabc: de\r\n\r\n12345");
    assert.equal(shown(await ask(`http://${host}`, { maxResponseBytes: 10 })), "200 12345");
    assert.equal(
      shown(await ask(`http://${host}`, { maxResponseBytes: 9 })),
      "1 Http body exceeds size limit of 9 bytes.",
    );
    assert.equal(
      shown(await ask(`http://${host}`, { maxResponseBytes: 4 })),
      "1 Header size exceeds specified response size limit 4",
    );
  });

  test("without an end is cut off, however fast it comes", async () => {
    const closed = Promise.withResolvers<void>();
    let sent = 0;
    const host = await serve((_, response) => {
      const part = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!response.destroyed && response.write(part)) sent += part.length;
      };
      response.on("drain", more).on("close", () => closed.resolve());
      more();
    });
    assert.equal(shown(await ask(`http://${host}`)), "1 Http body exceeds size limit of 2000000 bytes.");
    await closed.promise;
    assert.ok(sent < 32_000_000, `${sent} bytes were sent`);
  });

  test("with endless headers, or with letters in them that are none, is refused", async () => {
    const endless = await serveRaw("HTTP/1.1 200 OK\r\n", (socket) => {
      const line = `a: ${"b".repeat(8_000)}\r\n`;
      const more = (): void => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on("drain", more);
      more();
    });
    assert.match(shown(await ask(`http://${endless}`)), /^2 Connecting to 127\.0\.0\.1 failed: .*(Header|overflow)/i);
    const odd = await serveRaw("HTTP/1.1 200 OK\r\na: \xfc\r\n\r\n");
    assert.equal(shown(await ask(`http://${odd}`)), "2 Failed to parse headers: failed to convert header to a str");
  });

  test("that is no HTTP, or half of it, is a failure that may pass", async () => {
    const connecting = /^2 Connecting to 127\.0\.0\.1 failed: /;
    for (const text of ["", "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\na", "HTTP/1.1 2000 OK\r\n\r\n", "\0".repeat(100)]) {
      assert.match(shown(await ask(`http://${await serveRaw(text)}`)), connecting, JSON.stringify(text));
    }
    const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    assert.match(shown(await ask(`http://${await serveRaw(upgrade)}`)), connecting);
    const fetching = /^2 Failed to fetch body: /;
    const short = await serveRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    assert.match(shown(await ask(`http://${short}`)), fetching);
    const chunked = await serveRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert.match(shown(await ask(`http://${chunked}`)), fetching);
    const reset = await serveRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", (socket) =>
      setTimeout(() => socket.resetAndDestroy(), 50),
    );
    assert.match(shown(await ask(`http://${reset}`)), fetching);
    const early = await serveRaw("", (socket) => socket.resetAndDestroy());
    assert.match(shown(await ask(`http://${early}`)), connecting);
  });

  test("that does not come in time is none", async () => {
    const timeoutMs = 300;
    const silent = await serveRaw("", () => undefined);
    const slow = await serveRaw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", (socket) => {
      const drip = setInterval(() => socket.write("a"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    const informing = await serveRaw("", (socket) => {
      const drip = setInterval(() => socket.write("HTTP/1.1 103 Early Hints\r\n\r\n"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    for (const host of [silent, slow, informing]) {
      const start = Date.now();
      assert.equal(shown(await ask(`http://${host}`, {}, { ...DEVELOPMENT, timeoutMs })), "1 Timeout expired");
      assert.ok(Date.now() - start < 5_000);
    }
  });
});

describe("a server", () => {
  test("that is not there is a failure that may pass", async () => {
    const host = await serve(() => undefined);
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    for (const url of [`https://${host}`, `http://${host}`]) {
      assert.match(shown(await ask(url)), /^2 Connecting to 127\.0\.0\.1 failed: .*ECONNREFUSED/);
    }
    const invalid = await ask("https://nobody.invalid", {}, { connectTimeoutMs: 2_000 });
    assert.match(shown(invalid), /^2 Connecting to nobody\.invalid failed: /);
  });

  test("that cannot show who it is gets no request", async () => {
    let requests = 0;
    const tls = await serveTls((_, response) => {
      requests++;
      response.end();
    });
    assert.match(shown(await ask(`https://${tls}`, {}, {})), /^2 Connecting to 127\.0\.0\.1 failed: .*self-signed/);
    const plain = await serve((_, response) => response.end());
    assert.match(shown(await ask(`https://${plain}`)), /^2 Connecting to 127\.0\.0\.1 failed: /);
    assert.equal(requests, 0);
  });

  test("does not see requests of two outcalls on one connection", async () => {
    let connections = 0;
    const server = createServer((_, response) => response.end("a"));
    server.on("connection", () => connections++);
    const host = await listen(server);
    for (let i = 0; i < 3; i++) assert.equal(shown(await ask(`http://${host}`)), "200 a");
    assert.equal(connections, 3);
  });
});
