// Checks the dealings that peers sent for the current interval. A dealer that was started anew may have dealt twice, each time
// rightly: the second one is dropped and nobody is blamed. Section 12.3; 25, "Decisions and traps".
import type { DkgDealingArtifact } from "../artifacts.ts";
import type { DkgConfig } from "../dkg-types.ts";
import { finalizedTip } from "../finalized-chain.ts";
import type { Change, Entry } from "../pool.ts";
import { drop } from "../purger.ts";
import type { Role, RoleContext } from "../role-context.ts";
import { checkDealing, isDealingRemembered } from "./dealing-check.ts";
import { dkgKey } from "./dkg-keys.ts";
import { intervalChain } from "./interval-chain.ts";
import type { Pace } from "./pace.ts";
import { latestFinalizedSummary } from "./registry-version.ts";

/** How long to wait for a version of the registry before looking again. In ns. */
const RETRY = 1_000_000_000n;

export function dealingValidator(pace: Pace): Role {
  return (context) => {
    const { summary } = latestFinalizedSummary(context.pool).payload;
    const changes: Change[] = purged(context, summary.height);
    const entries = context.pool.unvalidated.at("dkg-dealing", summary.height);
    if (entries.length === 0) return changes;
    const configs = new Map(summary.configs.map((config) => [dkgKey(config.dkgId), config]));
    const missing = lacking(context, configs);
    for (const entry of entries) {
      const key = dkgKey(entry.artifact.dkgId);
      const config = configs.get(key);
      if (config === undefined || !config.dealers.includes(entry.artifact.dealer)) {
        changes.push({ kind: "invalid", id: entry.id, why: "no such key is to be made by this dealer" });
        continue;
      }
      if (!missing.get(key)?.has(entry.artifact.dealer)) {
        changes.push({ kind: "remove", section: "unvalidated", id: entry.id });
        continue;
      }
      const isQuick = isDealingRemembered(context.crypto, config, entry.artifact);
      if (!isQuick && !pace.allows(context)) continue;
      if (!isQuick) pace.note(context);
      const change = checked(context, config, entry);
      if (change?.kind === "move") missing.get(key)?.delete(entry.artifact.dealer);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  };
}

function checked(
  context: RoleContext,
  config: DkgConfig,
  { id, artifact }: Entry<DkgDealingArtifact>,
): Change | undefined {
  switch (checkDealing(context.crypto, context.registry, config, artifact)) {
    case "valid":
      return { kind: "move", id };
    case "invalid":
      return { kind: "invalid", id, why: "the dealing is not what it should be" };
    case "later":
      context.wakeAt({ wall: context.now.wall + RETRY, monotonic: context.now.monotonic + RETRY });
      return undefined;
  }
}

// Dealers whose dealing would be news. Keys that have their dealings on the final chain need no more of them.
function lacking({ pool }: RoleContext, configs: ReadonlyMap<string, DkgConfig>): ReadonlyMap<string, Set<string>> {
  const chain = intervalChain(pool, finalizedTip(pool));
  const missing = new Map<string, Set<string>>();
  for (const [key, { dealers, collectionThreshold }] of configs) {
    const onChain = chain?.dealings.get(key)?.length ?? 0;
    missing.set(key, new Set(onChain >= collectionThreshold ? [] : dealers));
  }
  for (const config of configs.values())
    for (const { artifact } of pool.validated.at("dkg-dealing", config.dkgId.startHeight))
      missing.get(dkgKey(artifact.dkgId))?.delete(artifact.dealer);
  return missing;
}

const KINDS = ["dkg-dealing"] as const;

function purged({ pool }: RoleContext, below: number): Change[] {
  return [...drop(pool, "validated", below, KINDS), ...drop(pool, "unvalidated", below, KINDS)];
}
