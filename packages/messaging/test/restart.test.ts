// A state is what its checkpoint holds: machines that execute the same random batches, with slices and rounds so small
// that most executions take many of them, and that are started again from a checkpoint at different times, agree on
// every record, on the certified root and on instructions; and no cycle is made or lost on the way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeWholeState, processBatch, type RoundOutput } from "@atoll/messaging";
import {
  applyChanges,
  CheckpointStore,
  Checkpoints,
  EMPTY_TREE,
  type Labels,
  MemoryStorage,
  memoriesOfSnapshot,
  rootHash,
} from "@atoll/state";
import {
  type Batch,
  type CanisterId,
  canisterIdFromIndex,
  encodeCanonicalState,
  type IngressMessage,
  type Intervention,
  MANAGEMENT_CANISTER,
  toHex,
} from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import { sha256 } from "../../execution/test/management/subnet.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { cyclesIn } from "./cycles-in.ts";

const SLICES = { slice: 100_000, operation: 400_000 };
const IDS = Array.from({ length: 4 }, (_, i) => canisterIdFromIndex(BigInt(0x10 + i)));
const MINTED = 2n * 10n ** 14n;
const CONFIG = {
  provisional: true,
  resources: { memoryThreshold: 1_000_000, memoryCapacity: 200_000_000, heapDeltaPerRound: 3_000_000 },
};

interface Node {
  m: s.Machine;
  tree: Labels;
  readonly storage: MemoryStorage;
  checkpoints: Checkpoints;
  /** Since the last checkpoint. */
  log: Batch[];
}

const newNode = (): Node => {
  const storage = new MemoryStorage();
  const m = s.newMachine(CONFIG, { long: { slices: SLICES, maxPaused: 3 } }, { isEmpty: true });
  const checkpoints = new Checkpoints(CheckpointStore.open(storage));
  checkpoints.save(m.machine.state);
  return { m, tree: EMPTY_TREE, storage, checkpoints, log: [] };
};

const hashOf = (tree: Labels): string => toHex(rootHash(tree, sha256));

/** All that the state is made of, as text. */
function recordsOf({ machine: { state, long } }: s.Machine): Record<string, unknown> {
  const records: Record<string, unknown> = {
    time: state.time,
    charges: state.charges,
    queue: toHex(encodeCanonicalState(state.managementQueue)),
    randomness: toHex(encodeCanonicalState(state.pendingRandomness)),
    service: state.serviceReceived,
    interventions: toHex(encodeCanonicalState(state.interventions)),
    consumed: state.metrics,
    usage: state.usage.total,
    due: [...state.paymentsDue.keys()].sort().map((id) => `${id} ${state.paymentsDue.get(id)}`),
    paused: long.size,
  };
  for (const [id, canister] of [...state.canisters].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { execution, input, snapshots, ...plain } = canister;
    const memories = [...snapshots.values()].flatMap(memoriesOfSnapshot);
    if (execution !== undefined) memories.push(execution.heap, execution.stable);
    const pages = memories.map((memory) =>
      [...memory.pages()].map(([page, bytes]) => `${page} ${toHex(sha256(bytes))}`).join("\n"),
    );
    const { heap: _, stable: __, ...code } = execution ?? {};
    const items = [...input].map((item) => toHex(sha256(encodeCanonicalState(item))));
    records[id] = { plain: JSON.parse(JSON.stringify(plain, shown)), items, pages, code: JSON.stringify(code, shown) };
  }
  return records;
}

const shown = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return toHex(sha256(value));
  if (value instanceof Map) return [...value];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
};

async function execute(node: Node, batch: Batch): Promise<RoundOutput> {
  const { m } = node;
  await m.machine.long.runSlice();
  m.last = processBatch(m.machine, batch);
  Object.assign(m, { height: batch.height, time: batch.time });
  m.queries.apply(m.last.delta);
  node.tree = applyChanges(node.tree, m.last.treeChanges);
  node.log.push(batch);
  if (batch.isCheckpoint === true) {
    node.checkpoints.save(m.machine.state);
    node.log = [];
  }
  return m.last;
}

