// Where a node stands: the heights it has got to, when the current round began, and the delays of makers and notaries in it.
// A delay has passed when either clock says so: that guards against one that stands still. Sections 5.1, 5.2 and 5.4.
import { equalBytes } from "@atoll/crypto/domain";
import type { ConsensusSettings, Height, Time } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { Block, BlockReference, Notarization } from "./artifacts.ts";
import { catchUpPackage, finalizedHeight, knownBlock, nextSummaryHeight, parentBlock } from "./finalized-chain.ts";
import type { Entry, Instant, Pool } from "./pool.ts";

export function notarizedHeight(pool: Pool): Height {
  return pool.tips.notarized;
}

export function beaconHeight(pool: Pool): Height {
  return pool.tips.beacon;
}

/** The notarized blocks of a height; of a catch-up package's height its block alone. */
export function notarizedBlocks(pool: Pool, height: Height): readonly Block[] {
  const [cup] = pool.validated.at("catch-up-package", height);
  if (cup !== undefined) return [cup.artifact.block];
  return pool.validated
    .at("notarization", height)
    .flatMap(({ artifact }) => knownBlock(pool, height, artifact.blockHash) ?? []);
}

export function isNotarized(pool: Pool, height: Height, hash: Uint8Array): boolean {
  const isSame = ({ artifact }: Entry<Notarization>) => equalBytes(artifact.blockHash, hash);
  if (pool.validated.at("notarization", height).some(isSame)) return true;
  return pool.validated
    .at("catch-up-package", height)
    .some(({ artifact }) => equalBytes(blockHash(artifact.block), hash));
}

export function referenceTo(block: Block): BlockReference {
  return { protocolVersion: block.protocolVersion, height: block.height, blockHash: blockHash(block) };
}

/** When a round began here: a block of the height before was notarized, and its beacon was known. Undefined: not yet. */
export function roundStart(pool: Pool, height: Height): Instant | undefined {
  const before = height - 1;
  const cup = pool.validated.at("catch-up-package", before)[0];
  const notarization = pool.validated.at("notarization", before)[0] ?? cup;
  const beacon = pool.validated.at("random-beacon", before)[0] ?? cup;
  if (notarization === undefined || beacon === undefined) return undefined;
  return later(notarization.since, beacon.since);
}

/** When the pool got to vouch for a block. */
export function validatedSince(pool: Pool, block: Block): Instant | undefined {
  const proposal = pool.validated.at("block-proposal", block.height).find(({ artifact }) => artifact.block === block);
  const entry = proposal ?? pool.validated.at("catch-up-package", block.height)[0];
  return entry?.since;
}

export function hasPassed(now: Instant, start: Instant, delay: Time): boolean {
  return now.wall - start.wall >= delay || now.monotonic - start.monotonic >= delay;
}

export function after(start: Instant, delay: Time): Instant {
  return { wall: start.wall + delay, monotonic: start.monotonic + delay };
}

/** How long a maker of that rank waits before it proposes on `parent`. */
export function proposalDelay(pool: Pool, settings: ConsensusSettings, rank: number, parent: Block): Time {
  if (rank === 0) return 0n;
  const steps = rank + (isPushedAside(pool, parent) ? 1 : 0);
  return settings.unitDelay * BigInt(steps);
}

const GUARD_BLOCKS = 30;
const GUARD_LIMIT = 10;

/** More than 10 of the last 30 blocks have not been of rank 0: somebody may be pushing blocks of higher rank through. */
function isPushedAside(pool: Pool, parent: Block): boolean {
  const known = pushedAside.get(pool);
  if (known?.parent === parent) return known.isIt;
  const isIt = countsAside(pool, parent);
  pushedAside.set(pool, { parent, isIt });
  return isIt;
}

/** It is asked again and again until a delay has passed. */
const pushedAside = new WeakMap<Pool, { readonly parent: Block; readonly isIt: boolean }>();

function countsAside(pool: Pool, parent: Block): boolean {
  let higher = 0;
  let block: Block | undefined = parent;
  // No further than until what is left can make no difference.
  for (let left = GUARD_BLOCKS; higher + left > GUARD_LIMIT && left > 0 && block !== undefined; left--) {
    if (block.rank > 0) higher++;
    block = parentBlock(pool, block);
  }
  return higher > GUARD_LIMIT;
}

/** Certification may lag behind notarization by so much, and the next catch-up package by so much. */
export const MAX_CERTIFICATION_GAP = 70;
export const MAX_CATCH_UP_GAP = 130;

/** How long a notary waits before it signs a block of that rank; undefined: it must not sign at all. */
export function notaryDelay(
  pool: Pool,
  settings: ConsensusSettings,
  rank: number,
  certifiedHeight: Height,
  isHalting: boolean,
): Time | undefined {
  const notarized = notarizedHeight(pool);
  const finalized = finalizedHeight(pool);
  if (notarized - certifiedHeight >= MAX_CERTIFICATION_GAP) return undefined;
  if (notarized - nextCatchUpHeight(pool) >= MAX_CATCH_UP_GAP) return undefined;
  const stretched = Math.round(Number(settings.unitDelay) * rank * 1.5 ** (notarized - finalized));
  const behind = finalized - certifiedHeight;
  const backlog = behind > 1 && !isHalting ? settings.backlogDelay * BigInt(behind) : 0n;
  return settings.initialNotaryDelay + BigInt(stretched) + backlog;
}

/** Height of the catch-up package that comes after the newest one. */
export function nextCatchUpHeight(pool: Pool): Height {
  return nextSummaryHeight(catchUpPackage(pool).block.payload.summary);
}

function later(a: Instant, b: Instant): Instant {
  return a.monotonic >= b.monotonic ? a : b;
}
