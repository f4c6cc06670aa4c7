// Random work on three subnets that see as much of each other's streams as chance lets them, that start again from
// checkpoints, stop, empty and delete each other's canisters, give up on each other's answers and have hardly any memory
// for messages, some of which are held: no cycle is made or lost on the way, each call is answered once, and who was
// started again agrees with who was not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, type IngressMessage, type Intervention, RejectCode } from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import type { MethodName } from "../../execution/test/management/interface.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { cyclesInNetwork, type Network, newNetwork, restart, type Subnet, settle, step } from "./subnets.ts";

const MILLION = 1_000_000n;
const idOn = (index: number, number: number): CanisterId =>
  canisterIdFromIndex(BigInt(index + 1) * 0x1000n + BigInt(number));
const EACH = 3;
/** Some on each subnet, and one that is nowhere. */
const IDS = [0, 1, 2].flatMap((index) => Array.from({ length: EACH }, (_, i) => idOn(index, i)));
const CALLEES = [...IDS, idOn(1, 9)];

type Random = (below: number) => number;
const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NO_VERSION = { sender_canister_version: [] };
const MANAGEMENT_CALLS: readonly (readonly [MethodName, object?])[] = [
  ["deposit_cycles"],
  ["canister_status"],
  ["stop_canister"],
  ["stop_canister"],
  ["start_canister"],
  ["delete_canister"],
  ["uninstall_code", NO_VERSION],
  ["install_code", { ...NO_VERSION, mode: { install: null }, wasm_module: s.universal(), arg: new Uint8Array() }],
];

function call(random: Random, depth: number): u.Code {
  const amount = BigInt(random(50)) * MILLION;
  const common = {
    onReply: program(random, depth - 1),
    onReject: program(random, depth - 1),
    ...(amount > 0n ? { cycles: amount } : {}),
    ...(random(3) === 0 ? { timeoutSeconds: 1 + random(12) } : {}),
  };
  if (random(4) === 0) {
    const [method, more] = pick(random, MANAGEMENT_CALLS);
    const arg = u.bytes(s.candid(method, { ...s.onCanister(pick(random, IDS)), ...more }));
    return u.call({ callee: s.MANAGEMENT, method, arg, ...common });
  }
  const arg = u.bytes(program(random, depth - 1));
  return u.call({ callee: s.idBytes(pick(random, CALLEES)), method: "update", arg, ...common });
}

function program(random: Random, depth: number): u.Code {
  const accept = u.seq(u.cyclesAccept(BigInt(random(40)) * MILLION), u.op("drop"), u.op("drop"));
  const steps = Array.from({ length: 1 + random(3) }, () =>
    depth > 0 && random(2) === 0 ? call(random, depth) : accept,
  );
  return u.seq(
    ...steps,
    pick(random, [u.reply(u.repeated(7, u.int(random(400)))), u.reply(), u.reject("no"), u.trap("no"), u.seq()]),
  );
}

function setUp(m: s.Machine): void {
  const settings = { controllers: [[s.ALICE, ...IDS].map(s.principal)], freezing_threshold: [0n] };
  for (let i = 0; i < EACH; i++) s.newUniversal(m, { settings });
}

const seen = { restarts: 0, refunds: 0, rejects: 0, messages: 0, interventions: 0 };

function interventions({ m }: Subnet, random: Random): Intervention[] {
  const numbers = [...m.machine.state.interventions.held.keys()];
  const number = pick(random, [...numbers, 0]);
  const all: Intervention[] = [
    { kind: "hold", rule: { messageKind: pick(random, ["request", "response"]), atMost: 1 + random(3) } },
    { kind: "hold", rule: { receiver: pick(random, IDS), atMost: 1 + random(2) } },
    { kind: "release", numbers: numbers.slice(0, 1 + random(3)).reverse() },
    { kind: "reject_held", number, code: RejectCode.SYS_TRANSIENT, message: "held" },
    { kind: "drop_held", number },
    { kind: "trap_next", canister: pick(random, IDS), message: "trap" },
  ];
  return [pick(random, all), pick(random, all)];
}

function intervene(network: Network, subnet: Subnet, all: readonly Intervention[]): void {
  const { interventionResults } = step(network, subnet, [], { slices: [], interventions: all });
  seen.interventions += interventionResults.filter(({ ok }) => ok).length;
}

