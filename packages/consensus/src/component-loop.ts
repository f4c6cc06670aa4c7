// The loop of one step: each role that may have something new to say has its turn, its changes are applied before the next one
// looks, and after a role that changed something the others come first. It ends when nobody has anything more to do.
// Section 3, "Invocation order".
import type { Time } from "@atoll/types";
import type { ArtifactPool, PoolEvent } from "./artifact-pool.ts";
import type { ChainTips } from "./chain-tips.ts";
import { invocationOrder, type PortHeight, type RoleInTurn } from "./invocation-order.ts";
import type { Change, Instant } from "./pool.ts";
import { changeBit } from "./pool-section.ts";
import type { ConsensusPorts } from "./ports.ts";
import type { Role, RoleContext } from "./role-context.ts";

/** A node looks at everything at least so often. */
const LONGEST_PAUSE: Time = 1_000_000_000n;
/** Turns of one step: more than any honest pool gives work for. The rest is left to the next step. */
const MAX_TURNS = 20_000;

interface Turn {
  readonly role: Role;
  readonly actsOnPorts: boolean;
  /** Monotonic time at which it wants to be asked again; undefined: when something changes. */
  wakeAt: Time | undefined;
}

export interface LoopResult {
  readonly events: readonly PoolEvent[];
  /** Monotonic time of the next step at the latest. */
  readonly wakeAt: Time;
}

/** What roles are given, but for what the loop itself knows. */
export type LoopContext = Omit<RoleContext, "wakeAt" | "now">;

export class ComponentLoop {
  readonly #pool: ArtifactPool;
  readonly #node: ConsensusPorts;
  readonly #turns: readonly Turn[];
  /** For each bit of a change in the pool the turns that look at it, as bits too. */
  readonly #readers: readonly number[];
  readonly #readersInForce: number;
  readonly #readersOf: Readonly<Record<PortHeight, number>>;
  readonly #readersOfPorts: number;
  readonly #all: number;
  readonly #shown: { -readonly [K in keyof RoleContext]: RoleContext[K] };
  /** Turns that may have something new to say. */
  #due = 0;
  #asked: Turn | undefined;
  #inForce: ChainTips["summaries"] | undefined;
  readonly #ports = { executed: -1, certified: -1, expected: -1, isRoom: false, stateHashes: -1, registry: -1 };
  #next = 0;
  #lastWhole: Time | undefined;

