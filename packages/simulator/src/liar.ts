// A node that lies: the same code as every other node, with somebody between it and the network who leaves out, changes and adds
// to what it says. It has that node's keys and no other's. Section 24.1; behaviours.ts names what it does.
import {
  type Artifact,
  type Block,
  type BlockProposal,
  blockHash,
  blockMetadataBytes,
  type CatchUpPackage,
  type ConsensusCrypto,
  catchUpBytes,
  certificationBytes,
  type DkgSummary,
  dealingBytes,
  finalizationBytes,
  notarizationBytes,
  payloadHash,
  type RandomTapeShare,
  tapeBytes,
} from "@atoll/consensus";
import { decodePayload, encodePayload } from "@atoll/replica/consensus/payload-codec";
import { type PrincipalId, toHex } from "@atoll/types";
import { WireError } from "@atoll/types/wire";
import type { Behaviour } from "./behaviours.ts";
import type { Random } from "./random.ts";
import { MS, SECOND } from "./scheduler.ts";

/** To whom something is said: everybody, or one of two parts of the nodes. */
export type Audience = "all" | "first" | "second";

export interface LiarOptions {
  readonly self: PrincipalId;
  readonly subnetId: PrincipalId;
  readonly behaviours: readonly Behaviour[];
}

export interface LiarPorts {
  readonly crypto: ConsensusCrypto;
  readonly random: Random;
  say(artifact: Artifact, to: Audience): void;
  /** Bytes that are no artifact, under any id. */
  sayBytes(id: string, bytes: Uint8Array): void;
  after(delayNs: number, act: () => void): void;
}

export interface Liar {
  has(behaviour: Behaviour): boolean;
  /** What the node wants to publish. */
  publish(artifact: Artifact): void;
  /** What the node was sent. */
  heard(artifact: Artifact): void;
  /** What the node answers a question with; undefined: nothing. */
  answer(honest: Uint8Array | undefined): Uint8Array | undefined;
  /** How long an answer waits. */
  answerDelayNs(): number;
  /** What it makes of the answer to a question of its own. */
  received(answer: Uint8Array): Uint8Array;
}

/** Batches that it may propose once more. */
const REMEMBERED_BATCHES = 20;
/** In an envelope; a byte with the length is between the two. */
const NONCE = new TextEncoder().encode("nonce");
const NONCE_BYTES = 16;
const REMEMBERED_BLOCKS = 1_000;
/** Longer than anybody waits. */
const LATEST_ANSWER_NS = 15 * SECOND;

export function makeLiar(options: LiarOptions, ports: LiarPorts): Liar {
  const does = new Set(options.behaviours);
  const has: Has = (behaviour) => does.has(behaviour);
  const signed = new Set<string>();
  const batches: Uint8Array[] = [];
  const say: Say = (artifact, to = "all") => {
    const audience = to === "all" && has("selective") ? "first" : to;
    if (has("late")) ports.after(ports.random.below(3 * SECOND), () => ports.say(artifact, audience));
    else ports.say(artifact, audience);
  };
  const speaker: Speaker = { options, ports, has, say, batches };
  const seen = (proposal: BlockProposal): void => {
    const { block } = proposal;
    const hash = toHex(blockHash(block));
    if (signed.has(hash)) return;
    if (signed.size > REMEMBERED_BLOCKS) signed.clear();
    signed.add(hash);
    if (block.payload.kind === "data" && block.payload.batch.length > 0) batches.push(block.payload.batch);
    if (batches.length > REMEMBERED_BATCHES) batches.shift();
    if (has("forged-blocks"))
      say({ ...proposal, block: laterBlock(block), signature: ports.random.bytes(proposal.signature.length) });
    signAnything(speaker, block);
  };
  return {
    has,
    publish(artifact) {
      if (has("silent") || isWithheld(artifact, has)) return;
      // A proposal with messages comes in stripped of them: it is whole once the node passes it on.
      if (artifact.kind === "block-proposal" && artifact.signer !== options.self) seen(artifact);
      if (has("flood")) flood(ports);
      if (artifact.kind === "block-proposal" && artifact.signer === options.self) propose(speaker, artifact);
      else say(changedArtifact(options, ports, artifact, has));
      if (artifact.kind === "certification-share" && has("forged-aggregates")) {
        const { protocolVersion, height, rootHash, witness } = artifact;
        say({ kind: "certification", protocolVersion, height, rootHash, witness, signature: ports.random.bytes(48) });
      }
      if (artifact.kind === "catch-up-package" && has("forged-package")) forgePackage(speaker, artifact);
      if (artifact.kind === "random-tape-share" && has("early-tape")) signEarly(speaker, artifact);
    },
    heard(artifact) {
      if (has("silent")) return;
      if (artifact.kind === "catch-up-package" && has("forged-package")) forgePackage(speaker, artifact);
      if (artifact.kind === "block-proposal") seen(artifact);
    },
    answer(honest) {
      if (has("silent") || has("drop-requests")) return undefined;
      if (!has("alter-answers") || honest === undefined || honest.length === 0) return honest;
      return ports.random.chance(0.2) ? ports.random.bytes(100) : spoiled(honest, ports.random);
    },
    answerDelayNs: () => (has("late-answers") ? ports.random.below(LATEST_ANSWER_NS) : 0),
    received: (answer) => (has("alter-received") && ports.random.chance(0.5) ? spoiled(answer, ports.random) : answer),
  };
}

