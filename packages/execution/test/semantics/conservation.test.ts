// Cycles are neither made nor lost, to the unit: over random programs of canisters that call each other, accept, refuse,
// burn, grow, trap and wait for answers that come too late, that are stopped, uninstalled, deleted, installed in vain,
// topped up, frozen and run dry as time passes, what was minted is what balances and messages hold and what was consumed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, MANAGEMENT_CANISTER, type OutcallResponse } from "@atoll/types";
import fc from "fast-check";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const BILLION = 1_000_000_000n;
/** One canister is rich, one can afford little, one is soon frozen and runs dry. */
const MINTED = [100_000n * BILLION, 3_000n * BILLION, 900n * BILLION];
const MISSING = canisterIdFromIndex(0xeen);

/** Cycles on their way: in queues, in open calls, prepaid for callbacks, with calls that wait. */
function inFlight(m: s.Machine): bigint {
  let sum = 0n;
  for (const canister of m.machine.state.canisters.values()) {
    for (const item of canister.input) {
      if (item.kind === "request") sum += item.request.payment;
      if (item.kind === "response") sum += item.response.refund;
    }
    for (const context of canister.callContexts.values()) sum += context.availableCycles;
    for (const callback of canister.callbacks.values()) sum += callback.prepaidExecution + callback.prepaidResponse;
    if (canister.status.kind !== "stopping") continue;
    for (const { call } of canister.status.waiters) if (call.kind === "canister") sum += call.request.payment;
  }
  for (const { request } of m.machine.state.pendingRandomness) sum += request.payment;
  for (const { request } of m.machine.state.outcalls.contexts()) sum += request.payment;
  for (const { caller } of m.machine.state.managementQueue)
    if (caller.kind === "canister") sum += caller.request.payment;
  return sum;
}

/** Everything that was ever minted, wherever it went. */
function total(m: s.Machine): bigint {
  let sum = inFlight(m) + m.machine.state.metrics.consumedCycles;
  for (const canister of m.machine.state.canisters.values()) sum += canister.cycles + canister.reservedCycles;
  return sum;
}

type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

/** A program of a few steps; `depth` bounds calls within callbacks and callees. */
function program(random: Random, ids: readonly CanisterId[], depth: number): u.Code {
  const steps: u.Code[] = [];
  for (let left = 1 + random(4); left > 0; left--) steps.push(step(random, ids, depth));
  steps.push(pick(random, [u.reply(), u.reply(), u.reject("no"), u.trap("no"), u.seq(), u.unreachable()]));
  return u.seq(...steps);
}

function step(random: Random, ids: readonly CanisterId[], depth: number): u.Code {
  const amount = BigInt(random(20)) * BILLION;
  if (depth === 0 || random(4) === 0) return local(random, amount);
  const inner = (): u.Code => program(random, ids, depth - 1);
  const callbacks = {
    onReply: inner(),
    onReject: inner(),
    ...(random(2) === 0
      ? { onCleanup: pick(random, [u.seq(), u.trap("cleanup"), u.seq(u.cyclesBurn(7n), DROP)]) }
      : {}),
    ...(amount > 0n ? { cycles: amount } : {}),
    ...(random(3) === 0 ? { timeoutSeconds: 1 + random(20) } : {}),
  };
  const kind = random(10);
  if (kind === 0) return u.callBuild({ callee: s.idBytes(MISSING), method: "x", ...callbacks });
  if (kind === 1) return u.call({ callee: s.MANAGEMENT, method: "raw_rand", arg: u.bytes(NO_ARGUMENT), ...callbacks });
  if (kind === 2) {
    const arg = u.bytes(s.candid("deposit_cycles", s.onCanister(pick(random, [...ids, MISSING]))));
    return u.call({ callee: s.MANAGEMENT, method: "deposit_cycles", arg, ...callbacks });
  }
  if (kind === 3) {
    const arg = u.bytes(s.candid("create_canister", { settings: [], sender_canister_version: [] }));
    return u.call({ callee: s.MANAGEMENT, method: "create_canister", arg, ...callbacks, cycles: 600n * BILLION });
  }
  if (kind === 4) return u.call({ callee: s.MANAGEMENT, method: "http_request", arg: u.bytes(OUTCALL), ...callbacks });
  const method = pick(random, ["update", "update", "update", "query", "missing"]);
  return u.call({ callee: s.idBytes(pick(random, [...ids, MISSING])), method, arg: u.bytes(inner()), ...callbacks });
}

const DROP = u.seq(u.op("drop"), u.op("drop"));

/** In a callback without cycles, or in a query, some of it traps: also something to be survived. */
function local(random: Random, amount: bigint): u.Code {
  return pick(random, [
    u.seq(u.cyclesAccept(amount), DROP),
    u.seq(u.cyclesBurn(amount), DROP),
    u.stableGrow(1 + random(20)),
    u.seq(u.memoryGrow(u.int(1)), u.op("drop")),
  ]);
}

const OUTCALL = s.candid("http_request", {
  ...{ url: "https://example.com", max_response_bytes: [1000n], method: { get: null }, headers: [], body: [] },
  ...{ transform: [], is_replicated: [] },
});

/** Answers to some of the outcalls that are open, and to some that are not. */
function outcallResponses(m: s.Machine, random: Random): OutcallResponse[] {
  const open = [...m.machine.state.outcalls.numbers()].filter(() => random(2) === 0);
  return [...open, random(9)].map((outcall) => ({ outcall, result: { kind: "reply", data: new Uint8Array(9) } }));
}

