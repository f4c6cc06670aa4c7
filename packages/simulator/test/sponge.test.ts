// What tags of a simulation are made of: the same parts give the same bytes, and whatever differs in the parts shows in all words.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Sponge } from "../src/sponge.ts";

function squeezed(parts: readonly Uint8Array[], length = 32): Uint8Array {
  const sponge = new Sponge();
  for (const part of parts) sponge.absorb(part);
  return sponge.squeeze(length);
}

describe("a sponge", () => {
  it("gives other words, all of them, for each bit that is another", () => {
    for (const size of [1, 3, 4, 7, 32, 97]) {
      const part = Uint8Array.from({ length: size }, (_, i) => i * 37);
      const before = new Uint32Array(squeezed([part]).buffer);
      assert.deepEqual(new Uint32Array(squeezed([part.slice()]).buffer), before);
      for (let bit = 0; bit < 8 * size; bit++) {
        const other = part.slice();
        other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const after = new Uint32Array(squeezed([other]).buffer);
        assert.ok(
          after.every((word, i) => word !== before[i]),
          `bit ${bit} of ${size} bytes`,
        );
      }
    }
  });

  it("tells apart where one part ends and the next begins, and how much is wanted", () => {
    const [a, b, c] = [Uint8Array.of(1), Uint8Array.of(2, 0), Uint8Array.of(2)];
    const all = [[a, b], [Uint8Array.of(1, 2, 0)], [a, c, Uint8Array.of(0)], [a, b, new Uint8Array()], [b, a], []];
    const marks = all.map((parts) => squeezed(parts).toString());
    assert.equal(new Set(marks).size, all.length);
    assert.notDeepEqual(squeezed([a], 48).subarray(0, 32), squeezed([a], 32));
    assert.equal(squeezed([a], 33).length, 33);
  });

  it("tells whether bytes are what it would give, from a place on", () => {
    for (const length of [1, 5, 32, 48]) {
      const part = Uint8Array.of(3, 1, 4);
      const is = (bytes: Uint8Array, start: number): boolean => {
        const sponge = new Sponge();
        sponge.absorb(part);
        return sponge.isAt(bytes, start);
      };
      const bytes = squeezed([part], length);
      assert.ok(is(bytes, 0));
      assert.ok(is(Uint8Array.of(9, 9, ...bytes), 2));
      for (let i = 0; i < length; i++)
        assert.ok(!is(bytes.with(i, (bytes[i] ?? 0) ^ 128), 0), `byte ${i} of ${length}`);
    }
  });

  it("goes on from where another one is, and leaves that as it was", () => {
    const first = new Sponge();
    first.absorb(Uint8Array.of(9, 9));
    const [one, two] = [new Sponge(), new Sponge()];
    for (const each of [one, two]) {
      each.begin(first);
      each.absorb(Uint8Array.of(5));
    }
    assert.deepEqual(one.squeeze(32), two.squeeze(32));
    assert.deepEqual(first.squeeze(32), squeezed([Uint8Array.of(9, 9)]));
  });
});
