// What it costs to undo a message, in a heap of 1 GiB against one of 1 MiB. The message writes one word to each of ten
// pages and traps. One page in sixteen of either heap is in use, the ten pages among them.
import { type ExecutionInput, Mode, type RunResult } from "@atoll/embedder";
import type { CanisterState } from "@atoll/state";
import {
  ANONYMOUS,
  type CanisterId,
  MAX_INSTRUCTIONS_PER_UPDATE,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  STABLE_PAGES_UPDATE,
} from "@atoll/types";
import { commonInput } from "../packages/execution/src/execution-inputs.ts";
import type { Round } from "../packages/execution/src/round.ts";
import { runOn } from "../packages/execution/src/run-on.ts";
import { wat } from "../packages/execution/test/canisters/wat.ts";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { BenchSubnet } from "./subnet.ts";

const PAGE = 4096;
const TOUCHED = 10;
export const HEAPS = { large: 1024 ** 3, small: 1024 ** 2 } as const;
const NOTHING = new Uint8Array();

export async function benchRollback({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  // As the executing thread does: nobody looks at the stack of a trap.
  Error.stackTraceLimit = 0;
  const windows = short ? 3 : 15;
  const executions = short ? 500 : 10_000;
  const messages = short ? 200 : 3_000;
  const subnet = await BenchSubnet.create();
  const large = (await subnet.deploy(1, heapCanister(HEAPS.large)))[0] as CanisterId;
  const small = (await subnet.deploy(1, heapCanister(HEAPS.small)))[0] as CanisterId;
  const message = await compare(windows, (id) => messageCost(subnet, id, messages), large, small);
  const execution = await compare(windows, (id) => executionCost(subnet, id, "trap", executions), large, small);
  const commit = await compare(windows, (id) => executionCost(subnet, id, "keep", executions), large, small);
  const alone = ({ cost, ratios }: Comparison): string => `${cost.toFixed(1)} us, ratio ${median(ratios).toFixed(2)}`;
  return [
    {
      name: "rollback",
      what: "a message that touched 10 pages and trapped, from its batch to its answer in the tree, heap 1 GiB",
      baseline: "the same with a heap of 1 MiB",
      ...spread(message.ratios),
      goal: 1.2,
      laterGoal: 1.1,
      notes: [
        `${message.cost.toFixed(0)} us of CPU; execution and rollback alone: ${alone(execution)} (what grows is the search ` +
          `for the written pages); execution and commit alone: ${alone(commit)}`,
      ],
    },
  ];
}

interface Comparison {
  readonly ratios: readonly number[];
  /** Microseconds on the large heap. */
  readonly cost: number;
}

/** Windows on the large heap in turn with windows on the small one. */
async function compare(
  windows: number,
  cost: (id: CanisterId) => number | Promise<number>,
  large: CanisterId,
  small: CanisterId,
): Promise<Comparison> {
  for (const id of [large, small, large, small]) await cost(id);
  const ratios: number[] = [];
  const costs: number[] = [];
  for (let window = 0; window < windows; window++) {
    const [onLarge, onSmall] = [await cost(large), await cost(small)];
    costs.push(onLarge);
    ratios.push(onLarge / onSmall);
  }
  return { ratios, cost: median(costs) };
}

/** CPU of one execution with commit or rollback, nothing around it. */
function executionCost(subnet: BenchSubnet, id: CanisterId, method: "trap" | "keep", count: number): number {
  const { machine } = subnet;
  const canister = machine.state.canisters.get(id) as CanisterState;
  const round: Round = { ...machine, events: [], instructionsLeft: Number.MAX_SAFE_INTEGER };
  const input: ExecutionInput = {
    ...commonInput(round, canister, canister.cycles),
    mode: Mode.update,
    caller: ANONYMOUS,
    arg: NOTHING,
    rejectCode: 0,
    rejectMessage: "",
    deadlineSeconds: 0,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    responded: false,
    callContextInstructions: 0,
    maxReplyBytes: MAX_INTER_CANISTER_PAYLOAD_BYTES,
    instructionLimit: MAX_INSTRUCTIONS_PER_UPDATE,
    stablePageLimit: STABLE_PAGES_UPDATE,
  };
  const entry = { kind: "export", name: `canister_update ${method}` } as const;
  let last: RunResult | undefined;
  const before = ownCpu();
  for (let i = 0; i < count; i++) last = runOn(round, canister, entry, input, false).next().value as RunResult;
  const cost = (ownCpu() - before) / count;
  if (last?.dirtyPages.length !== TOUCHED || (last.error === undefined) !== (method === "keep")) {
    throw new Error(`the message did not do what it should: ${last?.dirtyPages.length} pages, ${last?.error?.kind}`);
  }
  return cost;
}

/** CPU of one such message in rounds of many. */
async function messageCost(subnet: BenchSubnet, id: CanisterId, count: number): Promise<number> {
  const perRound = 200;
  let cost = 0;
  // So that none falls due inside: it would be charged to whichever heap has its turn.
  subnet.executor.durable.checkpoint();
  for (let sent = 0; sent < count; sent += perRound) {
    const ingress = Array.from({ length: perRound }, () => subnet.message(id, "trap", NOTHING));
    const before = ownCpu();
    let more = await subnet.round(ingress);
    while (more) more = await subnet.round([]);
    cost += ownCpu() - before;
  }
  return cost / count;
}

export function heapCanister(bytes: number): Uint8Array {
  const stride = Math.floor(bytes / PAGE / TOUCHED / 16) * 16 * PAGE;
  return wat(`
    (module
      (import "ic0" "msg_reply" (func $reply))
      (memory ${bytes / 65_536})
      (global $round (mut i32) (i32.const 0))
      (func (export "canister_init") (local $at i32)
        (loop $next
          (i32.store (local.get $at) (i32.const 7))
          (local.set $at (i32.add (local.get $at) (i32.const ${16 * PAGE})))
          (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes})))))
      (func $touch (local $i i32)
        (global.set $round (i32.add (global.get $round) (i32.const 1)))
        (loop $next
          (i32.store (i32.mul (local.get $i) (i32.const ${stride})) (global.get $round))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const ${TOUCHED})))))
      (func (export "canister_update trap") (call $touch) (unreachable))
      (func (export "canister_update keep") (call $touch) (call $reply)))`);
}