type Say = (artifact: Artifact, to?: Audience) => void;

interface Speaker {
  readonly options: LiarOptions;
  readonly ports: LiarPorts;
  readonly has: Has;
  readonly say: Say;
  readonly batches: readonly Uint8Array[];
}

function propose({ options, ports, has, say, batches }: Speaker, proposal: BlockProposal): void {
  if (has("withhold-blocks")) return;
  const change = changedBlock({ has, random: ports.random, batches }, proposal.block);
  const block = change === undefined ? proposal.block : withPayloadHash(change);
  const first = change === undefined ? proposal : sign(options, ports.crypto, block);
  if (has("every-rank") && block.rank > 0 && ports.random.chance(0.5)) {
    say(sign(options, ports.crypto, { ...block, rank: 0 }));
    return;
  }
  const other = (): BlockProposal => sign(options, ports.crypto, laterBlock(block));
  const { payload } = block;
  if (has("other-payload") && payload.kind === "data") {
    // The hash of the block is over that of the payload: the signature fits both.
    const batch = spoiled(payload.batch, ports.random);
    say(first, "first");
    say({ ...first, block: { ...block, payload: { ...payload, batch } } }, "second");
  } else if (has("equivocate")) {
    say(first, "first");
    say(other(), "second");
  } else say(first);
  if (has("equivocate-openly")) say(other());
  if (!has("every-rank")) return;
  for (let rank = 0; rank < 5; rank++) if (rank !== block.rank) say(sign(options, ports.crypto, { ...block, rank }));
}

/** Also what it should not, and in the name of others. */
function signAnything({ options, ports, has, say }: Speaker, block: Block): void {
  const reference = { protocolVersion: block.protocolVersion, height: block.height, blockHash: blockHash(block) };
  const { self: signer } = options;
  const notarized = ports.crypto.signMulti(notarizationBytes(reference));
  const finalized = ports.crypto.signMulti(finalizationBytes(reference));
  if (has("notarize-all")) say({ kind: "notarization-share", ...reference, signer, signature: notarized });
  if (has("finalize-all")) say({ kind: "finalization-share", ...reference, signer, signature: finalized });
  if (!has("forged-aggregates")) return;
  const signers = ports.random.chance(0.5) ? [signer] : [signer, signer, signer];
  say({ kind: "notarization", ...reference, signers, signature: notarized });
  say({ kind: "finalization", ...reference, signers: [signer], signature: finalized });
}

function signEarly({ ports, say }: Speaker, share: RandomTapeShare): void {
  const content = { ...share, height: share.height + ports.random.between(1, 8) };
  const signature = ports.crypto.signThreshold(content.dkgId, tapeBytes(content));
  if (signature !== undefined) say({ ...content, signature });
}

function forgePackage({ ports: { random }, say }: Speaker, cup: CatchUpPackage): void {
  const { payload } = cup.block;
  if (payload.kind !== "summary") return;
  const height = cup.height + random.between(1, 40);
  const summary = { ...payload.summary, height };
  const block = withPayloadHash({ ...cup.block, height, payload: { kind: "summary", summary } });
  const signature = random.bytes(random.chance(0.5) ? 0 : 48);
  say({ ...cup, height, block, beacon: { ...cup.beacon, height }, signature, stateHash: random.bytes(32) });
}

type Has = (behaviour: Behaviour) => boolean;

function isWithheld(artifact: Artifact, has: Has): boolean {
  switch (artifact.kind) {
    case "notarization-share":
    case "finalization-share":
      return has("withhold-notary-shares");
    case "random-beacon-share":
      return has("withhold-beacon");
    case "random-tape-share":
      return has("withhold-tape");
    case "certification-share":
      return has("withhold-certification");
    case "catch-up-package-share":
      return has("withhold-catch-up");
    case "dkg-dealing":
      return has("withhold-dealings");
    default:
      return false;
  }
}

