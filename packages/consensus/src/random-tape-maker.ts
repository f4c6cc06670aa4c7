// The maker of tape shares: the randomness that executes block h is drawn after block h - 1 is final, so that the maker of block
// h did not know it. Section 5.8.
import type { Height } from "@atoll/types";
import type { TapeContent } from "./artifacts.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import { catchUpPackage, finalizedHeight } from "./finalized-chain.ts";
import type { Change } from "./pool.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { tapeBytes } from "./signed-bytes.ts";

/** Tapes are drawn ahead of execution by as many heights as batches may wait. */
const TAPES_AHEAD = 16;

export const randomTapeMaker: Role = (context) => {
  const { pool, self, crypto } = context;
  const changes: Change[] = [];
  const { from, to } = tapeHeights(context);
  for (let height = from; height <= to; height++) {
    if (pool.validated.at("random-tape", height).length > 0) continue;
    if (pool.validated.at("random-tape-share", height).some(({ artifact }) => artifact.signer === self)) continue;
    const content = tapeContent(context, height);
    const signature = content && crypto.signThreshold(content.dkgId, tapeBytes(content));
    if (content === undefined || signature === undefined) continue;
    changes.push({ kind: "add", artifact: { kind: "random-tape-share", ...content, signer: self, signature } });
  }
  return changes;
};

/**
 * Heights whose tape is due, inclusive. That of the catch-up package itself is among them: a node may have executed all below
 * it by itself.
 */
export function tapeHeights({ pool, batches }: Pick<RoleContext, "pool" | "batches">): { from: Height; to: Height } {
  const expected = batches.expected();
  return {
    from: Math.max(expected, catchUpPackage(pool).height, 1),
    to: Math.min(expected + TAPES_AHEAD, finalizedHeight(pool) + 1),
  };
}

/** Undefined: it is not known whose shares sign at that height. */
export function tapeContent(
  { pool, protocolVersion }: Pick<RoleContext, "pool" | "protocolVersion">,
  height: Height,
): TapeContent | undefined {
  const transcript = activeTranscript(pool, "low", height);
  return transcript && { protocolVersion, height, dkgId: transcript.dkgId };
}

/** Whether the batch that needs the tape is final. Until then the tape waits, as the beacon does. */
export function isTapeDue({ pool }: Pick<RoleContext, "pool">, height: Height): boolean {
  return height <= finalizedHeight(pool);
}
