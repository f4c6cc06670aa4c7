// All that a run is going to be, drawn from its seed up front as plain data: the subnet, its load, what changes in the registry,
// and the list of its faults. A list can be cut shorter while a failure stays the same (minimise.ts), and printed.
// Faults keep within the model of section 1: at most f nodes lie or forget; crashes, cuts and clocks may hit anybody.
import type { ConsensusSettings } from "@atoll/types";
import { type Behaviour, drawBehaviours } from "./behaviours.ts";
import { drawFaults, type Fault, type FaultKind } from "./faults.ts";
import { type Random, seededRandom } from "./random.ts";
import { MS, SECOND } from "./scheduler.ts";

export interface RunPlan {
  readonly seed: string;
  readonly crypto: "light" | "real";
  /** Members of the subnet at genesis: nodes 0 to n - 1. */
  readonly members: number;
  /** Nodes beyond those, which may become members. */
  readonly spares: number;
  readonly settings: ConsensusSettings;
  /** Between any two nodes, without faults. */
  readonly network: { readonly delayNs: number; readonly jitterNs: number };
  /** How long there are faults. */
  readonly safetyNs: number;
  /** Nodes that lie, and in which ways. */
  readonly liars: readonly { readonly node: number; readonly behaviours: readonly Behaviour[] }[];
  readonly faults: readonly Fault[];
  readonly changes: readonly RegistryChange[];
  readonly load: Load;
  /** Heights that must become final between two times, whoever is slow to execute them. */
  readonly progress?: { readonly from: number; readonly until: number; readonly heights: number };
  /** Who is healed first: all but f, so that of 3f + 1 nodes 2f + 1 are. */
  readonly healedFirst: readonly number[];
}

/** A new record of the registry. */
export type RegistryChange = { readonly at: number } & (
  | { readonly kind: "add"; readonly node: number }
  | { readonly kind: "remove"; readonly node: number }
  | { readonly kind: "interval"; readonly length: number }
  /** Every node switches to it at the catch-up package from which on it is in force. */
  | { readonly kind: "upgrade"; readonly protocolVersion: string }
);

export interface Load {
  readonly clients: number;
  /** A client thinks so long between two calls, on average. */
  readonly pauseNs: number;
  /** Parts of the calls: queries, reads as updates; the rest changes something. */
  readonly queries: number;
  readonly reads: number;
}

export interface PlanOptions {
  readonly crypto?: "light" | "real";
  /** Members; drawn from 1, 4, 7 and 13 when not given. */
  readonly members?: number;
  readonly safetyNs?: number;
  /** Node 0 lies in these ways, and no other does. */
  readonly lies?: readonly Behaviour[];
  /** Only such faults, and many of them. */
  readonly stress?: readonly FaultKind[];
  /** None: only what the network and the clocks do by themselves. */
  readonly hasFaults?: boolean;
  /** A height takes about so long at least. What a run costs are its heights: those of a quick subnet come fifty times a second. */
  readonly heightNs?: number;
}

export const FIRST_VERSION = "atoll-1";

export function drawPlan(seed: string, options: PlanOptions = {}): RunPlan {
  const random = seededRandom(seed).stream("plan");
  const members = options.members ?? random.stream("members").pick([1, 4, 4, 4, 4, 7, 7, 13]);
  const safetyNs = options.safetyNs ?? random.stream("length").between(15, 40) * SECOND;
  const hasFaults = options.hasFaults ?? true;
  const spares = members === 1 ? 0 : 1;
  const network = drawNetwork(random.stream("network"));
  const settings = notFaster(drawSettings(random.stream("settings")), network, options.heightNs ?? 0);
  const changes = hasFaults ? drawChanges(random.stream("changes"), { members, spares, safetyNs }) : [];
  const f = Math.floor((members - 1) / 3);
  // A subnet with one node fewer tolerates fewer faults.
  const tolerated = changes.some(({ kind }) => kind === "remove") ? Math.floor((members - 2) / 3) : f;
  const faulty = random.stream("faulty").sample(range(members), hasFaults ? tolerated : 0);
  const liarCount = random.stream("liars").below(faulty.length + 1);
  const behaviours = random.stream("behaviours");
  const drawn = faulty.slice(0, liarCount).map((node) => ({ node, behaviours: drawBehaviours(behaviours) }));
  const liars = options.lies === undefined ? drawn : [{ node: 0, behaviours: options.lies }];
  const faults = hasFaults
    ? drawFaults(random.stream("faults"), {
        nodes: members + spares,
        safetyNs,
        forgetful: options.lies === undefined ? faulty.slice(liarCount) : [],
        ...(options.stress && { stress: options.stress }),
      })
    : [];
  const isTogether = hasFaults && members > 1 && options.stress === undefined;
  if (isTogether) addFailedInterval(random.stream("failed interval"), { members, spares, safetyNs }, faults, changes);
  const left = range(members).filter((node) => !liars.some((liar) => liar.node === node));
  const alsoLeft = random.stream("left").sample(left, hasFaults ? Math.max(0, tolerated - liars.length) : 0);
  const bad = new Set([...liars.map(({ node }) => node), ...alsoLeft]);
  return {
    seed,
    crypto: options.crypto ?? "light",
    members,
    spares,
    settings,
    network,
    safetyNs,
    liars,
    faults,
    changes,
    load: drawLoad(random.stream("load")),
    healedFirst: range(members + spares).filter((node) => !bad.has(node)),
  };
}

