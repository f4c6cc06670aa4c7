// The connection between the front and a node, both ends over real sockets: what passes, what is bounded, and what a front or
// a node that sends nonsense gets. Nothing that one side sends may cost the other more than this connection.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startHttpServer } from "@atoll/host-node";
import { FrameReader, frameHeader } from "@atoll/p2p/transport/framing";
import { MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { createFrontDoor, type FrontDoorLimits } from "../src/nodes/front-door.ts";
import { LINK_PROTOCOL, MAX_ANSWER_BYTES } from "../src/nodes/front-link.ts";
import { createNodeClient, type NodeClient } from "../src/nodes/node-client.ts";
import { HEIGHT_HEADER, LEAST_HEIGHT_HEADER } from "../src/nodes/node-heights.ts";

const atEnd: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end();
});

const log = { log: () => undefined };

/** A node that serves a front. */
async function node(handler: HttpHandler, limits: Partial<FrontDoorLimits> = {}) {
  const door = createFrontDoor(handler, log, limits);
  const upgrade = { protocol: LINK_PROTOCOL, take: door.take };
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler: handler, upgrade });
  atEnd.push(async () => {
    door.close();
    await server.close();
  });
  return { door, server, client: clientOf(server.url) };
}

function clientOf(url: string): NodeClient {
  const client = createNodeClient(url);
  atEnd.push(() => client.close());
  return client;
}

/** Speaks to a node as nobody should. */
async function raw(port: number): Promise<{ socket: Socket; frames: string[]; isClosed: Promise<void> }> {
  const socket = connect(port, "127.0.0.1");
  atEnd.push(() => socket.destroy());
  const frames: string[] = [];
  const reader = new FrameReader(1_000_000);
  const isClosed = new Promise<void>((resolve) => socket.on("error", () => undefined).on("close", () => resolve()));
  socket.write(`GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: ${LINK_PROTOCOL}\r\n\r\n`);
  const [first] = (await once(socket, "data")) as [Buffer];
  assert.match(first.toString("latin1"), /^HTTP\/1.1 101 .*\r\n\r\n$/s);
  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk);
    for (let frame = reader.next(); frame instanceof Uint8Array; frame = reader.next()) {
      frames.push(Buffer.from(frame.subarray(8)).toString());
    }
  });
  return { socket, frames, isClosed };
}

function frame(id: number, head: string, body = "", headBytes = Buffer.byteLength(head)): Buffer {
  const fields = Buffer.alloc(8);
  fields.writeUInt32BE(id, 0);
  fields.writeUInt32BE(headBytes, 4);
  return Buffer.concat([frameHeader(8 + head.length + body.length), fields, Buffer.from(head), Buffer.from(body)]);
}

function request(
  body: Uint8Array,
  headers: readonly (readonly [string, string])[] = [],
  target = "/api/x",
): HttpRequest {
  return { method: "POST", target, headers: { get: () => undefined, entries: () => headers }, body };
}

type Result = { readonly answer: HttpResponse; readonly height: number } | "failed";

function ask(client: NodeClient, asked: HttpRequest, least = 0): Promise<Result> {
  return new Promise((resolve) => {
    client.send(asked, least, {
      answered: (answer, height) => resolve({ answer, height }),
      failed: () => resolve("failed"),
    });
  });
}

function text(result: Result): string {
  return result === "failed" ? result : `${result.answer.status} ${Buffer.from(result.answer.body).toString()}`;
}

const answerOf = (status: number, what: string): HttpResponse => ({ status, headers: {}, body: Buffer.from(what) });
const bytes = (what: string) => new TextEncoder().encode(what);
const until = async (is: () => boolean) => {
  while (!is()) await pause(2);
};

test("requests and answers pass whole, many at once and in any order, over one connection", async () => {
  const seen: HttpRequest[] = [];
  const { client } = await node(async (asked) => {
    seen.push(asked);
    await pause(asked.body.length % 7);
    const headers = { "content-type": "x/y", "x-word": 'gr\u00fcn "\\', [HEIGHT_HEADER]: "12", "content-length": "3" };
    return { status: 202, headers, body: asked.body };
  });
  const sizes = [0, 1, 65_536, MAX_HTTP_BODY_BYTES, ...Array.from({ length: 40 }, (_, i) => i * 37)];
  const headers = [
    ["Content-Type", "a/b"],
    ["x-Twice", "1"],
    ["x-twice", "\u00e9"],
    ["Connection", "close"],
  ] as const;
  const results = await Promise.all(
    sizes.map((size) => ask(client, request(new Uint8Array(size).fill(size), headers), 7)),
  );
  for (const [i, result] of results.entries()) {
    assert.ok(result !== "failed");
    assert.equal(result.height, 12);
    assert.equal(result.answer.status, 202);
    assert.deepEqual(result.answer.headers, { "content-type": "x/y", "x-word": 'gr\u00fcn "\\' });
    assert.ok(Buffer.from(result.answer.body).equals(Buffer.alloc(sizes[i] ?? -1, sizes[i])), `${sizes[i]}`);
  }
  for (const { method, target, headers: got, body } of seen) {
    assert.deepEqual([method, target, got.get("content-type"), got.get("x-twice")], ["POST", "/api/x", "a/b", "1"]);
    const names = [...got.entries()].map(([name]) => name);
    assert.deepEqual(names, [LEAST_HEIGHT_HEADER, "content-type", "x-twice", "x-twice"]);
    assert.equal(got.get(LEAST_HEIGHT_HEADER), "7");
    // Else a message that is kept would keep all that came with it.
    assert.equal(body.buffer.byteLength, body.length);
  }
  assert.equal(seen.length, sizes.length);
});

