// How a node hears of new versions of the registry: it asks one of its peers every few seconds, as nodes of the public
// network ask the registry canister. Whoever brings a version, it counts because of its signature. Sections 4 and 23.
import type { EntropyPort, LogPort, PeerNetwork, RegistryPort, Time } from "@atoll/types";

/** A registry whose versions peers can hand on to each other. */
export interface SharedRegistry extends RegistryPort {
  /** To be asked of peers: what is newer than what is known here. */
  question(): Uint8Array;
  /** Undefined: that is no such question. */
  answer(question: Uint8Array): Uint8Array | undefined;
  /** Throws EnvironmentError when the disk does not take it. */
  takeAnswer(
    answer: Uint8Array,
  ): { readonly kind: "added" | "known" } | { readonly kind: "refused"; readonly why: string };
}

export interface RegistryExchangePorts {
  readonly registry: SharedRegistry;
  readonly entropy: EntropyPort;
  /** Rejects when there is no answer. */
  readonly ask: (peer: ReturnType<PeerNetwork["peers"]>[number], question: Uint8Array) => Promise<Uint8Array>;
  readonly peers: PeerNetwork["peers"];
  readonly log: LogPort;
}

const POLL_NS = 5_000_000_000n;
const MIN_POLL_NS = 200_000_000n;

export class RegistryExchange {
  readonly #ports: RegistryExchangePorts;
  #next: Time = 0n;
  #isAsking = false;
  #isCompared = false;
  /** Called when there is a new version. */
  onVersion: (() => void) | undefined;

  constructor(ports: RegistryExchangePorts) {
    this.#ports = ports;
  }

  /** A peer has answered since the start and knew nothing newer. */
  get isCompared(): boolean {
    return this.#isCompared;
  }

  /** Monotonic time; gives when to call again. */
  step(now: Time): Time {
    if (now >= this.#next) {
      // Where nobody is connected yet nothing was asked: the first peer is not to be waited for as long.
      this.#next = now + (this.#isAsking || this.#ask() ? this.#interval() : MIN_POLL_NS);
    }
    return this.#next;
  }

  /** Where versions come into force sooner they are asked for sooner. */
  #interval(): Time {
    const { registry } = this.#ports;
    const stableAge = registry.record(registry.latestVersion())?.settings.registryStableAge ?? POLL_NS;
    if (stableAge >= POLL_NS) return POLL_NS;
    return stableAge > MIN_POLL_NS ? stableAge : MIN_POLL_NS;
  }

  /** Whether there was somebody to ask. */
  #ask(): boolean {
    const { registry, entropy, ask, peers, log } = this.#ports;
    const all = peers();
    const [a = 0, b = 0] = entropy.randomBytes(2);
    const peer = all[(a * 256 + b) % Math.max(1, all.length)];
    if (peer === undefined) return false;
    this.#isAsking = true;
    ask(peer, registry.question())
      .then((answer) => {
        const taken = registry.takeAnswer(answer);
        if (taken.kind === "refused") {
          log.log("warning", "A node answered with versions of the registry that are none.", { peer, why: taken.why });
        } else if (taken.kind === "added") this.onVersion?.();
        else this.#isCompared = true;
      })
      // No answer, or a disk that is full: it is asked again.
      .catch(() => undefined)
      .finally(() => {
        this.#isAsking = false;
      });
    return true;
  }
}
