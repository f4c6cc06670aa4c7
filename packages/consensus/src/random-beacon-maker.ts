// The maker of beacon shares: once a height is notarized, the beacon of the next one is drawn, out of the beacon before it, so
// that it is ready before the round that needs it. Section 5.7.
import type { Height } from "@atoll/types";
import { beaconHash } from "./artifact-hash.ts";
import type { BeaconContent } from "./artifacts.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import { beaconAt } from "./membership.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { beaconHeight, notarizedHeight } from "./round.ts";
import { beaconBytes } from "./signed-bytes.ts";

export const randomBeaconMaker: Role = (context) => {
  const { pool, self, crypto } = context;
  if (beaconHeight(pool) > notarizedHeight(pool)) return [];
  const content = nextBeaconContent(context);
  if (content === undefined) return [];
  if (pool.validated.at("random-beacon-share", content.height).some(({ artifact }) => artifact.signer === self))
    return [];
  const signature = crypto.signThreshold(content.dkgId, beaconBytes(content));
  if (signature === undefined) return [];
  return [{ kind: "add", artifact: { kind: "random-beacon-share", ...content, signer: self, signature } }];
};

/** What the beacon after the newest one is about. Undefined: it is not known whose shares sign it. */
export function nextBeaconContent({
  pool,
  protocolVersion,
  crypto,
}: Pick<RoleContext, "pool" | "protocolVersion" | "crypto">): BeaconContent | undefined {
  const tip = beaconHeight(pool);
  const parent = beaconAt(pool, tip);
  const transcript = activeTranscript(pool, "low", tip + 1);
  if (parent === undefined || transcript === undefined) return undefined;
  return { protocolVersion, height: tip + 1, parent: beaconHash(parent, crypto.sha256), dkgId: transcript.dkgId };
}

/**
 * Whether the round that needs the beacon of a height, the one after it, can begin. Until then its signature waits to be
 * verified together with what is more urgent: mostly the notarization that the round waits for, too.
 */
export function isBeaconDue({ pool }: Pick<RoleContext, "pool">, height: Height): boolean {
  return height <= notarizedHeight(pool);
}
