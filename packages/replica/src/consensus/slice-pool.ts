// Certified slices of other subnets' streams, fetched ahead of the blocks that will carry them: a block is made without
// waiting for anybody. Of each subnet one question is under way, for what follows the slice that is held, from where the
// next block is expected to go on; blocks take a part of it. Who does not answer, or wrongly, is asked again later and
// later. Section 16.4.
import { SignatureCache } from "@atoll/crypto";
import {
  type CryptoPort,
  decodeCertificate,
  type LogPort,
  MAX_STREAM_SIGNALS,
  type PrincipalId,
  principalToText,
  type SubnetRecord,
  type Time,
} from "@atoll/types";
import type { WholeSlice } from "../xnet/cut-slice.ts";
import type { SliceExpectations } from "../xnet/expectations.ts";
import type { SliceAnswer, SlicePeers } from "../xnet/slice-peers.ts";
import { verifySlice } from "../xnet/verify-slice.ts";

/** How the stream of a subnet goes on from the last executed state; undefined: that subnet is not known. */
export type Expected = (source: PrincipalId) => SourceExpectations | undefined;

export interface SourceExpectations {
  readonly record: SubnetRecord;
  readonly expected: SliceExpectations;
}

interface SlicePoolPorts {
  readonly crypto: Pick<CryptoPort, "sha256" | "bls">;
  readonly log: LogPort;
}

const FIRST_RETRY_NS = 250_000_000n;
const MAX_RETRY_NS = 8_000_000_000n;
/** A fetch that takes longer is given up: whoever has nothing new says so before. */
const FETCH_TIMEOUT_NS = 10_000_000_000n;

export interface HeldSlice extends WholeSlice {
  /** Index that it was asked for from, and of the message after its last one. */
  readonly begin: number;
  readonly end: number;
}

/** From where a stream goes on: the next message, and signals that were seen already. */
interface Place {
  readonly index: number;
  readonly signals: number;
}

interface Source {
  /** The latest two: while the blocks of one are decided on, the next one is fetched. */
  held: readonly HeldSlice[];
  /** Where the block will go on from that follows those that were built or checked. */
  wanted: Place;
  fetching: { readonly since: Time } | undefined;
  failures: number;
  notBefore: Time;
}

export class SlicePool {
  /** Of other subnets' states, for slices in blocks too. */
  readonly signatures = new SignatureCache();
  readonly #own: PrincipalId;
  readonly #peers: SlicePeers;
  readonly #ports: SlicePoolPorts;
  readonly #sources: ReadonlyMap<PrincipalId, Source>;
  #now: Time = 0n;
  /** Called when a fetch has ended: `step` may have the next one to begin. */
  onFetched: (() => void) | undefined;

