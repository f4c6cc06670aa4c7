// Canisters that do their worst: endless loops and recursion, memory to the limit, storms of calls, logs and traps.
// Limits: checklist 3.4, 3.5, 6.2 and 6.4; instruction costs, sections 5 and 6.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../../packages/execution/test/canisters/universal.ts";
import { CALLER, HEARTBEAT, hog, INSPECT, PRINTER, STABLE } from "./hogs.ts";
import { assertRejected, increment, startVictim, UNIVERSAL, type Victim, type Waits, whileServed } from "./victim.ts";
import { deploy, MANAGEMENT, type Outcome, query, update } from "./wire.ts";

/** Peak of the whole server, with its three threads, whatever these canisters do. */
const MEMORY_BOUND_MIB = process.env.ATOLL_LONG_TESTS === "1" ? 4000 : 1200;
/** The slowest answer that another user may get while a canister is at its worst; two busy cores included. */
const WAIT_MS = 5000;
const RICH = 10n ** 24n;
const NOTHING = new Uint8Array();

let victim: Victim;
let attacker: Principal;
let url: string;
before(async () => {
  victim = await startVictim();
  url = victim.url;
  attacker = await deploy(url, UNIVERSAL, { cycles: RICH });
});
after(() => victim?.close(MEMORY_BOUND_MIB));

const attack = (program: Uint8Array): Promise<Outcome> => update(url, attacker, "update", program);
const ask = (program: Uint8Array): Promise<Outcome> => query(url, attacker, "query", program);

async function uninstall(id: Principal): Promise<void> {
  const arg = IDL.encode([IDL.Record({ canister_id: IDL.Principal })], [{ canister_id: id }]);
  assert.equal((await update(url, MANAGEMENT, "uninstall_code", arg, { effective: id })).kind, "reply");
}

function assertServed(waits: Waits): void {
  assert.ok(waits.rounds > 0);
  for (const kind of ["query", "status", "readState"] as const) {
    assert.ok(waits[kind] < WAIT_MS, `another user waited ${Math.round(waits[kind])} ms for ${kind}`);
  }
}

describe("endless work", () => {
  test("an update ends at its limit, and others are served meanwhile", async () => {
    const id = await deploy(url, hog());
    const [outcome, waits] = await whileServed(victim, () => update(url, id, "burn", NOTHING));
    assertRejected(outcome, "IC0522", /exceeded the limit of 40000000000 instructions for single message execution/);
    assertServed(waits);
  });

  test("a query ends at its limit", async () => {
    const id = await deploy(url, hog());
    assertRejected(await query(url, id, "look", NOTHING), "IC0522", /exceeded the limit of 5000000000 instructions/);
  });

  test("inspect_message ends at its limit", async () => {
    const id = await deploy(url, hog(INSPECT));
    assertRejected(await update(url, id, "burn", NOTHING), "IC0522", /exceeded the limit of 200000000 instructions/);
  });

  test("a heartbeat that takes all there is does not keep others from their updates", async () => {
    const id = await deploy(url, hog(HEARTBEAT), { cycles: RICH });
    try {
      const [, waits] = await whileServed(victim, async () => {
        await increment(url, victim.counter);
      });
      assertServed(waits);
    } finally {
      await uninstall(id);
    }
  });

  test("a loop of plain instructions", { skip: process.env.ATOLL_LONG_TESTS !== "1" }, async () => {
    const [outcome, waits] = await whileServed(victim, () => attack(u.spinForever()));
    assertRejected(outcome, "IC0522", /exceeded the limit of 40000000000 instructions/);
    assertServed(waits);
  });

  test("endless recursion", async () => {
    assertRejected(await attack(u.recurseForever()), "IC0502", /Canister trapped: stack overflow/);
    assertRejected(await ask(u.recurseForever()), "IC0502", /stack overflow/);
  });
});

