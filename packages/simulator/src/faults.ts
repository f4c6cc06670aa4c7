// The faults of a run as data: what goes wrong, where, when and for how long. Drawing them is here; making them happen is the
// business of whoever owns what fails (inject.ts). Issue 5, point 5; sections 1 and 24.1.
import type { Random } from "./random.ts";
import { MS, SECOND } from "./scheduler.ts";

/** Times in ns since the start; `until` ends what lasts. */
export type Fault = { readonly at: number } & (
  | LinkFault
  | { readonly kind: "partition"; readonly until: number; readonly group: readonly number[] }
  /** Only what the group says is not heard. */
  | { readonly kind: "one-way"; readonly until: number; readonly group: readonly number[] }
  | { readonly kind: "flapping"; readonly until: number; readonly group: readonly number[]; readonly periodNs: number }
  | { readonly kind: "disconnect"; readonly from: number; readonly to: number }
  | { readonly kind: "adversary"; readonly until: number; readonly strategy: Strategy; readonly delayNs: number }
  /** In the middle of the change of the disk that comes so many changes later. */
  | {
      readonly kind: "crash";
      readonly node: number;
      readonly changes: number;
      readonly keep: "all" | "synced" | "torn";
      readonly downNs: number;
    }
  | { readonly kind: "stall"; readonly node: number; readonly forNs: number }
  /** Nodes that deal no keys before its end, or too late for their interval: of that no more comes than a key too few. */
  | { readonly kind: "no-dealings"; readonly until: number; readonly group: readonly number[] }
  | { readonly kind: "slow-execution"; readonly until: number; readonly node: number; readonly delayNs: number }
  | { readonly kind: "slow-disk"; readonly until: number; readonly node: number; readonly operationNs: number }
  | { readonly kind: "full-disk"; readonly until: number; readonly node: number }
  | {
      readonly kind: "clock-rate";
      readonly until: number;
      readonly node: number;
      readonly wall: number;
      readonly monotonic: number;
    }
  | { readonly kind: "clock-jump"; readonly node: number; readonly byNs: number }
  // What follows makes a node forget or contradict what it said: for at most f nodes.
  | { readonly kind: "bit-rot"; readonly node: number; readonly bits: number; readonly downNs: number }
  | { readonly kind: "misdirected-write"; readonly node: number; readonly downNs: number }
  | { readonly kind: "empty-disk"; readonly node: number; readonly downNs: number }
);

type LinkFault = {
  readonly kind: "link";
  readonly until: number;
  readonly from: number;
  readonly to: number;
  readonly loss?: number;
  readonly replay?: number;
  readonly reorder?: number;
  readonly delayNs?: number;
  readonly bytesPerSecond?: number;
};

/**
 * What an adversary that schedules the network delays: whatever comes from whoever proposed the last block; whatever goes to
 * one half first; whatever comes from one node; everything, each time anew.
 */
export type Strategy = "hunt-maker" | "halves" | "starve" | "random";

export type FaultKind = Fault["kind"];

interface Scope {
  readonly nodes: number;
  readonly safetyNs: number;
  /** Nodes that may forget. */
  readonly forgetful: readonly number[];
  readonly stress?: readonly FaultKind[];
}

const STRESS_COUNT = 12;

/** Nothing goes wrong before the subnet has begun. */
const FIRST_FAULT_NS = 3 * SECOND;

export function drawFaults(random: Random, scope: Scope): Fault[] {
  const kinds = Object.keys(DRAW) as FaultKind[];
  // Each run has its own mixture: with all kinds at once hardly anything would happen between two faults.
  const chosen = scope.stress ?? random.stream("kinds").sample(kinds, random.stream("how many kinds").between(1, 6));
  const faults: Fault[] = [];
  for (const kind of kinds.filter((each) => chosen.includes(each))) {
    const own = random.stream(kind);
    const count = scope.stress === undefined ? own.between(1, 4) : STRESS_COUNT;
    for (let i = 0; i < count; i++) {
      const at = own.between(FIRST_FAULT_NS, Math.max(FIRST_FAULT_NS, scope.safetyNs - 2 * SECOND));
      const fault = DRAW[kind](own, scope, at);
      if (fault !== undefined) faults.push(fault);
    }
  }
  return faults.sort((a, b) => a.at - b.at);
}

type Draw = (random: Random, scope: Scope, at: number) => Fault | undefined;

const anyNode = (random: Random, { nodes }: Scope): number => random.below(nodes);
const untilOf = (random: Random, at: number, most: number): number => at + random.between(200 * MS, most);
const downNs = (random: Random): number => random.pick([random.between(100, 900) * MS, random.between(1, 10) * SECOND]);

