// What the transport reads before anything else looks at it: frames on a stream, the first frame of a connection, and the
// addresses of the registry.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader, frameHeader } from "../src/transport/framing.ts";
import { decodeHello, encodeHello, HELLO_BYTES } from "../src/transport/hello.ts";
import { parsePeerAddress } from "../src/transport/peer-address.ts";

function read(reader: FrameReader, chunks: readonly Uint8Array[]): { frames: Uint8Array[]; isOver: boolean } {
  const frames: Uint8Array[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (;;) {
      const frame = reader.next();
      if (frame === "more") break;
      if (frame === "too long") return { frames, isOver: true };
      frames.push(frame);
    }
  }
  return { frames, isOver: false };
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(bytes.slice(at, at + length));
    at += length;
  }
  return [...chunks, bytes.slice(at)];
}

test("frames come out whole and in order, however the stream is cut", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(20), { maxLength: 60 }), (sent, lengths) => {
      const stream = Buffer.concat(sent.flatMap((frame) => [frameHeader(frame.length), frame]));
      const { frames: received, isOver } = read(new FrameReader(60), cut(new Uint8Array(stream), lengths));
      assert.deepEqual(
        received.map((frame) => [...frame]),
        sent.map((frame) => [...frame]),
      );
      assert.equal(isOver, false);
    }),
  );
});

test("a length above the bound ends it, wherever it stands", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 });
  fc.assert(
    fc.property(fc.integer({ min: 61, max: 2 ** 32 - 1 }), cuts, (length, lengths) => {
      const stream = Buffer.concat([frameHeader(3), Uint8Array.of(1, 2, 3), frameHeader(length), new Uint8Array(20)]);
      const { frames, isOver } = read(new FrameReader(60), cut(new Uint8Array(stream), lengths));
      assert.deepEqual(
        frames.map((frame) => [...frame]),
        [[1, 2, 3]],
      );
      assert.equal(isOver, true);
    }),
  );
});

test("whatever the first frame is, it is a hello or it is none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: HELLO_BYTES + 1 }), (bytes) => {
      const hello = decodeHello(bytes);
      if (hello !== undefined) assert.deepEqual([...encodeHello(hello)], [...bytes]);
      else assert.ok(bytes.length !== HELLO_BYTES || (bytes[0] as number) > 1);
    }),
  );
});

test("an address is a host and a port, an IPv6 address in brackets; anything else is none", () => {
  assert.deepEqual(parsePeerAddress("127.0.0.1:4100"), { host: "127.0.0.1", port: 4100 });
  assert.deepEqual(parsePeerAddress("node-1.example.org:1"), { host: "node-1.example.org", port: 1 });
  assert.deepEqual(parsePeerAddress("[2001:db8::1]:65535"), { host: "2001:db8::1", port: 65_535 });
  const none = [
    "",
    "host",
    ":1",
    "host:",
    "host:0",
    "host:65536",
    "::1:4100",
    "[::1]",
    "[]:1",
    "a b:1",
    "a@b:1",
    "host:1x",
  ];
  for (const address of none) assert.equal(parsePeerAddress(address), undefined, address);
  fc.assert(fc.property(fc.string(), (text) => void parsePeerAddress(text)));
});
