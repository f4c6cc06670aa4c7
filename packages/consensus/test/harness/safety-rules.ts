// What must hold whatever happens, across all nodes and restarts: section 24, invariants 1 to 6, as far as events show them.
import assert from "node:assert/strict";
import type { ConsensusEvent } from "@atoll/consensus";

export class SafetyRules {
  readonly alarms: string[] = [];
  readonly invalid: string[] = [];
  readonly #finalized = new Map<number, string>();
  readonly #unique = new Map<string, string>();
  /** By node and height: blocks it signed, and the one it said is the only one. */
  readonly #notarized = new Map<string, Set<string>>();
  readonly #only = new Map<string, string>();
  readonly #proposed = new Map<string, string>();
  /** Nodes whose signatures are not held to the rules. */
  readonly faulty = new Set<number>();

  get finalizedHeights(): number {
    return this.#finalized.size;
  }

  check(node: number, event: ConsensusEvent): void {
    switch (event.kind) {
      case "signed":
        if (!this.faulty.has(node)) this.#checkSigned(node, event.what, event.height, event.hash);
        break;
      case "finalized":
        this.#isOne(this.#finalized, event.height, event.hash, `two final blocks at ${event.height}`);
        break;
      case "beacon":
      case "tape":
      case "certified":
      case "catch-up":
        this.#isOne(
          this.#unique,
          `${event.kind}/${event.height}`,
          event.hash,
          `two of ${event.kind} at ${event.height}`,
        );
        break;
      case "alarm":
        this.alarms.push(event.what);
        break;
      case "invalid":
        this.invalid.push(`${node} from ${event.peer}: ${event.what}: ${event.why}`);
        break;
    }
  }

  #checkSigned(node: number, what: string, height: number, hash: string): void {
    const place = `${node}/${height}`;
    if (what === "block-proposal")
      this.#isOne(this.#proposed, place, hash, `node ${node} proposed two blocks at ${height}`);
    if (what === "notarization-share") {
      const signed = this.#notarized.get(place) ?? new Set();
      this.#notarized.set(place, signed.add(hash));
    }
    if (what === "finalization-share")
      this.#isOne(this.#only, place, hash, `node ${node} said twice what is final at ${height}`);
    const only = this.#only.get(place);
    if (only !== undefined)
      for (const signed of this.#notarized.get(place) ?? [])
        assert.equal(signed, only, `node ${node} finalized and notarized different blocks at ${height}`);
  }

  #isOne<K>(known: Map<K, string>, key: K, hash: string, message: string): void {
    assert.equal(known.get(key) ?? hash, hash, message);
    known.set(key, hash);
  }
}
