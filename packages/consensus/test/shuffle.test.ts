// The shuffle byte for byte: against ChaCha20 of the host's OpenSSL, and against fixed orders, so that no two builds of a node
// ever disagree about who may make a block. Section 4.
import assert from "node:assert/strict";
import { createCipheriv, hash } from "node:crypto";
import { describe, it } from "node:test";
import { type ShufflePurpose, shuffle } from "@atoll/consensus";
import { committeeSize, faultsTolerated, highThreshold, lowThreshold } from "@atoll/consensus/thresholds";
import type { PrincipalId } from "@atoll/types";
import fc from "fast-check";

const sha256 = (data: Uint8Array) => new Uint8Array(hash("sha256", data, "buffer"));
const ids = (count: number) =>
  Array.from({ length: count }, (_, i) => `0${i.toString(16).padStart(3, "0")}` as PrincipalId);

/** The same by another road: OpenSSL's stream of bytes, read as little-endian words. */
function expected(nodes: readonly PrincipalId[], purpose: ShufflePurpose, beaconHash: Uint8Array): PrincipalId[] {
  const seed = hash(
    "sha256",
    Buffer.concat([Buffer.from([purpose.length]), Buffer.from(purpose), beaconHash]),
    "buffer",
  );
  const stream = createCipheriv("chacha20", seed, Buffer.alloc(16)).update(Buffer.alloc(8192));
  let at = 0;
  const order = nodes.toSorted();
  for (let last = order.length - 1; last > 0; last--) {
    const limit = 2 ** 32 - (2 ** 32 % (last + 1));
    let word = stream.readUInt32LE(at);
    while (word >= limit) {
      at += 4;
      word = stream.readUInt32LE(at);
    }
    at += 4;
    const chosen = word % (last + 1);
    [order[chosen], order[last]] = [order[last] as PrincipalId, order[chosen] as PrincipalId];
  }
  return order;
}

describe("the shuffle of nodes", () => {
  it("draws from ChaCha20 as the host's own implementation gives it", () => {
    const purposes = fc.constantFrom<ShufflePurpose>("block-maker-ranking", "notarization-committee");
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        purposes,
        (n, seed, purpose) => {
          assert.deepEqual(shuffle(ids(n), purpose, seed, sha256), expected(ids(n), purpose, seed));
        },
      ),
    );
  });

  it("gives these orders for these beacons", () => {
    const order = (n: number, fill: number, purpose: ShufflePurpose) =>
      shuffle(ids(n), purpose, new Uint8Array(32).fill(fill), sha256).map((id) => Number.parseInt(id, 16));
    // Computed once with node:crypto by `expected` above.
    assert.deepEqual(order(4, 0, "block-maker-ranking"), VECTORS[0]);
    assert.deepEqual(order(7, 1, "block-maker-ranking"), VECTORS[1]);
    assert.deepEqual(order(13, 2, "notarization-committee"), VECTORS[2]);
    assert.deepEqual(order(13, 2, "block-maker-ranking"), VECTORS[3]);
  });

  it("does not depend on the order in which the nodes are named", () => {
    const seed = new Uint8Array(32).fill(9);
    assert.deepEqual(
      shuffle(ids(9).toReversed(), "block-maker-ranking", seed, sha256),
      shuffle(ids(9), "block-maker-ranking", seed, sha256),
    );
  });

  it("gives every node every place about as often", () => {
    const counts = Array.from({ length: 5 }, () => 0);
    const rounds = 2000;
    for (let i = 0; i < rounds; i++) {
      const beacon = sha256(Uint8Array.of(i & 255, i >> 8));
      const first = shuffle(ids(5), "block-maker-ranking", beacon, sha256)[0] as string;
      counts[Number.parseInt(first, 16)] = (counts[Number.parseInt(first, 16)] as number) + 1;
    }
    for (const count of counts) assert.ok(Math.abs(count - rounds / 5) < 80, counts.join());
  });
});

describe("thresholds", () => {
  it("are those of section 1, also where n is not 3f + 1", () => {
    const rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 34, 40].map((n) => [
      n,
      faultsTolerated(n),
      committeeSize(n),
      lowThreshold(n),
      highThreshold(n),
    ]);
    assert.deepEqual(rows, [
      [1, 0, 1, 1, 1],
      [2, 0, 1, 1, 1],
      [3, 0, 1, 1, 1],
      [4, 1, 4, 2, 3],
      [5, 1, 4, 2, 3],
      [6, 1, 4, 2, 3],
      [7, 2, 7, 3, 5],
      [8, 2, 7, 3, 5],
      [9, 2, 7, 3, 5],
      [13, 4, 13, 5, 9],
      [34, 11, 34, 12, 23],
      [40, 13, 40, 14, 27],
    ]);
  });
});

const VECTORS = [
  [3, 2, 0, 1],
  [6, 2, 5, 3, 4, 1, 0],
  [3, 1, 9, 6, 8, 5, 10, 0, 2, 12, 4, 11, 7],
  [4, 2, 7, 12, 0, 3, 10, 1, 9, 5, 6, 8, 11],
];