describe("memory", () => {
  test("the heap grows to its limit and not further, and what grew in vain is gone", async () => {
    const size = async (): Promise<Outcome> => ask(u.reply(u.le64(u.memorySize())));
    const before = await size();
    const grow = (pages: number): Uint8Array => u.reply(u.le64(u.memoryGrow(u.int(pages))));
    assertRejected(await attack(grow(49_200)), "IC0539", /exceeded its current Wasm memory limit of 3221225472 bytes/);
    const beyond = await attack(grow(65_536));
    assert.ok(beyond.kind === "reply");
    assert.equal(new DataView(beyond.data.buffer, beyond.data.byteOffset).getInt32(0, true), -1);
    assertRejected(await attack(u.seq(grow(40_000), u.unreachable())), "IC0502", /unreachable/);
    assert.deepEqual(await size(), before);
    assert.equal((await ask(grow(40_000))).kind, "reply");
    assert.deepEqual(await size(), before);
  });

  test("addresses outside of the heap", async () => {
    for (const address of [-1, 2 ** 32 - 1, 2 ** 31]) {
      assertRejected(await attack(u.seq(u.load8(u.int(address)), u.op("drop"))), "IC0502", /heap out of bounds/);
      const outcome = await attack(u.ic0("msg_reply_data_append", address, 100));
      assertRejected(outcome, "IC0504", /length=100 exceeds the slice size/);
    }
  });

  test("500 GiB of stable memory, of which a message may touch 2 GiB, a query 1", async () => {
    const id = await deploy(url, hog(STABLE), { cycles: RICH });
    const limit = /Canister exceeded memory access limits/;
    assertRejected(await update(url, id, "readAll", NOTHING), "IC0524", limit);
    assertRejected(await query(url, id, "peekAll", NOTHING), "IC0524", limit);
    if (process.env.ATOLL_LONG_TESTS === "1")
      assertRejected(await update(url, id, "writeAll", NOTHING), "IC0524", limit);
  });
});

