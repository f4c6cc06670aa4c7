// What other subnets have for this one: notes where each stream stands on both sides, fetches certified slices where the
// other side has gone on, and checks them. A block carries at most one slice of each subnet. Whoever carries the slices
// is a port: another replica of this process, or a node somewhere. Consensus and chain-key, 16.4 and 16.5.
import { SignatureCache } from "@atoll/crypto";
import type { StreamPosition } from "@atoll/messaging";
import {
  type CryptoPort,
  InvariantViolation,
  type LogPort,
  type NetworkTopology,
  type PrincipalId,
  principalToText,
  type StreamSlice,
  type SubnetRecord,
  TARGET_SLICE_BYTES_PER_BLOCK,
  type Time,
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

/** A slice that is on its way, or that could not be had. */
interface Fetch {
  isOpen: boolean;
  arrived: Uint8Array | undefined;
  failures: number;
  notBefore: Time;
}

const FIRST_RETRY_NS = 250_000_000n;
const MAX_RETRY_NS = 60_000_000_000n;

type IncomingPorts = { readonly crypto: Pick<CryptoPort, "sha256" | "bls">; readonly log: LogPort };

export class IncomingStreams {
  readonly #own: PrincipalId;
  readonly #peers: SubnetPeers;
  readonly #ports: IncomingPorts;
  readonly #cache = new SignatureCache();
  readonly #positions = new Map<PrincipalId, StreamPosition>();
  readonly #news = new Map<PrincipalId, StreamNews>();
  /** Of subnets whose nodes answer later than at once. */
  readonly #fetches = new Map<PrincipalId, Fetch>();
  #now: Time = 0n;
  /** The last one that the last block took a slice of. */
  #last: PrincipalId | undefined;
  #topology: NetworkTopology | undefined;
  /** Called when a slice has come that was waited for. */
  onReady: (() => void) | undefined;

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
    for (const [source, news] of this.#news) if (!this.#mustWait(source) && this.#isNew(source, news)) return true;
    return false;
  }

  /**
   * One slice of each subnet that has something new, as far as a block has room for them. Nobody is waited for: a slice
   * that comes later is for a later block. `now`: wall-clock time.
   */
  gather(now: Time): StreamSlice[] {
    this.#now = now;
    const slices: StreamSlice[] = [];
    let room = TARGET_SLICE_BYTES_PER_BLOCK;
    for (const [source, news] of this.#inTurn()) {
      if (room <= 0) break;
      if (this.#mustWait(source) || !this.#isNew(source, news)) continue;
      const fetched = this.#fetch(source);
      if (fetched === "later") continue;
      if (fetched !== undefined) {
        slices.push(fetched.slice);
        room -= fetched.bytes;
        this.#last = source;
        // Where it failed: what has been told since then is still to be had.
      } else if (this.#news.get(source) === news) this.#news.delete(source);
    }
    return slices;
  }

  #mustWait(source: PrincipalId): boolean {
    const fetch = this.#fetches.get(source);
    return fetch !== undefined && fetch.arrived === undefined && (fetch.isOpen || this.#now < fetch.notBefore);
  }

  /** By id, beginning after the last one that had its turn, so that none has to wait while others go on and on. */
  #inTurn(): [PrincipalId, StreamNews][] {
    const all = [...this.#news].sort(([a], [b]) => (a < b ? -1 : 1));
    const next = all.findIndex(([source]) => source > (this.#last ?? ""));
    return next <= 0 ? all : [...all.slice(next), ...all.slice(0, next)];
  }

  #fetch(source: PrincipalId): { readonly slice: StreamSlice; readonly bytes: number } | "later" | undefined {
    const record = this.#record(source);
    const expected = this.#expectations(source);
    if (record === undefined || expected === undefined) return undefined;
    const bytes = this.#ask(source, expected);
    if (bytes === "later" || bytes === undefined) return bytes;
    const check = { source: record, own: this.#own, expected, crypto: this.#ports.crypto, cache: this.#cache };
    const result = verifySlice(bytes, check);
    if (result.ok) return { slice: result.slice, bytes: bytes.length };
    const from = principalToText(source);
    this.#ports.log.log("warning", `A slice of the stream from subnet ${from} was refused: ${result.reason}.`);
    return undefined;
  }

  /** The slice that was waited for, or the answer to a new question; "later": it will come, or be asked for again. */
  #ask(source: PrincipalId, expected: SliceExpectations): Uint8Array | "later" | undefined {
    const arrived = this.#fetches.get(source)?.arrived;
    if (arrived !== undefined) {
      this.#fetches.delete(source);
      return arrived;
    }
    const { failures } = this.#fetches.get(source) ?? { failures: 0 };
    const fetch: Fetch = { isOpen: true, arrived: undefined, failures, notBefore: 0n };
    const failed = (error: unknown): void => this.#failed(source, fetch, error);
    const news = this.#news.get(source);
    try {
      const answer = this.#peers.slice(source, expected.messageIndex, expected.messageLimit);
      if (answer === undefined || answer instanceof Uint8Array) {
        this.#fetches.delete(source);
        return answer;
      }
      this.#fetches.set(source, fetch);
      answer.then((bytes) => this.#arrived(source, fetch, news, bytes), failed);
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      this.#fetches.set(source, fetch);
      failed(error);
    }
    return "later";
  }

  #arrived(source: PrincipalId, fetch: Fetch, news: StreamNews | undefined, bytes: Uint8Array | undefined): void {
    if (this.#fetches.get(source) !== fetch) return;
    fetch.isOpen = false;
    fetch.arrived = bytes;
    if (bytes === undefined) {
      this.#fetches.delete(source);
      if (this.#news.get(source) === news) this.#news.delete(source);
    }
    this.onReady?.();
  }

  #failed(source: PrincipalId, fetch: Fetch, error: unknown): void {
    fetch.isOpen = false;
    const delay = FIRST_RETRY_NS << BigInt(Math.min(fetch.failures++, 16));
    fetch.notBefore = this.#now + (delay < MAX_RETRY_NS ? delay : MAX_RETRY_NS);
    const why = error instanceof Error ? error.message : String(error);
    const from = principalToText(source);
    this.#ports.log.log("warning", `A slice of the stream from subnet ${from} could not be fetched: ${why}`);
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
