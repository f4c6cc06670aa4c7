// The universal canister against a host of a few lines: what reaches ic0 must be what the program says. (That the
// System API itself is right is the business of the tests that use it.)

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Ic0Type, ic0Functions } from "./ic0-functions.ts";
import * as u from "./universal.ts";

type Width = 32 | 64;

interface Recording {
  reply: Uint8Array;
  /** Runs a callback of the canister, or another entry point. */
  readonly callback: (index: bigint, env: bigint) => void;
  readonly enter: (entryPoint: string) => void;
  readonly memory: () => Uint8Array;
  readonly calls: [string, ...bigint[]][];
}

const ENCODER = new TextEncoder();

/** Runs one program as an update; `blobs` answers the readers, `results` all other functions. */
function update(
  program: u.Code,
  options: { width: Width; blobs?: Record<string, string>; results?: Record<string, bigint> },
) {
  const { width } = options;
  const recording: Recording = {
    reply: new Uint8Array(),
    calls: [],
    memory: () => memory(),
    enter: (entryPoint) => (instance.exports[entryPoint] as () => void)(),
    callback: (index, env) => {
      const table = instance.exports.table as WebAssembly.Table;
      (table.get(native("P", index)) as (env: number | bigint) => void)(native("P", env));
    },
  };
  const blobs: Record<string, Uint8Array> = { msg_arg_data: program };
  for (const [name, content] of Object.entries(options.blobs ?? {})) blobs[name] = ENCODER.encode(content);
  const native = (type: Ic0Type, value: bigint) =>
    type === "i64" || (type === "P" && width === 64) ? value : Number(value);
  const memory = () => new Uint8Array((instance.exports.memory as WebAssembly.Memory).buffer);
  const ic0: Record<string, (...args: (number | bigint)[]) => number | bigint | undefined> = {};
  for (const { name, result } of ic0Functions(width)) {
    ic0[name] = (...args) => {
      const numbers = args.map(BigInt);
      recording.calls.push([name, ...numbers]);
      const [first = 0n, second = 0n, third = 0n] = numbers;
      const blob = blobs[name.replace(/_(size|copy)$/, "")];
      if (blob !== undefined && name.endsWith("_copy")) {
        memory().set(blob.subarray(Number(second), Number(second + third)), Number(first));
        return undefined;
      }
      if (blob !== undefined && name.endsWith("_size")) return native("P", BigInt(blob.length));
      if (name === "msg_reply_data_append") {
        recording.reply = Uint8Array.from([
          ...recording.reply,
          ...memory().subarray(Number(first), Number(first + second)),
        ]);
      }
      if (name.endsWith("128") || name.startsWith("cost_"))
        memory().fill(9, Number(numbers.at(-1)), Number(numbers.at(-1)) + 16);
      return result === null ? undefined : native(result, options.results?.[name] ?? 0n);
    };
  }
  const module = new WebAssembly.Module(new Uint8Array(u.universalModule({ width })));
  const instance = new WebAssembly.Instance(module, { ic0 });
  (instance.exports["canister_update update"] as () => void)();
  return recording;
}

const textOf = (recording: Recording): string => new TextDecoder().decode(recording.reply);
const only = (recording: Recording, name: string) => recording.calls.filter(([called]) => called === name);

