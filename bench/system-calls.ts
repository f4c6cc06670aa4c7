// What the host adds to a system call: the ten that canisters make most, each many times in a loop of one execution,
// against the same module in a bare host whose imports do the same work and nothing else: they charge nothing, check
// neither the kind of execution nor the bounds, and mark no page. What the loop itself costs is taken off on both sides.
import v8 from "node:v8";
import { InstancePool, runFunction, StableMemory } from "@atoll/embedder";
import { copyBytes } from "@atoll/state";
import { type CanisterId, invariant, type PrincipalId, principalToBytes } from "@atoll/types";
import { wat } from "../packages/execution/test/canisters/wat.ts";
import { bareExecution } from "./bare-execution.ts";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";
import { V8_FLAGS } from "./wasm.ts";

interface Call {
  /** Of the import. */
  readonly type: string;
  /** One call; what it returns is dropped. */
  readonly code: string;
}

const COPY = "(param i32 i32 i32)";
const STABLE = "(param i64 i64 i64)";
const CALLS: Readonly<Record<string, Call>> = {
  msg_arg_data_size: { type: "(result i32)", code: "(drop (call $msg_arg_data_size))" },
  msg_arg_data_copy: { type: COPY, code: copyCall("msg_arg_data_copy", 100) },
  msg_reply_data_append: {
    type: "(param i32 i32)",
    code: "(call $msg_reply_data_append (i32.const 512) (i32.const 100))",
  },
  msg_caller_copy: { type: COPY, code: copyCall("msg_caller_copy", 29) },
  canister_self_copy: { type: COPY, code: copyCall("canister_self_copy", 10) },
  time: { type: "(result i64)", code: "(drop (call $time))" },
  performance_counter: { type: "(param i32) (result i64)", code: "(drop (call $performance_counter (i32.const 0)))" },
  stable64_read: { type: STABLE, code: "(call $stable64_read (i64.const 1024) (i64.const 64) (i64.const 8))" },
  stable64_write: { type: STABLE, code: "(call $stable64_write (i64.const 64) (i64.const 512) (i64.const 8))" },
  canister_cycle_balance128: { type: "(param i32)", code: "(call $canister_cycle_balance128 (i32.const 512))" },
};

function copyCall(name: string, size: number): string {
  return `(call $${name} (i32.const 512) (i32.const 0) (i32.const ${size}))`;
}

/** A loop that calls nothing. */
const NOTHING = "nothing";
const PER_EXECUTION = 20_000;
const CALLER = "5a".repeat(29) as PrincipalId;
const ARGUMENT = new Uint8Array(100).fill(7);

function loops(): Uint8Array<ArrayBuffer> {
  const calls = Object.entries(CALLS);
  const imports = calls.map(([name, { type }]) => `(import "ic0" "${name}" (func $${name} ${type}))`);
  const bodies = [...calls, [NOTHING, { code: "" }] as const].map(
    ([name, { code }]) => `
      (func (export "canister_update ${name}") (local $left i32)
        (local.set $left (i32.const ${PER_EXECUTION}))
        (loop $again ${code}
          (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))`,
  );
  return wat(`
    (module ${imports.join("\n")}
      (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
      (memory (export "memory") 1)
      (func (export "canister_init") (drop (call $grow (i64.const 1))))
      ${bodies.join("\n")})`);
}

type Run = (name: string) => void;

