// HTTPS outcalls on a subnet of many nodes: each node makes the call itself, has the canister's function transform what it
// got, and signs the hash of that; n - f shares on one hash make an answer, which a block carries. An outcall that is not
// replicated is made by one node, whose share has the answer with it. Sections 1 and 9; interface specification, "IC method
// http_request".
//   note(round.outcalls)   after each round, and with the description of the whole state after a start
//   receive, wants         shares of peers
//   open()                 what is known of the outcalls that are open: for the blocks
import type { ConsensusCrypto } from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import {
  fromHex,
  type NodeRecord,
  type OutcallChanges,
  type OutcallClient,
  type OutcallRequest,
  type PeerNetwork,
  type PrincipalId,
  type ResponsePayload,
  toHex,
} from "@atoll/types";
import { type OutcallProposal, type ProposalPorts, proposalHash, proposeOutcall } from "../outcall-proposals.ts";
import {
  decodeOutcallShare,
  encodeOutcallShare,
  type OutcallShare,
  outcallOfId,
  outcallShareBytes,
  outcallShareId,
} from "./outcall-share.ts";

export interface OutcallSharesOptions {
  readonly self: PrincipalId;
  readonly subnetId: PrincipalId;
  /** The node of that id, if it may be one of the subnet's now. */
  readonly node: (id: PrincipalId) => NodeRecord | undefined;
  /** Without it this node makes no outcalls. */
  readonly client?: OutcallClient | undefined;
  readonly onQueryEvents?: ((events: readonly RoundEvent[]) => void) | undefined;
}

export interface OutcallSharesPorts extends ProposalPorts {
  readonly consensusCrypto: Pick<ConsensusCrypto, "signBasic" | "verifyBasic">;
  readonly network: Pick<PeerNetwork, "publish" | "retract">;
}

export interface KnownShare {
  readonly hash: string;
  readonly signature: Uint8Array;
}

/** An outcall that is open in the executed state. */
export interface OpenOutcall {
  readonly request: OutcallRequest;
  /** By signer; all are verified. */
  readonly shares: ReadonlyMap<PrincipalId, KnownShare>;
  /** By their hashes. */
  readonly results: ReadonlyMap<string, ResponsePayload>;
}

interface Entry extends OpenOutcall {
  readonly shares: Map<PrincipalId, KnownShare>;
  readonly results: Map<string, ResponsePayload>;
  isTaken: boolean;
  published: string | undefined;
  /** Bytes of `results`, by who sent them. */
  readonly held: Map<PrincipalId, number>;
}

