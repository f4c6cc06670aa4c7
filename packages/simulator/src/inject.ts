// Makes the faults of a plan happen at their times and end at theirs: each by what the network, the disks, the clocks and the
// processes of the run offer for it. Section 24.1.
import type { PrincipalId } from "@atoll/types";
import type { Fault, Strategy } from "./faults.ts";
import type { Random } from "./random.ts";
import { type Scheduler, SECOND } from "./scheduler.ts";
import type { LinkQuality, SimNetwork } from "./sim-network.ts";
import type { SimNode } from "./sim-node.ts";

export interface FaultTargets {
  readonly nodes: readonly SimNode[];
  readonly network: SimNetwork;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** The node whose block proposal at the highest height was published last. */
  lastMaker(): PrincipalId | undefined;
}

/** What is wrong with each direction between two nodes, by the fault that makes it so. */
type LinkFaults = Map<string, Map<Fault, Partial<LinkQuality>>>;

export interface Injection {
  /** Ends all faults that concern only these nodes, and lets their processes run. */
  heal(indices: ReadonlySet<number>): void;
}

export function injectFaults(faults: readonly Fault[], targets: FaultTargets): Injection {
  const links: LinkFaults = new Map();
  const injection = { targets, links, isHealed: (_: number): boolean => false };
  for (const fault of faults) targets.scheduler.at(fault.at, () => begin(fault, injection));
  return {
    heal(indices) {
      injection.isHealed = (index) => indices.has(index);
      heal(indices, injection);
    },
  };
}

interface Running {
  readonly targets: FaultTargets;
  readonly links: LinkFaults;
  isHealed(index: number): boolean;
}

function begin(fault: Fault, running: Running): void {
  const { targets, isHealed } = running;
  const { scheduler, network, nodes } = targets;
  scheduler.note(`fault ${fault.kind}`);
  if ("node" in fault) {
    const node = nodes[fault.node];
    if (node !== undefined && !isHealed(fault.node)) beginAtNode(fault, node, running);
    return;
  }
  switch (fault.kind) {
    case "link": {
      const { at: _, kind: __, until: ___, from, to, ...quality } = fault;
      during(fault, running, [[from, to]], quality);
      return;
    }
    case "partition":
      during(fault, running, across(fault.group, nodes.length, true), { isCut: true });
      return;
    case "one-way":
      during(fault, running, across(fault.group, nodes.length, false), { isCut: true });
      return;
    case "flapping":
      flap(fault, running);
      return;
    case "no-dealings": {
      const dealers = fault.group.flatMap((index) => (isHealed(index) ? [] : (nodes[index] ?? [])));
      for (const node of dealers) node.dealsFrom = Math.max(node.dealsFrom, fault.until);
      return;
    }
    case "disconnect": {
      const [a, b] = [nodes[fault.from], nodes[fault.to]];
      if (a !== undefined && b !== undefined && a !== b) network.disconnect(a.id, b.id);
      return;
    }
    case "adversary": {
      const delay = adversary(fault.strategy, fault.delayNs, targets);
      network.adversary = delay;
      scheduler.at(fault.until, () => {
        if (network.adversary === delay) network.adversary = undefined;
      });
    }
  }
}

function beginAtNode(fault: Extract<Fault, { node: number }>, node: SimNode, { targets, isHealed }: Running): void {
  const { scheduler } = targets;
  const whileIll = (until: number, end: () => void): void => {
    scheduler.at(until, () => {
      if (!isHealed(fault.node)) end();
    });
  };
  switch (fault.kind) {
    case "crash": {
      const down = (): void => node.crash(fault.keep, fault.downNs);
      // A process that is killed loses nothing that it wrote; a machine stops in the middle of a change.
      if (fault.keep === "all") {
        down();
        return;
      }
      node.onDiskStop = down;
      node.disk.stopAfter(fault.changes);
      return;
    }
    case "stall":
      node.stall(fault.forNs);
      return;
    case "slow-execution":
      node.executionNs = fault.delayNs;
      whileIll(fault.until, () => node.resetExecution());
      return;
    case "slow-disk":
      node.disk.operationNs = fault.operationNs;
      whileIll(fault.until, () => {
        node.disk.operationNs = 0;
      });
      return;
    case "full-disk":
      node.disk.setFull(true);
      whileIll(fault.until, () => node.disk.setFull(false));
      return;
    case "clock-rate":
      node.clock.setRate("wall", fault.wall);
      node.clock.setRate("monotonic", fault.monotonic);
      whileIll(fault.until, () => node.clock.heal());
      return;
    case "clock-jump":
      node.clock.jump("wall", fault.byNs);
      return;
    case "bit-rot":
      node.isDamaged = true;
      node.observed.hasForgotten = true;
      for (let i = 0; i < fault.bits; i++) node.disk.rot();
      node.crash("synced", fault.downNs);
      return;
    case "misdirected-write":
      node.isDamaged = true;
      node.observed.hasForgotten = true;
      node.disk.misdirectNext();
      scheduler.after(SECOND, () => {
        if (!isHealed(fault.node)) node.crash("synced", fault.downNs);
      });
      return;
    case "empty-disk":
      node.emptyDisk(fault.downNs);
      return;
  }
}

