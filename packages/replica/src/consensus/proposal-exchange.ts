// Block proposals between nodes, without the messages that their receivers have: stripped before they are broadcast, filled
// from the own pool when they come in; the messages that are missing are asked of who offered the proposal. Consensus sees
// whole proposals only. Section 21.4.
import type { ArtifactId } from "@atoll/consensus";
import {
  type ArtifactOrigin,
  type CryptoPort,
  MAX_HTTP_BODY_BYTES,
  type PeerNetwork,
  type PrincipalId,
  toHex,
} from "@atoll/types";
import {
  decodeMessages,
  decodeMissing,
  decodeStripped,
  encodeMessages,
  encodeMissing,
  fillProposal,
  isDigestOf,
  type StrippedProposal,
  stripProposal,
  strippedId,
  wholeOfId,
} from "./stripped-proposal.ts";

export interface ProposalExchangePorts {
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly network: Pick<PeerNetwork, "publish" | "retract">;
  /** Asks a peer's `ProposalExchange.serve`. */
  readonly ask: (peer: PrincipalId, question: Uint8Array) => Promise<Uint8Array>;
  /** A message of the pool by the hash of its envelope, hex. */
  readonly envelope: (digest: string) => Uint8Array | undefined;
  /** Hands a whole proposal to consensus. */
  readonly deliver: (peer: PrincipalId, proposal: Uint8Array) => "taken" | "unwanted" | "invalid";
  /** Whether consensus wants the proposal of that id. */
  readonly wants: (whole: ArtifactId) => boolean;
  /** Whether consensus may want it later; else it has it, or is past it. */
  readonly isEarly: (whole: ArtifactId) => boolean;
}

interface Waiting {
  readonly stripped: StrippedProposal;
  readonly peer: PrincipalId;
  /** By place. */
  readonly envelopes: (Uint8Array | undefined)[];
  /** Peers that have not answered yet: one that never does holds up nobody, since others are asked, too. */
  readonly asked: Set<PrincipalId>;
}

interface Published {
  readonly id: string;
  readonly envelopes: readonly Uint8Array[];
}

/** Proposals that messages are missing of: of all peers, and of one. */
const MAX_WAITING = 64;
const MAX_WAITING_OF_PEER = 8;
/** What one answer holds; more is asked for again. */
const MAX_ANSWER_BYTES = MAX_HTTP_BODY_BYTES;

export class ProposalExchange {
  readonly #ports: ProposalExchangePorts;
  readonly #published = new Map<ArtifactId, Published>();
  /** By the ids of the stripped proposals; the oldest first. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(ports: ProposalExchangePorts) {
    this.#ports = ports;
  }

  /** Broadcasts any artifact of consensus: a proposal without its messages, everything else as it is. */
  publish(id: ArtifactId, artifact: Uint8Array, origin?: ArtifactOrigin): void {
    const { network, crypto } = this.#ports;
    const result = id.startsWith("block-proposal/") ? stripProposal(id, artifact, crypto.sha256) : undefined;
    if (result === undefined) {
      network.publish(id, artifact, origin);
      return;
    }
    const { stripped, envelopes } = result;
    const published = { id: strippedId({ whole: id }, stripped, crypto.sha256), envelopes };
    this.#published.set(id, published);
    network.publish(published.id, stripped);
  }

  retract(id: ArtifactId): void {
    const published = this.#published.get(id);
    this.#published.delete(id);
    this.#ports.network.retract(published?.id ?? id);
  }

