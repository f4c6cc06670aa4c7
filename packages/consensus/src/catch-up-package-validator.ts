// Catch-up packages that peers send: signed by the subnet's key, and held back for a while when this node is about to get
// there by itself, because executing what is left is quicker than taking over a whole state. Packages that nobody signed
// are never taken from a peer. Section 6.4.
import { equalBytes } from "@atoll/crypto";
import { toHex } from "@atoll/types";
import { beaconHash, blockHash, payloadHash } from "./artifact-hash.ts";
import type { CatchUpPackage, CatchUpPackageShare } from "./artifacts.ts";
import { dkgKey } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import { catchUpPackage, finalizedBlock, finalizedHeight, isSummaryBlock } from "./finalized-chain.ts";
import type { Change, Entry } from "./pool.ts";
import { settingsAtCatchUp } from "./pool-bounds.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { catchUpBytes } from "./signed-bytes.ts";

/** One instance per node: it remembers which packages that it holds back are right. */
export function catchUpPackageValidator(): Role {
  const right = new Set<string>();
  return (context) => {
    const { pool } = context;
    const { height } = catchUpPackage(pool);
    const top = pool.unvalidated.range("catch-up-package");
    if (top === undefined) return [];
    if (top.min <= height)
      return [{ kind: "purge", section: "unvalidated", below: height + 1, kinds: ["catch-up-package"] }];
    const changes: Change[] = [];
    for (const at of [...pool.unvalidated.heights("catch-up-package", height + 1, top.max)].reverse())
      for (const entry of pool.unvalidated.at("catch-up-package", at)) {
        const fault = right.has(entry.id) ? undefined : packageFault(context, entry.artifact);
        if (fault !== undefined) {
          changes.push({ kind: "invalid", id: entry.id, why: fault });
          continue;
        }
        if (isHeldBack(context, entry)) {
          if (right.size > 100) right.clear();
          right.add(entry.id);
          continue;
        }
        context.note({ kind: "catch-up", height: at, hash: toHex(entry.artifact.stateHash) });
        return [...changes, { kind: "move", id: entry.id }];
      }
    return changes;
  };
}

/** Undefined when the package is whole and signed by the subnet's key, which never changes; else what is wrong. */
export function packageFault(
  context: Pick<RoleContext, "pool" | "crypto" | "protocolVersion">,
  cup: CatchUpPackage,
): string | undefined {
  if (cup.protocolVersion !== context.protocolVersion) return "another version of the protocol";
  return packageFaultOfAnyVersion(context, cup);
}

/** The same for a package that another version of the protocol may have made. */
export function packageFaultOfAnyVersion(
  { pool, crypto }: Pick<RoleContext, "pool" | "crypto">,
  cup: CatchUpPackage,
): string | undefined {
  const { height, block, beacon } = cup;
  if (!isSummaryBlock(block) || block.payload.summary.height !== height) return "the block is no summary of its height";
  if (block.height !== height || beacon.height !== height) return "block, beacon and package differ in height";
  if (!equalBytes(payloadHash(block.payload, crypto.sha256), block.payloadHash)) return "the block has another payload";
  const cupHeight = catchUpPackage(pool).height;
  const key = activeTranscript(pool, "high", cupHeight)?.coefficients[0];
  if (key !== undefined && crypto.verifyThreshold(key, catchUpBytes(cup, blockHash(block)), cup.signature))
    return undefined;
  return "the signature of the catch-up package is wrong";
}

/** Whether a share is on the package that this node expects; "later": it does not know that package yet. */
export function checkCatchUpShare(
  { pool, protocolVersion }: Pick<RoleContext, "pool" | "protocolVersion">,
  share: CatchUpPackageShare,
): "valid" | "invalid" | "later" {
  const { height } = share;
  const block = finalizedBlock(pool, height);
  const transcript = activeTranscript(pool, "high", height);
  const beacon = pool.validated.at("random-beacon", height)[0]?.artifact;
  if (block === undefined || transcript === undefined || beacon === undefined) return "later";
  const isRight =
    share.protocolVersion === protocolVersion &&
    isSummaryBlock(block) &&
    equalBytes(blockHash(block), share.blockHash) &&
    equalBytes(beaconHash(beacon), beaconHash(share.beacon)) &&
    dkgKey(transcript.dkgId) === dkgKey(share.dkgId) &&
    transcript.receivers.includes(share.signer);
  return isRight ? "valid" : "invalid";
}

// Near: so few heights to execute that it is done before a state would have been fetched, from blocks that peers still have.
function isHeldBack(context: RoleContext, { artifact, since }: Entry<CatchUpPackage>): boolean {
  const { pool, state, now, wakeAt } = context;
  const { block, height } = artifact;
  if (block.payload.kind !== "summary") return false;
  const { minimumChainLength, cupHoldBack } = settingsAtCatchUp(context);
  const executed = state.executedHeight();
  const isNear =
    height - executed < block.payload.summary.nextIntervalLength / 4 &&
    finalizedHeight(pool) >= height - minimumChainLength &&
    executed < height;
  const until = since.monotonic + cupHoldBack;
  if (!isNear || now.monotonic > until) return false;
  wakeAt({ wall: since.wall + cupHoldBack + 1n, monotonic: until + 1n });
  return true;
}