/** The process ends; another one loads the checkpoint and executes the batches since. */
async function restart(node: Node): Promise<void> {
  const { tree, log } = node;
  node.m = s.newMachine(CONFIG, { long: { slices: SLICES, maxPaused: 3 } }, { isEmpty: true });
  node.checkpoints = new Checkpoints(CheckpointStore.open(node.storage));
  node.checkpoints.load(node.m.machine.state);
  const whole = describeWholeState(node.m.machine);
  node.m.queries.apply(whole.delta);
  node.tree = applyChanges(EMPTY_TREE, whole.treeChanges);
  node.log = [];
  for (const batch of log) await execute(node, batch);
  assert.equal(hashOf(node.tree), hashOf(tree), "the tree after a restart");
}

// --- the workload ---

type Random = (below: number) => number;
const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;
const BILLION = 1_000_000_000n;

function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some slices of work. */
const spin = (random: Random, times = 1): u.Code =>
  u.seq(
    u.stableGrow(1),
    ...Array.from({ length: times * (1 + random(6)) }, () =>
      u.stableWrite(random(60_000), u.repeated(random(255), u.int(4000))),
    ),
  );

function step(random: Random, depth: number): u.Code {
  const amount = BigInt(random(20)) * BILLION;
  switch (random(depth > 0 ? 13 : 8)) {
    case 0:
    case 1:
      return spin(random);
    case 2:
      return u.seq(u.memoryGrow(u.int(random(3))), u.op("drop"));
    case 3:
      return u.seq(u.cyclesAccept(amount), u.op("drop"), u.op("drop"));
    case 4:
      return u.seq(u.cyclesBurn(amount), u.op("drop"), u.op("drop"));
    case 5:
      return u.seq(u.storeProgram("globalTimer", spin(random, 4)), u.globalTimerSet(u.add(u.time(), u.int(1))));
    case 6:
      return u.debugPrint("line");
    case 7:
      return u.certifiedDataSet(u.bytes(Uint8Array.of(random(255))));
    default:
      return call(random, depth, amount);
  }
}

function call(random: Random, depth: number, amount: bigint): u.Code {
  const inner = (): u.Code => program(random, depth - 1);
  const callbacks = {
    onReply: inner(),
    onReject: inner(),
    ...(random(2) === 0 ? { onCleanup: pick(random, [u.seq(), u.trap("cleanup"), spin(random)]) } : {}),
    ...(amount > 0n ? { cycles: amount } : {}),
    ...(random(3) === 0 ? { timeoutSeconds: 1 + random(20) } : {}),
  };
  if (random(3) === 0) {
    const { method, arg } = management(random, pick(random, IDS));
    return u.call({ callee: s.MANAGEMENT, method, arg: u.bytes(arg), ...callbacks });
  }
  const method = pick(random, ["update", "update", "query"]);
  return u.call({ callee: s.idBytes(pick(random, IDS)), method, arg: u.bytes(inner()), ...callbacks });
}

function program(random: Random, depth: number): u.Code {
  const steps = Array.from({ length: 1 + random(4) }, () => step(random, depth));
  return u.seq(...steps, pick(random, [u.reply(), u.reply(), u.reject("no"), u.trap("no"), u.seq(), u.unreachable()]));
}

const MODES = [{ install: null }, { reinstall: null }, { upgrade: [] }] as const;