/** Outcalls being made at a time, each with an answer of up to 2 MB. */
const MAX_IN_THE_MAKING = 200;
/** Of answers that this node got, and of those that one peer sent. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;
const MAX_HELD_BYTES_OF_PEER = 32 * 1024 * 1024;

export class OutcallShares {
  readonly #options: OutcallSharesOptions;
  readonly #ports: OutcallSharesPorts;
  readonly #open = new Map<number, Entry>();
  readonly #heldBytes = new Map<PrincipalId, number>();
  /** No outcall with this number or a higher one has begun here. */
  #next = 0;
  #making = 0;

  constructor(options: OutcallSharesOptions, ports: OutcallSharesPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** A round was executed; with `whole`, a state was loaded, and other outcalls are forgotten. */
  note({ began, ended }: OutcallChanges, { whole }: { readonly whole: boolean } = { whole: false }): void {
    if (whole) {
      const stillOpen = new Set(began.map(({ outcall }) => outcall));
      for (const outcall of this.#open.keys()) if (!stillOpen.has(outcall)) this.#end(outcall);
    }
    for (const request of began) {
      const { outcall } = request;
      this.#next = Math.max(this.#next, outcall + 1);
      if (this.#open.has(outcall)) continue;
      const nothing = { shares: new Map(), results: new Map(), held: new Map() };
      this.#open.set(outcall, { request, ...nothing, isTaken: false, published: undefined });
    }
    for (const outcall of ended) this.#end(outcall);
    this.#makeMore();
  }

  /** In the order of their numbers. */
  open(): Iterable<OpenOutcall> {
    return this.#open.values();
  }

  get(outcall: number): OpenOutcall | undefined {
    return this.#open.get(outcall);
  }

  wants(id: string): boolean {
    const outcall = outcallOfId(id);
    return outcall !== undefined && this.#open.has(outcall);
  }

  receive(peer: PrincipalId, id: string, artifact: Uint8Array): "taken" | "unwanted" | "invalid" {
    const share = decodeOutcallShare(artifact);
    // A node broadcasts its own shares only.
    if (share === undefined || share.signer !== peer) return "invalid";
    if (outcallShareId(share.outcall, artifact, this.#ports.crypto.sha256) !== id) return "invalid";
    const entry = this.#open.get(share.outcall);
    // It has ended here already, or this node has not got to where it begins.
    if (entry === undefined) return share.outcall < this.#next ? "taken" : "unwanted";
    if (entry.shares.has(peer)) return "taken";
    if (!this.#isPossible(entry.request, share)) return "invalid";
    const bytes = share.result === undefined ? 0 : artifact.length;
    if ((this.#heldBytes.get(peer) ?? 0) + bytes > MAX_HELD_BYTES_OF_PEER) return "unwanted";
    const node = this.#options.node(peer);
    if (node === undefined) return "unwanted";
    if (!this.verify(node, share)) return "invalid";
    this.#add(entry, share, bytes);
    return "taken";
  }

  /** Whether it is the share of that node; what was verified before is remembered while the outcall is open. */
  verify(node: NodeRecord, share: Pick<OutcallShare, "outcall" | "hash" | "signature">): boolean {
    const { outcall, hash, signature } = share;
    const known = this.#open.get(outcall)?.shares.get(node.nodeId);
    if (known?.hash === toHex(hash) && toHex(known.signature) === toHex(signature)) return true;
    const message = outcallShareBytes({ subnetId: this.#options.subnetId, outcall, hash });
    return this.#ports.consensusCrypto.verifyBasic(node, message, signature);
  }

  #isPossible({ node, outcall }: OutcallRequest, { signer, hash, result }: OutcallShare): boolean {
    if (node === undefined) return result === undefined;
    if (node !== signer || result === undefined) return false;
    return toHex(proposalHash(outcall, result, this.#ports.crypto.sha256)) === toHex(hash);
  }

  #add(entry: Entry, { signer, hash, signature, result }: OutcallShare, bytes: number): void {
    const key = toHex(hash);
    entry.shares.set(signer, { hash: key, signature });
    if (result !== undefined) {
      entry.results.set(key, result);
      entry.held.set(signer, bytes);
      this.#heldBytes.set(signer, (this.#heldBytes.get(signer) ?? 0) + bytes);
    }
  }

  #end(outcall: number): void {
    const entry = this.#open.get(outcall);
    if (entry === undefined) return;
    this.#open.delete(outcall);
    for (const [signer, bytes] of entry.held) {
      const left = (this.#heldBytes.get(signer) ?? 0) - bytes;
      if (left > 0) this.#heldBytes.set(signer, left);
      else this.#heldBytes.delete(signer);
    }
    if (entry.published !== undefined) this.#ports.network.retract(entry.published);
  }

  #makeMore(): void {
    const { client, self } = this.#options;
    if (client === undefined) return;
    for (const entry of this.#open.values()) {
      const isFull = (this.#heldBytes.get(self) ?? 0) >= MAX_HELD_BYTES;
      if (isFull || this.#making >= MAX_IN_THE_MAKING) return;
      const { node } = entry.request;
      if (entry.isTaken || (node !== undefined && node !== self)) continue;
      entry.isTaken = true;
      this.#making++;
      const done = (): void => {
        this.#making--;
        this.#makeMore();
      };
      // Whatever fails on the way: this node has no answer, and without enough of the others the time runs out.
      this.#make(entry, client).then(done, done);
    }
  }

  async #make(entry: Entry, client: OutcallClient): Promise<void> {
    const { request } = entry;
    const answer = await client(request);
    const { onQueryEvents } = this.#options;
    const proposal = await proposeOutcall(request, answer, this.#ports, onQueryEvents);
    if (this.#open.get(request.outcall) === entry) this.#publish(entry, proposal);
  }

  #publish(entry: Entry, { hash: key, result }: OutcallProposal): void {
    const { self, subnetId } = this.#options;
    const { outcall, node } = entry.request;
    const hash = fromHex(key);
    const signature = this.#ports.consensusCrypto.signBasic(outcallShareBytes({ subnetId, outcall, hash }));
    const share: OutcallShare = { outcall, hash, signer: self, signature, result };
    const artifact = encodeOutcallShare(node === undefined ? { ...share, result: undefined } : share);
    entry.published = outcallShareId(outcall, artifact, this.#ports.crypto.sha256);
    this.#add(entry, share, result.kind === "reply" ? result.data.length : result.message.length);
    this.#ports.network.publish(entry.published, artifact);
  }
}
