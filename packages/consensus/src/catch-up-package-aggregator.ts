// Makes a catch-up package out of shares, of the newest pending summary first: as soon as enough nodes that hold the subnet's
// key have signed the same content. The block itself is taken from this node's own chain. Section 5.6.
import { type Height, toHex } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { CatchUpPackage, CatchUpPackageShare } from "./artifacts.ts";
import { pendingSummaries } from "./catch-up-package-maker.ts";
import { checkCatchUpShare } from "./catch-up-package-validator.ts";
import { combineThenVerify } from "./combine-then-verify.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import type { DkgTranscript } from "./dkg-types.ts";
import type { SummaryBlock } from "./finalized-chain.ts";
import type { Change, Entry, PoolSection } from "./pool.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { catchUpBytes } from "./signed-bytes.ts";

export const catchUpPackageAggregator: Role = (context) => {
  for (const block of pendingSummaries(context.pool)) {
    const changes = aggregateAt(context, block);
    if (changes.length > 0) return changes;
  }
  return [];
};

function aggregateAt(context: RoleContext, block: SummaryBlock): Change[] {
  const { pool } = context;
  const transcript = activeTranscript(pool, "high", block.height);
  const count = countAt(pool.validated, block.height) + countAt(pool.unvalidated, block.height);
  if (transcript === undefined || count < transcript.threshold) return [];
  const changes: Change[] = [];
  const groups = new Map<string, Entry<CatchUpPackageShare>[]>();
  for (const section of ["validated", "unvalidated"] as const)
    for (const entry of pool[section].at("catch-up-package-share", block.height)) {
      const answer = checkCatchUpShare(context, entry.artifact);
      if (answer === "invalid") changes.push({ kind: "invalid", id: entry.id, why: "a share of another package" });
      if (answer !== "valid") continue;
      const key = `${toHex(entry.artifact.stateHash)}/${entry.artifact.oldestRegistryVersionInUse}`;
      groups.set(key, [...(groups.get(key) ?? []), entry]);
    }
  for (const group of groups.values()) changes.push(...combineGroup(context, transcript, block, group));
  return changes;
}

function countAt(section: PoolSection, height: Height): number {
  return section.at("catch-up-package-share", height).length;
}

function combineGroup(
  { crypto, pool, note }: RoleContext,
  transcript: DkgTranscript,
  block: SummaryBlock,
  group: readonly Entry<CatchUpPackageShare>[],
): Change[] {
  const content = group[0]?.artifact;
  if (content === undefined || group.length < transcript.threshold) return [];
  const shares = group.map(({ id, artifact }) => ({
    id,
    signer: artifact.signer,
    signature: artifact.signature,
    isChecked: pool.validated.has(id),
  }));
  const message = catchUpBytes(content, blockHash(block));
  const { signature, right, wrong } = combineThenVerify(crypto, transcript, message, shares);
  const changes: Change[] = wrong.map((id) => ({ kind: "invalid", id, why: "a wrong share" }));
  if (signature === undefined) return [...changes, ...right.map((id): Change => ({ kind: "move", id }))];
  const { protocolVersion, height, beacon, stateHash, oldestRegistryVersionInUse } = content;
  const artifact: CatchUpPackage = {
    kind: "catch-up-package",
    protocolVersion,
    height,
    beacon,
    stateHash,
    oldestRegistryVersionInUse,
    block,
    signature,
  };
  note({ kind: "catch-up", height, hash: toHex(stateHash) });
  return [...changes, { kind: "add", artifact }];
}
