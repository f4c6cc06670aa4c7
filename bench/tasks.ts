// What heartbeats and timers cost when a thousand canisters have them: for each task, from the empty batch to the
// tree and the readers, against one Ed25519 verification. Each task changes its canister's heap, so all that follows
// from a change is in it. The notes compare with a round of ten, and give a round in which a thousand timers sleep.
import type { CanisterId } from "@atoll/types";
import { wat } from "../packages/execution/test/canisters/wat.ts";
import { ed25519Verification, median, ownCpu, type Row, spread } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";

const MANY = 1000;
const FEW = 10;

/** Counts how often it ran; the timer is due again at once. */
const COUNT = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
const timer = (at: string): string => `(drop (call $set (i64.const ${at})))`;
const canister = (exports: string): Uint8Array =>
  wat(`(module (import "ic0" "global_timer_set" (func $set (param i64) (result i64))) (memory 1) ${exports})`);
const HEARTBEAT = canister(`(func (export "canister_heartbeat") ${COUNT})`);
const timed = (next: string): Uint8Array =>
  canister(`(func (export "canister_init") ${timer(next)})
    (func (export "canister_global_timer") ${COUNT} ${timer(next)})`);

export async function benchTasks({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  // As the executing thread does.
  Error.stackTraceLimit = 0;
  const asleep = await subnetOf(MANY, timed("9_000_000_000_000_000_000".replaceAll("_", "")));
  const rows: Row[] = [];
  for (const [name, wasm] of [
    ["heartbeats", HEARTBEAT],
    ["timers", timed("1")],
  ] as const) {
    const many = await subnetOf(MANY, wasm);
    const few = await subnetOf(FEW, wasm);
    const windows = short ? 1 : 7;
    const rounds = short ? 1 : 5;
    const ratios: number[] = [];
    const costs: number[] = [];
    const fewCosts: number[] = [];
    for (let window = -1; window < windows; window++) {
      const verification = ed25519Verification(short ? 20 : 100);
      const cost = (await roundCost(many, rounds)) / MANY;
      const fewCost = (await roundCost(few, (rounds * MANY) / FEW)) / FEW;
      if (window < 0) continue;
      ratios.push(cost / verification);
      costs.push(cost);
      fewCosts.push(fewCost);
    }
    const idle = await roundCost(asleep, short ? 10 : 500);
    rows.push({
      name,
      what: `one of ${MANY} ${name} that run in the same round: execution, state tree and its hash, readers`,
      baseline: "one Ed25519 verification",
      ...spread(ratios),
      goal: 1,
      laterGoal: 0.5,
      notes: [
        `${median(costs).toFixed(1)} us of CPU, ${(median(costs) / median(fewCosts)).toFixed(2)} times what one of ${FEW} takes; ` +
          `a round in which ${MANY} timers sleep: ${idle.toFixed(0)} us`,
      ],
    });
  }
  return rows;
}

async function subnetOf(canisters: number, wasm: Uint8Array): Promise<{ subnet: BenchSubnet; ids: CanisterId[] }> {
  const subnet = await BenchSubnet.create();
  const ids = await subnet.deploy(canisters, wasm);
  return { subnet, ids };
}

async function roundCost({ subnet }: { readonly subnet: BenchSubnet }, rounds: number): Promise<number> {
  const before = ownCpu();
  for (let i = 0; i < rounds; i++) await subnet.round([]);
  return (ownCpu() - before) / rounds;
}
