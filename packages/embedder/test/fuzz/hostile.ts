// Bytes that mean harm: mutations of valid modules, and shapes that are known to hurt parsers. Whatever they are, they
// are refused or accepted in little time and memory; what is accepted the engine accepts too, before and after rewriting.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { prepareModule } from "../../src/prepared-module.ts";
import { instrument, validateModule } from "../../src/wasm/index.ts";
import { InstrumentationError } from "../../src/wasm/instrument.ts";
import { generate } from "./generator.ts";
import { leb, section } from "./operator-engine.ts";
import { Random } from "./random.ts";

const MAX_MS = 10_000;
const MAX_GROWTH_BYTES = 512 * 1024 * 1024;
const crypto = { sha256: (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest()) };

/** True when the module was accepted. Throws when anything is wrong about the way it was handled. */
export function checkHostile(bytes: Uint8Array): boolean {
  const start = performance.now();
  const memoryBefore = process.memoryUsage();
  const accepted = isPacked(bytes) ? prepareModule(bytes, crypto).ok : checkPlain(bytes);
  const memory = process.memoryUsage();
  const growth = memory.heapUsed + memory.arrayBuffers - memoryBefore.heapUsed - memoryBefore.arrayBuffers;
  assert.ok(growth < MAX_GROWTH_BYTES, `took ${growth} bytes`);
  assert.ok(performance.now() - start < MAX_MS, "took too long");
  return accepted;
}

function isPacked(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f;
}

function checkPlain(bytes: Uint8Array): boolean {
  const result = validateModule(bytes);
  if (result.ok) {
    assert.ok(WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>), "accepted what the engine refuses");
    try {
      const { wasm } = instrument(bytes, result.info, { isSuspendable: true });
      assert.ok(WebAssembly.validate(wasm as Uint8Array<ArrayBuffer>), "rewritten into an invalid module");
    } catch (error) {
      if (!(error instanceof InstrumentationError)) throw error;
    }
  } else {
    assert.ok(result.refusal.text.length > 0 && result.refusal.text.length < 2000, "an error of some length");
  }
  if (!result.ok) assert.ok(!prepareModule(bytes, crypto).ok, "prepared what is refused");
  return result.ok;
}

const HUGE_NUMBERS: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0x7f],
];

/** A valid module with something done to it. */
export function mutated(seed: number): Uint8Array {
  const random = new Random(seed ^ 0x0ddba11);
  const shape = { memory64: random.oneIn(2), floats: true, vectors: random.oneIn(2), allAddresses: random.oneIn(2) };
  let bytes: Uint8Array = generate(random.below(1_000_000), shape);
  for (let times = 1 + random.below(3); times > 0; times--) bytes = mutate(bytes, random);
  if (!random.oneIn(20)) return bytes;
  const packed = gzipSync(bytes);
  return random.oneIn(2) ? packed : mutate(packed, random);
}

function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length);
  const copy = bytes.slice();
  switch (random.below(8)) {
    case 0:
      copy[at] = (copy[at] as number) ^ (1 << random.below(8));
      return copy;
    case 1:
      copy[at] = random.pick([0, 1, 0x40, 0x70, 0x7f, 0x80, 0xff, 0xfc, 0xfd, 0xfe, 0x0b, 0x02, 0x06, 0x08]);
      return copy;
    case 2:
      return splice(bytes, at, 1, random.pick(HUGE_NUMBERS));
    case 3:
      return splice(bytes, at, random.below(9), []);
    case 4: {
      const from = random.below(bytes.length);
      return splice(bytes, at, random.below(3), [...bytes.subarray(from, from + random.below(40))]);
    }
    case 5:
      return bytes.subarray(0, at);
    case 6:
      return shuffledSections(bytes, random);
    default:
      return grownCode(bytes, random);
  }
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: readonly number[]): Uint8Array {
  return Uint8Array.from([...bytes.subarray(0, at), ...insert, ...bytes.subarray(at + remove)]);
}

/** Sections in another order, doubled, left out, or renumbered. */
function shuffledSections(bytes: Uint8Array, random: Random): Uint8Array {
  const sections = sectionsOf(bytes);
  const [first, second] = [random.below(sections.length), random.below(sections.length)];
  const chosen = sections[first] as Uint8Array;
  switch (random.below(4)) {
    case 0:
      sections[first] = sections[second] as Uint8Array;
      sections[second] = chosen;
      break;
    case 1:
      sections.splice(second, 0, chosen);
      break;
    case 2:
      sections.splice(first, 1);
      break;
    default:
      sections[first] = Uint8Array.from([random.below(16), ...chosen.subarray(1)]);
  }
  return Uint8Array.from([...bytes.subarray(0, 8), ...sections.flatMap((one) => [...one])]);
}

function sectionsOf(bytes: Uint8Array): Uint8Array[] {
  const sections: Uint8Array[] = [];
  for (let at = 8; at < bytes.length; ) {
    let end = at + 1;
    let size = 0;
    for (let factor = 1; end < bytes.length; factor *= 128) {
      const byte = bytes[end++] as number;
      size += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    sections.push(bytes.subarray(at, end + size));
    at = end + size;
  }
  return sections.length === 0 ? [bytes] : sections;
}

/** The last function is replaced by one that is very deep, wide or long. */
function grownCode(bytes: Uint8Array, random: Random): Uint8Array {
  const count = 1 << random.below(17);
  const many = (...code: readonly number[]): number[] => new Array<readonly number[]>(count).fill(code).flat();
  const bodies = [
    [0, ...many(0x02, 0x40), ...many(0x0b), 0x00, 0x0b],
    [0, ...many(0x03, 0x40), 0x00, 0x0b],
    [0, ...many(0x41, 1), 0x00, 0x0b],
    [0, ...many(0x41, 1), 0x0e, ...leb(count), ...many(0), 0, 0x0b],
    [1, ...leb(count * 3), 0x7f, 0x00, 0x0b],
    [...leb(count), ...many(1, 0x7c), 0x00, 0x0b],
    [0, ...many(0x10, 0), 0x00, 0x0b],
    [0, ...many(0x0b)],
    [0, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b],
  ];
  const body = random.pick(bodies);
  const type = random.pick([
    [0x60, 0, 0],
    [0x60, 1, 0x7f, 0],
  ]);
  const code = section(10, [1, ...leb(body.length), ...body]);
  const memory = section(5, [1, random.pick([0, 4]), ...random.pick(HUGE_NUMBERS)]);
  return Uint8Array.from([
    ...bytes.subarray(0, 8),
    ...section(1, [1, ...type]),
    ...section(3, [1, 0]),
    ...(random.oneIn(3) ? memory : []),
    ...code,
  ]);
}
