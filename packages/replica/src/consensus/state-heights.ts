// The states of this node as consensus sees them: which heights are executed, which wait for the subnet's signature, and
// what it signed. A certification may be ahead of what is executed here; then the state is compared with it as soon as it
// is there. A state that differs from what the subnet certified ends this node's part: it must not vote on. Section 10.
import type { Certification, RemoteDkgRequest, StatePort, StateToCertify } from "@atoll/consensus";
import { equalBytes } from "@atoll/crypto";
import { encodeHashTree, type Height, invariant, type Path } from "@atoll/types";
import type { ExecutedRound } from "../executor.ts";
import type { ServedState } from "../served-state.ts";

export interface StateHeightsPorts {
  readonly served: ServedState;
  /** A catch-up package is ahead: fetches the state at its height. */
  fetchState(height: Height, stateHash: Uint8Array): void;
  diverged(height: Height, why: string): void;
  /** A height that clients see from now on. */
  onCertified(height: Height): void;
}

const encoder = new TextEncoder();
const HEIGHT_PATH: Path = [encoder.encode("metadata"), encoder.encode("height")];

/** Consensus takes certifications up to 20 heights ahead (section 10.2); what it says of further ones is not kept. */
const MAX_AHEAD = 40;
/** Heights below the certified one whose hashes are still known. */
const KEPT_HASHES = 200;
/** Checkpoints whose hashes are still known: a catch-up package names one of the last two. */
const KEPT_STATE_HASHES = 4;

export class StateHeights implements StatePort {
  readonly #ports: StateHeightsPorts;
  readonly #ahead = new Map<Height, Certification>();
  readonly #roots = new Map<Height, Uint8Array>();
  readonly #stateHashes = new Map<Height, Uint8Array>();
  readonly #toCertify = new Map<Height, StateToCertify>();
  readonly #remoteDkgs = new Map<Height, readonly RemoteDkgRequest[]>();
  #executed: Height = 0;
  #certified: Height = 0;
  #noted = 0;

  constructor(ports: StateHeightsPorts) {
    this.#ports = ports;
  }

  /** A whole state, after a start or when it was taken over from other nodes. */
  begin(whole: ExecutedRound): void {
    this.#toCertify.clear();
    this.#roots.clear();
    this.#remoteDkgs.clear();
    this.#ports.served.begin(whole);
    this.#note(whole);
  }

  executed(round: ExecutedRound): void {
    invariant(round.height === this.#executed + 1, "states are executed one after the other");
    this.#ports.served.executed(round);
    this.#note(round);
  }

  #note({ height, remoteDkgs }: ExecutedRound): void {
    const { served } = this.#ports;
    this.#executed = height;
    const rootHash = served.rootHash(height);
    const witness = served.witness(height, [HEIGHT_PATH]);
    invariant(rootHash !== undefined && witness !== undefined, "a state that was executed just now is known");
    this.#roots.set(height, rootHash);
    this.#roots.delete(height - KEPT_HASHES);
    this.#remoteDkgs.set(height, remoteDkgs);
    this.#remoteDkgs.delete(height - KEPT_HASHES);
    // Nobody signs the state of genesis: it is the same on all nodes, and nothing has happened in it.
    if (height > 0) this.#toCertify.set(height, { height, rootHash, witness: encodeHashTree(witness) });
    const known = this.#ahead.get(height);
    for (const ahead of this.#ahead.keys()) if (ahead <= height) this.#ahead.delete(ahead);
    if (known !== undefined) this.certified(known);
  }

  noteStateHash(height: Height, hash: Uint8Array): void {
    this.#noted++;
    this.#stateHashes.set(height, hash);
    const [oldest] = this.#stateHashes.keys();
    if (this.#stateHashes.size > KEPT_STATE_HASHES && oldest !== undefined) this.#stateHashes.delete(oldest);
  }

  executedHeight(): Height {
    return this.#executed;
  }

  certifiedHeight(): Height {
    return this.#certified;
  }

  toCertify(): readonly StateToCertify[] {
    return [...this.#toCertify.values()];
  }

  rootHash(height: Height): Uint8Array | undefined {
    return this.#roots.get(height);
  }

  certified(certification: Certification): void {
    const { height, rootHash, signature } = certification;
    if (height > this.#executed) {
      if (height <= this.#executed + MAX_AHEAD) this.#ahead.set(height, certification);
      return;
    }
    const own = this.#roots.get(height);
    if (own !== undefined && !equalBytes(own, rootHash)) {
      this.#ports.diverged(height, "the subnet has certified another state than the one that was computed here");
      return;
    }
    if (height <= this.#certified) return;
    this.#certified = height;
    for (const waiting of this.#toCertify.keys()) if (waiting <= height) this.#toCertify.delete(waiting);
    // Of heights before the last start only the signature is known: clients wait for the next one.
    if (this.#ports.served.certify(height, () => signature) !== undefined) this.#ports.onCertified(height);
  }

  stateHash(height: Height): Uint8Array | undefined {
    return this.#stateHashes.get(height);
  }

  stateHashes(): number {
    return this.#noted;
  }

  remoteDkgRequests(height: Height): readonly RemoteDkgRequest[] | undefined {
    return this.#remoteDkgs.get(height);
  }

  fetchState(height: Height, stateHash: Uint8Array): void {
    this.#ports.fetchState(height, stateHash);
  }

  diverged(height: Height, why: string): void {
    this.#ports.diverged(height, why);
  }
}