function turn(network: Network, subnet: Subnet, random: Random, ingress: readonly IngressMessage[]): void {
  network.limits = { messages: pick(random, [0, 1, 2, 5, 1_000]) };
  if (random(5) === 0) intervene(network, subnet, interventions(subnet, random));
  const isAlone = random(4) === 0;
  step(network, subnet, ingress, {
    seconds: pick(random, [1, 1, 1, 3]),
    ...(isAlone ? { slices: [] } : {}),
    ...(random(6) === 0 ? { isCheckpoint: true } : {}),
    ...(random(5) === 0 ? { maxExecutions: random(3) } : {}),
  });
  for (const { messages, rejectSignals } of subnet.m.machine.state.streams.values()) {
    seen.rejects += rejectSignals.length;
    for (const { kind } of messages) if (kind === "refund") seen.refunds++;
  }
  if (random(8) !== 0) return;
  restart(subnet);
  seen.restarts++;
}

function isWaiting({ m }: Subnet): boolean {
  return [...m.machine.state.canisters.values()].some(({ callbacks }) => callbacks.size > 0);
}

function scenario(seed: number, turns: number): void {
  const random = randomFrom(seed);
  const resources = {
    bestEffortMessageMemory: pick(random, [30, 300, 3_000]),
    guaranteedMessageMemory: pick(random, [4, 8, 40]) * 2 * 1024 * 1024,
  };
  const network = newNetwork(["system", "application", "application"], setUp, { resources });
  const all = cyclesInNetwork(network);
  const sent: [Subnet, IngressMessage][] = [];
  for (let i = 0; i < turns; i++) {
    const index = random(3);
    const subnet = network.subnets[index] as Subnet;
    const ingress = Array.from({ length: random(3) }, () => {
      return s.message(subnet.m, idOn(index, random(EACH)), "update", program(random, 3));
    });
    sent.push(...ingress.map((each): [Subnet, IngressMessage] => [subnet, each]));
    turn(network, subnet, random, ingress);
    assert.equal(cyclesInNetwork(network), all, `seed ${seed}, turn ${i}`);
  }
  network.limits = {};
  for (const subnet of network.subnets) {
    const numbers = [...subnet.m.machine.state.interventions.held.keys()];
    intervene(network, subnet, [{ kind: "unhold" }, { kind: "release", numbers }]);
  }
  settle(network, 200);
  // Who asked a canister to stop that waits for it in turn is told after five minutes, and may ask again.
  for (let i = 0; i < 8 && network.subnets.some(isWaiting); i++) {
    for (const subnet of network.subnets) step(network, subnet, [], { seconds: 310 });
    settle(network, 200);
  }
  assert.equal(cyclesInNetwork(network), all, `seed ${seed}, at the end`);
  for (const [subnet, message] of sent) {
    // Forgotten, where it had to be waited for long.
    const status = s.statusOf(subnet.m, message)?.state ?? "replied";
    assert.ok(status === "replied" || status === "rejected", `seed ${seed}: ${status}`);
  }
  for (const { m, dropped, positions } of network.subnets) {
    // An answer to a call that had one already would be among them.
    assert.deepEqual(dropped, [], `seed ${seed}`);
    for (const { id, callbacks, callContexts } of m.machine.state.canisters.values()) {
      assert.deepEqual([callbacks.size, callContexts.size], [0, 0], `seed ${seed}: ${id} waits for ever`);
    }
    for (const { begin, end } of positions.values()) {
      assert.equal(begin, end, `seed ${seed}: something was never taken`);
      seen.messages += end;
    }
  }
}

test("no cycle is lost between subnets, and each call is answered once", () => {
  const numRuns = Number(process.env.RUNS ?? 6);
  const property = fc.property(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 })), (seed) => scenario(seed, 60));
  fc.assert(property, { numRuns, seed: Number(process.env.SEED ?? 20_261_121) });
  const { restarts, refunds, rejects, messages, interventions } = seen;
  assert.ok(restarts > numRuns && rejects > numRuns && interventions > numRuns, JSON.stringify(seen));
  assert.ok(messages > 50 * numRuns && refunds > 0, JSON.stringify(seen));
});
