// What a node knows of the state of its subnet without asking the executor, as far as payloads depend on it: which
// messages are in the ingress history, which canisters there were, where streams stood, which HTTPS outcalls are open.
// A block names the certified height that it was made on; what is asked about an earlier height than that of the last
// execution is answered for that height, so that nodes which have executed further come to the same answer.
import type { StreamPosition } from "@atoll/messaging";
import type { CanisterId, Height, OutcallRequest, PrincipalId, RequestId } from "@atoll/types";
import type { ExecutedRound } from "../executor.ts";

/** The state as payloads need to know it. */
export interface CertifiedFacts {
  /** Of the last execution: nothing is known of later heights. */
  readonly height: Height;
  /** Height of the state that was loaded: of earlier ones it is only known what is left of them in it. */
  readonly since: Height;
  /** Whether the message is in the ingress history, or was until it was forgotten. */
  hasIngress(requestId: RequestId): boolean;
  hadCanister(canister: CanisterId, height: Height): boolean;
  /** Our stream to that subnet at that height; undefined: there was none. */
  streamAt(subnet: PrincipalId, height: Height): StreamPosition | undefined;
  /** An outcall that was open at that height, or that ended since. */
  outcallAt(outcall: number, height: Height): OutcallRequest | undefined;
}

type Noted = Pick<ExecutedRound, "height" | "access" | "streams" | "outcalls">;

/** Heights back for which answers are exact: consensus stops when certification lags by more than 70. */
const REMEMBERED_HEIGHTS = 256;

interface Span<T> {
  readonly value: T;
  /** Heights at which it was so; `until` is the first one at which it was no longer. */
  readonly from: Height;
  until: Height;
}

export class ExecutedFacts implements CertifiedFacts {
  #height: Height = 0;
  #since: Height = 0;
  readonly #requests = new Set<RequestId>();
  readonly #canisters = new Map<CanisterId, Span<true>>();
  readonly #outcalls = new Map<number, Span<OutcallRequest>>();
  readonly #streams = new Map<PrincipalId, Span<StreamPosition>[]>();
  /** Keys of spans that have ended, in the order in which they did. */
  #ended: { readonly height: Height; readonly forget: () => void }[] = [];

  get height(): Height {
    return this.#height;
  }

  get since(): Height {
    return this.#since;
  }

  hasIngress(requestId: RequestId): boolean {
    return this.#requests.has(requestId);
  }

  hadCanister(canister: CanisterId, height: Height): boolean {
    return includes(this.#canisters.get(canister), height);
  }

  streamAt(subnet: PrincipalId, height: Height): StreamPosition | undefined {
    return this.#streams.get(subnet)?.findLast((span) => includes(span, height))?.value;
  }

  outcallAt(outcall: number, height: Height): OutcallRequest | undefined {
    const span = this.#outcalls.get(outcall);
    return includes(span, height) ? span?.value : undefined;
  }

  /** A round was executed; with `whole`, the state of that height was loaded, and what was known is replaced. */
  note(round: Noted, { whole }: { readonly whole: boolean } = { whole: false }): void {
    if (whole) this.#forgetAll();
    const { height, access, streams, outcalls } = round;
    this.#height = height;
    if (whole) this.#since = height;
    // How long it has been so cannot be told of a state that was loaded.
    const from = whole ? 0 : height;
    for (const { id, origin } of access.requests) {
      if (origin === undefined) this.#requests.delete(id);
      else this.#requests.add(id);
    }
    for (const { id, controllers } of access.canisters) {
      if (controllers === undefined) this.#end(this.#canisters, id);
      else if (!includes(this.#canisters.get(id), height)) this.#canisters.set(id, spanOf(true, from));
    }
    for (const request of outcalls.began) this.#outcalls.set(request.outcall, spanOf(request, from));
    for (const outcall of outcalls.ended) this.#end(this.#outcalls, outcall);
    for (const position of streams) this.#noteStream(position, from);
    this.#prune();
  }

  #noteStream(position: StreamPosition, from: Height): void {
    const spans = this.#streams.get(position.subnet) ?? [];
    const last = spans.at(-1);
    if (last !== undefined) last.until = from;
    spans.push(spanOf(position, from));
    const oldest = this.#height - REMEMBERED_HEIGHTS;
    this.#streams.set(
      position.subnet,
      spans.filter(({ until }) => until > oldest),
    );
  }

  #end<K>(spans: Map<K, Span<unknown>>, key: K): void {
    const span = spans.get(key);
    if (span === undefined || span.until !== Number.POSITIVE_INFINITY) return;
    span.until = this.#height;
    const forget = (): void => {
      if (spans.get(key) === span) spans.delete(key);
    };
    this.#ended.push({ height: this.#height, forget });
  }

  #prune(): void {
    const oldest = this.#height - REMEMBERED_HEIGHTS;
    const kept = this.#ended.findIndex(({ height }) => height > oldest);
    if (kept === 0) return;
    for (const { forget } of this.#ended.splice(0, kept < 0 ? this.#ended.length : kept)) forget();
  }

  #forgetAll(): void {
    for (const map of [this.#canisters, this.#outcalls, this.#streams]) map.clear();
    this.#requests.clear();
    this.#ended = [];
  }
}

function spanOf<T>(value: T, from: Height): Span<T> {
  return { value, from, until: Number.POSITIVE_INFINITY };
}

function includes(span: Span<unknown> | undefined, height: Height): boolean {
  return span !== undefined && span.from <= height && height < span.until;
}
