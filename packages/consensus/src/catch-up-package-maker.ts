// Catch-up packages: the summary block, the beacon and the hash of the whole state of a height, signed with the subnet's key,
// from which a node can begin without anything that was before. This role signs shares of them, has a state fetched
// that is out of reach otherwise, and notices when this node's own state is another one. Section 5.9.
import { equalBytes } from "@atoll/crypto";
import { type Height, toHex } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { CatchUpContent } from "./artifacts.ts";
import { activeTranscript, finalizedSummaries } from "./dkg/registry-version.ts";
import type { DkgSummary } from "./dkg-types.ts";
import { catchUpPackage, finalizedTip, type SummaryBlock } from "./finalized-chain.ts";
import type { Change, Pool } from "./pool.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { catchUpBytes } from "./signed-bytes.ts";

export const catchUpPackageMaker: Role = (context) => {
  const { pool } = context;
  const cup = catchUpPackage(pool);
  if (context.batches.expected() < cup.height) context.state.fetchState(cup.height, cup.stateHash);
  if (isDiverged(context, cup.height, cup.stateHash)) return [];
  for (const block of pendingSummaries(pool)) {
    const change = considerBlock(context, block);
    if (change !== undefined) return [change];
  }
  return [];
};

/** Final summary blocks above the newest package, the newest first. */
export function pendingSummaries(pool: Pool): readonly SummaryBlock[] {
  return finalizedSummaries(pool).slice(1).reverse();
}

// The package of genesis has no state; its hash stands for nothing.
function isDiverged({ state }: RoleContext, height: Height, stateHash: Uint8Array): boolean {
  const own = height > 0 ? state.stateHash(height) : undefined;
  if (own === undefined || equalBytes(own, stateHash)) return false;
  state.diverged(height, "the subnet's catch-up package has another state hash");
  return true;
}

function considerBlock(context: RoleContext, block: SummaryBlock): Change | undefined {
  const { pool, self, crypto, note } = context;
  const { height } = block;
  const transcript = activeTranscript(pool, "high", height);
  if (!transcript?.receivers.includes(self)) return undefined;
  if (pool.validated.at("catch-up-package-share", height).some(({ artifact }) => artifact.signer === self))
    return undefined;
  const content = catchUpContent(context, block);
  if (content === undefined) return undefined;
  const hash = blockHash(block);
  const { dkgId } = transcript;
  const signature = crypto.signThreshold(dkgId, catchUpBytes(content, hash));
  if (signature === undefined) return undefined;
  note({ kind: "signed", what: "catch-up-package-share", height, hash: toHex(hash) });
  return {
    kind: "add",
    artifact: { kind: "catch-up-package-share", ...content, blockHash: hash, dkgId, signer: self, signature },
  };
}

/** What this node would sign for that summary; undefined: it does not know all of it yet. */
function catchUpContent(
  { pool, state, protocolVersion }: RoleContext,
  block: SummaryBlock,
): CatchUpContent | undefined {
  const { height } = block;
  const beacon = pool.validated.at("random-beacon", height)[0]?.artifact;
  // The tip must have seen that the state is certified: then it is at hand wherever payloads are checked.
  if (beacon === undefined || finalizedTip(pool).context.certifiedHeight < height) return undefined;
  const stateHash = state.stateHash(height);
  if (stateHash === undefined) return undefined;
  const oldestRegistryVersionInUse = oldestRegistryVersion(block.payload.summary);
  return { protocolVersion, height, beacon, stateHash, oldestRegistryVersionInUse };
}

/** The versions of the registry from here on are still needed: for keys that sign, or that are being made. */
export function oldestRegistryVersion({ registryVersion, current, next, configs }: DkgSummary): number {
  const resharing = configs.flatMap((config) => config.resharing ?? []);
  // A key that was made for this subnet by another one names versions of that one's registry.
  const own = [...current, ...next, ...resharing].filter(({ dkgId }) => dkgId.target === undefined);
  return Math.min(registryVersion, ...[...own, ...configs].map((used) => used.registryVersion));
}