function management(random: Random, id: CanisterId): { method: string; arg: Uint8Array } {
  const on = { ...s.onCanister(id), sender_canister_version: [] };
  const snapshot = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, random(2), ...Buffer.from(id, "hex")]);
  const settings = {
    ...s.NO_SETTINGS,
    compute_allocation: [BigInt(random(3))],
    memory_allocation: [BigInt(random(9))],
  };
  const code = { mode: pick(random, MODES), wasm_module: s.universal(), arg: spin(random, 4) };
  const calls = {
    install_code: { ...on, ...code },
    uninstall_code: on,
    stop_canister: on,
    start_canister: on,
    delete_canister: on,
    update_settings: { ...on, settings },
    deposit_cycles: on,
    canister_status: on,
    upload_chunk: { ...on, chunk: Uint8Array.of(random(3)) },
    take_canister_snapshot: { ...on, replace_snapshot: [], uninstall_code: [random(4) === 0] },
    load_canister_snapshot: { ...on, snapshot_id: snapshot },
    delete_canister_snapshot: { ...on, snapshot_id: snapshot },
  };
  const common = ["install_code", "install_code", "start_canister", "start_canister"] as const;
  const names = Object.keys(calls).filter((name) => name !== "delete_canister" || random(4) === 0);
  const method = pick(random, [...common, ...(names as (keyof typeof calls)[])]);
  return { method, arg: s.candid(method, calls[method]) };
}

function messages(random: Random, m: s.Machine): IngressMessage[] {
  const on = (id: CanisterId): IngressMessage => s.message(m, id, "update", program(random, 2));
  const about = (id: CanisterId): IngressMessage => {
    const { method, arg } = management(random, id);
    return s.message(m, MANAGEMENT_CANISTER, method, arg, { effective: id });
  };
  return Array.from({ length: random(4) }, () => (random(3) === 0 ? about : on)(pick(random, IDS)));
}

/** Of every kind that neither makes nor takes cycles; some of what they name is not there. */
function interventions(random: Random, { machine: { state } }: s.Machine): Intervention[] {
  const canister = pick(random, IDS);
  const held = [...state.interventions.held.keys(), 1_000_000];
  const kind = pick(random, [undefined, "ingress", "request", "response"] as const);
  const some = held.filter(() => random(3) > 0).slice(0, -1);
  const rule = { receiver: canister, atMost: 1 + random(4), ...(kind === undefined ? {} : { messageKind: kind }) };
  const all: Intervention[] = [
    { kind: "hold", rule },
    { kind: "hold", rule: { sender: canister, atMost: 3 } },
    { kind: "unhold" },
    { kind: "release", numbers: some.reverse() },
    { kind: "release", numbers: held.slice(0, -1) },
    ...held.map(
      (number) => ({ kind: "reject_held", number, code: pick(random, [2, 4, 6] as const), message: "no" }) as const,
    ),
    ...held.map((number) => ({ kind: "drop_held", number }) as const),
    { kind: "trap_next", canister, message: "now" },
    { kind: "trap_next", canister, on: { kind: "callback" }, message: "then" },
    { kind: "fill_queue", sender: canister, receiver: pick(random, IDS), places: pick(random, [0, 0, 500]) },
    { kind: "set_stable_memory", canister, content: new Uint8Array(random(200_000)).fill(random(2)) },
  ];
  return Array.from({ length: 2 + random(4) }, () => pick(random, all));
}

function creation(m: s.Machine): IngressMessage[] {
  const method = "provisional_create_canister_with_cycles";
  return IDS.map((id) => {
    const controllers = [[s.ALICE, ...IDS].map(s.principal)];
    const settings = [{ ...s.NO_SETTINGS, controllers, freezing_threshold: [BigInt(Number(id !== IDS[0]))] }];
    const create = { amount: [MINTED], settings, specified_id: [], sender_canister_version: [] };
    return s.message(m, MANAGEMENT_CANISTER, method, s.candid(method, create), { effective: id });
  });
}

function installation(m: s.Machine): IngressMessage[] {
  return IDS.map((id) => {
    const code = { mode: { install: null }, wasm_module: s.universal(), arg: new Uint8Array() };
    const arg = s.candid("install_code", { ...code, ...s.onCanister(id), sender_canister_version: [] });
    return s.message(m, MANAGEMENT_CANISTER, "install_code", arg, { effective: id });
  });
}

