// What other subnets have for this one: notes where each stream stands on both sides, fetches certified slices where the
// other side has gone on, and checks them. A block carries at most one slice of each subnet. Whoever carries the slices
// is a port: another replica of this process, or a node somewhere. Consensus and chain-key, 16.4 and 16.5.
import { SignatureCache } from "@atoll/crypto";
import type { StreamPosition } from "@atoll/messaging";
import {
  type CryptoPort,
  type LogPort,
  type NetworkTopology,
  type PrincipalId,
  principalToText,
  type StreamSlice,
  type SubnetRecord,
  TARGET_SLICE_BYTES_PER_BLOCK,
} from "@atoll/types";
import { type SliceExpectations, sliceExpectations } from "./expectations.ts";
import { verifySlice } from "./verify-slice.ts";

/** The nodes of other subnets. */
export interface SubnetPeers {
  /**
   * A certified slice of the stream of `source` to us with the messages from index `from` on, `most` of them at the most;
   * undefined: it cannot be had.
   */
  slice(source: PrincipalId, from: number, most: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** Where a stream of another subnet to ours stands, as far as we have heard; `begin` is of no interest. */
export type StreamNews = Pick<StreamPosition, "end" | "signalsEnd">;

type IncomingPorts = { readonly crypto: Pick<CryptoPort, "sha256" | "bls">; readonly log: LogPort };

export class IncomingStreams {
  readonly #own: PrincipalId;
  readonly #peers: SubnetPeers;
  readonly #ports: IncomingPorts;
  readonly #cache = new SignatureCache();
  readonly #positions = new Map<PrincipalId, StreamPosition>();
  readonly #news = new Map<PrincipalId, StreamNews>();
  /** The last one that the last block took a slice of. */
  #last: PrincipalId | undefined;
  #topology: NetworkTopology | undefined;

  constructor(own: PrincipalId, peers: SubnetPeers, ports: IncomingPorts) {
    this.#own = own;
    this.#peers = peers;
    this.#ports = ports;
  }

  fork(peers: SubnetPeers, ports: IncomingPorts): IncomingStreams {
    const fork = new IncomingStreams(this.#own, peers, ports);
    for (const [subnet, position] of this.#positions) fork.#positions.set(subnet, position);
    for (const [subnet, news] of this.#news) fork.#news.set(subnet, news);
    fork.#last = this.#last;
    fork.#topology = this.#topology;
    return fork;
  }

  setTopology(topology: NetworkTopology): void {
    this.#topology = topology;
  }

  /** A round has changed our streams. */
  noteOwn(positions: readonly StreamPosition[]): void {
    for (const position of positions) this.#positions.set(position.subnet, position);
  }

  noteNews(source: PrincipalId, news: StreamNews): void {
    this.#news.set(source, news);
  }

  /** Another subnet has something that the next block could take. */
  get hasNews(): boolean {
    for (const [source, news] of this.#news) if (this.#isNew(source, news)) return true;
    return false;
  }

  /** One slice of each subnet that has something new, as far as a block has room for them. */
  async gather(): Promise<StreamSlice[]> {
    const slices: StreamSlice[] = [];
    let room = TARGET_SLICE_BYTES_PER_BLOCK;
    for (const [source, news] of this.#inTurn()) {
      if (room <= 0) break;
      if (!this.#isNew(source, news)) continue;
      const fetched = await this.#fetch(source);
      if (fetched !== undefined) {
        slices.push(fetched.slice);
        room -= fetched.bytes;
        this.#last = source;
        // Where it failed: what has been told since then is still to be had.
      } else if (this.#news.get(source) === news) this.#news.delete(source);
    }
    return slices;
  }

  /** By id, beginning after the last one that had its turn, so that none has to wait while others go on and on. */
  #inTurn(): [PrincipalId, StreamNews][] {
    const all = [...this.#news].sort(([a], [b]) => (a < b ? -1 : 1));
    const next = all.findIndex(([source]) => source > (this.#last ?? ""));
    return next <= 0 ? all : [...all.slice(next), ...all.slice(0, next)];
  }

  async #fetch(source: PrincipalId): Promise<{ readonly slice: StreamSlice; readonly bytes: number } | undefined> {
    const record = this.#record(source);
    const expected = this.#expectations(source);
    if (record === undefined || expected === undefined) return undefined;
    const bytes = await this.#peers.slice(source, expected.messageIndex, expected.messageLimit);
    if (bytes === undefined) return undefined;
    const check = { source: record, own: this.#own, expected, crypto: this.#ports.crypto, cache: this.#cache };
    const result = verifySlice(bytes, check);
    if (result.ok) return { slice: result.slice, bytes: bytes.length };
    const from = principalToText(source);
    this.#ports.log.log("warning", `A slice of the stream from subnet ${from} was refused: ${result.reason}.`);
    return undefined;
  }

  #isNew(source: PrincipalId, { end, signalsEnd }: StreamNews): boolean {
    const expected = this.#expectations(source);
    if (expected === undefined) return false;
    return (end > expected.messageIndex && expected.messageLimit > 0) || signalsEnd > expected.signalIndex;
  }

  #expectations(source: PrincipalId): SliceExpectations | undefined {
    const [own, other] = [this.#record(this.#own), this.#record(source)];
    if (own === undefined || other === undefined) return undefined;
    const ownIsRoot = this.#topology?.rootSubnetId === this.#own;
    return sliceExpectations({ own: own.type, source: other.type, ownIsRoot }, this.#positions.get(source));
  }

  #record(id: PrincipalId): SubnetRecord | undefined {
    return this.#topology?.subnets.find(({ subnetId }) => subnetId === id);
  }
}