describe("messages", () => {
  test("replies and payloads beyond their limits", async () => {
    const MIB = 1024 * 1024;
    const tooLarge = /application payload size \(\d+\) cannot be larger than/;
    const zeros = (bytes: number): Uint8Array => u.repeated(0, u.int(bytes));
    assertRejected(await attack(u.reply(zeros(2 * MIB + 1))), "IC0504", tooLarge);
    assertRejected(await ask(u.reply(zeros(3 * MIB + 1))), "IC0504", tooLarge);
    assertRejected(await attack(u.reject(zeros(2 * MIB + 1))), "IC0504", tooLarge);
    const call = u.callBuild({ callee: u.canisterSelf(), method: "update", arg: zeros(10 * MIB) });
    assertRejected(await attack(call), "IC0504", /10485766, which exceeds the allowed limit of 10485760/);
    assertRejected(
      await attack(u.callBuild({ callee: u.canisterSelf(), method: "x".repeat(20_001) })),
      "IC0504",
      /method_name 20001 exceeds the allowed limit of 20000/,
    );
    assertRejected(
      await attack(u.callBuild({ callee: zeros(30), method: "update" })),
      "IC0504",
      /invalid principal id/,
    );
  });

  test("a method name of megabytes is not repeated to everybody", async () => {
    const outcome = await update(url, attacker, "m".repeat(1_900_000), NOTHING);
    assertRejected(outcome, "IC0536", /has no update method 'mmm.*\.\.\./s);
    assert.ok(outcome.kind === "reject" && outcome.message.length <= 8 * 1024);
  });

  test("callbacks that are no functions", async () => {
    const [callee, method] = [u.canisterSelf(), u.bytes("update")];
    for (const index of [9999, -1]) {
      const call = u.seq(
        callee,
        method,
        u.int(index),
        u.int(0),
        u.int(index),
        u.int(0),
        u.op("pushInt", 0, 0, 0, 0, 0, 0, 0, 0),
      );
      const program = u.seq(
        call.subarray(0, call.length - 9),
        Uint8Array.of(newCallOpcode()),
        u.ic0("call_perform"),
        u.op("drop"),
      );
      assertRejected(await attack(program), "IC0513", /non-existent Wasm function/);
    }
  });

  test("a canister that calls itself without end runs out of places in its queue", async () => {
    const chain = u.call({ callee: u.canisterSelf(), method: "update", arg: u.argData() });
    assertRejected(await attack(chain), "IC0406", /call_perform failed/);
  });

  test("the 501st call in one message is refused", async () => {
    const self = {
      callee: u.canisterSelf(),
      method: "update",
      arg: u.bytes(u.reply()),
      onReply: u.seq(),
      onReject: u.seq(),
    };
    const turn = u.seq(
      u.callBuild(self),
      u.setSlot(1, u.ic0("call_perform")),
      u.setSlot(2, u.add(u.getSlot(2), u.int(1))),
    );
    const program = u.seq(u.whileTrue(u.equal(u.getSlot(1), u.int(0)), turn), u.reply(u.le64(u.getSlot(2))));
    const outcome = await attack(program);
    assert.ok(outcome.kind === "reply");
    assert.equal(new DataView(outcome.data.buffer, outcome.data.byteOffset).getUint32(0, true), 501);
  });

  test("calls to everybody end where the memory for their responses ends", async () => {
    const id = await deploy(url, CALLER, { cycles: 2n ** 127n });
    const outcome = await update(url, id, "callAll", NOTHING);
    assert.ok(outcome.kind === "reply");
    // 15 GiB for responses of 2 MiB.
    assert.equal(new DataView(outcome.data.buffer, outcome.data.byteOffset).getUint32(0, true), 7680 + 1);
    assert.equal((await update(url, id, "callAll", NOTHING)).kind, "reply");
  });

  test("a storm of calls that never ends leaves room for others, until it is uninstalled", async () => {
    const id = await deploy(url, UNIVERSAL, { cycles: RICH });
    const again = u.callBuild({
      callee: u.canisterSelf(),
      method: "update",
      arg: u.argData(),
      onReply: u.seq(),
      onReject: u.seq(),
    });
    const both = u.seq(again, u.ic0("call_perform"), u.op("drop"));
    const [, waits] = await whileServed(victim, async () => {
      assert.equal((await update(url, id, "update", u.seq(u.reply(), both, both))).kind, "reply");
      for (let i = 0; i < 5; i++) await increment(url, victim.counter);
      await uninstall(id);
    });
    assertServed(waits);
  });

  test("hundreds of traps at once", async () => {
    const outcomes = await Promise.all(Array.from({ length: 300 }, (_, i) => attack(u.trap(`no ${i}`))));
    for (const [i, outcome] of outcomes.entries()) {
      assertRejected(outcome, "IC0503", new RegExp(`with message: 'no ${i}'`));
    }
  });

  test("a flood of prints is kept in small part only", async () => {
    const id = await deploy(url, hog(PRINTER));
    const before = victim.peakMib();
    assert.equal((await update(url, id, "print", NOTHING)).kind, "reply");
    assert.ok(victim.peakMib() - before < 500, `printing took ${Math.round(victim.peakMib() - before)} MiB`);
  });
});

describe("composite queries", () => {
  const down = (callee: Principal, arg: Uint8Array): Uint8Array =>
    u.call({ callee: u.bytes(callee.toUint8Array()), method: "composite_query", arg: u.bytes(arg) });

  test("loops, depth and the work of all calls together have an end", async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => deploy(url, UNIVERSAL)));
    const [first] = ids as [Principal];
    const endless = u.call({ callee: u.canisterSelf(), method: "composite_query", arg: u.argData() });
    assertRejected(await query(url, first, "composite_query", endless), "IC0525", /maximum call depth/);
    const deep = ids.slice(1).reduceRight<Uint8Array>((program, id) => down(id, program), u.reply(u.bytes("deep")));
    assertRejected(await query(url, first, "composite_query", deep), "IC0525", /maximum call depth/);
    const leaf = u.callBuild({
      callee: u.bytes((ids[1] as Principal).toUint8Array()),
      method: "query",
      arg: u.bytes(u.reply()),
      onReply: u.seq(),
    });
    const turn = u.seq(leaf, u.ic0("call_perform"), u.op("drop"), u.setSlot(1, u.add(u.getSlot(1), u.int(1))));
    const many = u.seq(u.whileTrue(u.less(u.getSlot(1), u.int(400)), turn));
    assertRejected(await query(url, first, "composite_query", many), "IC0526", /exceeded the instruction limit/);
  });
});

function newCallOpcode(): number {
  return u.ic0("call_new", 0, 0, 0, 0, 0, 0, 0, 0).at(-1) as number;
}
