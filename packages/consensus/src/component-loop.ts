// The loop of one step: each role that may have something new to say has its turn, its changes are applied before the next one
// looks, and after a role that changed something the others come first. It ends when nobody has anything more to do.
// Section 3, "Invocation order".
import type { Time } from "@atoll/types";
import type { ArtifactPool, PoolEvent } from "./artifact-pool.ts";
import { invocationOrder, type RoleInTurn } from "./invocation-order.ts";
import type { Change, Instant } from "./pool.ts";
import { ordinalOf } from "./pool-section.ts";
import type { ConsensusPorts } from "./ports.ts";
import type { RoleContext } from "./role-context.ts";

/** A node looks at everything at least so often. */
const LONGEST_PAUSE: Time = 200_000_000n;
/** Turns of one step: more than any honest pool gives work for. The rest is left to the next step. */
const MAX_TURNS = 20_000;

interface Turn extends RoleInTurn {
  readonly ordinals: readonly number[];
  /** What it depends on when it was asked last. */
  revision: number;
  ports: string;
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
  readonly #ports: ConsensusPorts;
  readonly #turns: Turn[];
  #next = 0;
  #lastWhole: Time | undefined;

  constructor(pool: ArtifactPool, ports: ConsensusPorts) {
    this.#pool = pool;
    this.#ports = ports;
    this.#turns = invocationOrder().map((each) => ({
      ...each,
      ordinals: each.reads.map(ordinalOf),
      revision: -1,
      ports: "",
      wakeAt: undefined,
    }));
  }

  /** `isWhole`: all roles are asked, because something may have changed that the pool and the ports do not show. */
  run(context: Context, isWhole: boolean, permitted: (changes: readonly Change[]) => readonly Change[]): LoopResult {
    const { now } = context;
    const turns = this.#turns;
    const since = this.#lastWhole;
    if (isWhole || since === undefined || now.monotonic - since >= LONGEST_PAUSE) {
      for (const turn of turns) turn.revision = -1;
      this.#lastWhole = now.monotonic;
    }
    for (const turn of turns) if (turn.wakeAt !== undefined && turn.wakeAt <= now.monotonic) turn.revision = -1;
    const events: PoolEvent[] = [];
    let asked = 0;
    let portsNow = this.#portsRevision();
    for (let idle = 0; idle < turns.length; idle++) {
      const turn = turns[this.#next] as Turn;
      this.#next = (this.#next + 1) % turns.length;
      const revision = this.#pool.revision(turn.ordinals);
      const ports = turn.readsPorts ? portsNow : "";
      if (revision === turn.revision && ports === turn.ports) continue;
      if (asked++ === MAX_TURNS) return { events, wakeAt: now.monotonic };
      turn.revision = revision;
      turn.ports = ports;
      const applied = this.#pool.apply(permitted(ask(turn, context)), now);
      for (const event of applied.events) events.push(event);
      if (applied.changed) idle = -1;
      portsNow = this.#portsRevision();
    }
    return { events, wakeAt: this.#earliest() };
  }

  #earliest(): Time {
    let earliest = (this.#lastWhole ?? 0n) + LONGEST_PAUSE;
    for (const { wakeAt } of this.#turns) if (wakeAt !== undefined && wakeAt < earliest) earliest = wakeAt;
    return earliest;
  }

  /** What the ports say of where the rest of the node has got to. */
  #portsRevision(): string {
    const { state, batches, registry } = this.#ports;
    const isRoom = batches.room() > 0;
    return `${state.executedHeight()}/${state.certifiedHeight()}/${batches.expected()}/${isRoom}/${registry.latestVersion()}`;
  }
}

function ask(turn: Turn, context: Context): readonly Change[] {
  turn.wakeAt = undefined;
  const { now } = context;
  return turn.role({
    ...context,
    wakeAt(at) {
      const time = soonest(now, at);
      if (turn.wakeAt === undefined || time < turn.wakeAt) turn.wakeAt = time;
    },
  });
}

/** The monotonic time at which the first of the two clocks gets there. */
function soonest(now: Instant, { wall, monotonic }: Instant): Time {
  const byWall = now.monotonic + (wall - now.wall);
  return byWall < monotonic ? byWall : monotonic;
}
