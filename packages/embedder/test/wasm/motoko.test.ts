// Real canisters, 64-bit and classical: accepted, rewritten into valid modules, and run to the same instruction
// counts, system calls and heaps as under the simple oracle.
import assert from "node:assert/strict";
import { test } from "node:test";
import { motokoCounter } from "./motoko-module.ts";
import { naivelyMetered } from "./naive-meter.ts";
import { accepted, type Exports, LIMIT, run, runRaw, type SystemImports } from "./running.ts";

type Pointer = number | bigint;

/** Answers of a host that has nothing to say; notes each call with the instructions used so far. */
function systemApi(
  memory64: boolean,
  names: readonly string[],
  log: string[],
  used: () => number,
  heap: () => ArrayBuffer,
): SystemImports {
  const argument = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
  const size = (value: number): Pointer => (memory64 ? BigInt(value) : value);
  const wide = ["time", "performance_counter", "global_timer_set", "stable64_size", "stable64_grow"];
  const answers: SystemImports = {};
  for (const name of names) {
    answers[name] = (...values: unknown[]) => {
      log.push(`${name}(${values}) at ${used()}`);
      if (name === "msg_arg_data_copy") {
        const [to, from, count] = values.map(Number) as [number, number, number];
        new Uint8Array(heap()).set(argument.subarray(from, from + count), to);
      }
      if (name === "msg_arg_data_size") return size(argument.length);
      if (name === "msg_caller_size") return size(1);
      return name.endsWith("_size") && !wide.includes(name) ? size(0) : wide.includes(name) ? 0n : 0;
    };
  }
  return answers;
}

const MESSAGES = ["canister_init", "canister_update work", "canister_update work", "canister_query get"];

for (const memory64 of [true, false]) {
  test(`a Motoko canister of ${memory64 ? 64 : 32} bits`, async () => {
    const bytes = await motokoCounter(memory64);
    const info = accepted(bytes);
    assert.equal(info.memory64, memory64);
    assert.equal(info.table?.is64, memory64);
    assert.deepEqual(info.methods.update.includes("work") && info.methods.query.includes("get"), true);
    assert.ok(info.entryPoints.start && info.entryPoints.init && info.entryPoints.preUpgrade);
    assert.ok(info.customSections.some(({ name }) => name === "candid:service"));

    const expected: string[] = [];
    const actual: string[] = [];
    const naive: Exports = runRaw(
      naivelyMetered(bytes),
      systemApi(
        memory64,
        info.systemImports,
        expected,
        () => -Number(naive.counter.value),
        () => naive.mem.buffer,
      ),
    );
    const running = run(
      bytes,
      systemApi(
        memory64,
        info.systemImports,
        actual,
        () => running.used(),
        () => running.memory?.buffer as ArrayBuffer,
      ),
    );
    running.reset(LIMIT * 1000);
    naive.start();
    running.exports.canister_start();
    for (const message of MESSAGES) {
      naive[message]();
      running.exports[message]();
    }
    // Bulk operations have a part by size that the oracle does not know.
    const withoutCounts = (log: string[]): string[] => log.map((line) => line.replace(/ at .*/, ""));
    assert.deepEqual(withoutCounts(actual), withoutCounts(expected));
    assert.ok(actual.some((line) => line.startsWith("msg_reply(")));
    const difference = running.used() + Number(naive.counter.value);
    assert.ok(difference >= 0 && difference < 100_000_000, `${difference}`);
    const heap = new Uint8Array(naive.mem.buffer);
    assert.ok(Buffer.compare(heap, new Uint8Array(running.memory?.buffer as ArrayBuffer)) === 0);
  });
}
