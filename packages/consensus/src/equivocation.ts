// A maker that signed two blocks at one height: the two signatures prove it to everybody, and its rank no longer counts at
// that height, unless one of its blocks has been notarized all the same. Section 5.3.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height, PrincipalId } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { BlockProposal, EquivocationProof } from "./artifacts.ts";
import { membershipAt } from "./membership.ts";
import type { Pool } from "./pool.ts";
import type { RoleContext } from "./role-context.ts";
import { blockMetadataBytes } from "./signed-bytes.ts";

export function isDisqualified(pool: Pool, height: Height, maker: PrincipalId): boolean {
  return pool.validated.at("equivocation-proof", height).some(({ artifact }) => artifact.signer === maker);
}

/** Of two proposals whose signatures have been verified. Undefined: they prove nothing. */
export function equivocationProof(
  subnetId: PrincipalId,
  one: BlockProposal,
  other: BlockProposal,
): EquivocationProof | undefined {
  const hash1 = blockHash(one.block);
  const hash2 = blockHash(other.block);
  if (one.signer !== other.signer || one.block.height !== other.block.height || equalBytes(hash1, hash2))
    return undefined;
  return {
    kind: "equivocation-proof",
    protocolVersion: one.block.protocolVersion,
    height: one.block.height,
    subnetId,
    signer: one.signer,
    hash1,
    signature1: one.signature,
    hash2,
    signature2: other.signature,
  };
}

/** Of a proof that a peer sent. */
export function checkEquivocationProof(context: RoleContext, proof: EquivocationProof): "valid" | "invalid" | "later" {
  const membership = membershipAt(context, proof.height);
  if (membership === undefined) return "later";
  const { protocolVersion, height, subnetId, signer } = proof;
  const node = membership.nodes.get(signer);
  if (node === undefined || !membership.blockMakers.includes(signer)) return "invalid";
  if (subnetId !== context.subnetId || equalBytes(proof.hash1, proof.hash2)) return "invalid";
  const hasSigned = (hash: Uint8Array, signature: Uint8Array) =>
    context.crypto.verifyBasic(
      node,
      blockMetadataBytes({ protocolVersion, height, blockHash: hash, subnetId }),
      signature,
    );
  return hasSigned(proof.hash1, proof.signature1) && hasSigned(proof.hash2, proof.signature2) ? "valid" : "invalid";
}
