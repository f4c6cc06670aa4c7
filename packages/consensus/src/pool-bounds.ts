// The settings that bound what a node keeps and how long it waits: those of the registry version that is in force at its
// newest catch-up package. Sections 6.4, 7 and 23.
import { type ConsensusSettings, DEFAULT_CONSENSUS_SETTINGS } from "@atoll/types";
import { catchUpPackage } from "./finalized-chain.ts";
import type { RoleContext } from "./role-context.ts";

type SettingsContext = Pick<RoleContext, "pool" | "registry">;

/** The defaults while that version is not known here yet. */
export function settingsAtCatchUp({ pool, registry }: SettingsContext): ConsensusSettings {
  const { summary } = catchUpPackage(pool).block.payload;
  return registry.record(summary.registryVersion)?.settings ?? DEFAULT_CONSENSUS_SETTINGS;
}

/** Heights below the newest catch-up package that are kept for slow peers. */
export function minimumChainLength(context: SettingsContext): number {
  return settingsAtCatchUp(context).minimumChainLength;
}