type Pair = readonly [number, number];

function across(group: readonly number[], nodes: number, isBothWays: boolean): Pair[] {
  const pairs: Pair[] = [];
  for (const inside of group)
    for (let outside = 0; outside < nodes; outside++) {
      if (group.includes(outside)) continue;
      pairs.push([inside, outside]);
      if (isBothWays) pairs.push([outside, inside]);
    }
  return pairs;
}

function during(
  fault: Extract<Fault, { until: number }>,
  running: Running,
  pairs: readonly Pair[],
  quality: Partial<LinkQuality>,
): void {
  setLinks(fault, running, pairs, quality);
  running.targets.scheduler.at(fault.until, () => setLinks(fault, running, pairs, undefined));
}

function flap(fault: Extract<Fault, { kind: "flapping" }>, running: Running): void {
  const pairs = across(fault.group, running.targets.nodes.length, true);
  const { scheduler } = running.targets;
  let isCut = false;
  const turn = (): void => {
    isCut = !isCut && scheduler.now < fault.until;
    setLinks(fault, running, pairs, isCut ? { isCut: true } : undefined);
    if (scheduler.now < fault.until) scheduler.after(fault.periodNs, turn);
  };
  turn();
}

/** `quality` undefined: the fault is over. */
function setLinks(
  fault: Fault,
  running: Running,
  pairs: readonly Pair[],
  quality: Partial<LinkQuality> | undefined,
): void {
  const { targets, links, isHealed } = running;
  for (const [from, to] of pairs) {
    const key = `${from}>${to}`;
    const active = links.get(key) ?? new Map();
    links.set(key, active);
    if (quality === undefined) active.delete(fault);
    else if (!(isHealed(from) && isHealed(to))) active.set(fault, quality);
    review(from, to, targets, active);
  }
}

function review(
  from: number,
  to: number,
  { nodes, network }: FaultTargets,
  active: ReadonlyMap<Fault, Partial<LinkQuality>>,
): void {
  const [a, b] = [nodes[from], nodes[to]];
  if (a === undefined || b === undefined || a === b) return;
  let quality = network.usual;
  for (const change of active.values()) quality = { ...quality, ...change };
  network.setLink(a.id, b.id, quality);
}

function heal(indices: ReadonlySet<number>, { targets, links }: Running): void {
  for (const [key, active] of links) {
    const [from = 0, to = 0] = key.split(">").map(Number);
    if (!indices.has(from) || !indices.has(to)) continue;
    active.clear();
    review(from, to, targets, active);
  }
  targets.network.adversary = undefined;
  for (const index of indices) {
    const node = targets.nodes[index];
    if (node === undefined) continue;
    node.heal();
    // Whatever got lost on a connection that lived on is said again on a new one.
    for (const other of indices) {
      const peer = targets.nodes[other];
      if (peer !== undefined && index < other) targets.network.disconnect(node.id, peer.id);
    }
  }
}

function adversary(strategy: Strategy, delayNs: number, targets: FaultTargets) {
  const { random, nodes } = targets;
  const chosen = random.pick(nodes).id;
  const half = new Set(nodes.filter((_, i) => i % 2 === 0).map(({ id }) => id));
  return (from: PrincipalId, to: PrincipalId): number => {
    switch (strategy) {
      case "hunt-maker":
        return from === targets.lastMaker() ? delayNs : 0;
      case "halves":
        return half.has(to) ? 0 : delayNs;
      case "starve":
        return from === chosen ? delayNs : 0;
      case "random":
        return random.below(delayNs);
    }
  };
}
