// Answers of canisters as bytes: whatever they are, decoding ends with an answer or with undefined.
// Requests as bytes: what the agent's own decoder reads is what was asked.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeHttpResponse, decodeStreamingPart, encodeHttpRequest } from "../src/http-candid.ts";
import { decodeAsked, encodeAnswer } from "./web-canister.ts";

describe("answers", () => {
  it("are read from the middle of a larger buffer", () => {
    const bytes = encodeAnswer({ status: 418, body: "short" });
    const larger = new Uint8Array(bytes.length + 100).fill(0xff);
    larger.set(bytes, 50);
    assert.equal(decodeHttpResponse(larger.subarray(50, 50 + bytes.length))?.status, 418);
  });

  it("of random bytes are undefined", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.equal(decodeHttpResponse(bytes), undefined);
        assert.equal(decodeStreamingPart(Uint8Array.from([0x44, 0x49, 0x44, 0x4c, ...bytes])), undefined);
      }),
    );
  });

  it("with some bytes changed never throw", () => {
    const good = encodeAnswer({ headers: [["a", "b"]], body: "x".repeat(50), upgrade: false });
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Uint8Array.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        const decoded = decodeHttpResponse(bytes);
        assert.ok(decoded === undefined || typeof decoded.status === "number");
      }),
      { numRuns: 2000 },
    );
  });
});

describe("requests", () => {
  it("arrive as they were", () => {
    const header = fc.tuple(fc.string(), fc.string());
    const request = fc.record({
      method: fc.string(),
      url: fc.string(),
      headers: fc.array(header),
      body: fc.uint8Array(),
    });
    fc.assert(
      fc.property(request, (fields) => {
        const { method, url, headers, body } = decodeAsked(encodeHttpRequest(fields));
        assert.deepEqual({ method, url, headers, body: Uint8Array.from(body) }, { ...fields });
      }),
    );
  });
});
