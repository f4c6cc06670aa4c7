// What a node learns from catch-up packages of another version of the protocol: it cannot go on from them, but the subnet's key
// has signed them, and so the subnet has gone on without this version. Whoever runs the node has to be told which one it
// needs, or it would stay behind for ever. Consensus and chain-key facts, section 12.5.
import type { Height } from "@atoll/types";
import type { CatchUpPackage } from "./artifacts.ts";
import { packageFaultOfAnyVersion } from "./catch-up-package-validator.ts";
import { catchUpPackage, isSummaryBlock } from "./finalized-chain.ts";
import type { RoleContext } from "./role-context.ts";

export interface NeededVersion {
  /** Of the package that says so. */
  readonly height: Height;
  readonly version: string;
}

/** The newest package of another version; one only is kept. */
export class OtherVersion {
  #newest: { readonly height: Height; readonly registryVersion: number } | undefined;

  /** Only what is ahead of all that is known costs a check of its signature. */
  receive(context: Pick<RoleContext, "pool" | "crypto">, cup: CatchUpPackage): "taken" | "invalid" {
    const known = Math.max(catchUpPackage(context.pool).height, this.#newest?.height ?? 0);
    if (cup.height <= known) return "taken";
    if (!isSummaryBlock(cup.block) || packageFaultOfAnyVersion(context, cup) !== undefined) return "invalid";
    this.#newest = { height: cup.height, registryVersion: cup.block.payload.summary.registryVersion };
    return "taken";
  }

  /**
   * The version in force from that package on, if the subnet will not come back to this one; also undefined while the
   * registry's version is not known here. Where the newest record names this version, the subnet is on its way to it.
   */
  needed({
    pool,
    registry,
    protocolVersion,
  }: Pick<RoleContext, "pool" | "registry" | "protocolVersion">): NeededVersion | undefined {
    if (this.#newest === undefined) return undefined;
    const { height, registryVersion } = this.#newest;
    if (height <= catchUpPackage(pool).height) return undefined;
    const version = registry.record(registryVersion)?.protocolVersion;
    const latest = registry.record(registry.latestVersion())?.protocolVersion;
    if (version === undefined || version === protocolVersion || latest === protocolVersion) return undefined;
    return { height, version };
  }
}