  /** Empty: the bytes are no stripped proposal. */
  idOf(artifact: Uint8Array): string {
    const stripped = decodeStripped(artifact);
    return stripped === undefined ? "" : strippedId(stripped, artifact, this.#ports.crypto.sha256);
  }

  wants(id: string): boolean {
    const whole = wholeOfId(id);
    return whole !== undefined && this.#ports.wants(whole);
  }

  /** "unwanted" also while messages are missing: when they have come, consensus has the proposal and it is not offered again. */
  receive(peer: PrincipalId, id: string, artifact: Uint8Array): "taken" | "unwanted" | "invalid" {
    const stripped = decodeStripped(artifact);
    if (stripped === undefined || wholeOfId(id) !== stripped.whole) return "invalid";
    if (this.idOf(artifact) !== id) return "invalid";
    if (!this.#ports.wants(stripped.whole)) return this.#ports.isEarly(stripped.whole) ? "unwanted" : "taken";
    const waiting = this.#waiting.get(id) ?? this.#newWaiting(peer, stripped);
    for (const [place, digest] of stripped.digests.entries()) {
      waiting.envelopes[place] ??= this.#ports.envelope(toHex(digest));
    }
    if (waiting.envelopes.includes(undefined)) {
      if (!this.#keep(id, waiting)) return "unwanted";
      this.#ask(peer, id, waiting);
      return "unwanted";
    }
    return this.#complete(peer, id, waiting);
  }

  /** Messages of a proposal that this node broadcasts, for a peer that lacks them. Undefined: refused. */
  serve(question: Uint8Array): Uint8Array | undefined {
    const missing = decodeMissing(question);
    const published = missing === undefined ? undefined : this.#published.get(missing.whole);
    if (missing === undefined || published === undefined) return undefined;
    const envelopes: Uint8Array[] = [];
    let bytes = 0;
    for (const [i, place] of missing.places.entries()) {
      const envelope = published.envelopes[place];
      const isAscending = i === 0 || place > (missing.places[i - 1] as number);
      if (envelope === undefined || !isAscending) return undefined;
      bytes += envelope.length;
      if (envelopes.length > 0 && bytes > MAX_ANSWER_BYTES) break;
      envelopes.push(envelope);
    }
    return encodeMessages(envelopes);
  }

  #newWaiting(peer: PrincipalId, stripped: StrippedProposal): Waiting {
    return { stripped, peer, envelopes: stripped.digests.map(() => undefined), asked: new Set() };
  }

  #keep(id: string, waiting: Waiting): boolean {
    if (this.#waiting.has(id)) return true;
    for (const [other, { stripped }] of this.#waiting) {
      if (!this.#ports.wants(stripped.whole)) this.#waiting.delete(other);
    }
    const ofPeers = new Map<PrincipalId, string[]>();
    for (const [other, { peer }] of this.#waiting) ofPeers.set(peer, [...(ofPeers.get(peer) ?? []), other]);
    const own = ofPeers.get(waiting.peer)?.length ?? 0;
    if (own >= MAX_WAITING_OF_PEER) return false;
    if (this.#waiting.size >= MAX_WAITING) {
      // Several faulty peers together must not keep out the one that has the right proposal.
      const [most = []] = [...ofPeers.values()].sort((a, b) => b.length - a.length);
      if (most.length <= own + 1) return false;
      this.#waiting.delete(most[0] as string);
    }
    this.#waiting.set(id, waiting);
    return true;
  }

  #ask(peer: PrincipalId, id: string, waiting: Waiting): void {
    if (waiting.asked.has(peer)) return;
    waiting.asked.add(peer);
    const places = waiting.envelopes.flatMap((envelope, place) => (envelope === undefined ? [place] : []));
    const question = encodeMissing({ whole: waiting.stripped.whole, places });
    this.#ports.ask(peer, question).then(
      (answer) => {
        waiting.asked.delete(peer);
        if (this.#waiting.get(id) !== waiting || !this.#take(waiting, places, answer)) return;
        if (waiting.envelopes.includes(undefined)) this.#ask(peer, id, waiting);
        else this.#complete(peer, id, waiting);
      },
      // It is offered again, by this peer or another one.
      () => waiting.asked.delete(peer),
    );
  }

  /** Whether the answer brought anything. */
  #take({ stripped, envelopes }: Waiting, places: readonly number[], answer: Uint8Array): boolean {
    const messages = decodeMessages(answer) ?? [];
    let taken = 0;
    for (const [i, envelope] of messages.entries()) {
      const place = places[i];
      const digest = place === undefined ? undefined : stripped.digests[place];
      if (place === undefined || digest === undefined) break;
      if (!isDigestOf(digest, envelope, this.#ports.crypto.sha256)) break;
      envelopes[place] = envelope;
      taken++;
    }
    return taken > 0;
  }

  #complete(peer: PrincipalId, id: string, { stripped, envelopes }: Waiting): "taken" | "unwanted" | "invalid" {
    this.#waiting.delete(id);
    const proposal = fillProposal(stripped, envelopes as Uint8Array[], this.#ports.crypto.sha256);
    return proposal === undefined ? "invalid" : this.#ports.deliver(peer, proposal);
  }
}
