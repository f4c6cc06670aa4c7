// Modules that nobody should install: broken, huge, of unknown imports, gzip that is not what it says. Acceptance and
// limits: checklist 3.1, instruction costs, sections 8 and 9. Each is refused for its reason; nothing is installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Principal } from "@icp-sdk/core/principal";
import { wat } from "../../../../packages/execution/test/canisters/wat.ts";
import { chance } from "../seeded.ts";
import { hog, INIT } from "./hogs.ts";
import { assertRejected, startVictim, UNIVERSAL, type Victim, whileServed } from "./victim.ts";
import { createCanister, deploy, install, type Outcome, query } from "./wire.ts";

const MEMORY_BOUND_MIB = 1200;
const MIB = 1024 * 1024;
/** A failed installation is charged for the size it claims. */
const RICH = 10n ** 24n;

let victim: Victim;
let target: Principal;
before(async () => {
  victim = await startVictim();
  target = await createCanister(victim.url, RICH);
});
after(() => victim?.close(MEMORY_BOUND_MIB));

const attempt = (wasm: Uint8Array): Promise<Outcome> => install(victim.url, target, wasm);

/** Nothing that was refused may have left anything behind. */
async function assertEmpty(): Promise<void> {
  assertRejected(await query(victim.url, target, "query", new Uint8Array()), "IC0537", /no Wasm module/);
}

function raw(...bytes: (number | readonly number[])[]): Uint8Array {
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...bytes.flat()]);
}

function leb(value: number): number[] {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...leb(Math.floor(value / 128))];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

test("cut short, and with bits turned over", async () => {
  const real = new Uint8Array(
    readFileSync(new URL("../../../../packages/execution/test/canisters/rust/fixture.wasm", import.meta.url)),
  );
  for (const length of [0, 1, 4, 7, 9, 100, real.length - 1])
    assertRejected(await attempt(real.subarray(0, length)), "IC0505", /./);
  const random = chance(20_261);
  let refused = 0;
  for (let i = 0; i < 60; i++) {
    const copy = UNIVERSAL.slice();
    for (let flips = 0; flips < 3; flips++) {
      const at = random.below(copy.length);
      copy[at] = (copy[at] as number) ^ (1 << random.below(8));
    }
    const outcome = await install(victim.url, target, copy, { mode: "reinstall" });
    if (outcome.kind === "reject") {
      assert.match(outcome.error, /^IC05(02|03|04|05|22)$/, outcome.message);
      refused++;
    }
  }
  assert.ok(refused > 5);
  target = await createCanister(victim.url, RICH);
});

const REFUSED: Record<string, [wasm: () => Uint8Array, reason: RegExp]> = {
  "no module at all": [() => new TextEncoder().encode("#!/bin/sh\nrm -rf /\n"), /unsupported canister module format/],
  "an unknown section": [() => raw(section(13, [0])), /section/],
  "four billion types": [() => raw(1, 5, [0xff, 0xff, 0xff, 0xff, 0x0f]), /./],
  "a section longer than the file": [() => raw(10, [0xff, 0xff, 0xff, 0x7f]), /./],
  "an import from elsewhere": [() => wat(`(module (import "wasi" "fd_write" (func)))`), /wasi|fd_write/],
  "an import that ic0 does not have": [() => wat(`(module (import "ic0" "format_disk" (func)))`), /format_disk/],
  "an import with another signature": [
    () => wat(`(module (import "ic0" "msg_reply" (func (param i32))))`),
    /msg_reply/,
  ],
  "an imported global": [() => wat(`(module (import "env" "g" (global i32)))`), /./],
  "two memories": [() => wat("(module (memory 1) (memory 1))"), /memor/],
  "shared memory": [() => wat("(module (memory 1 1 shared))"), /threads|shared/],
  "65,537 pages": [() => raw(section(5, [1, 0, ...leb(65_537)])), /./],
  "a table of a hundred million": [() => raw(section(4, [1, 0x70, 0, ...leb(100_000_000)])), /table|type mismatch/],
  "table.grow": [
    () => wat("(module (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 9)))))"),
    /table|TableGrow/i,
  ],
  "table.set": [
    () => wat("(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))"),
    /table|TableSet/i,
  ],
  "1,001 globals": [
    () => raw(section(6, [...leb(1001), ...Array.from({ length: 1001 }, () => [0x7f, 1, 0x41, 0, 0x0b]).flat()])),
    /1001 globals/,
  ],
  "50,001 functions": [
    () => {
      const functions = section(3, [...leb(50_001), ...new Array<number>(50_001).fill(0)]);
      const bodies = Array.from({ length: 50_001 }, () => [2, 0, 0x0b]).flat();
      return raw(section(1, [1, 0x60, 0, 0]), functions, section(10, [...leb(50_001), ...bodies]));
    },
    /50001 functions/,
  ],
  "1,001 methods": [
    () =>
      wat(`(module ${Array.from({ length: 1001 }, (_, i) => `(func (export "canister_update m${i}"))`).join(" ")})`),
    /1001|1000/,
  ],
  "an unknown entry point": [() => wat(`(module (func (export "canister_explode")))`), /canister_explode/],
  "a method that takes something": [
    () => wat(`(module (func (export "canister_update m") (param i32)))`),
    /canister_update m/,
  ],
  "one name for two methods": [
    () => wat(`(module (func (export "canister_update m")) (func (export "canister_query m")))`),
    /./,
  ],
  "a reserved name": [() => wat(`(module (func (export "canister_start")))`), /canister_start|reserved/],
  "data outside of the memory": [
    () => wat(`(module (memory 1) (data (i32.const 65530) "0123456789"))`),
    /data segment/,
  ],
  "data at -1": [() => wat(`(module (memory 1) (data (i32.const -1) "0"))`), /data segment/],
  "a function of two million operators": [
    () => {
      const body = [0, ...new Array<number>(1_000_001).fill(0x01), 0x0b];
      return raw(section(1, [1, 0x60, 0, 0]), section(3, [1, 0]), section(10, [1, ...leb(body.length), ...body]));
    },
    /./,
  ],
  "a function too complex": [() => wat(`(module (func ${"(block (br 0))".repeat(20_000)}))`), /complexity|complex/i],
  "seventeen sections for everybody": [
    () => raw(...Array.from({ length: 17 }, (_, i) => section(0, [...named(`icp:public s${i}`), 1]))),
    /custom section|17|16/i,
  ],
  "a section of more than a mebibyte": [
    () => raw(section(0, [...named("icp:public big"), ...new Array<number>(MIB).fill(0)])),
    /custom section/i,
  ],
};

