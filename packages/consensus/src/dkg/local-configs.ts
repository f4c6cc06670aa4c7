// The keys that a subnet makes for itself in each interval: a fresh one for the random beacon and tape, and its own
// once more, shared anew among those who will be its nodes. Section 12.2.
import type { Height, PrincipalId } from "@atoll/types";
import type { DkgConfig, DkgTranscript } from "../dkg-types.ts";
import { highThreshold, lowThreshold } from "../thresholds.ts";

export interface LocalConfigOptions {
  readonly subnetId: PrincipalId;
  /** Of the summary block that asks for the keys. */
  readonly startHeight: Height;
  /** Who gets shares: the nodes of the subnet at `registryVersion`, sorted. */
  readonly nodes: readonly PrincipalId[];
  readonly registryVersion: number;
  /** The newest transcript of the subnet's key. */
  readonly high: DkgTranscript;
}

/** The order is that of the tags: low, high. */
export function localConfigs(options: LocalConfigOptions): DkgConfig[] {
  const { subnetId, startHeight, nodes, registryVersion, high } = options;
  const id = { startHeight, dealerSubnet: subnetId, target: undefined };
  return [
    freshConfig({ ...id, tag: "low" }, nodes, nodes, registryVersion),
    {
      dkgId: { ...id, tag: "high" },
      dealers: high.receivers,
      receivers: nodes,
      threshold: highThreshold(nodes.length),
      collectionThreshold: high.threshold,
      registryVersion,
      resharing: high,
    },
  ];
}

/** A key that nobody has yet. One honest dealing is enough to make it one that nobody knows: f + 1 of the dealers. */
export function freshConfig(
  dkgId: DkgConfig["dkgId"],
  dealers: readonly PrincipalId[],
  receivers: readonly PrincipalId[],
  registryVersion: number,
): DkgConfig {
  const threshold = dkgId.tag === "low" ? lowThreshold(receivers.length) : highThreshold(receivers.length);
  const collectionThreshold = lowThreshold(dealers.length);
  return { dkgId, dealers, receivers, threshold, collectionThreshold, registryVersion, resharing: undefined };
}
