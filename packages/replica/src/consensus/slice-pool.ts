// Certified slices of other subnets' streams, fetched ahead of the blocks that will carry them: a block is made without
// waiting for anybody. One slice of each subnet is held, from where the next block is expected to go on; blocks take a
// part of it. A fetch that fails, or that nobody answers, is tried again later and later. Section 16.4.
import { SignatureCache } from "@atoll/crypto";
import {
  type CryptoPort,
  decodeCertificate,
  type LogPort,
  type PrincipalId,
  principalToText,
  type SubnetRecord,
  type Time,
} from "@atoll/types";
import type { WholeSlice } from "../xnet/cut-slice.ts";
import type { SliceExpectations } from "../xnet/expectations.ts";
import type { StreamNews, SubnetPeers } from "../xnet/incoming-streams.ts";
import { verifySlice } from "../xnet/verify-slice.ts";

/** How the stream of a subnet goes on from the last executed state; undefined: that subnet is not known, or not yet. */
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
const MAX_RETRY_NS = 60_000_000_000n;
/** A fetch that takes longer is given up. */
const FETCH_TIMEOUT_NS = 10_000_000_000n;

export interface HeldSlice extends WholeSlice {
  /** Index that it was asked for from, and of the message after its last one. */
  readonly begin: number;
  readonly end: number;
}

interface Source {
  news: StreamNews;
  /** The latest two: while the blocks of one are decided on, the next one is fetched. */
  held: readonly HeldSlice[];
  /** Where the block will go on from that follows those that were built or checked. */
  wanted: number;
  fetching: { readonly since: Time } | undefined;
  failures: number;
  notBefore: Time;
}

export class SlicePool {
  /** Of other subnets' states, for slices in blocks too. */
  readonly signatures = new SignatureCache();
  readonly #own: PrincipalId;
  readonly #peers: SubnetPeers;
  readonly #ports: SlicePoolPorts;
  readonly #sources = new Map<PrincipalId, Source>();
  #now: Time = 0n;

  constructor(own: PrincipalId, peers: SubnetPeers, ports: SlicePoolPorts) {
    this.#own = own;
    this.#peers = peers;
    this.#ports = ports;
  }

  /** Another subnet's stream to this one has moved on. */
  noteNews(subnet: PrincipalId, news: StreamNews): void {
    const source = this.#sources.get(subnet);
    if (source !== undefined) source.news = news;
    else {
      const fresh = { held: [], wanted: 0, fetching: undefined, failures: 0, notBefore: 0n };
      this.#sources.set(subnet, { news, ...fresh });
    }
  }

  /** Subnets of which something is held, sorted. */
  ready(): readonly PrincipalId[] {
    return [...this.#sources].flatMap(([subnet, { held }]) => (held.length === 0 ? [] : [subnet])).sort();
  }

  /** What is held, if a block can go on with it from message `index`; if not, it will be fetched. */
  from(subnet: PrincipalId, index: number): HeldSlice | undefined {
    const source = this.#sources.get(subnet);
    const covering = source?.held.filter((held) => covers(held, index)) ?? [];
    if (source !== undefined && covering.length === 0) source.wanted = index;
    return covering.find(({ end }) => index < end) ?? covering.at(-1);
  }

  /** A block goes up to message `index`: the one after it will want what follows. */
  takenUpTo(subnet: PrincipalId, index: number): void {
    const source = this.#sources.get(subnet);
    if (source === undefined || source.wanted === index) return;
    source.wanted = index;
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
    const { expected } = how;
    const from = Math.max(expected.messageIndex, source.wanted);
    if (!isToBeFetched(source, from, expected)) return undefined;
    if (this.#now < source.notBefore) return source.notBefore;
    const fetching = { since: this.#now };
    source.fetching = fetching;
    this.#fetch(source, from, how).then(
      (held) => {
        if (source.fetching !== fetching) return;
        if (typeof held === "string") return this.#failed(subnet, source, fetching, held);
        source.fetching = undefined;
        source.failures = 0;
        source.held = [...source.held.slice(-1), held];
      },
      (error: unknown) => this.#failed(subnet, source, fetching, error instanceof Error ? error.message : "it failed"),
    );
    return this.#now + FETCH_TIMEOUT_NS;
  }

  async #fetch(source: Source, from: number, { record, expected }: SourceExpectations): Promise<HeldSlice | string> {
    const { news } = source;
    const bytes = await this.#peers.slice(record.subnetId, from, expected.messageLimit);
    if (bytes === undefined) return "nobody has it";
    const check = { source: record, own: this.#own, expected: { ...expected, messageIndex: from } };
    const { crypto } = this.#ports;
    const result = verifySlice(bytes, { ...check, crypto, cache: this.signatures });
    if (!result.ok) return result.reason;
    const { slice } = result;
    // Whatever was heard before: this is what they have certified. What was heard meanwhile is still to be had.
    if (source.news === news) source.news = { end: slice.header.end, signalsEnd: slice.header.signalsEnd };
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
  }
}

function isToBeFetched({ news, held }: Source, from: number, expected: SliceExpectations): boolean {
  const hasMessages = news.end > from && expected.messageLimit > 0;
  const hasSignals = news.signalsEnd > expected.signalIndex;
  const covering = held.filter((each) => covers(each, from));
  if (hasMessages && !covering.some(({ end }) => from < end)) return true;
  return hasSignals && !covering.some(({ slice }) => news.signalsEnd <= slice.header.signalsEnd);
}

function covers({ begin, end }: HeldSlice, index: number): boolean {
  return begin <= index && index <= end;
}
