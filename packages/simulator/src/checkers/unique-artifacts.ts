// Invariants 3, 4 and 11: beacon, tape, certification and catch-up package of a height are the same bytes on every node; a
// beacon names the one before it; what the subnet signs verifies under the key that it had from the beginning, and that key
// is in every summary.
import {
  type ArtifactKind,
  type ArtifactOf,
  beaconHash,
  blockHash,
  type CatchUpPackage,
  catchUpBytes,
  certificationBytes,
} from "@atoll/consensus";
import { equalBytes } from "@atoll/crypto";
import { type Height, toHex } from "@atoll/types";
import { ByHeight, type Checker, REMEMBERED_HEIGHTS, type RunFacts, Violation } from "./checker.ts";

type Unique = ArtifactOf<"random-beacon" | "random-tape" | "certification" | "catch-up-package">;

interface Known {
  /** The first that was seen: nodes of one process often have the very object. */
  readonly artifact: Unique;
  readonly content: string;
}

export function uniqueArtifactsChecker(facts: RunFacts): Pick<Checker, "published"> {
  const known = new Map<ArtifactKind, ByHeight<Known>>();
  const beacons = new ByHeight<{ hash: string; parent: string }>(REMEMBERED_HEIGHTS);
  beacons.at(0, () => ({ hash: toHex(facts.genesis.beacon), parent: "" }));

  const checkLink = (height: Height): void => {
    const [below, here] = [beacons.get(height - 1), beacons.get(height)];
    if (below !== undefined && here !== undefined && here.parent !== below.hash)
      throw new Violation(3, `beacon ${height} does not follow beacon ${height - 1}`);
  };

  const checkNew = (artifact: Unique): void => {
    const { kind, height } = artifact;
    if (kind === "random-beacon") {
      beacons.at(height, () => ({ hash: toHex(beaconHash(artifact)), parent: toHex(artifact.parent) }));
      checkLink(height);
      checkLink(height + 1);
    }
    if (kind === "certification") checkSigned(facts, certificationBytes(artifact.rootHash), artifact);
    if (kind === "catch-up-package" && height > 0) checkPackage(facts, artifact);
  };

  return {
    published({ artifact, node }) {
      if (!node.isHonest || !isUnique(artifact)) return;
      const { kind, height } = artifact;
      let heights = known.get(kind);
      if (heights === undefined) {
        heights = new ByHeight(REMEMBERED_HEIGHTS);
        known.set(kind, heights);
      }
      const first = heights.get(height);
      if (first === undefined) {
        heights.at(height, () => ({ artifact, content: contentOf(artifact) }));
        checkNew(artifact);
      } else if (first.artifact !== artifact && first.content !== contentOf(artifact))
        throw new Violation(3, `node ${node.index} has another ${kind} at height ${height}`);
    },
  };
}

function isUnique(artifact: { kind: ArtifactKind }): artifact is Unique {
  const { kind } = artifact;
  return kind === "random-beacon" || kind === "random-tape" || kind === "certification" || kind === "catch-up-package";
}

/** All that nodes must have alike. A witness may be cut in more than one way. */
function contentOf(artifact: Unique): string {
  const signature = toHex(artifact.signature);
  switch (artifact.kind) {
    case "random-beacon":
      return `${toHex(artifact.parent)} ${signature}`;
    case "random-tape":
      return signature;
    case "certification":
      return `${toHex(artifact.rootHash)} ${signature}`;
    case "catch-up-package":
      return (
        [blockHash(artifact.block), artifact.stateHash, beaconHash(artifact.beacon)].map(toHex).join(" ") + signature
      );
  }
}

function checkPackage(facts: RunFacts, cup: CatchUpPackage): void {
  if (cup.signature.length === 0) throw new Violation(3, `the catch-up package at height ${cup.height} is unsigned`);
  checkSigned(facts, catchUpBytes(cup, blockHash(cup.block)), cup);
  if (cup.block.payload.kind !== "summary") throw new Violation(3, `no summary is in the package at ${cup.height}`);
  const { current, next } = cup.block.payload.summary;
  for (const { dkgId, coefficients } of [...current, ...next]) {
    const key = coefficients[0];
    if (dkgId.tag === "high" && (key === undefined || !equalBytes(key, facts.subnetKey)))
      throw new Violation(11, `the summary at height ${cup.height} has another subnet key`);
  }
}

function checkSigned(facts: RunFacts, message: Uint8Array, artifact: Unique): void {
  if (!facts.verifyThreshold(facts.subnetKey, message, artifact.signature))
    throw new Violation(4, `the ${artifact.kind} at height ${artifact.height} is not signed by the subnet's key`);
}