export async function benchSystemCalls({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  v8.setFlagsFromString(V8_FLAGS);
  const wasm = loops();
  const subnet = await BenchSubnet.create();
  const id = (await subnet.deploy(1, wasm))[0] as CanisterId;
  const own = canisterRun(subnet, id);
  const bare = bareRun(wasm, id, own.cycles);
  const executions = short ? 1 : 10;
  for (let round = 0; round < (short ? 1 : 4); round++) {
    costs(own.run, executions);
    costs(bare.run, executions);
    // The engine optimises in threads beside.
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  const names = Object.keys(CALLS);
  const windows = Array.from({ length: short ? 3 : 9 }, () => {
    const [ours, theirs] = [costs(own.run, executions), costs(bare.run, executions)];
    return names.map((_, i) => ({ ours: ours[i] as number, theirs: theirs[i] as number }));
  });
  invariant(Buffer.compare(own.heap(), bare.heap()) === 0, "the bare host does not do the same work");
  const notes = names.map((name, i) => {
    const ratio = median(windows.map((window) => ratioOf(window[i])));
    const ours = median(windows.map((window) => window[i]?.ours ?? Number.NaN));
    return `${name} ${ratio.toFixed(2)} (${(1000 * ours).toFixed(0)} ns)`;
  });
  return [
    {
      name: "system-calls",
      what: "a system call from a canister, geometric mean of the ten that are made most",
      baseline: "the same call in a bare host, without charges, checks and dirty marks",
      ...spread(
        windows.map((window) => Math.exp(window.reduce((sum, one) => sum + Math.log(ratioOf(one)), 0) / window.length)),
      ),
      goal: 4,
      laterGoal: 2,
      notes: [notes.slice(0, 5).join(", "), notes.slice(5).join(", ")],
    },
  ];
}

/** A window so short that nothing is left once the loop is taken off counts as a nanosecond. */
function ratioOf(pair: { readonly ours: number; readonly theirs: number } | undefined): number {
  return Math.max(pair?.ours ?? Number.NaN, 0.001) / Math.max(pair?.theirs ?? Number.NaN, 0.001);
}

/** Microseconds of each call, without the loop around it. */
function costs(run: Run, executions: number): number[] {
  const cost = (name: string): number => {
    const began = ownCpu();
    for (let i = 0; i < executions; i++) run(name);
    return (ownCpu() - began) / executions / PER_EXECUTION;
  };
  const loop = cost(NOTHING);
  return Object.keys(CALLS).map((name) => cost(name) - loop);
}

/** Executions of an installed canister, with nothing around them. */
function canisterRun(subnet: BenchSubnet, id: CanisterId): { run: Run; heap(): Uint8Array; readonly cycles: bigint } {
  const own = { caller: CALLER, arg: ARGUMENT, maxReplyBytes: 100 * PER_EXECUTION };
  const { input, execution, source, cycles } = bareExecution(subnet, id, own);
  const live = new InstancePool().get(id, source);
  const run: Run = (name) => {
    const stable = new StableMemory(execution.stable, 1);
    const entry = { kind: "export", name: `canister_update ${name}` } as const;
    const { error } = runFunction(live, entry, input, stable, execution.heap);
    invariant(error === undefined, "the canister failed");
  };
  return { run, heap: () => live.bytes(), cycles };
}

function bareRun(wasm: Uint8Array<ArrayBuffer>, id: CanisterId, cycles: bigint): { run: Run; heap(): Uint8Array } {
  const [caller, self] = [principalToBytes(CALLER), principalToBytes(id)];
  const stable = new Uint8Array(65_536);
  const now = BigInt(Date.now()) * 1_000_000n;
  let instructions = 0;
  let reply: Uint8Array[] = [];
  const copyOf = (source: Uint8Array) => (to: number, from: number, size: number) =>
    copyBytes(source, from, heap, to, size);
  const ic0 = {
    msg_arg_data_size: () => ARGUMENT.length,
    msg_arg_data_copy: (to: number, from: number, size: number) => copyBytes(ARGUMENT, from, heap, to, size),
    msg_reply_data_append: (from: number, size: number) => void reply.push(heap.slice(from, from + size)),
    msg_caller_copy: copyOf(caller),
    canister_self_copy: copyOf(self),
    time: () => now,
    performance_counter: () => BigInt(++instructions),
    stable64_read: (to: bigint, from: bigint, size: bigint) =>
      copyBytes(stable, Number(from), heap, Number(to), Number(size)),
    stable64_write: (to: bigint, from: bigint, size: bigint) =>
      copyBytes(heap, Number(from), stable, Number(to), Number(size)),
    canister_cycle_balance128: (to: number) => {
      view.setBigUint64(to, BigInt.asUintN(64, cycles), true);
      view.setBigUint64(to + 8, cycles >> 64n, true);
    },
    stable64_grow: () => 0n,
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { ic0 });
  const { buffer } = exports.memory as WebAssembly.Memory;
  const heap = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const run: Run = (name) => {
    reply = [];
    (exports[`canister_update ${name}`] as () => void)();
  };
  return { run, heap: () => heap };
}