/** What its own shares and dealings become. What others made it passes on as it is. */
function changedArtifact(options: LiarOptions, ports: LiarPorts, artifact: Artifact, has: Has): Artifact {
  const { crypto, random } = ports;
  if (artifact.kind === "dkg-dealing") {
    if (artifact.dealer !== options.self || !has("bad-dealings")) return artifact;
    const content = spoiled(artifact.content, random);
    return { ...artifact, content, signature: crypto.signBasic(dealingBytes({ ...artifact, content })) };
  }
  if (!("signer" in artifact) || artifact.signer !== options.self || artifact.kind === "equivocation-proof")
    return artifact;
  if (has("invalid-shares") && random.chance(0.5))
    return { ...artifact, signature: spoiled(artifact.signature, random) };
  if ("dkgId" in artifact && has("foreign-shares") && random.chance(0.5))
    return { ...artifact, dkgId: { ...artifact.dkgId, startHeight: artifact.dkgId.startHeight + 1 } };
  if (artifact.kind === "certification-share" && has("wrong-root")) {
    const rootHash = random.bytes(32);
    const signature = crypto.signThreshold(artifact.dkgId, certificationBytes(rootHash));
    return signature === undefined ? artifact : { ...artifact, rootHash, signature };
  }
  if (artifact.kind === "catch-up-package-share" && has("wrong-state-hash")) {
    const content = { ...artifact, stateHash: random.bytes(32) };
    const signature = crypto.signThreshold(artifact.dkgId, catchUpBytes(content, artifact.blockHash));
    return signature === undefined ? artifact : { ...content, signature };
  }
  return artifact;
}

interface Maker {
  readonly has: Has;
  readonly random: Random;
  readonly batches: readonly Uint8Array[];
}

/** Undefined: as an honest node would have it. */
function changedBlock({ has, random, batches }: Maker, block: Block): Block | undefined {
  if (has("wrong-time") && random.chance(0.5)) {
    const time = random.chance(0.5) ? block.context.time + 3_600_000_000_000n : block.context.time - 60_000_000_000n;
    return { ...block, context: { ...block.context, time } };
  }
  const { payload } = block;
  if (payload.kind === "summary" && has("wrong-summary"))
    return { ...block, payload: { kind: "summary", summary: wrongSummary(payload.summary, random) } };
  if (payload.kind !== "data") return undefined;
  if (has("empty-blocks")) return { ...block, payload: { ...payload, batch: new Uint8Array() } };
  if (has("replay-batch") && batches.length > 0)
    return { ...block, payload: { ...payload, batch: random.pick(batches) } };
  if (has("garbage-batch") && random.chance(0.5))
    return { ...block, payload: { ...payload, batch: spoiled(payload.batch, random) } };
  const batch = has("unchecked-ingress") ? withForgedCall(payload.batch, batches, random) : undefined;
  return batch && { ...block, payload: { ...payload, batch } };
}

/** Undefined: it knows no call to forge one after. */
function withForgedCall(batch: Uint8Array, batches: readonly Uint8Array[], random: Random): Uint8Array | undefined {
  try {
    const payload = decodePayload(batch);
    const known = batches.flatMap((each) => decodePayload(each).ingress);
    if (known.length === 0) return undefined;
    return encodePayload({ ...payload, ingress: [...payload.ingress, forgedCall(random.pick(known), random)] });
  } catch (error) {
    // What cheap nodes agree on is no payload of calls.
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Like one that a client has signed, and half of the time of the right form. */
function forgedCall(envelope: Uint8Array, random: Random): Uint8Array {
  const name = envelope.findIndex((_, i) => NONCE.every((byte, j) => envelope[i + j] === byte));
  if (name < 0 || random.chance(0.5)) return spoiled(envelope, random);
  const copy = envelope.slice();
  copy.set(random.bytes(NONCE_BYTES), name + NONCE.length + 1);
  return copy;
}

function wrongSummary(summary: DkgSummary, random: Random): DkgSummary {
  switch (random.below(4)) {
    case 0:
      return { ...summary, current: summary.current.slice(0, 1) };
    case 1:
      return { ...summary, registryVersion: summary.registryVersion + 1 };
    case 2:
      return { ...summary, intervalLength: summary.intervalLength + 1 };
    default:
      return { ...summary, next: summary.current };
  }
}

function withPayloadHash(block: Block): Block {
  return { ...block, payloadHash: payloadHash(block.payload) };
}

/** As good as `block`, but for a ms. */
function laterBlock(block: Block): Block {
  return { ...block, context: { ...block.context, time: block.context.time + BigInt(MS) } };
}

function sign({ self, subnetId }: LiarOptions, crypto: ConsensusCrypto, block: Block): BlockProposal {
  const { protocolVersion, height } = block;
  const metadata = { protocolVersion, height, subnetId, blockHash: blockHash(block) };
  const signature = crypto.signBasic(blockMetadataBytes(metadata));
  return { kind: "block-proposal", block, signer: self, signature };
}

function spoiled(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0) return random.bytes(4);
  const copy = bytes.slice();
  const at = random.below(copy.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  return copy;
}

function flood({ random, sayBytes }: LiarPorts): void {
  for (let i = 0; i < 5; i++) {
    const bytes = random.bytes(random.between(0, 200));
    sayBytes(`notarization-share/${random.below(1000)}/${random.below(1_000_000)}`, bytes);
  }
}
