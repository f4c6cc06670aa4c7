// What the checkers see of a run, and what one of them is: a small part that watches for one thing that must hold. They see
// what nodes publish, execute and answer, and what they say happened; they never look into a node. Section 24.
import type { Artifact, ConsensusEvent, Hash } from "@atoll/consensus";
import type { Height, PrincipalId, Time } from "@atoll/types";

/** A node as checkers know it. */
export interface Observed {
  readonly index: number;
  readonly id: PrincipalId;
  /** Keeps to the protocol: no word of a Byzantine node counts. */
  readonly isHonest: boolean;
  /** Comes to a wrong state now and then, and has to find out. */
  readonly corruptsState: boolean;
  /** Its disk lost or falsified what it held for durable: it may contradict what it said before. */
  readonly hasForgotten: boolean;
  /** The version of the protocol that it runs. */
  readonly protocolVersion: string;
}

export type Observation = { readonly node: Observed } & (
  | { readonly kind: "started"; readonly height: Height }
  | { readonly kind: "crashed" }
  | { readonly kind: "event"; readonly event: ConsensusEvent }
  /** `isOld`: said again after a start, as the disk has it. `isDurable`: no crash can take back what led to it. */
  | {
      readonly kind: "published";
      readonly id: string;
      readonly artifact: Artifact;
      readonly isOld: boolean;
      readonly isDurable: boolean;
    }
  | { readonly kind: "retracted"; readonly id: string }
  /** `digest`: of the content that nodes have to agree on. `requests`: ids of the ingress messages in it. */
  | {
      readonly kind: "executed";
      readonly height: Height;
      readonly time: Time;
      readonly digest: string;
      readonly requests: readonly string[];
      readonly rootHash: string;
    }
  /** A state at that height was taken over from other nodes. */
  | { readonly kind: "synced"; readonly height: Height }
);

/** What the whole run knows. */
export interface RunFacts {
  readonly subnetId: PrincipalId;
  /** Nodes that the subnet has at a height, as far as the registry's versions can say: never too many. */
  readonly fewestMembers: number;
  readonly mostMembers: number;
  readonly longestInterval: number;
  readonly minimumChainLength: number;
  /** First coefficient of the subnet's key at genesis. */
  readonly subnetKey: Uint8Array;
  readonly genesis: { readonly block: Hash; readonly beacon: Hash };
  verifyThreshold(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** One of the invariants does not hold. `invariant`: its number in section 24. */
export class Violation extends Error {
  override name = "Violation";
  readonly invariant: number;

  constructor(invariant: number, what: string) {
    super(`invariant ${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

export type ObservationOf<Kind extends Observation["kind"]> = Extract<Observation, { readonly kind: Kind }>;

/** By the kinds that it looks at: of most observations most checkers have nothing to say. */
export type Checker = { readonly [Kind in Observation["kind"]]?: (observation: ObservationOf<Kind>) => void };

/** Shows an observation to all of them, in their order. */
export function observer(checkers: readonly Checker[]): (observation: Observation) => void {
  const of = <Kind extends Observation["kind"]>(kind: Kind) => checkers.flatMap((checker) => checker[kind] ?? []);
  const looking = {
    started: of("started"),
    crashed: of("crashed"),
    event: of("event"),
    published: of("published"),
    retracted: of("retracted"),
    executed: of("executed"),
    synced: of("synced"),
  } satisfies { [Kind in Observation["kind"]]: unknown };
  return (observation) => {
    const all = looking[observation.kind] as ((observation: Observation) => void)[];
    for (let i = 0; i < all.length; i++) all[i]?.(observation);
  };
}

/** What is agreed on by nodes of one version of the protocol: these see nothing of a node by itself. */
type AgreementChecker = Pick<Checker, "published" | "event" | "crashed">;

/**
 * One checker for each version of the protocol: at an upgrade the new version begins with the package of the switch, and what the
 * old one agreed on above it was never executed (section 12.5).
 */
export function byVersion(make: () => AgreementChecker): AgreementChecker {
  const checkers = new Map<string, AgreementChecker>();
  const of = (version: string): AgreementChecker => {
    let checker = checkers.get(version);
    if (checker === undefined) {
      checker = make();
      checkers.set(version, checker);
    }
    return checker;
  };
  return {
    published(observation) {
      of(versionOf(observation.artifact) ?? observation.node.protocolVersion).published?.(observation);
    },
    event(observation) {
      of(observation.node.protocolVersion).event?.(observation);
    },
    crashed(observation) {
      for (const checker of checkers.values()) checker.crashed?.(observation);
    },
  };
}

function versionOf(artifact: Artifact): string | undefined {
  if (artifact.kind === "block-proposal") return artifact.block.protocolVersion;
  return artifact.kind === "dkg-dealing" ? undefined : artifact.protocolVersion;
}

/** Keeps what is within `span` heights below the highest one seen: checkers take bounded memory. */
export class ByHeight<T> {
  readonly #entries = new Map<Height, T>();
  readonly #span: number;
  #highest = 0;

  constructor(span: number) {
    this.#span = span;
  }

  get(height: Height): T | undefined {
    return this.#entries.get(height);
  }

  at(height: Height, make: () => T): T {
    let entry = this.#entries.get(height);
    if (entry !== undefined) return entry;
    entry = make();
    this.#entries.set(height, entry);
    if (height > this.#highest) {
      this.#highest = height;
      if (this.#entries.size > 2 * this.#span) this.#forget();
    }
    return entry;
  }

  #forget(): void {
    for (const height of this.#entries.keys()) if (height < this.#highest - this.#span) this.#entries.delete(height);
  }
}

/** Heights that checkers remember: more than any node keeps. */
export const REMEMBERED_HEIGHTS = 400;
