// Invariants 1 and 2: of each height at most one block is final, whichever node says so and whenever; final chains are
// prefixes of one another; and where a block is final, no other has the signatures that a notarization needs.
import { type Artifact, blockHash } from "@atoll/consensus";
import { type Height, toHex } from "@atoll/types";
import { ByHeight, type Checker, type Observed, REMEMBERED_HEIGHTS, type RunFacts, Violation } from "./checker.ts";

interface AtHeight {
  /** The final block, by its own finalization or as an ancestor. */
  final: string | undefined;
  /** Whether it is by its own: only then the notaries are bound. */
  hasFinalization: boolean;
  readonly parents: Map<string, string>;
  /** Who signed which block for notarization, as far as anybody published it. */
  readonly signers: Map<string, Set<string>>;
}

export function finalityChecker(facts: RunFacts): Pick<Checker, "published" | "event"> {
  const heights = new ByHeight<AtHeight>(REMEMBERED_HEIGHTS);
  const at = (height: Height): AtHeight => heights.at(height, newHeight);
  at(0).final = toHex(facts.genesis.block);

  // A final block makes its ancestors final.
  const finalize = (height: Height, hash: string, by: Observed, isSigned = false): void => {
    let [level, block]: [Height, string | undefined] = [height, hash];
    while (block !== undefined && level >= 0) {
      const entry = at(level);
      if (entry.final !== undefined && entry.final !== block)
        throw new Violation(
          1,
          `at height ${level} both ${short(entry.final)} and ${short(block)} are final (node ${by.index})`,
        );
      const wasKnown = entry.final === block && level < height;
      entry.final = block;
      if (level === height && isSigned) entry.hasFinalization = true;
      checkNotarizers(entry, level, facts);
      if (wasKnown) return;
      block = entry.parents.get(block);
      level--;
    }
  };

  const note = (artifact: Artifact, by: Observed): void => {
    switch (artifact.kind) {
      case "block-proposal": {
        const { block } = artifact;
        const entry = at(block.height);
        const hash = toHex(blockHash(block));
        entry.parents.set(hash, toHex(block.parent));
        if (entry.final === hash) finalize(block.height, hash, by);
        return;
      }
      case "notarization-share": {
        const entry = at(artifact.height);
        noteSigners(entry, toHex(artifact.blockHash), [artifact.signer]);
        checkNotarizers(entry, artifact.height, facts);
        return;
      }
      case "notarization": {
        const entry = at(artifact.height);
        noteSigners(entry, toHex(artifact.blockHash), artifact.signers);
        checkNotarizers(entry, artifact.height, facts);
        return;
      }
      default:
    }
  };

  return {
    published({ node, artifact }) {
      // What a Byzantine node calls a block or a notarization may be anything, but its own shares are its signatures.
      if (node.isHonest || artifact.kind === "notarization-share") note(artifact, node);
      if (!node.isHonest) return;
      if (artifact.kind === "finalization") finalize(artifact.height, toHex(artifact.blockHash), node, true);
      if (artifact.kind === "catch-up-package") finalize(artifact.height, toHex(blockHash(artifact.block)), node);
    },
    event({ node, event }) {
      if (node.isHonest && event.kind === "finalized") finalize(event.height, event.hash, node);
    },
  };
}

function newHeight(): AtHeight {
  return { final: undefined, hasFinalization: false, parents: new Map(), signers: new Map() };
}

function noteSigners(entry: AtHeight, hash: string, signers: readonly string[]): void {
  let known = entry.signers.get(hash);
  if (known === undefined) {
    known = new Set();
    entry.signers.set(hash, known);
  }
  for (const signer of signers) known.add(signer);
}

function checkNotarizers(entry: AtHeight, height: Height, { fewestMembers }: RunFacts): void {
  const { final, hasFinalization, signers } = entry;
  if (final === undefined || !hasFinalization) return;
  const needed = 2 * Math.floor((fewestMembers - 1) / 3) + 1;
  for (const [hash, who] of signers) {
    if (hash !== final && who.size >= needed)
      throw new Violation(
        2,
        `at height ${height} ${who.size} nodes signed ${short(hash)}, but ${short(final)} is final`,
      );
  }
}

function short(hash: string): string {
  return hash.slice(0, 12);
}