const seen = {
  pending: 0,
  restarts: 0,
  replies: 0,
  held: 0,
  interventions: new Set<string>(),
  kinds: new Set<string>(),
};

async function scenario(seed: number, rounds: number): Promise<void> {
  const random = randomFrom(seed);
  const nodes = [newNode(), newNode(), newNode()] as const;
  const sent: IngressMessage[] = [];
  let height = 0;
  let time = 1_700_000_000_000_000_000n;
  while (height < rounds) {
    const { m } = nodes[0];
    height++;
    time += BigInt(pick(random, [1, 1, 1, 2, 11, 400])) * BILLION;
    m.time = time;
    const intervenes = seed % 2 === 0 && height > 4 && random(4) === 0;
    const sends = height === 1 ? creation : height === 2 ? installation : (m: s.Machine) => messages(random, m);
    const ingress = intervenes ? [] : sends(m);
    const rest = {
      ...(intervenes ? { interventions: interventions(random, m) } : {}),
      ...(random(8) === 0 ? { maxExecutions: random(3) } : {}),
    };
    sent.push(...ingress);
    const randomness = sha256(new TextEncoder().encode(`${seed} ${height}`));
    const batch: Batch = {
      height,
      time,
      randomness,
      ingress,
      ...rest,
      ...(random(5) === 0 ? { isCheckpoint: true } : {}),
    };
    const before = new Set<CanisterId>(m.machine.state.withPending);
    const outputs: unknown[] = [];
    for (const node of nodes) {
      const { instructions, hasMoreWork, wakeAt, pausedExecutions, interventionResults } = await execute(node, batch);
      const records = recordsOf(node.m);
      const root = hashOf(node.tree);
      outputs.push({ instructions, hasMoreWork, wakeAt, pausedExecutions, interventionResults, root, records });
    }
    for (const output of outputs.slice(1)) assert.deepEqual(output, outputs[0], `seed ${seed}, height ${height}`);
    seen.held += m.machine.state.interventions.held.size;
    for (const [i, { kind }] of (rest.interventions ?? []).entries()) {
      if (m.last.interventionResults[i]?.ok === true) seen.interventions.add(kind);
    }
    assert.equal(cyclesIn(m), BigInt(IDS.length) * MINTED, `seed ${seed}, height ${height}`);
    for (const { id, cycles, reservedCycles, pendingExecution } of m.machine.state.canisters.values()) {
      assert.ok(cycles >= 0n && reservedCycles >= 0n, `seed ${seed}, height ${height}: a balance below zero`);
      if (pendingExecution !== undefined) seen.kinds.add(pendingExecution.kind);
      if (before.has(id) && pendingExecution !== undefined) seen.pending++;
    }
    for (const node of nodes.slice(1)) {
      if (random(4) !== 0) continue;
      await restart(node);
      seen.restarts++;
    }
  }
  seen.replies += sent.filter((each) => s.statusOf(nodes[0].m, each)?.state === "replied").length;
}

test("what was started again from a checkpoint at any time agrees with what went on", async () => {
  const runs = Number(process.env.RUNS ?? 6);
  const property = fc.asyncProperty(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 })), (seed) => scenario(seed, 50));
  await fc.assert(property, { numRuns: runs, seed: Number(process.env.SEED ?? 20_261_121) });
  assert.ok(
    seen.pending > 5 * runs && seen.restarts > 5 * runs && seen.replies > runs,
    JSON.stringify({ ...seen, kinds: [...seen.kinds] }),
  );
  for (const kind of ["hold", "release", "trap_next", "fill_queue", "set_stable_memory"]) {
    assert.ok(seen.interventions.has(kind), `no ${kind} was made`);
  }
  assert.ok(seen.held > 2 * runs, `${seen.held} messages held`);
  assert.deepEqual([...seen.kinds].sort(), ["call", "install", "response", "task"]);
});
