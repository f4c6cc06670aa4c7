// Stopping without losing anything: at an upgrade, or when the registry says so, the chain goes on with empty blocks until
// the next catch-up package is certain, and stops there. The last batch executed is that of its summary block, so that the
// next version, or whoever looks at the subnet, begins from exactly that state. Section 12.5.
import type { Height } from "@atoll/types";
import { registryVersionAt } from "./dkg/registry-version.ts";
import { finalizedTip } from "./finalized-chain.ts";
import type { RoleContext } from "./role-context.ts";

/** halting: blocks are empty and only summaries are executed. halted: no blocks, no batches. */
export type HaltStatus = "running" | "halting" | "halted";

export type HaltContext = Pick<RoleContext, "pool" | "registry" | "protocolVersion">;

/** Undefined: it cannot be told what is in force at `height`; whoever asks waits. */
export function haltStatus(context: HaltContext, height: Height): HaltStatus | undefined {
  const shall = shouldHalt(context, height);
  if (shall === undefined) return undefined;
  if (!shall) return "running";
  const { certifiedHeight } = finalizedTip(context.pool).context;
  return shouldHalt(context, certifiedHeight) === true ? "halted" : "halting";
}

/** Whether the registry version in force at `height` names another protocol version, or a stop. Undefined: not known. */
export function shouldHalt({ pool, registry, protocolVersion }: HaltContext, height: Height): boolean | undefined {
  const version = registryVersionAt(pool, height);
  const record = version === undefined ? undefined : registry.record(version);
  return record && (record.protocolVersion !== protocolVersion || record.haltAtCupHeight);
}

/** The version that a subnet which stops for an upgrade waits for; undefined: it runs, or stops for another reason. */
export function awaitedVersion({ pool, registry, protocolVersion }: HaltContext, height: Height): string | undefined {
  const version = registryVersionAt(pool, height);
  const named = version === undefined ? undefined : registry.record(version)?.protocolVersion;
  return named === protocolVersion ? undefined : named;
}

/** The newest version that this node knows says: nobody does anything any more, wherever the chain is. */
export function isStopped({ registry }: Pick<RoleContext, "registry">): boolean {
  return registry.record(registry.latestVersion())?.isHalted ?? false;
}
