// Bytes that are no requests, requests that are too large, too many, too slow: everything that arrives at the port
// before anybody is known. Status codes: checklist 1.1, 1.2, 1.8; CBOR rules: checklist 1.2.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { chance } from "../seeded.ts";
import { increment, startVictim, type Victim, whileServed } from "./victim.ts";
import { content, envelope, nowNs, post } from "./wire.ts";

const MEMORY_BOUND_MIB = 700;
const MIB = 1024 * 1024;

let victim: Victim;
let endpoints: Record<"call" | "asyncCall" | "query" | "read_state", string>;
before(async () => {
  victim = await startVictim();
  const { url, counter } = victim;
  endpoints = {
    call: `${url}/api/v4/canister/${counter}/call`,
    asyncCall: `${url}/api/v2/canister/${counter}/call`,
    query: `${url}/api/v3/canister/${counter}/query`,
    read_state: `${url}/api/v3/canister/${counter}/read_state`,
  };
});
after(() => victim?.close(MEMORY_BOUND_MIB));

const good = () =>
  envelope(
    content("call", { canister_id: victim.counter.toUint8Array(), method_name: "update", arg: Uint8Array.of(63) }),
  );

/** The same broken body at every endpoint: always 400, never more than a second. */
async function assertRefused(body: Uint8Array, name: string): Promise<void> {
  for (const [kind, url] of Object.entries(endpoints)) {
    const start = performance.now();
    const { status, text } = await post(url, body);
    assert.equal(status, 400, `${name} at ${kind}: ${status} ${text.slice(0, 200)}`);
    assert.match(text, /Failed to deserialize cbor request|Could not parse body|Malformed request/);
    assert.ok(text.length < 2000);
    assert.ok(performance.now() - start < 3000, `${name} took too long`);
  }
}

function head(major: number, length: number): number[] {
  const view = new DataView(new ArrayBuffer(9));
  view.setUint8(0, (major << 5) | 27);
  view.setBigUint64(1, BigInt(length));
  return [...new Uint8Array(view.buffer)];
}

const SELF = [0xd9, 0xd9, 0xf7];
const text = (value: string): number[] => [0x60 + value.length, ...new TextEncoder().encode(value)];

