// The front of a network of many nodes, over real sockets, before servers that behave as nodes do when they die, hang, lag
// behind or have too much to do. What a client gets must not depend on which of them it is that fails.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { frameHeader } from "@atoll/p2p/transport/framing";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { createFront, type Front } from "../src/nodes/front.ts";
import { createFrontDoor } from "../src/nodes/front-door.ts";
import { LINK_PROTOCOL } from "../src/nodes/front-link.ts";
import { HEIGHT_HEADER, LEAST_HEIGHT_HEADER, withHeights } from "../src/nodes/node-heights.ts";

interface Standin {
  readonly url: string;
  /** Bodies of what it was asked, but for its health. */
  readonly asked: string[];
  /** Ends all connections, and listens no more. */
  die(): void;
}

const standins: Standin[] = [];
let front: Front | undefined;
afterEach(() => {
  front?.stop();
  for (const { die } of standins.splice(0)) die();
});

type Answer = (asked: { least: string | null | undefined; socket: Socket }) => HttpResponse | Promise<HttpResponse>;

/** Answers that it is well, and everything else as `answer` does. */
async function standin(answer: Answer, isWell: () => boolean = () => true): Promise<Standin> {
  const asked: string[] = [];
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on("upgrade", (_request, socket: Socket, received: Uint8Array) => {
    sockets.add(socket);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`);
    const handler: HttpHandler = async ({ target, headers, body }) => {
      if (target === "/api/v2/status") return isWell() ? plain(200, "well") : never;
      asked.push(new TextDecoder().decode(body));
      return answer({ least: headers.get(LEAST_HEIGHT_HEADER), socket });
    };
    createFrontDoor(handler, { log: () => undefined }).take(socket, received);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const die = (): void => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  };
  const made = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, die };
  standins.push(made);
  return made;
}

function plain(status: number, what: string, headers: HttpResponse["headers"] = {}): HttpResponse {
  return { status, headers, body: new TextEncoder().encode(what) };
}

const never = new Promise<never>(() => undefined);
const good =
  (what: string): Answer =>
  () =>
    plain(200, what);
/** Half of an answer, and then the end. */
const dying: Answer = ({ socket }) => {
  socket.write(Buffer.concat([frameHeader(100), Buffer.from("half of it")]), () => socket.destroy());
  return never;
};
const overloaded: Answer = () => plain(503, "too much to do");
const silent: Answer = () => never;

function frontOf(...nodes: readonly Standin[]): Front {
  front = createFront(nodes.length, { log: () => undefined });
  for (const [place, { url }] of nodes.entries()) front.setNode(place, url);
  return front;
}

function call(text: string, target = "/api/v4/canister/aaaaa-aa/call"): HttpRequest {
  const headers = [["content-type", "application/cbor"]] as const;
  return {
    method: "POST",
    target,
    headers: { get: (name) => headers.find(([each]) => each === name)?.[1], entries: () => headers },
    body: new TextEncoder().encode(text),
  };
}

function text({ status, body }: HttpResponse): string {
  return `${status} ${new TextDecoder().decode(body)}`;
}

test("requests are spread over all nodes", async () => {
  const nodes = [await standin(good("a")), await standin(good("b")), await standin(good("c"))];
  const { api } = frontOf(...nodes);
  for (let i = 0; i < 12; i++) assert.match(text(await api(call(`${i}`))), /^200 [abc]$/);
  for (const { asked } of nodes) assert.ok(asked.length >= 2, `${asked}`);
});

test("a node that dies in the middle of its answer is replaced by another, for every kind of request", async () => {
  const nodes = [await standin(dying), await standin(dying), await standin(good("the whole answer"))];
  const { api } = frontOf(...nodes);
  for (const target of [
    "/api/v4/canister/aaaaa-aa/call",
    "/api/v3/canister/aaaaa-aa/call",
    "/api/v2/canister/aaaaa-aa/call",
    "/api/v3/canister/aaaaa-aa/query",
    "/api/v3/canister/aaaaa-aa/read_state",
  ]) {
    assert.equal(text(await api(call("body", target))), "200 the whole answer", target);
  }
});

test("a node that nobody listens at is passed over, and is asked again when it is back", async () => {
  const [gone, other] = [await standin(good("gone")), await standin(good("other"))];
  const all = frontOf(gone, other);
  gone.die();
  for (let i = 0; i < 5; i++) assert.equal(text(await all.api(call("x"))), "200 other");
  const back = await standin(good("back"));
  all.setNode(0, back.url);
  const answers = new Set<string>();
  for (let i = 0; i < 5; i++) answers.add(text(await all.api(call("x"))));
  assert.ok(answers.has("200 back"));
});

test("a node that has too much to do hands over to one that has not; when all have, that is the answer", async () => {
  const [first, second] = [await standin(overloaded), await standin(good("taken"))];
  const all = frontOf(first, second);
  for (let i = 0; i < 4; i++) assert.equal(text(await all.api(call("x"))), "200 taken");
  all.setNode(1, undefined);
  assert.equal(text(await all.api(call("x"))), "503 too much to do");
  all.setNode(0, undefined);
  assert.match(text(await all.api(call("x"))), /^503 No node/);
});

test("what a node refuses for a reason is not asked of others", async () => {
  const nodes = [await standin(() => plain(400, "no such method")), await standin(() => plain(400, "no such method"))];
  const { api } = frontOf(...nodes);
  assert.equal(text(await api(call("x"))), "400 no such method");
  assert.equal(
    nodes.reduce((sum, { asked }) => sum + asked.length, 0),
    1,
  );
});

test("a node that hangs with a request is not waited for", async () => {
  // It is well until it gets a request, and then answers nothing any more.
  const hanging = await standin(silent, () => hanging.asked.length === 0);
  const { api } = frontOf(hanging, await standin(good("instead")));
  const answers = await Promise.all([api(call("x")), api(call("y")), api(call("z"))]);
  assert.deepEqual(answers.map(text), ["200 instead", "200 instead", "200 instead"]);
  assert.ok(hanging.asked.length > 0, "it was asked");
});

test("an answer that takes long from a node that is well is waited for, and nobody else is bothered", async () => {
  const slow = (name: string): Answer => {
    return () => pause(1_200, plain(200, name));
  };
  const nodes = [await standin(slow("a")), await standin(slow("b"))];
  const { api } = frontOf(...nodes);
  assert.match(text(await api(call("x"))), /^200 [ab]$/);
  assert.equal(
    nodes.reduce((sum, { asked }) => sum + asked.length, 0),
    1,
  );
});

test("a message that is answered before it is executed goes to two nodes", async () => {
  const nodes = [await standin(good("")), await standin(good("")), await standin(good(""))];
  const { api } = frontOf(...nodes);
  await api(call("the message", "/api/v2/canister/aaaaa-aa/call"));
  while (nodes.filter(({ asked }) => asked.length > 0).length < 2)
    await new Promise((resolve) => setTimeout(resolve, 5));
});

test("whoever has seen a height is answered from that height or a later one", async () => {
  const leasts: unknown[] = [];
  const at = (height: number): Answer => {
    return ({ least }) => {
      leasts.push(least);
      return plain(200, "x", { [HEIGHT_HEADER]: String(height) });
    };
  };
  const { api } = frontOf(await standin(at(7)), await standin(at(9)));
  const first = await api(call("x"));
  assert.equal(first.headers[HEIGHT_HEADER], undefined, "clients need not know");
  await api(call("x"));
  await api(call("x"));
  assert.equal(leasts[0], "0");
  assert.equal(leasts[2], "9");
});

test("a node waits until it is at the height that is asked for, and says so when it is far behind", async () => {
  let height = 5;
  const answered: HttpResponse = { status: 200, headers: {}, body: new Uint8Array(0) };
  const { handler, moved } = withHeights(
    async () => answered,
    () => height,
  );
  const asking = (least: string): HttpRequest => ({
    ...call("x"),
    headers: { get: (name) => (name === LEAST_HEIGHT_HEADER ? least : undefined), entries: () => [] },
  });
  assert.equal((await handler(asking("5"))).headers[HEIGHT_HEADER], "5");
  const waiting = handler(asking("6"));
  height = 6;
  moved();
  assert.equal((await waiting).status, 200);
  assert.equal((await handler(asking("7"))).status, 503);
  for (const nonsense of ["", "-1", "x", "NaN"]) assert.equal((await handler(asking(nonsense))).status, 200);
});
