// The representation-independent hash: the specification's vector, and the agent as oracle.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { requestIdOf as agentRequestIdOf } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { fromHex, toHex } from "../src/ids.ts";
import { decodeLeb128, encodeLeb128, type HashableFields, requestIdOf } from "../src/request-id.ts";

const sha256 = (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest());

test("interface specification, section 'Request ids': the example", () => {
  const content = {
    request_type: "call",
    sender: Uint8Array.of(4),
    ingress_expiry: 1_685_570_400_000_000_000n,
    canister_id: fromHex("00000000000004d2"),
    method_name: "hello",
    arg: fromHex("4449444c00fd2a"),
  };
  const id = "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101";
  assert.equal(toHex(requestIdOf(content, sha256)), id);
  assert.equal(toHex(requestIdOf({ ...content, nonce: undefined }, sha256)), id);
  assert.notEqual(toHex(requestIdOf({ ...content, nonce: new Uint8Array() }, sha256)), id);
});

const { fields } = fc.letrec<{ fields: HashableFields; value: unknown }>((tie) => ({
  fields: fc.dictionary(fc.string({ minLength: 1, unit: "grapheme" }), tie("value") as never, {
    maxKeys: 6,
    noNullPrototype: true,
  }),
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: "grapheme" }),
    fc.uint8Array({ maxLength: 40 }),
    fc.nat(),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("fields"),
  ),
}));

test("the agent computes the same hash", () => {
  fc.assert(
    fc.property(fields, (content) => {
      assert.equal(toHex(requestIdOf(content, sha256)), toHex(agentRequestIdOf(content)));
    }),
    { numRuns: 300 },
  );
});

test("natural numbers hash by value, negative and fractional ones are refused", () => {
  assert.deepEqual(requestIdOf({ a: 5 }, sha256), requestIdOf({ a: 5n }, sha256));
  for (const a of [-1, 0.5, -1n, Number.NaN, 2 ** 60]) assert.throws(() => requestIdOf({ a }, sha256), RangeError);
});

test("LEB128 is the shortest form and only that is read", () => {
  assert.equal(toHex(encodeLeb128(624_485)), "e58e26");
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
      assert.equal(decodeLeb128(encodeLeb128(value)), value);
    }),
  );
  for (const hex of ["", "80", "8000", "e58ea600", "ffffffffffffffffff02", "0000", "ffffffffffffffffffff01"]) {
    assert.equal(decodeLeb128(fromHex(hex)), undefined, hex);
  }
});