const BROKEN: Record<string, () => Uint8Array> = {
  nothing: () => new Uint8Array(),
  "one tag": () => Uint8Array.from(SELF),
  "a number": () => Uint8Array.of(1),
  "an empty map": () => Uint8Array.of(0xa0),
  JSON: () => new TextEncoder().encode(JSON.stringify({ content: {} })),
  "a break alone": () => Uint8Array.of(0xff),
  "a reserved head": () => Uint8Array.of(0x1c),
  "bytes after the end": () => Uint8Array.from([...good(), 0]),
  "ten thousand arrays in each other": () => new Uint8Array(10_000).fill(0x81),
  "two million arrays in each other": () => new Uint8Array(2_000_000).fill(0x81),
  "two million tags": () => Uint8Array.from({ length: 2_000_001 }, (_, i) => (i % 2 === 0 ? 0xc1 : 0xc1)),
  "indefinite arrays in each other": () => new Uint8Array(1_000_000).fill(0x9f),
  "maps in each other": () =>
    Uint8Array.from({ length: 900_000 }, (_, i) => (i % 3 === 0 ? 0xa1 : i % 3 === 1 ? 0x61 : 0x61)),
  "an array of 2^62": () => Uint8Array.from([...SELF, ...head(4, 2 ** 62)]),
  "a map of 2^40": () => Uint8Array.from([...SELF, ...head(5, 2 ** 40)]),
  "a blob of 2^53": () => Uint8Array.from([...SELF, ...head(2, 2 ** 53)]),
  "a text of 2^33": () => Uint8Array.from([...SELF, ...head(3, 2 ** 33)]),
  "two million nulls": () => Uint8Array.from([...SELF, ...head(4, 2_000_000), ...new Uint8Array(2_000_000).fill(0xf6)]),
  "a float": () => Uint8Array.from([0xa1, ...text("content"), 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
  "text that is not UTF-8": () => Uint8Array.from([0xa1, 0x62, 0xc3, 0x28, 0xa0]),
  "the envelope with content twice": () => {
    const once = envelope(content("call")).subarray(4);
    return Uint8Array.from([...SELF, 0xa2, ...once, ...once]);
  },
  "the sender twice": () => {
    const sender = [...text("sender"), 0x41, 4];
    return Uint8Array.from([...SELF, 0xa1, ...text("content"), 0xa2, ...sender, ...sender]);
  },
};

describe("bodies that are no envelopes", () => {
  for (const [name, body] of Object.entries(BROKEN)) test(name, () => assertRefused(body(), name));

  test("a good envelope, cut at every byte", async () => {
    const body = good();
    const answers = await Promise.all(
      Array.from({ length: body.length }, (_, i) => post(endpoints.asyncCall, body.subarray(0, i))),
    );
    for (const { status } of answers) assert.equal(status, 400);
  });

  test("fields that are missing or of another kind", async () => {
    const wrong: Record<string, unknown>[] = [
      ...["request_type", "sender", "ingress_expiry", "canister_id", "method_name", "arg"].map((name) => ({
        [name]: undefined,
      })),
      { sender: "anonymous" },
      { sender: new Uint8Array(30) },
      { canister_id: new Uint8Array(30) },
      { method_name: new Uint8Array(1) },
      { arg: "text" },
      { ingress_expiry: -1 },
      { ingress_expiry: 2n ** 64n },
      { ingress_expiry: "soon" },
      { request_type: "burn" },
      { nonce: 1 },
      { nonce: new Uint8Array(33) },
      { sender_info: {} },
    ];
    for (const changes of wrong) {
      const fields = {
        canister_id: victim.counter.toUint8Array(),
        method_name: "update",
        arg: new Uint8Array(),
        ...changes,
      };
      const { status, text: reason } = await post(endpoints.call, envelope(content("call", fields as never)));
      assert.equal(status, 400, `${JSON.stringify(Object.keys(changes))}: ${reason}`);
    }
  });
});

describe("sizes and paths", () => {
  test("more than 5 MiB is not read, a call of more than 2 MiB is not taken", async () => {
    const tooLarge = await post(endpoints.call, new Uint8Array(5 * MIB + 1));
    assert.equal(tooLarge.status, 413);
    const fields = content("call", {
      canister_id: victim.counter.toUint8Array(),
      method_name: "update",
      arg: new Uint8Array(2 * MIB),
    });
    const call = await post(endpoints.call, envelope(fields));
    assert.equal(call.status, 413);
    assert.match(call.text, /is too large.*larger than the max allowed 2097152/);
  });

  test("only application/cbor", async () => {
    for (const type of ["application/json", "text/plain", "application/cbor; charset=utf-8", ""]) {
      const { status, text: reason } = await post(endpoints.query, good(), type);
      assert.equal(status, 400, type);
      assert.match(reason, /Unexpected content-type, expected application\/cbor/);
    }
  });

  test("ids that are none, paths that lead nowhere, methods that do not fit", async () => {
    const { url } = victim;
    for (const id of [
      "x",
      "aaaaa",
      "aaaaa-aaa",
      "rrkah-fqaaa-aaaaa-aaaaq-caj",
      "%00",
      "a".repeat(8000),
      "..%2f..%2fetc%2fpasswd",
    ]) {
      const { status } = await post(`${url}/api/v4/canister/${id}/call`, good());
      assert.equal(status, 400, id.slice(0, 60));
    }
    for (const path of [
      "/api",
      "/api/v9/status",
      "/api/v2/status/",
      "/api/v4/canister",
      "/api/v4/subnet/x/read_state",
      "/api//v2/status",
    ]) {
      assert.equal((await post(`${url}${path}`, good())).status, 404, path);
    }
    assert.equal((await fetch(endpoints.call)).status, 405);
    assert.equal((await fetch(`${url}/api/v2/status`, { method: "DELETE" })).status, 405);
  });

  test("paths and labels without end", async () => {
    const read = (paths: Uint8Array[][]) => post(endpoints.read_state, envelope(content("read_state", { paths })));
    const label = new TextEncoder().encode("time");
    for (const paths of [Array.from({ length: 1001 }, () => [label]), [Array.from({ length: 128 }, () => label)]]) {
      assert.equal((await read(paths)).status, 400);
    }
    assert.equal((await read([[new Uint8Array(MIB)]])).status, 404);
    assert.equal((await read([[label, label]])).status, 404);
    assert.equal((await read([])).status, 200);
    assert.equal((await read(Array.from({ length: 1000 }, () => [label]))).status, 200);
  });
});

/** What the server sends until it closes or `ms` are over. */
function rawExchange(send: string | Uint8Array, ms: number): Promise<string> {
  const { hostname, port } = new URL(victim.url);
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(Number(port), hostname, () => socket.write(send));
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on("data", (data) => {
      received += data.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(received);
    });
  });
}

