// What the pool got to vouch for, told to logs, metrics and checkers: each signature of this node, and each step of the chain.
// (Certifications and catch-up packages are told by their roles.)
import { type PrincipalId, toHex } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { Artifact, BlockReference } from "./artifacts.ts";
import { knownBlock } from "./finalized-chain.ts";
import type { Pool } from "./pool.ts";
import type { PoolEntry } from "./pool-section.ts";
import type { ConsensusEvent } from "./role-context.ts";

/** Of an entry that has just been validated. */
export function eventsOf(pool: Pool, { id, artifact }: PoolEntry, self: PrincipalId): ConsensusEvent[] {
  // The last part of an id: equal on all nodes for equal bytes.
  const ownHash = id.slice(id.lastIndexOf("/") + 1);
  switch (artifact.kind) {
    case "block-proposal": {
      const { height, rank } = artifact.block;
      return artifact.signer === self ? [signed(artifact, height, toHex(blockHash(artifact.block)), rank)] : [];
    }
    case "notarization-share":
    case "finalization-share": {
      if (artifact.signer !== self) return [];
      return [signed(artifact, artifact.height, toHex(artifact.blockHash), rankOf(pool, artifact))];
    }
    case "random-beacon-share":
    case "random-tape-share":
      return artifact.signer === self ? [signed(artifact, artifact.height, ownHash)] : [];
    case "notarization":
    case "finalization": {
      const kind = artifact.kind === "notarization" ? "notarized" : "finalized";
      const { height } = artifact;
      return [{ kind, height, hash: toHex(artifact.blockHash), rank: rankOf(pool, artifact) ?? -1 }];
    }
    case "random-beacon":
      return [{ kind: "beacon", height: artifact.height, hash: ownHash }];
    case "random-tape":
      return [{ kind: "tape", height: artifact.height, hash: ownHash }];
    default:
      return [];
  }
}

function signed(artifact: Artifact, height: number, hash: string, rank?: number): ConsensusEvent {
  return { kind: "signed", what: artifact.kind, height, hash, ...(rank === undefined ? {} : { rank }) };
}

function rankOf(pool: Pool, { height, blockHash: hash }: BlockReference): number | undefined {
  return knownBlock(pool, height, hash)?.rank;
}
