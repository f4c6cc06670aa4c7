// The validator: looks at what peers sent, as far as it can matter at the heights this node has got to, and finds it valid,
// invalid, or not to be told yet. The last is kept and looked at again. Section 6.1; one file per kind does the checking.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height, NodeRecord } from "@atoll/types";
import type { ArtifactKind, Finalization, MultiSignature } from "./artifacts.ts";
import { dkgKey } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import { checkEquivocationProof, isDisqualified } from "./equivocation.ts";
import { finalizedHeight, knownBlock } from "./finalized-chain.ts";
import { membershipAt } from "./membership.ts";
import type { Change } from "./pool.ts";
import { isBeaconDue, nextBeaconContent } from "./random-beacon-maker.ts";
import { isTapeDue, tapeContent, tapeHeights } from "./random-tape-maker.ts";
import type { RoleContext } from "./role-context.ts";
import { isNotarized, notarizedHeight } from "./round.ts";
import { beaconBytes, finalizationBytes, notarizationBytes, tapeBytes } from "./signed-bytes.ts";

export function validateBeacons(context: RoleContext): Change[] {
  const { pool, crypto } = context;
  const content = nextBeaconContent(context);
  if (content === undefined) return [];
  const entries = pool.unvalidated.at("random-beacon", content.height);
  if (entries.length === 0) return [];
  const key = activeTranscript(pool, "low", content.height)?.coefficients[0];
  const changes: Change[] = [];
  for (const { id, artifact } of entries) {
    const isOfIt =
      key !== undefined &&
      equalBytes(artifact.parent, content.parent) &&
      dkgKey(artifact.dkgId) === dkgKey(content.dkgId);
    if (isOfIt && !isBeaconDue(context, content.height)) {
      crypto.expectThreshold(key, beaconBytes(content), artifact.signature);
      return changes;
    }
    const isRight = isOfIt && crypto.verifyThreshold(key, beaconBytes(content), artifact.signature);
    if (isRight) return [...changes, { kind: "move", id }];
    changes.push({ kind: "invalid", id, why: "it is not the next beacon" });
  }
  return changes;
}

export function validateTapes(context: RoleContext): Change[] {
  const { pool, crypto } = context;
  const { from, to } = tapeHeights(context);
  const changes: Change[] = [];
  for (const height of pool.unvalidated.heights("random-tape", from, to)) {
    const content = tapeContent(context, height);
    const key = activeTranscript(pool, "low", height)?.coefficients[0];
    if (content === undefined || key === undefined) continue;
    let isThere = pool.validated.at("random-tape", height).length > 0;
    for (const { id, artifact } of pool.unvalidated.at("random-tape", height)) {
      const isOfIt = dkgKey(artifact.dkgId) === dkgKey(content.dkgId);
      if (isThere) changes.push({ kind: "remove", section: "unvalidated", id });
      else if (isOfIt && !isTapeDue(context, height)) {
        crypto.expectThreshold(key, tapeBytes(content), artifact.signature);
        break;
      } else if (isOfIt && crypto.verifyThreshold(key, tapeBytes(content), artifact.signature)) {
        changes.push({ kind: "move", id });
        isThere = true;
      } else changes.push({ kind: "invalid", id, why: "it is not the tape of its height" });
    }
  }
  return changes;
}

export function validateNotarizations(context: RoleContext): Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  const top = notarizedHeight(pool) + 1;
  for (const height of pool.unvalidated.heights("notarization", finalizedHeight(pool) + 1, top)) {
    const taken: Uint8Array[] = [];
    for (const { id, artifact } of pool.unvalidated.at("notarization", height)) {
      if (knownBlock(pool, height, artifact.blockHash) === undefined) continue;
      if (isNotarized(pool, height, artifact.blockHash) || taken.some((hash) => equalBytes(hash, artifact.blockHash))) {
        changes.push({ kind: "remove", section: "unvalidated", id });
        continue;
      }
      const answer = checkMultiSignature(context, height, artifact, notarizationBytes(artifact));
      if (answer === "later") continue;
      changes.push(answer === "valid" ? { kind: "move", id } : { kind: "invalid", id, why: "not signed by a quorum" });
      if (answer === "valid") taken.push(artifact.blockHash);
    }
  }
  return changes;
}

export function validateFinalizations(context: RoleContext): Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  const heights = pool.unvalidated.heights("finalization", finalizedHeight(pool) + 1, notarizedHeight(pool));
  for (const height of heights)
    for (const { id, artifact } of pool.unvalidated.at("finalization", height)) {
      if (!isNotarized(pool, height, artifact.blockHash)) continue;
      const answer = checkFinalization(context, height, artifact);
      if (answer === "later") continue;
      changes.push(answer === "valid" ? { kind: "move", id } : { kind: "invalid", id, why: "not signed by a quorum" });
      if (answer === "valid") break;
    }
  return changes;
}

function checkFinalization(context: RoleContext, height: Height, artifact: Finalization) {
  return checkMultiSignature(context, height, artifact, finalizationBytes(artifact));
}

/** Distinct signers, each in the committee of the height, enough of them, and the signature is theirs. Section 6.3. */
export function checkMultiSignature(
  context: RoleContext,
  height: Height,
  { signers, signature }: MultiSignature,
  message: Uint8Array,
): "valid" | "invalid" | "later" {
  const membership = membershipAt(context, height);
  if (membership === undefined) return "later";
  const isSorted = signers.every((signer, i) => i === 0 || (signers[i - 1] as string) < signer);
  if (!isSorted || signers.length < membership.threshold) return "invalid";
  if (!signers.every((signer) => membership.notaries.has(signer))) return "invalid";
  const records = signers.map((signer) => membership.nodes.get(signer) as NodeRecord);
  return context.crypto.verifyMulti(records, message, signature) ? "valid" : "invalid";
}

export function validateEquivocationProofs(context: RoleContext): Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  const kind: ArtifactKind = "equivocation-proof";
  const top = notarizedHeight(pool) + 1;
  for (const height of pool.unvalidated.heights(kind, finalizedHeight(pool) + 1, top)) {
    const proven = new Set<string>();
    for (const { id, artifact } of pool.unvalidated.at(kind, height)) {
      if (proven.has(artifact.signer) || isDisqualified(pool, height, artifact.signer)) {
        changes.push({ kind: "remove", section: "unvalidated", id });
        continue;
      }
      const answer = checkEquivocationProof(context, artifact);
      if (answer === "valid") proven.add(artifact.signer);
      if (answer === "valid") changes.push({ kind: "move", id });
      if (answer === "invalid") changes.push({ kind: "invalid", id, why: "it proves nothing" });
    }
  }
  return changes;
}