function named(name: string): number[] {
  return [...leb(name.length), ...new TextEncoder().encode(name)];
}

test("what only the engine refuses: a table of five million, elements outside of the table", async () => {
  const elements = wat("(module (table 1 funcref) (elem (i32.const 5) $f) (func $f))");
  assertRejected(await attempt(elements), "IC0521", /table/);
  assertRejected(await attempt(raw(section(4, [1, 0x70, 0, ...leb(5_000_000)]))), "IC0521", /table/);
  await assertEmpty();
});

describe("refused, each for its reason", () => {
  for (const [name, [wasm, reason]] of Object.entries(REFUSED)) {
    test(name, async () => {
      assertRejected(await attempt(wasm()), "IC0505", reason);
      await assertEmpty();
    });
  }
});

describe("gzip", () => {
  const lying = (bytes: Uint8Array, size: number): Uint8Array => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setUint32(copy.length - 4, size, true);
    return copy;
  };

  test("what unpacks to gigabytes is refused before it does, and others are served", async () => {
    // 200 MiB of zeros in 200 KiB, honest, and with a trailer that says less; then gzip in gzip.
    const bomb = new Uint8Array(gzipSync(new Uint8Array(200 * MIB)));
    assert.ok(bomb.length < 300_000);
    const before = victim.peakMib();
    await whileServed(victim, async () => {
      assertRejected(await attempt(bomb), "IC0505", /209715200.*104857600/s);
      assertRejected(await attempt(lying(bomb, 99 * MIB)), "IC0505", /uncompressed size|decompress/);
      assertRejected(await attempt(lying(bomb, 0)), "IC0505", /uncompressed size|decompress/);
      assertRejected(await attempt(new Uint8Array(gzipSync(bomb))), "IC0505", /./);
      assertRejected(
        await attempt(new Uint8Array(gzipSync(new Uint8Array(100 * MIB)))),
        "IC0505",
        /magic|decode|validate/,
      );
    });
    assert.ok(victim.peakMib() - before < 600, `unpacking took ${Math.round(victim.peakMib() - before)} MiB`);
    await assertEmpty();
  });

  test("broken streams", async () => {
    const good = new Uint8Array(gzipSync(UNIVERSAL));
    const wrongSum = good.slice();
    wrongSum[good.length - 8] = (wrongSum[good.length - 8] ?? 0) ^ 1;
    assertRejected(await attempt(wrongSum), "IC0505", /checksum/);
    for (const length of [3, 10, 17, 18, good.length - 9, good.length - 1])
      assertRejected(await attempt(good.subarray(0, length)), "IC0505", /./);
    const flipped = good.slice();
    flipped[200] = (flipped[200] as number) ^ 255;
    assertRejected(await attempt(flipped), "IC0505", /./);
    assertRejected(await attempt(lying(good, UNIVERSAL.length + 1)), "IC0505", /uncompressed size/);
    await assertEmpty();
  });
});

test("a function that metering makes too large for the engine", async () => {
  const stores = Array.from({ length: 300_000 }, () => [0x41, 0, 0x41, 0, 0x36, 2, 0]).flat();
  const body = [0, ...stores, 0x0b];
  const code = Uint8Array.from([...leb(body.length), ...body]);
  const size = leb(code.length + 1);
  const wasm = raw(section(1, [1, 0x60, 0, 0]), section(3, [1, 0]), section(5, [1, 0, 1]), 10, size, 1);
  const outcome = await attempt(new Uint8Array(gzipSync(Buffer.concat([wasm, code]))));
  if (outcome.kind === "reply") target = await createCanister(victim.url, RICH);
  else assertRejected(outcome, "IC0505", /./);
});

describe("code that misbehaves while it is installed", () => {
  test("traps, and recursion without end", async () => {
    assertRejected(await attempt(wat(`(module (func $s unreachable) (start $s))`)), "IC0502", /unreachable/);
    assertRejected(await attempt(wat(`(module (func $s (call $s)) (start $s))`)), "IC0502", /stack overflow/);
    assertRejected(await attempt(wat(`(module (func (export "canister_init") (call 0)))`)), "IC0502", /stack overflow/);
    await assertEmpty();
  });

  test("init that never ends is stopped at 300 billion instructions", {
    skip: process.env.ATOLL_LONG_TESTS !== "1",
  }, async () => {
    const outcome = await install(victim.url, target, hog(INIT), { timeoutMs: 120_000 });
    assertRejected(outcome, "IC0522", /exceeded the limit/);
    await assertEmpty();
  });
});

test("after all this a good module still goes in", async () => {
  assert.equal((await install(victim.url, target, UNIVERSAL)).kind, "reply");
  await deploy(victim.url, UNIVERSAL);
});