  constructor(pool: ArtifactPool, context: LoopContext, now: Instant) {
    this.#pool = pool;
    this.#node = context;
    const order = invocationOrder();
    this.#turns = order.map(({ role, actsOnPorts }) => ({ role, actsOnPorts, wakeAt: undefined }));
    this.#readers = readersByBit(order);
    this.#readersInForce = bitsWhere(order, ({ reads }) => reads.includes("in-force"));
    const readersOf = (height: PortHeight) => bitsWhere(order, ({ ports }) => ports.includes(height));
    this.#readersOf = {
      executed: readersOf("executed"),
      certified: readersOf("certified"),
      expected: readersOf("expected"),
      "state-hashes": readersOf("state-hashes"),
    };
    this.#readersOfPorts = bitsWhere(order, ({ ports }) => ports.length > 0);
    this.#all = bitsWhere(order, () => true);
    this.#shown = { ...context, now, wakeAt: (at) => this.#noteTime(at) };
  }

  /** `looksBeyond`: something may have changed that neither the pool nor the heights of the ports show. */
  run(now: Instant, looksBeyond: boolean, permitted: (changes: readonly Change[]) => readonly Change[]): LoopResult {
    this.#shown.now = now;
    const since = this.#lastWhole;
    if (since === undefined || now.monotonic - since >= LONGEST_PAUSE) {
      this.#due = this.#all;
      this.#lastWhole = now.monotonic;
    }
    if (looksBeyond) this.#due |= this.#readersOfPorts;
    for (let place = 0; place < this.#turns.length; place++) {
      const wakeAt = this.#turns[place]?.wakeAt;
      // Who waits for a time is asked all the same: of two clocks one may stand still.
      if (wakeAt !== undefined && (looksBeyond || wakeAt <= now.monotonic)) this.#due |= 1 << place;
    }
    const events: PoolEvent[] = [];
    this.#noteChanges();
    this.#notePorts();
    for (let asked = 0; this.#due !== 0; asked++) {
      if (asked === MAX_TURNS) return { events, wakeAt: now.monotonic };
      const turn = this.#takeTurn();
      turn.wakeAt = undefined;
      this.#asked = turn;
      const changes = turn.role(this.#shown);
      if (changes.length > 0) {
        this.#pool.apply(permitted(changes), now, events);
        this.#noteChanges();
      }
      if (turn.actsOnPorts) this.#notePorts();
    }
    return { events, wakeAt: this.#earliest() };
  }

  #noteTime(at: Instant): void {
    const time = soonest(this.#shown.now, at);
    const turn = this.#asked;
    if (turn !== undefined && (turn.wakeAt === undefined || time < turn.wakeAt)) turn.wakeAt = time;
  }

  /** The next one that is due, after the one that was asked last. */
  #takeTurn(): Turn {
    const count = this.#turns.length;
    while ((this.#due & (1 << this.#next)) === 0) this.#next = (this.#next + 1) % count;
    const turn = this.#turns[this.#next] as Turn;
    this.#due &= ~(1 << this.#next);
    this.#next = (this.#next + 1) % count;
    return turn;
  }

  #noteChanges(): void {
    let changes = this.#pool.takeChanges();
    if (changes === 0) return;
    for (; changes !== 0; changes &= changes - 1)
      this.#due |= this.#readers[31 - Math.clz32(changes & -changes)] as number;
    const { summaries } = this.#pool.tips;
    if (summaries === this.#inForce) return;
    this.#inForce = summaries;
    this.#due |= this.#readersInForce;
  }

  #notePorts(): void {
    const { state, batches, registry } = this.#node;
    const before = this.#ports;
    const executed = state.executedHeight();
    const certified = state.certifiedHeight();
    const expected = batches.expected();
    const isRoom = batches.room() > 0;
    const stateHashes = state.stateHashes();
    const version = registry.latestVersion();
    if (version !== before.registry) this.#due = this.#all;
    if (executed !== before.executed) this.#due |= this.#readersOf.executed;
    if (certified !== before.certified) this.#due |= this.#readersOf.certified;
    if (expected !== before.expected || isRoom !== before.isRoom) this.#due |= this.#readersOf.expected;
    if (stateHashes !== before.stateHashes) this.#due |= this.#readersOf["state-hashes"];
    before.executed = executed;
    before.certified = certified;
    before.expected = expected;
    before.isRoom = isRoom;
    before.stateHashes = stateHashes;
    before.registry = version;
  }

  #earliest(): Time {
    let earliest = (this.#lastWhole ?? 0n) + LONGEST_PAUSE;
    for (const { wakeAt } of this.#turns) if (wakeAt !== undefined && wakeAt < earliest) earliest = wakeAt;
    return earliest;
  }
}

function bitsWhere(order: readonly RoleInTurn[], isOne: (role: RoleInTurn) => boolean): number {
  return order.reduce((bits, role, place) => (isOne(role) ? bits | (1 << place) : bits), 0);
}

function readersByBit(order: readonly RoleInTurn[]): number[] {
  const readers = Array.from({ length: 32 }, () => 0);
  const note = (bit: number, place: number): void => {
    const at = 31 - Math.clz32(bit);
    readers[at] = (readers[at] as number) | (1 << place);
  };
  for (const [place, { reads, arrivals }] of order.entries()) {
    for (const kind of reads) if (kind !== "in-force") note(changeBit("validated", kind), place);
    for (const kind of arrivals) note(changeBit("unvalidated", kind), place);
  }
  return readers;
}

/** The monotonic time at which the first of the two clocks gets there. */
function soonest(now: Instant, { wall, monotonic }: Instant): Time {
  const byWall = now.monotonic + (wall - now.wall);
  return byWall < monotonic ? byWall : monotonic;
}