  constructor(own: PrincipalId, sources: readonly PrincipalId[], peers: SlicePeers, ports: SlicePoolPorts) {
    this.#own = own;
    this.#peers = peers;
    this.#ports = ports;
    this.#sources = new Map(
      sources.map((subnet) => {
        const wanted = { index: 0, signals: 0 };
        return [subnet, { held: [], wanted, fetching: undefined, failures: 0, notBefore: 0n }];
      }),
    );
  }

  /** Subnets of which something is held, sorted. */
  ready(): readonly PrincipalId[] {
    return [...this.#sources].flatMap(([subnet, { held }]) => (held.length === 0 ? [] : [subnet])).sort();
  }

  /** What is held, if a block can go on with it; if not, it will be fetched. */
  from(subnet: PrincipalId, { messageIndex: index, signalIndex: signals, ownEnd }: SliceExpectations) {
    const source = this.#sources.get(subnet);
    const covering = source?.held.filter((held) => covers(held, { index, signals })) ?? [];
    if (source !== undefined && covering.length === 0) source.wanted = { index, signals };
    // They may have had messages of ours that this block does not count with yet.
    const usable = covering.filter(({ slice }) => slice.header.signalsEnd <= ownEnd);
    return usable.find(({ end }) => index < end) ?? usable.at(-1);
  }

  /** A block goes up to message `index` and signal `signals`: the one after it will want what follows. */
  takenUpTo(subnet: PrincipalId, index: number, signals: number): void {
    const source = this.#sources.get(subnet);
    if (source !== undefined) source.wanted = { index, signals };
  }

  /** Begins the fetches that are due; gives the time of the next one, or undefined when none is to come. */
  step(now: Time, expectedOf: Expected): Time | undefined {
    this.#now = now;
    let wake: Time | undefined;
    for (const [subnet, source] of this.#sources) {
      const { fetching } = source;
      if (fetching !== undefined && now - fetching.since >= FETCH_TIMEOUT_NS) {
        this.#failed(subnet, source, fetching, "nobody answered in time");
      }
      const at = this.#stepSource(subnet, source, expectedOf(subnet));
      if (at !== undefined && (wake === undefined || at < wake)) wake = at;
    }
    return wake;
  }

  #stepSource(subnet: PrincipalId, source: Source, how: SourceExpectations | undefined): Time | undefined {
    if (source.fetching !== undefined) return source.fetching.since + FETCH_TIMEOUT_NS;
    if (how === undefined) return undefined;
    const { expected, record } = how;
    const index = Math.max(expected.messageIndex, source.wanted.index);
    const signals = Math.max(expected.signalIndex, source.wanted.signals);
    const covering = source.held.filter((held) => covers(held, { index, signals }));
    if (covering.some(({ end }) => index < end)) return undefined;
    if (this.#now < source.notBefore) return source.notBefore;
    const known = Math.max(signals, ...covering.map(({ slice }) => slice.header.signalsEnd));
    const fetching = { since: this.#now };
    source.fetching = fetching;
    const question = { from: index, most: expected.messageLimit, signals: known };
    const asked = this.#peers.slice(subnet, question).then((answer) => answer && this.#read(answer, question, record));
    asked.then(
      (held) => {
        if (source.fetching !== fetching) return;
        if (typeof held === "string") return this.#failed(subnet, source, fetching, held);
        source.fetching = undefined;
        source.failures = 0;
        // Of who has nothing new and says so at once.
        source.notBefore = held === undefined ? fetching.since + FIRST_RETRY_NS : 0n;
        if (held !== undefined) source.held = [...source.held.slice(-1), held];
        this.onFetched?.();
      },
      (error: unknown) => this.#failed(subnet, source, fetching, error instanceof Error ? error.message : "it failed"),
    );
    return this.#now + FETCH_TIMEOUT_NS;
  }

  /** Whether blocks can take it is seen when one is made: this node may be behind the others of its subnet. */
  #read(
    { bytes, refuse }: SliceAnswer,
    { from, most, signals }: { from: number; most: number; signals: number },
    source: SubnetRecord,
  ): HeldSlice | string {
    const limits = { messageLimit: Math.min(most, MAX_STREAM_SIGNALS), ownEnd: Number.POSITIVE_INFINITY };
    const expected = { messageIndex: from, signalIndex: signals, ...limits };
    const { crypto } = this.#ports;
    const result = verifySlice(bytes, { source, own: this.#own, expected, crypto, cache: this.signatures });
    if (!result.ok) {
      refuse();
      return result.reason;
    }
    const { slice } = result;
    return { certificate: decodeCertificate(bytes), slice, begin: from, end: from + slice.messages.length };
  }

  #failed(subnet: PrincipalId, source: Source, fetching: object, why: string): void {
    if (source.fetching !== fetching) return;
    source.fetching = undefined;
    const delay = FIRST_RETRY_NS << BigInt(Math.min(source.failures++, 16));
    source.notBefore = this.#now + (delay < MAX_RETRY_NS ? delay : MAX_RETRY_NS);
    const from = principalToText(subnet);
    const level = source.failures === 1 ? "info" : "warning";
    this.#ports.log.log(level, `A slice of the stream from subnet ${from} could not be had: ${why}.`);
    this.onFetched?.();
  }
}

function covers({ begin, end, slice }: HeldSlice, { index, signals }: Place): boolean {
  return begin <= index && index <= end && slice.header.signalsEnd >= signals;
}