describe("connections", () => {
  test("what is no HTTP is answered with 400 or closed", async () => {
    const random = chance(4711);
    for (let i = 0; i < 100; i++) {
      const answer = await rawExchange(
        Uint8Array.from({ length: 1 + random.below(300) }, () => random.below(256)),
        300,
      );
      assert.match(answer, /^$|^HTTP\/1\.1 400/);
    }
    const smuggled =
      "POST /api/v2/status HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    assert.match(await rawExchange(smuggled, 500), /^HTTP\/1\.1 400/);
  });

  test("huge headers are refused", async () => {
    assert.match(
      await rawExchange(`GET /api/v2/status HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(100_000)}\r\n\r\n`, 2000),
      /^HTTP\/1\.1 431/,
    );
    const many = Array.from({ length: 5000 }, (_, i) => `h${i}: v\r\n`).join("");
    assert.match(await rawExchange(`GET /api/v2/status HTTP/1.1\r\nhost: x\r\n${many}\r\n`, 2000), /^HTTP\/1\.1 431/);
  });

  test("a thousand slow and five hundred broken connections, and others are served", async () => {
    const { hostname, port } = new URL(victim.url);
    const header = `POST ${new URL(endpoints.call).pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: 4000000\r\n\r\n`;
    const sockets = Array.from({ length: 1000 }, (_, i) => {
      const socket = connect(Number(port), hostname, () =>
        socket.write(i % 2 === 0 ? header.slice(0, 20) : header + "x".repeat(1000)),
      );
      return socket.on("error", () => undefined);
    });
    const [, waits] = await whileServed(victim, async () => {
      for (let i = 0; i < 500; i++) {
        const socket = connect(Number(port), hostname, () => {
          socket.write(header + "z".repeat(random.below(5000)));
          socket.destroy();
        });
        socket.on("error", () => undefined);
      }
      await pause(1500);
      await increment(victim.url, victim.counter);
    });
    for (const socket of sockets) socket.destroy();
    assert.ok(waits.query < 5000 && waits.status < 5000 && waits.readState < 5000, JSON.stringify(waits));
  });

  const random = chance(99);

  test("clients that leave before their answer", async () => {
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const body = good() as Uint8Array<ArrayBuffer>;
        const headers = { "content-type": "application/cbor" };
        await fetch(endpoints.call, {
          method: "POST",
          headers,
          body,
          signal: AbortSignal.timeout(1 + random.below(30)),
        }).catch(() => undefined);
      }),
    );
  });
});

test("three thousand random requests: never a 5xx, never a hang", async () => {
  const random = chance(20_260);
  const { url, counter } = victim;
  const paths = [
    ...Object.values(endpoints),
    `${url}/api/v2/canister/${counter}/query`,
    `${url}/api/v2/canister/${counter}/read_state`,
    `${url}/api/v3/canister/aaaaa-aa/query`,
    `${url}/api/v4/canister/aaaaa-aa/call`,
  ];
  const mutated = (): Uint8Array => {
    const kind = (["call", "query", "read_state"] as const)[random.below(3)] as "call";
    const fields = {
      canister_id: counter.toUint8Array(),
      method_name: "query",
      arg: Uint8Array.of(63),
      ingress_expiry: nowNs() + 60_000_000_000n,
    };
    const body = envelope(content(kind, fields)).slice();
    for (let i = random.below(4); i > 0; i--) body[random.below(body.length)] = random.below(256);
    return random.below(10) === 0 ? body.subarray(0, random.below(body.length)) : body;
  };
  const statuses = new Map<number, number>();
  const worker = async (): Promise<void> => {
    for (let i = 0; i < 300; i++) {
      const bytes =
        random.below(3) === 0 ? Uint8Array.from({ length: random.below(400) }, () => random.below(256)) : mutated();
      const start = performance.now();
      const { status, text: reason } = await post(paths[random.below(paths.length)] as string, bytes);
      assert.ok(status < 500, `${status} ${reason}`);
      assert.ok(performance.now() - start < 15_000, "an answer took too long");
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  assert.ok((statuses.get(400) ?? 0) > 1000 && (statuses.get(200) ?? 0) > 50, JSON.stringify([...statuses]));
});
