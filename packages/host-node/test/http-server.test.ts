// The server over real sockets: bounds on bodies, headers and time, addresses that cannot be had, closing, and what
// reaches which handler. Raw sockets where a well-behaved client would not do what is tested.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "@atoll/types";
import type { HttpHandler, HttpRequest, WebHandler } from "@atoll/types/http";
import { type HttpServer, type HttpServerOptions, startHttpServer } from "../src/http-server.ts";

const servers: HttpServer[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const echo: HttpHandler = async (request) => ({
  status: 200,
  headers: { "content-type": "application/cbor" },
  body: request.body,
});

async function start(options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler: echo, ...options });
  servers.push(server);
  return server;
}

async function dial(server: HttpServer): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Everything that comes until the other side ends. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

const API = "/api/v2/status";

describe("bodies", () => {
  it("reach the handler as they are, in one piece or many, with or without a length", async () => {
    const { url } = await start();
    const body = new Uint8Array(300_000).map((_, i) => i);
    const whole = await fetch(url + API, { method: "POST", body });
    assert.deepEqual(new Uint8Array(await whole.arrayBuffer()), body);
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 50_000) controller.enqueue(body.slice(at, at + 50_000));
        controller.close();
      },
    });
    const chunked = await fetch(url + API, { method: "POST", body: stream, duplex: "half" } as RequestInit);
    assert.deepEqual(new Uint8Array(await chunked.arrayBuffer()), body);
    assert.equal(chunked.headers.get("content-length"), String(body.length));
  });

  it("of 5 MiB pass, one byte more is 413 even when the client sends it all", async () => {
    const { url } = await start();
    const most = await fetch(url + API, { method: "POST", body: new Uint8Array(5 * 1024 * 1024) });
    assert.equal((await most.arrayBuffer()).byteLength, 5 * 1024 * 1024);
    const tooMuch = await fetch(url + API, { method: "POST", body: new Uint8Array(5 * 1024 * 1024 + 1) });
    assert.equal(tooMuch.status, 413);
    assert.match(await tooMuch.text(), /larger than the maximum of 5242880 bytes/);
  });

  it("without a length are cut off at the limit", async () => {
    const { url } = await start({ limits: { maxBodyBytes: 1000 } });
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 20; i++) controller.enqueue(new Uint8Array(100));
        controller.close();
      },
    });
    const answer = await fetch(url + API, { method: "POST", body: stream, duplex: "half" } as RequestInit);
    assert.equal(answer.status, 413);
  });

  it("announced as too large are refused before they are sent", async () => {
    const server = await start();
    const socket = await dial(server);
    socket.write(`POST ${API} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\nexpect: 100-continue\r\n\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1.1 413 /);
  });
});

describe("slow and broken clients", () => {
  it("have the time of the limits for their headers, then 408", async () => {
    const server = await start({ limits: { headersTimeoutMs: 100, receiveTimeoutMs: 100 } });
    const socket = await dial(server);
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n");
    assert.match(await received(socket), /^HTTP\/1.1 408 /);
  });

  it("have the time of the limits for their body, then 408", async () => {
    const server = await start({ limits: { headersTimeoutMs: 100, receiveTimeoutMs: 200 } });
    const socket = await dial(server);
    socket.write(`POST ${API} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc`);
    assert.match(await received(socket), /^HTTP\/1.1 408 /);
  });

  it("get 431 for headers without end and 400 for what is not HTTP", async () => {
    const server = await start();
    const large = await dial(server);
    large.write(`GET / HTTP/1.1\r\nx: ${"y".repeat(40_000)}\r\n\r\n`);
    assert.match(await received(large), /^HTTP\/1.1 431 /);
    const noise = await dial(server);
    noise.write("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert.match(await received(noise), /^HTTP\/1.1 400 /);
  });

  it("that leave are reported once to the handler", async () => {
    let left = 0;
    const { promise: called, resolve } = Promise.withResolvers<void>();
    const apiHandler: HttpHandler = (request) =>
      new Promise((done) => {
        request.onDisconnect?.(() => {
          left++;
          done({ status: 200, headers: {}, body: new Uint8Array(0) });
        });
        resolve();
      });
    const server = await start({ apiHandler });
    const socket = await dial(server);
    socket.write(`GET ${API} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await called;
    socket.destroy();
    while (left === 0) await sleep(5);
    await sleep(20);
    assert.equal(left, 1);
  });

  it("to upgrade reach whoever speaks that protocol; all others are answered as if they had not asked", async () => {
    const take = (socket: Socket, early: Uint8Array) => socket.end(`taken ${Buffer.from(early).toString()}`);
    const server = await start({ upgrade: { protocol: "ours", take } });
    const ask = async (protocol: string) => {
      const socket = await dial(server);
      socket.write(`GET ${API} HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: ${protocol}\r\n\r\nearly`);
      return received(socket);
    };
    assert.match(await ask("ours"), /^HTTP\/1.1 101 .*\r\nUpgrade: ours\r\n\r\ntaken early$/s);
    for (const protocol of ["h2c", "websocket", "undefined"]) assert.match(await ask(protocol), /^HTTP\/1.1 200 /);
    const plain = await start();
    const socket = await dial(plain);
    socket.write(`GET ${API} HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: ours\r\n\r\n`);
    assert.match(await received(socket), /^HTTP\/1.1 200 /);
  });

  it("that stay are not reported", async () => {
    let left = 0;
    const apiHandler: HttpHandler = async (request) => {
      request.onDisconnect?.(() => left++);
      return echo(request);
    };
    const { url } = await start({ apiHandler });
    await (await fetch(url + API)).text();
    await sleep(20);
    assert.equal(left, 0);
  });

  it("are dropped above the limit of connections", async () => {
    const server = await start({ limits: { maxConnections: 1 } });
    const first = await dial(server);
    first.write(`GET ${API} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await once(first, "data");
    const second = await dial(server);
    assert.equal(await received(second), "");
  });
});

describe("answers", () => {
  it("that take too long are 504", async () => {
    const { url } = await start({ apiHandler: () => new Promise(() => {}), limits: { answerTimeoutMs: 50 } });
    assert.equal((await fetch(url + API)).status, 504);
  });

  it("that fail are 500 without the reason, and the server goes on", async () => {
    let fail = true;
    const apiHandler: HttpHandler = async (request) => {
      if (fail) throw new Error("secret");
      return echo(request);
    };
    const { url } = await start({ apiHandler });
    const answer = await fetch(url + API);
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /secret/);
    fail = false;
    assert.equal((await fetch(url + API)).status, 200);
  });

  it("reuse the connection", async () => {
    const server = await start();
    const socket = await dial(server);
    for (let i = 0; i < 3; i++) {
      socket.write(`POST ${API} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n${i}`);
      const [answer] = (await once(socket, "data")) as [Buffer];
      assert.match(answer.toString(), new RegExp(`^HTTP/1.1 200 [^]*${i}$`));
    }
  });
});

describe("gateway", () => {
  const seen: HttpRequest[] = [];
  const gateway =
    (body: Uint8Array | AsyncIterable<Uint8Array>, status = 200): WebHandler =>
    async (request) => {
      seen.push(request);
      return {
        status,
        headers: [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
        body,
      };
    };

  it("gets everything but the interface, with all headers", async () => {
    const { url } = await start({ gatewayHandler: gateway(Buffer.from("page")) });
    const page = await fetch(`${url}/api/todos?x=1`, { headers: { "x-one": "1" } });
    assert.equal(await page.text(), "page");
    assert.deepEqual(page.headers.getSetCookie(), ["a=1", "b=2"]);
    const request = seen.at(-1);
    assert.equal(request?.target, "/api/todos?x=1");
    assert.equal(request?.headers.get("x-one"), "1");
    assert.ok([...(request?.headers.entries() ?? [])].some(([name, value]) => name === "x-one" && value === "1"));
    const count = seen.length;
    await fetch(`${url}/api/v2/status`);
    assert.equal(seen.length, count);
  });

  it("streams, and stops when the client leaves", async () => {
    let pulled = 0;
    let ended = false;
    async function* endless() {
      try {
        for (;;) {
          pulled++;
          yield new Uint8Array(64 * 1024);
        }
      } finally {
        ended = true;
      }
    }
    const { url } = await start({ gatewayHandler: gateway(endless()) });
    const answer = await fetch(`${url}/`);
    const reader = answer.body?.getReader();
    await reader?.read();
    await sleep(100);
    const before = pulled;
    assert.ok(before < 1000, "the socket holds the stream back");
    await reader?.cancel();
    while (!ended) await sleep(5);
  });

  it("cuts off a client that takes nothing", async () => {
    let ended = false;
    async function* endless() {
      try {
        for (;;) yield new Uint8Array(1024 * 1024);
      } finally {
        ended = true;
      }
    }
    const server = await start({ gatewayHandler: gateway(endless()), limits: { stallTimeoutMs: 50 } });
    const socket = await dial(server);
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    while (!ended) await sleep(5);
  });

  it("cuts the connection when a stream breaks", async () => {
    async function* broken() {
      yield new Uint8Array(10);
      throw new Error("no more");
    }
    const { url } = await start({ gatewayHandler: gateway(broken()) });
    await assert.rejects(async () => (await fetch(`${url}/`)).text());
  });

  it("sends no body with 204 and 304", async () => {
    for (const status of [204, 304]) {
      const server = await start({ gatewayHandler: gateway(Buffer.from("x"), status) });
      const socket = await dial(server);
      socket.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      const text = await received(socket);
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
      assert.ok(text.endsWith("\r\n\r\n"));
    }
  });

  it("takes whole URLs from proxies, and no other targets", async () => {
    const server = await start({ gatewayHandler: gateway(Buffer.from("x")) });
    const proxy = await dial(server);
    proxy.write("GET http://h:1/a?b HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    assert.match(await received(proxy), /^HTTP\/1.1 200 /);
    assert.equal(seen.at(-1)?.target, "/a?b");
    const star = await dial(server);
    star.write("OPTIONS * HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    assert.match(await received(star), /^HTTP\/1.1 400 /);
  });
});

describe("addresses", () => {
  const code = (expected: string) => (error: unknown) => error instanceof EnvironmentError && error.code === expected;

  it("in use are reported with the port", async () => {
    const { port } = await start();
    await assert.rejects(
      start({ port }),
      (error: Error) => code("ADDRESS_IN_USE")(error) && error.message.includes(`${port}`),
    );
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    await assert.rejects(start({ port: (other.address() as AddressInfo).port }), code("ADDRESS_IN_USE"));
    other.close();
  });

  it("that this machine does not have are reported", async () => {
    await assert.rejects(start({ host: "192.0.2.1" }), code("ADDRESS_NOT_AVAILABLE"));
  });
});

describe("close", () => {
  it("ends idle connections, lets a running request finish and takes no new ones", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: called, resolve: call } = Promise.withResolvers<void>();
    const apiHandler: HttpHandler = async (request) => {
      if (request.target.endsWith("slow")) {
        call();
        await released;
      }
      return echo(request);
    };
    const server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler });
    const idle = await dial(server);
    idle.write(`GET ${API} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await once(idle, "data");
    const running = fetch(`${server.url}${API}?slow`);
    await called;
    const closed = server.close();
    await once(idle, "close");
    await assert.rejects(fetch(server.url + API));
    release();
    assert.equal((await running).status, 200);
    await closed;
  });

  it("does not wait for ever", async () => {
    const apiHandler: HttpHandler = () => new Promise(() => {});
    const server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler, limits: { closeTimeoutMs: 50 } });
    const stuck = fetch(server.url + API);
    await sleep(30);
    await Promise.all([server.close(), assert.rejects(stuck)]);
  });
});
