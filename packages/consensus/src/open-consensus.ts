// One node's part in the agreement, as a whole: the pool on its disk, and the loop in which the roles work on it, one change
// applied before the next role looks. What the roles of one step did is written to the disk before any of it is
// broadcast; if it cannot be written, it has not happened. Section 3, invocation order.
import { EnvironmentError, type Height, type PrincipalId, type Time } from "@atoll/types";
import { eventsOf } from "./artifact-events.ts";
import { decodeArtifact } from "./artifact-id.ts";
import { ArtifactPool, type PoolEvent } from "./artifact-pool.ts";
import {
  type Artifact,
  type ArtifactId,
  type ArtifactKind,
  type CatchUpPackage,
  encodeArtifact,
  heightOf,
} from "./artifacts.ts";
import { bounce, isRelayedShare, isShare, isSuperseded } from "./bouncer.ts";
import { MAX_ARTIFACT_BYTES } from "./bounds.ts";
import { ComponentLoop, type LoopContext } from "./component-loop.ts";
import type {
  ConsensusNode,
  ConsensusOptions,
  ConsensusPlaces,
  ConsensusStatus,
  OpenConsensus,
  StepResult,
} from "./consensus.ts";
import { isUnsigned } from "./dkg/genesis.ts";
import { registryVersionAt } from "./dkg/registry-version.ts";
import { catchUpPackage, finalizedHeight } from "./finalized-chain.ts";
import { awaitedVersion, type HaltStatus, haltStatus, isStopped } from "./halting.ts";
import { HeldBatches } from "./held-batches.ts";
import { OtherVersion } from "./other-version.ts";
import type { Change, Instant } from "./pool.ts";
import { PoolAlarm } from "./pool-alarm.ts";
import { intactArtifacts } from "./pool-repair.ts";
import { type PoolEntry, parseArtifactId } from "./pool-section.ts";
import { PoolStorage, type StoredPool, type WrittenArtifact } from "./pool-storage.ts";
import type { ConsensusPorts } from "./ports.ts";
import { purgeHeight, purger } from "./purger.ts";
import type { ConsensusEvent } from "./role-context.ts";
import { beaconHeight, notarizedHeight } from "./round.ts";

export const openConsensus: OpenConsensus = (options, ports, places) => new Consensus(options, ports, places);

/** A node that was told to stop looks whether it may go on. In ns. */
const STOPPED_PAUSE: Time = 200_000_000n;
/** Where the clock stood when what is read from the disk came in: set at the first step. */
const NEVER: Instant = { wall: 0n, monotonic: 0n };

class Consensus implements ConsensusNode {
  readonly #options: ConsensusOptions;
  readonly #ports: ConsensusPorts;
  readonly #batches: HeldBatches;
  readonly #pool: ArtifactPool;
  readonly #storage: PoolStorage;
  readonly #log: ConsensusPlaces["log"];
  readonly #context: LoopContext;
  #loop: ComponentLoop;
  readonly #alarm = new PoolAlarm();
  readonly #otherVersion = new OtherVersion();
  #isOutdated = false;
  readonly #abstainUpTo: Height;
  #events: ConsensusEvent[] = [];
  #isStarted = false;
  #hasReceived = false;
  #wakeAt: Time = 0n;
  #halt: HaltStatus = "running";
  #isPurgeFailing = false;