const NO_ARGUMENT = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

const METHODS = ["stop_canister", "start_canister", "uninstall_code", "delete_canister"] as const;
type Interference = (typeof METHODS)[number] | "install" | "fail" | "top up" | "settings" | "chunk";

/** What somebody does to a canister in between; gives what was minted by it. */
function interfere(m: s.Machine, random: Random, id: CanisterId): bigint {
  const others: Interference[] = ["install", "fail", "top up", "settings", "chunk"];
  const what = pick<Interference>(random, [...METHODS, ...others, ...others]);
  const on = s.onCanister(id);
  if (what === "install") s.install(m, id, s.universal(), { mode: { reinstall: null } });
  else if (what === "fail") {
    const arg = u.seq(u.cyclesBurn(BILLION), DROP, u.unreachable());
    s.install(m, id, s.universal(), { mode: { reinstall: null }, arg });
  } else if (what === "chunk") s.manage(m, "upload_chunk", id, { ...on, chunk: Uint8Array.of(random(3)) });
  else if (what === "settings") {
    const memory_allocation = [BigInt(random(4)) * 1_000_000n];
    const settings = { ...s.NO_SETTINGS, memory_allocation, compute_allocation: [BigInt(random(3))] };
    s.manage(m, "update_settings", id, { ...on, settings, sender_canister_version: [] });
  } else if (what === "top up") {
    const amount = BigInt(random(100)) * BILLION;
    const { state } = s.manage(m, "provisional_top_up_canister", id, { ...on, amount });
    return state === "replied" ? amount : 0n;
  } else {
    const arg = s.candid(what, { ...on, sender_canister_version: [] });
    s.round(m, [s.message(m, MANAGEMENT_CANISTER, what, arg, { effective: id })]);
  }
  return 0n;
}

/** Now and then a long time passes: deadlines, freezing, running dry. */
const PASSING = [1, 1, 1, 9, 10, 400, 20_000, 1_000_000];

function scenario(seed: number, config: Parameters<typeof s.newMachine>[0], check: (m: s.Machine) => void): void {
  const random = randomFrom(seed);
  const resources = { memoryThreshold: 1_000_000, memoryCapacity: 40_000_000 };
  const m = s.newMachine({ ...config, resources });
  const ids = MINTED.map((amount, i) => {
    const settings = { freezing_threshold: [1000n], compute_allocation: [i === 2 ? 1n : 0n] };
    return s.newUniversal(m, { cycles: amount * (config?.feeNodes === undefined ? 1n : 3n), settings });
  });
  let minted = total(m);
  assert.equal(minted, MINTED.reduce((sum, each) => sum + each) * (config?.feeNodes === undefined ? 1n : 3n));
  const checked = (): void => {
    assert.equal(total(m), minted, `seed ${seed}`);
    for (const { cycles, reservedCycles } of m.machine.state.canisters.values()) {
      assert.ok(cycles >= 0n && reservedCycles >= 0n, `seed ${seed}: a balance below zero`);
    }
    check(m);
  };
  for (let turn = 0; turn < 8; turn++) {
    const messages = ids
      .filter((id) => m.machine.state.canisters.has(id))
      .map((id) => s.message(m, id, "update", program(random, ids, 2)));
    s.roundWith(m, { ingress: messages, outcallResponses: outcallResponses(m, random) }, pick(random, PASSING));
    checked();
    if (random(2) === 0) minted += interfere(m, random, pick(random, ids));
    checked();
  }
  for (const id of ids)
    if (m.machine.state.canisters.has(id)) s.install(m, id, s.universal(), { mode: { reinstall: null } });
  s.settleAll(m, 10);
  s.round(m, [], 400);
  s.settleAll(m, 10);
  checked();
  assert.equal(inFlight(m), 0n, "nothing is left on its way");
  for (const canister of m.machine.state.canisters.values()) {
    assert.equal(canister.callContexts.size, 0, "no call context is left");
    assert.equal(canister.callbacks.size, 0, "no callback is left");
  }
}

const KINDS = {
  "on an application subnet": { type: "application" },
  "on a system subnet, where little is charged": { type: "system" },
  "on a subnet of 34 nodes": { feeNodes: 34 },
} as const;

for (const [where, config] of Object.entries(KINDS)) {
  test(`what was minted is what there is and what was consumed, ${where}`, () => {
    const property = fc.property(fc.noShrink(fc.integer()), (seed) => scenario(seed, config, () => {}));
    fc.assert(property, { numRuns: 15, seed: 20_260_821 });
  });
}

test("where nothing costs anything, only burning, deletion and messages to nobody consume", () => {
  const property = fc.property(fc.noShrink(fc.integer()), (seed) => {
    const m = s.newMachine({ costSchedule: "free" });
    const id = s.newUniversal(m, { cycles: 5n * BILLION });
    s.round(m, [s.message(m, id, "update", program(randomFrom(seed), [id], 1))], 1000);
    s.settleAll(m);
    s.balanceOf(m, id);
    const { cycles, consumed } = s.canisterOf(m, id);
    const others = [...m.machine.state.canisters.values()].reduce((sum, each) => sum + each.cycles, 0n) - cycles;
    assert.equal(cycles + others + consumed.burnedCycles, 5n * BILLION);
    assert.ok(consumed.instructions > 0n && consumed.memory > 0n, "counted all the same");
  });
  fc.assert(property, { numRuns: 10, seed: 20_260_821 });
});