for (const width of [32, 64] as const) {
  describe(`universal canister, ${width}-bit`, () => {
    test("replies with literals, arguments and numbers", () => {
      assert.equal(textOf(update(u.reply(u.bytes("hello")), { width })), "hello");
      const three = update(u.reply(u.le64(u.add(u.int(1), u.int(2)))), { width });
      assert.deepEqual([...three.reply], [3, 0, 0, 0, 0, 0, 0, 0]);
      assert.deepEqual(three.calls.at(-1), ["msg_reply"]);
    });

    test("reads whole blobs and parts of them", () => {
      const blobs = { msg_caller: "somebody", root_key: "key" };
      assert.equal(
        textOf(update(u.reply(u.concat(u.caller(), u.bytes("/"), u.rootKey())), { width, blobs })),
        "somebody/key",
      );
      const program = u.reply(u.argData({ offset: 0, size: 1 }));
      assert.deepEqual(update(program, { width }).reply, program.slice(0, 1));
    });

    test("branches and loops", () => {
      const loop = u.seq(
        u.setSlot(0, u.int(0)),
        u.whileTrue(
          u.less(u.getSlot(0), u.int(5)),
          u.seq(u.setSlot(0, u.add(u.getSlot(0), u.int(1))), u.replyData(u.bytes("x"))),
        ),
        u.ifElse(u.equal(u.getSlot(0), u.int(5)), u.replyData(u.bytes("yes")), u.replyData(u.bytes("no"))),
        u.ifElse(u.int(0), u.replyData(u.bytes("yes")), u.replyData(u.bytes("no"))),
      );
      assert.equal(textOf(update(loop, { width })), "xxxxxyesno");
    });

    test("128-bit amounts are passed in halves and come back as 16 bytes", () => {
      const recording = update(u.reply(u.cyclesAccept((7n << 64n) + 5n)), { width });
      assert.deepEqual(only(recording, "msg_cycles_accept128")[0]?.slice(1, 3), [7n, 5n]);
      assert.deepEqual(recording.reply, new Uint8Array(16).fill(9));
    });

    test("stable memory, data blobs and raw calls take their parameters in order", () => {
      const recording = update(
        u.seq(
          u.stableGrow(3),
          u.stableWrite(10, u.bytes("abc")),
          u.ic0("stable64_read", 1, 2, 3),
          u.certifiedDataSet(u.bytes("d")),
        ),
        { width },
      );
      assert.deepEqual(only(recording, "stable64_grow"), [["stable64_grow", 3n]]);
      const [write = []] = only(recording, "stable64_write");
      assert.deepEqual([write[1], write[3]], [10n, 3n]);
      assert.deepEqual(only(recording, "stable64_read"), [["stable64_read", 1n, 2n, 3n]]);
      assert.equal(only(recording, "certified_data_set")[0]?.[2], 1n);
    });

    test("a call carries callbacks, argument, cycles and timeout", () => {
      const recording = update(
        u.call({
          callee: u.bytes("callee"),
          method: "go",
          arg: u.bytes("argument"),
          onCleanup: u.seq(),
          cycles: 3n,
          timeoutSeconds: 10,
        }),
        { width },
      );
      const names = recording.calls.map(([name]) => name).slice(2);
      assert.deepEqual(names, [
        "call_new",
        "call_on_cleanup",
        "call_data_append",
        "call_cycles_add128",
        "call_with_best_effort_response",
        "call_perform",
      ]);
      const [callNew = []] = only(recording, "call_new");
      assert.deepEqual([callNew[2], callNew[4], callNew[5], callNew[7]], [6n, 2n, 0n, 0n]);
      const failed = update(u.call({ callee: u.bytes("c"), method: "m" }), { width, results: { call_perform: 2n } });
      assert.equal(only(failed, "trap").length, 1);
    });

    test("callbacks and stored programs run what they were given, also after other messages", () => {
      const recording = update(
        u.seq(
          u.storeProgram("preUpgrade", u.replyData(u.bytes("stored "))),
          u.call({ callee: u.bytes("c"), method: "m", onReply: u.replyData(u.bytes("replied ")), onReject: u.end() }),
          u.setBlobSlot(2, u.bytes("kept")),
        ),
        { width },
      );
      const [callNew = []] = only(recording, "call_new");
      recording.enter("canister_update update");
      recording.enter("canister_pre_upgrade");
      recording.callback(callNew[5] as bigint, callNew[6] as bigint);
      recording.callback(callNew[7] as bigint, callNew[8] as bigint);
      assert.equal(textOf(recording), "stored replied ");
    });

    test("a message that keeps nothing gives its memory back", () => {
      const recording = update(u.seq(u.repeated(1, u.int(300_000)), u.op("drop"), u.op("drop")), { width });
      const size = () => (recording.memory().buffer as ArrayBuffer).byteLength;
      const before = size();
      for (let message = 0; message < 20; message++) recording.enter("canister_update update");
      assert.equal(size(), before);
    });

    test("costs of signatures give status and cost", () => {
      const results = { cost_sign_with_ecdsa: 2n };
      const recording = update(u.reply(u.costSign("cost_sign_with_ecdsa", "key_1", 0)), { width, results });
      assert.deepEqual([...recording.reply], [2, 0, 0, 0, 0, 0, 0, 0, ...new Array(16).fill(9)]);
    });

    test("traps as Wasm does", () => {
      assert.throws(() => update(u.unreachable(), { width }), WebAssembly.RuntimeError);
      assert.throws(() => update(u.divideByZero(), { width }), /divide by zero/);
      assert.throws(() => update(u.load8(u.int(0xffff_0000)), { width }), /out of bounds/);
      assert.throws(() => update(u.recurseForever(), { width }), RangeError);
      assert.throws(() => update(Uint8Array.of(200), { width }), WebAssembly.RuntimeError);
    });

    test("memory grows for large blobs", () => {
      const recording = update(u.reply(u.repeated(7, u.int(200_000))), { width });
      assert.equal(recording.reply.length, 200_000);
      assert.ok(recording.reply.every((byte) => byte === 7));
    });

    test("programs nest", () => {
      const inner = u.seq(u.replyData(u.bytes("inner ")), u.end(), u.replyData(u.bytes("never")));
      assert.equal(textOf(update(u.seq(u.run(u.bytes(inner)), u.reply(u.bytes("outer"))), { width })), "inner outer");
    });
  });
}