  constructor(options: ConsensusOptions, ports: ConsensusPorts, places: ConsensusPlaces) {
    this.#options = options;
    this.#batches = new HeldBatches(ports.batches);
    this.#ports = { ...ports, batches: this.#batches };
    this.#log = places.log;
    this.#pool = new ArtifactPool(ports.crypto.sha256);
    this.#storage = new PoolStorage(places.storage, ports.crypto.sha256);
    const { self, subnetId, protocolVersion } = options;
    const note = (event: ConsensusEvent) => void this.#events.push(event);
    this.#context = { ...this.#ports, self, subnetId, protocolVersion, pool: this.#pool, note };
    this.#loop = new ComponentLoop(this.#pool, this.#context, NEVER);
    const stored = this.#storage.open((artifacts) => intactArtifacts(artifacts, options.genesis));
    // After an upgrade the package that the version before has signed is all that goes on from it (section 12.5).
    for (const { artifact, bytes } of stored.artifacts)
      if (artifact.kind === "catch-up-package" || this.#isOfThisVersion(artifact))
        this.#pool.restore(this.#pool.entryOf(artifact, bytes, NEVER, undefined));
    this.#abstainUpTo = stored.abstainUpTo;
    const { genesis } = options;
    if ((this.#pool.validated.range("catch-up-package")?.max ?? -1) < genesis.height)
      this.#pool.restore(this.#pool.entryOf(genesis, encodeArtifact(genesis), NEVER, undefined));
    // The log has more than the pool had: what is settled is not broadcast again.
    this.#pool.apply(purger()({ ...this.#context, now: NEVER, wakeAt: () => {} }), NEVER);
    this.#pool.commit();
    if (stored.damages > 0) this.#tellDamage(stored);
  }

  step(now: Instant): StepResult {
    if (!this.#isStarted) for (const entry of this.#pool.validated.all()) entry.since = now;
    this.#isStarted = true;
    if (isStopped(this.#ports)) return { published: [], retracted: [], wakeAt: now.monotonic + STOPPED_PAUSE };
    // Who calls before it is time, and without anything having come in, knows of something else.
    const looksBeyond = !this.#hasReceived && now.monotonic < this.#wakeAt;
    const { events: changes, wakeAt } = this.#orTakenBack(() =>
      this.#loop.run(now, looksBeyond, (made) => this.#permitted(made)),
    );
    this.#hasReceived = false;
    const { added, removed } = changes.length === 0 ? NO_CHANGES : netChanges(changes);
    this.#orTakenBack(() => this.#write(changes));
    this.#pool.commit();
    const executed = this.#ports.state.executedHeight();
    this.#batches.release();
    // Where execution takes no time there are roots to sign already.
    this.#wakeAt = this.#ports.state.executedHeight() === executed ? wakeAt : now.monotonic;
    this.#purgeStorage();
    this.#alarm.check(this.#context);
    this.#noteHalt();
    this.#tell(changes);
    return {
      published: added.length === 0 ? [] : added.filter((entry) => this.#isPublished(entry)).map(published),
      retracted: removed.length === 0 ? [] : removed.filter((entry) => this.#isPublished(entry)).map(({ id }) => id),
      wakeAt: this.#wakeAt,
    };
  }

  receive(peer: PrincipalId, bytes: Uint8Array, now: Instant): "taken" | "unwanted" | "invalid" {
    this.#hasReceived = true;
    if (bytes.length > MAX_ARTIFACT_BYTES) return "invalid";
    const decoded = decodeArtifact(bytes, this.#ports.crypto.sha256);
    if (decoded === undefined) return "invalid";
    const { artifact, id, hash } = decoded;
    if (isRelayedShare(artifact, peer)) return "invalid";
    if (artifact.kind === "catch-up-package" && isUnsigned(artifact)) return "invalid";
    // Of another version of the protocol: nobody's fault, and nothing to us but a package that shows where the subnet is.
    if (!this.#isOfThisVersion(artifact))
      return artifact.kind === "catch-up-package" ? this.#otherVersion.receive(this.#context, artifact) : "taken";
    if (this.#pool.validated.has(id) || this.#pool.unvalidated.has(id)) return "taken";
    const use = bounce(this.#context, artifact.kind, heightOf(artifact));
    if (use === "early") return "unwanted";
    if (use === "late" || isSuperseded(this.#context, artifact)) return "taken";
    const entry = { id, artifact, bytes, hash, byteSize: bytes.length, since: now, peer };
    return this.#pool.receive(entry) ? "taken" : "unwanted";
  }

  wants(id: ArtifactId): boolean {
    if (this.#pool.validated.has(id) || this.#pool.unvalidated.has(id)) return false;
    const named = parseArtifactId(id);
    return named !== undefined && bounce(this.#context, named.kind, named.height) === "wanted";
  }

  published(): StepResult["published"] {
    return [...this.#pool.validated.all()].filter((entry) => this.#isPublished(entry)).map(published);
  }

  status(): ConsensusStatus {
    const pool = this.#pool;
    const notarized = notarizedHeight(pool);
    const context = this.#context;
    return {
      notarizedHeight: notarized,
      finalizedHeight: finalizedHeight(pool),
      beaconHeight: beaconHeight(pool),
      catchUpHeight: catchUpPackage(pool).height,
      registryVersion: registryVersionAt(pool, notarized + 1) ?? catchUpPackage(pool).block.context.registryVersion,
      isHalted: isStopped(this.#ports) || haltStatus(context, notarized + 1) === "halted",
      awaitedVersion: awaitedVersion(context, notarized + 1),
    };
  }

  catchUpPackage(): CatchUpPackage {
    return catchUpPackage(this.#pool);
  }

  close(): void {
    this.#events = [];
  }

  /** A node that may have forgotten what it signed signs no block up to there. */
  #permitted(changes: readonly Change[]): readonly Change[] {
    if (this.#abstainUpTo === 0 || changes.length === 0) return changes;
    return changes.filter(
      (change) =>
        change.kind !== "add" || !this.#isOwnVote(change.artifact) || heightOf(change.artifact) > this.#abstainUpTo,
    );
  }

  /** Also what is gone from the pool again: a signature that was of use in one step must be remembered all the same. */
  #write(changes: readonly PoolEvent[]): void {
    const kept: WrittenArtifact[] = [];
    for (const { kind, entry } of changes)
      if (kind === "validated" && entry.artifact.kind !== "dkg-dealing") {
        const { artifact, bytes, hash } = entry;
        kept.push({ artifact, bytes, hash, isVote: this.#isOwnVote(entry.artifact) });
      }
    this.#storage.write(kept);
  }

  #tellDamage({ damages, abstainUpTo }: StoredPool): void {
    const isWhole = abstainUpTo <= finalizedHeight(this.#pool);
    const signs = isWhole ? "it is repaired, and no vote is missing" : "this node signs no block for a while";
    this.#log.log("warning", `the pool on the disk is damaged: ${signs}`, { places: damages, upToHeight: abstainUpTo });
  }

  /** Nothing of a step that fails has happened, or what is signed in it could be of use without being on the disk. */
  #orTakenBack<T>(act: () => T): T {
    try {
      return act();
    } catch (failure) {
      this.#pool.rollback();
      // What the roles remember of a step that did not happen would keep them from doing it again.
      this.#loop = new ComponentLoop(this.#pool, this.#context, NEVER);
      this.#hasReceived = false;
      this.#batches.drop();
      this.#events = [];
      throw failure;
    }
  }

  /** What was written stays written when this fails: to take it back would be to forget a signature that is on the disk. */
  #purgeStorage(): void {
    try {
      this.#storage.purge(purgeHeight(this.#context));
      this.#isPurgeFailing = false;
    } catch (failure) {
      if (!(failure instanceof EnvironmentError)) throw failure;
      if (!this.#isPurgeFailing) this.#log.log("warning", `Old artifacts cannot be removed: ${failure.message}`);
      this.#isPurgeFailing = true;
    }
  }

  #noteHalt(): void {
    const context = this.#context;
    const height = notarizedHeight(context.pool) + 1;
    const halt = haltStatus(context, height) ?? this.#halt;
    if (halt !== this.#halt && halt !== "running")
      context.note({ kind: halt, height, version: awaitedVersion(context, height) });
    this.#halt = halt;
    // The others may know of a record by which this node is not behind: they are heard before it ends for good.
    if (this.#isOutdated || this.#ports.isRegistryCompared?.() === false) return;
    const needed = this.#otherVersion.needed(context);
    if (needed === undefined) return;
    this.#isOutdated = true;
    context.note({ kind: "outdated", ...needed });
  }

  #tell(changes: readonly PoolEvent[]): void {
    const { self, onEvent } = this.#options;
    const events = this.#events;
    this.#events = [];
    if (onEvent === undefined) return;
    for (const { kind, entry, why } of changes) {
      if (kind === "validated") for (const event of eventsOf(this.#pool, entry, self)) onEvent(event);
      if (kind === "invalid" && entry.peer !== undefined)
        onEvent({ kind: "invalid", peer: entry.peer, what: entry.artifact.kind, why: why ?? "" });
    }
    for (const event of events) onEvent(event);
  }

  /** Must not be forgotten: with it forgotten, this node could sign what contradicts it. */
  #isOwnVote(artifact: Artifact): boolean {
    return VOTES.has(artifact.kind) && "signer" in artifact && artifact.signer === this.#options.self;
  }

  /** Shares of others are theirs to send, and the package of genesis is nobody's to believe. */
  #isPublished({ artifact }: PoolEntry): boolean {
    if (isShare(artifact.kind)) return "signer" in artifact && artifact.signer === this.#options.self;
    return artifact.kind !== "catch-up-package" || !isUnsigned(artifact);
  }

  #isOfThisVersion(artifact: Artifact): boolean {
    const { protocolVersion } = this.#options;
    if (artifact.kind === "dkg-dealing") return true;
    if (artifact.kind === "block-proposal") return artifact.block.protocolVersion === protocolVersion;
    return artifact.protocolVersion === protocolVersion;
  }
}

const VOTES: ReadonlySet<ArtifactKind> = new Set(["block-proposal", "notarization-share", "finalization-share"]);
const NO_CHANGES: ReturnType<typeof netChanges> = { added: [], removed: [] };

/** What came and stayed, and what was there before and went. */
function netChanges(events: readonly PoolEvent[]): { added: PoolEntry[]; removed: PoolEntry[] } {
  if (!events.some(({ kind }) => kind === "retracted"))
    return { added: events.filter(({ kind }) => kind === "validated").map(({ entry }) => entry), removed: [] };
  const added = new Map<ArtifactId, PoolEntry>();
  const removed = new Map<ArtifactId, PoolEntry>();
  for (const { kind, entry } of events) {
    if (kind === "validated" && !removed.delete(entry.id)) added.set(entry.id, entry);
    if (kind === "retracted" && !added.delete(entry.id)) removed.set(entry.id, entry);
  }
  return { added: [...added.values()], removed: [...removed.values()] };
}

function published({ id, artifact, bytes }: PoolEntry): StepResult["published"][number] {
  return { id, artifact, bytes };
}