test("a body or an answer that is too long is refused by itself, and the others go on", async () => {
  const { client } = await node(async ({ body }) =>
    body.length === 3
      ? { status: 200, headers: {}, body: new Uint8Array(MAX_ANSWER_BYTES + 1) }
      : answerOf(200, "fine"),
  );
  const results = await Promise.all([
    ask(client, request(new Uint8Array(MAX_HTTP_BODY_BYTES + 1))),
    ask(client, request(bytes("abc"))),
    ask(client, request(bytes("ab"))),
    ask(client, request(bytes("ab"), [], "no path")),
  ]);
  assert.match(text(results[0] as Result), /^413 The request body is larger/);
  assert.match(text(results[1] as Result), /^500 The answer is too long/);
  assert.equal(text(results[2] as Result), "200 fine");
  assert.match(text(results[3] as Result), /^400 /);
});

test("what a front has under way is bounded in number and in bytes", async () => {
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const handler: HttpHandler = async () => {
    await ready;
    return answerOf(200, "");
  };
  for (const limits of [{ maxRequests: 2 }, { maxRequestBytes: 20 }]) {
    const { client } = await node(handler, limits);
    const first = [ask(client, request(new Uint8Array(10))), ask(client, request(new Uint8Array(10)))];
    assert.match(text(await ask(client, request(new Uint8Array(10)))), /^503 .*too much to do/);
    resolve();
    for (const each of first) assert.equal(text(await each), "200 ");
    assert.equal(text(await ask(client, request(new Uint8Array(10)))), "200 ");
  }
});

test("a request that is given up is reported to the node, and so are all when the front is gone", async () => {
  let left = 0;
  let asked = 0;
  const handler: HttpHandler = ({ onDisconnect }) => {
    asked++;
    onDisconnect?.(() => left++);
    const forget = onDisconnect?.(() => assert.fail("forgotten"));
    forget?.();
    return new Promise(() => undefined);
  };
  const { client } = await node(handler);
  const nothing = { answered: () => assert.fail(), failed: () => assert.fail() };
  const giveUps = [1, 2].map(() => client.send(request(bytes("x")), 0, nothing));
  await until(() => asked === 2);
  giveUps[0]?.();
  giveUps[0]?.();
  await until(() => left === 1);
  giveUps[1]?.();
  await until(() => left === 2);
  const result = ask(client, request(bytes("z")));
  await until(() => asked === 3);
  client.close();
  assert.equal(await result, "failed");
  await until(() => left === 3);
});

test("a handler that throws is 500 without the reason", async () => {
  const { client } = await node(() => Promise.reject(new Error("a secret")));
  assert.equal(text(await ask(client, request(bytes("x")))), "500 Internal error.");
});

test("a node that ends lets what is under way end, and takes nothing new", async () => {
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const { client, door, server } = await node(async () => {
    await ready;
    return answerOf(200, "in time");
  });
  const running = ask(client, request(bytes("x")));
  await pause(50);
  door.close();
  assert.match(text(await ask(client, request(bytes("x")))), /^503/);
  const closed = server.close();
  resolve();
  assert.equal(text(await running), "200 in time");
  await closed;
  assert.equal(text(await ask(client, request(bytes("x")))), "failed");
});

test("a front that sends no frames is cut off, one that sends no requests is told so", async () => {
  const { server } = await node(async () => answerOf(200, "fine"));
  const nonsense = [
    frameHeader(MAX_HTTP_BODY_BYTES * 2),
    Buffer.concat([frameHeader(3), Buffer.from("abc")]),
    frame(1, "[]", "", 3),
    frame(1, "[]", "", 0xffff_ffff),
    Buffer.alloc(4),
  ];
  for (const sent of nonsense) {
    const { socket, isClosed } = await raw(server.port);
    socket.write(sent);
    await isClosed;
  }
  const { socket, frames } = await raw(server.port);
  const heads = [
    "x",
    "{}",
    "[]",
    '["GET"]',
    '["GET", 3]',
    '["GET", "x"]',
    '["GET", "/", "a"]',
    '["GET", "/", "a", null]',
  ];
  for (const [id, head] of heads.entries()) socket.write(frame(id, head));
  socket.write(frame(99, '["GET", "/"]'));
  // Unknown: it may have been answered already.
  socket.write(frame(1_000, ""));
  await until(() => frames.length === heads.length + 1);
  for (const each of frames.slice(0, -1)) assert.match(each, /^\[400,/);
  assert.equal(frames.at(-1), "[200,{}]fine");
});

test("a number that is in use already ends the connection", async () => {
  const { server } = await node(() => new Promise(() => undefined));
  const { socket, isClosed } = await raw(server.port);
  socket.write(Buffer.concat([frame(7, '["GET", "/"]'), frame(7, '["GET", "/"]')]));
  await isClosed;
});

test("a node that answers with nonsense, or takes no fronts, fails requests", async () => {
  const nonsense = [
    frame(1, "x"),
    frame(1, "3"),
    frame(1, '["200", {}]'),
    frame(1, "[200, null]"),
    frameHeader(2 ** 31),
  ];
  for (const sent of nonsense) {
    const server = createServer().on("upgrade", (_, socket: Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
      // An answer to nothing is no harm.
      socket.write(Buffer.concat([frame(55, "[200, {}]"), sent]));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    atEnd.push(() => server.close());
    const client = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.equal(text(await ask(client, request(bytes("x")))), "failed");
    client.close();
  }
  const other = await startHttpServer({ host: "127.0.0.1", port: 0, apiHandler: async () => answerOf(200, "x") });
  atEnd.push(() => other.close());
  assert.equal(text(await ask(clientOf(other.url), request(bytes("x")))), "failed");
});
