// What running in slices costs: a message of four billion instructions with the slices of a node, against the same
// message in one go. The first slice is lost (it is undone and begun again on a stack that can be suspended); beside
// that there is a round and a switch per slice. The switch alone is measured with slices that hold next to nothing.
import { InstancePool, LongRun, runFunction, StableMemory } from "@atoll/embedder";
import { ANONYMOUS, type CanisterId, invariant } from "@atoll/types";
import { wat } from "../packages/execution/test/canisters/wat.ts";
import { bareExecution } from "./bare-execution.ts";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";

/** Instructions of one turn of the loop below. */
const PER_TURN = 16;

const SPIN = wat(`
  (module
    (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (memory 1)
    (func (export "canister_update spin") (local $left i64) (local $sum i64)
      (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
      (local.set $left (i64.load (i32.const 0)))
      (loop $again
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (local.get $left)))
        (br_if $again (i64.ne (local.tee $left (i64.sub (local.get $left) (i64.const 1))) (i64.const 0))))
      (i64.store (i32.const 8) (local.get $sum))
      (call $reply)))`);

export async function benchSlices({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const turns = (short ? 800_000_000 : 4_000_000_000) / PER_TURN;
  const subnet = await BenchSubnet.create();
  const id = (await subnet.deploy(1, SPIN))[0] as CanisterId;
  const ratios: number[] = [];
  for (let window = 0; window < (short ? 1 : 5); window++) {
    const began = ownCpu();
    await subnet.call([subnet.message(id, "spin", u64(turns))]);
    const inSlices = ownCpu() - began;
    ratios.push(inSlices / (await alone(subnet, id, turns, Number.MAX_SAFE_INTEGER)).cost);
  }
  const few = turns / 100;
  const whole = median(await repeat(5, async () => (await alone(subnet, id, few, Number.MAX_SAFE_INTEGER)).cost));
  const cut = await repeat(5, () => alone(subnet, id, few, 10_000));
  const perSwitch = median(cut.map(({ cost, slices }) => (cost - whole) / slices));
  return [
    {
      name: "slices",
      what: "a message of 4 G instructions in slices of 500 M, from its batch to its answer",
      baseline: "the same execution in one go",
      ...spread(ratios),
      goal: 1.3,
      laterGoal: 1.15,
      notes: [`one switch (suspend, back to the host, resume): ${perSwitch.toFixed(2)} us`],
    },
  ];
}

const u64 = (value: number): Uint8Array => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);

/** CPU of the execution with nothing around it. */
async function alone(subnet: BenchSubnet, id: CanisterId, turns: number, slice: number) {
  const own = { caller: ANONYMOUS, arg: u64(turns), maxReplyBytes: 100 };
  const { input, execution, source } = bareExecution(subnet, id, own);
  const entry = { kind: "export", name: "canister_update spin" } as const;
  const pool = new InstancePool();
  const stable = new StableMemory(execution.stable, 1);
  let slices = 0;
  const began = ownCpu();
  if (slice >= input.instructionLimit) {
    const { error } = runFunction(pool.get(id, source), entry, input, stable, execution.heap);
    invariant(error === undefined, "the message failed");
  } else {
    const limits = { slice, operation: slice };
    const run = new LongRun(pool.takeSuspendable(id, source), entry, input, stable, execution.heap, limits);
    for (; run.result === undefined; slices++) await run.runSlice();
    invariant(run.result.error === undefined, "the message failed");
  }
  return { cost: ownCpu() - began, slices };
}

async function repeat<T>(times: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i++) results.push(await run());
  return results;
}