function allNodes({ nodes }: Scope): number[] {
  return Array.from({ length: nodes }, (_, i) => i);
}

function someNodes(random: Random, scope: Scope): number[] {
  const count = random.between(1, Math.max(1, Math.floor(scope.nodes / 2)));
  return random.sample(allNodes(scope), count).sort((a, b) => a - b);
}

function link(random: Random, scope: Scope, at: number): Fault {
  const quality = random.pick([
    { loss: random.between(1, 50) / 100 },
    { replay: random.between(1, 50) / 100 },
    { reorder: random.between(1, 50) / 100 },
    { delayNs: random.between(20, 2000) * MS },
    { bytesPerSecond: random.between(1, 100) * 1000 },
  ]);
  const until = untilOf(random, at, 10 * SECOND);
  return { at, kind: "link", until, from: anyNode(random, scope), to: anyNode(random, scope), ...quality };
}

const DRAW: Readonly<Record<FaultKind, Draw>> = {
  link,
  partition: (random, scope, at) => ({
    at,
    kind: "partition",
    until: untilOf(random, at, 12 * SECOND),
    group: someNodes(random, scope),
  }),
  "one-way": (random, scope, at) => ({
    at,
    kind: "one-way",
    until: untilOf(random, at, 12 * SECOND),
    group: someNodes(random, scope),
  }),
  flapping: (random, scope, at) => ({
    at,
    kind: "flapping",
    until: untilOf(random, at, 12 * SECOND),
    group: someNodes(random, scope),
    periodNs: random.between(50, 6000) * MS,
  }),
  disconnect: (random, scope, at) => ({
    at,
    kind: "disconnect",
    from: anyNode(random, scope),
    to: anyNode(random, scope),
  }),
  adversary: (random, _, at) => ({
    at,
    kind: "adversary",
    until: untilOf(random, at, 15 * SECOND),
    strategy: random.pick<Strategy>(["hunt-maker", "halves", "starve", "random"]),
    delayNs: random.between(50, 1500) * MS,
  }),
  crash: (random, scope, at) => ({
    at,
    kind: "crash",
    node: anyNode(random, scope),
    changes: random.below(40),
    keep: random.pick(["all", "synced", "torn"] as const),
    downNs: downNs(random),
  }),
  "no-dealings": (random, scope, at) => ({
    at,
    kind: "no-dealings",
    until: untilOf(random, at, 12 * SECOND),
    group: random.chance(0.5) ? allNodes(scope) : someNodes(random, scope),
  }),
  stall: (random, scope, at) => ({
    at,
    kind: "stall",
    node: anyNode(random, scope),
    forNs: random.between(300, 8000) * MS,
  }),
  "slow-execution": (random, scope, at) => ({
    at,
    kind: "slow-execution",
    until: untilOf(random, at, 10 * SECOND),
    node: anyNode(random, scope),
    delayNs: random.pick([random.between(50, 1500), random.between(2000, 6000)]) * MS,
  }),
  "slow-disk": (random, scope, at) => ({
    at,
    kind: "slow-disk",
    until: untilOf(random, at, 10 * SECOND),
    node: anyNode(random, scope),
    operationNs: random.between(1, 30) * MS,
  }),
  "full-disk": (random, scope, at) => ({
    at,
    kind: "full-disk",
    until: untilOf(random, at, 6 * SECOND),
    node: anyNode(random, scope),
  }),
  "clock-rate": (random, scope, at) => ({
    at,
    kind: "clock-rate",
    until: untilOf(random, at, 15 * SECOND),
    node: anyNode(random, scope),
    wall: random.pick([0, 0.5, 0.9, 1.1, 2]),
    monotonic: random.pick([0, 0.5, 0.9, 1.1, 2]),
  }),
  "clock-jump": (random, scope, at) => ({
    at,
    kind: "clock-jump",
    node: anyNode(random, scope),
    byNs: random.between(-20_000, 20_000) * MS,
  }),
  "bit-rot": (random, { forgetful }, at) =>
    forgetful.length === 0
      ? undefined
      : { at, kind: "bit-rot", node: random.pick(forgetful), bits: random.between(1, 20), downNs: downNs(random) },
  "misdirected-write": (random, { forgetful }, at) =>
    forgetful.length === 0
      ? undefined
      : { at, kind: "misdirected-write", node: random.pick(forgetful), downNs: downNs(random) },
  "empty-disk": (random, { forgetful }, at) =>
    forgetful.length === 0
      ? undefined
      : { at, kind: "empty-disk", node: random.pick(forgetful), downNs: downNs(random) },
};