/**
 * Nothing goes wrong but that f + 1 nodes hardly execute, so that no catch-up package comes for several intervals: the chain
 * goes on without them. Section 4.
 */
export function drawBacklog(seed: string, options: PlanOptions = {}): RunPlan {
  const plan = drawPlan(seed, { members: 4, ...options, hasFaults: false });
  const [from, until] = [3 * SECOND, 30 * SECOND];
  const slow = range(Math.floor((plan.members - 1) / 3) + 1);
  return {
    ...plan,
    settings: {
      ...plan.settings,
      initialNotaryDelay: BigInt(20 * MS),
      backlogDelay: BigInt(20 * MS),
      dkgIntervalLength: 9,
    },
    network: { delayNs: MS, jitterNs: MS },
    safetyNs: until,
    faults: slow.map((node) => ({ at: from, kind: "slow-execution", node, until, delayNs: 6 * SECOND })),
    progress: { from, until, heights: 35 },
  };
}

function drawSettings(random: Random): ConsensusSettings {
  return {
    // Also such that are too short for the network: then blocks of several ranks meet.
    unitDelay: BigInt(random.pick([20, 100, 200, 300]) * MS),
    initialNotaryDelay: BigInt(random.pick([20, 60, 100]) * MS),
    dkgIntervalLength: random.pick([9, 14, 19, 29]),
    dkgDealingsPerBlock: random.pick([1, 2, 4]),
    maxIngressPerBlock: random.pick([2, 10, 1000]),
    maxBlockPayload: 4 * 1024 * 1024,
    minimumChainLength: random.pick([5, 20]),
    // Also so short that the chain runs ahead of execution by more than an interval.
    backlogDelay: BigInt(random.pick([20, 200, 400]) * MS),
    cupHoldBack: BigInt(random.pick([3, 10]) * SECOND),
    registryStableAge: BigInt(500 * MS),
  };
}

/** A block is on its way to the notaries, who wait, and their shares to everybody. */
function notFaster(settings: ConsensusSettings, { delayNs }: RunPlan["network"], heightNs: number): ConsensusSettings {
  const least = BigInt(heightNs - 2 * delayNs);
  return settings.initialNotaryDelay >= least ? settings : { ...settings, initialNotaryDelay: least };
}

function drawNetwork(random: Random): RunPlan["network"] {
  return random.pick([
    { delayNs: MS, jitterNs: MS },
    { delayNs: 5 * MS, jitterNs: 2 * MS },
    { delayNs: 10 * MS, jitterNs: 30 * MS },
    { delayNs: 40 * MS, jitterNs: 80 * MS },
  ]);
}

interface Scope {
  readonly members: number;
  readonly spares: number;
  readonly safetyNs: number;
}

function drawChanges(random: Random, { members, spares, safetyNs }: Scope): RegistryChange[] {
  const at = (): number => random.between(2 * SECOND, Math.max(3 * SECOND, Math.floor(safetyNs * 0.6)));
  const changes: RegistryChange[] = [];
  if (spares > 0 && random.chance(0.4)) changes.push({ at: at(), kind: "add", node: members });
  if (members >= 7 && random.chance(0.3)) changes.push({ at: at(), kind: "remove", node: random.below(members) });
  if (random.chance(0.3)) changes.push({ at: at(), kind: "interval", length: random.pick([9, 14, 24]) });
  if (random.chance(0.3)) changes.push({ at: at(), kind: "upgrade", protocolVersion: "atoll-2" });
  return changes.sort((a, b) => a.at - b.at);
}

/** At times all at once: no new keys, another membership, another version, and a crash. Section 12. */
function addFailedInterval(
  random: Random,
  { members, spares, safetyNs }: Scope,
  faults: Fault[],
  changes: RegistryChange[],
): void {
  if (!random.chance(0.25)) return;
  const begin = random.between(2 * SECOND, Math.max(2 * SECOND, Math.floor(safetyNs / 2)));
  const soon = (): number => begin + random.below(2 * SECOND);
  const group = random.sample(range(members), members - Math.floor((members - 1) / 3)).sort((a, b) => a - b);
  faults.push(
    { at: begin, kind: "no-dealings", until: begin + random.between(3, 12) * SECOND, group },
    {
      at: soon(),
      kind: "crash",
      node: random.below(members + spares),
      changes: random.below(40),
      keep: random.pick(["all", "synced", "torn"] as const),
      downNs: random.between(100, 3000) * MS,
    },
  );
  faults.sort((a, b) => a.at - b.at);
  const has = (wanted: RegistryChange["kind"]): boolean => changes.some(({ kind }) => kind === wanted);
  if (!has("add")) changes.push({ at: soon(), kind: "add", node: members });
  if (!has("upgrade")) changes.push({ at: soon(), kind: "upgrade", protocolVersion: "atoll-2" });
  changes.sort((a, b) => a.at - b.at);
}

function drawLoad(random: Random): Load {
  return {
    clients: random.between(2, 5),
    pauseNs: random.pick([100, 500, 2000]) * MS,
    queries: 0.2,
    reads: 0.2,
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
