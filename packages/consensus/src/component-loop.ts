// The loop of one step: each role that may have something new to say has its turn, its changes are applied before the next one
// looks, and after a role that changed something the others come first. It ends when nobody has anything more to do.
// Section 3, "Invocation order".
import type { Height, Time } from "@atoll/types";
import type { ArtifactPool, PoolEvent } from "./artifact-pool.ts";
import { invocationOrder, type RoleInTurn } from "./invocation-order.ts";
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
  /** Monotonic time at which it wants to be asked again; undefined: when something changes. */
  wakeAt: Time | undefined;
}

export interface LoopResult {
  readonly events: readonly PoolEvent[];
  /** Monotonic time of the next step at the latest. */
  readonly wakeAt: Time;
}

type Context = Omit<RoleContext, "wakeAt">;

export class ComponentLoop {
  readonly #pool: ArtifactPool;
  readonly #node: ConsensusPorts;
  readonly #turns: readonly Turn[];
  /** For each bit of a change in the pool the turns that look at it, as bits too. */
  readonly #readers: readonly number[];
  readonly #readersOfPorts: number;
  readonly #all: number;
  /** Turns that may have something new to say. */
  #due = 0;
  #ports: PortsNow = { executed: -1, certified: -1, expected: -1, isRoom: false, stateHashes: -1, registry: -1 };
  #next = 0;
  #lastWhole: Time | undefined;

  constructor(pool: ArtifactPool, ports: ConsensusPorts) {
    this.#pool = pool;
    this.#node = ports;
    const order = invocationOrder();
    this.#turns = order.map(({ role }) => ({ role, wakeAt: undefined }));
    this.#readers = readersByBit(order);
    this.#readersOfPorts = bitsWhere(order, ({ readsPorts }) => readsPorts);
    this.#all = bitsWhere(order, () => true);
  }

  /** `looksBeyond`: something may have changed that neither the pool nor the heights of the ports show. */
  run(
    context: Context,
    looksBeyond: boolean,
    permitted: (changes: readonly Change[]) => readonly Change[],
  ): LoopResult {
    const { now } = context;
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
    let turn: Turn | undefined;
    const shown: RoleContext = {
      ...context,
      wakeAt(at) {
        const time = soonest(now, at);
        if (turn !== undefined && (turn.wakeAt === undefined || time < turn.wakeAt)) turn.wakeAt = time;
      },
    };
    this.#noteChanges();
    for (let asked = 0; this.#due !== 0; asked++) {
      if (asked === MAX_TURNS) return { events, wakeAt: now.monotonic };
      turn = this.#takeTurn();
      turn.wakeAt = undefined;
      const applied = this.#pool.apply(permitted(turn.role(shown)), now);
      for (const event of applied.events) events.push(event);
      this.#noteChanges();
    }
    return { events, wakeAt: this.#earliest() };
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
    for (let changes = this.#pool.takeChanges(); changes !== 0; changes &= changes - 1)
      this.#due |= this.#readers[31 - Math.clz32(changes & -changes)] as number;
    const { state, batches, registry } = this.#node;
    const before = this.#ports;
    const executed = state.executedHeight();
    const certified = state.certifiedHeight();
    const expected = batches.expected();
    const isRoom = batches.room() > 0;
    const stateHashes = state.stateHashes();
    const version = registry.latestVersion();
    if (version !== before.registry) this.#due = this.#all;
    else if (
      executed === before.executed &&
      certified === before.certified &&
      expected === before.expected &&
      isRoom === before.isRoom &&
      stateHashes === before.stateHashes
    )
      return;
    this.#due |= this.#readersOfPorts;
    this.#ports = { executed, certified, expected, isRoom, stateHashes, registry: version };
  }

  #earliest(): Time {
    let earliest = (this.#lastWhole ?? 0n) + LONGEST_PAUSE;
    for (const { wakeAt } of this.#turns) if (wakeAt !== undefined && wakeAt < earliest) earliest = wakeAt;
    return earliest;
  }
}

/** What the ports say of where the rest of the node has got to. */
interface PortsNow {
  readonly executed: Height;
  readonly certified: Height;
  readonly expected: Height;
  readonly isRoom: boolean;
  readonly stateHashes: number;
  readonly registry: number;
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
    for (const kind of reads) note(changeBit("validated", kind), place);
    for (const kind of arrivals) note(changeBit("unvalidated", kind), place);
  }
  return readers;
}

/** The monotonic time at which the first of the two clocks gets there. */
function soonest(now: Instant, { wall, monotonic }: Instant): Time {
  const byWall = now.monotonic + (wall - now.wall);
  return byWall < monotonic ? byWall : monotonic;
}
