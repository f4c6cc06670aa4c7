// How slices go from the nodes of one subnet to those of another when each is a machine of its own: who wants one asks one
// node and is kept waiting until that node has certified something new. Nobody has to be told of news, nothing is asked
// in vain, and a slice proves itself, whoever it came from. Here the side that answers. Section 16.4.
import { decodeStreamHeader, type PrincipalId } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";
import type { CertifiedState } from "../backend.ts";
import { certifiedSlice, headerPath } from "./certified-slice.ts";

export interface SliceQuestion {
  /** Index of the first message that is wanted. */
  readonly from: number;
  /** Messages at the most; 0: signals alone. */
  readonly most: number;
  /** Signals below this index are known: fewer are of no use, and without messages there must be more. */
  readonly signals: number;
}

export interface SliceAnswer {
  readonly bytes: Uint8Array;
  /** It was not what was asked for: other nodes are asked first for a while. */
  refuse(): void;
}

/** The nodes of other subnets. */
export interface SlicePeers {
  /** Of the stream of `source` to us; undefined: there is nothing new so far. Rejects when nobody answers. */
  slice(source: PrincipalId, question: SliceQuestion): Promise<SliceAnswer | undefined>;
}

/** How long who asks is kept waiting for news: a part of what it waits before it gives a node up. */
const WAIT_MS = 4_000;
/** Every node of every other subnet has one question under way, and one that it has given up. */
const MAX_WAITING = 512;

/** What a node gives of the streams in its latest certified state. */
export class SliceServer {
  readonly #state: () => CertifiedState | undefined;
  readonly #timer: TimerPort;
  readonly #waiting = new Set<() => void>();

  constructor(state: () => CertifiedState | undefined, timer: TimerPort) {
    this.#state = state;
    this.#timer = timer;
  }

  /** Something else was certified. */
  moved(): void {
    for (const look of this.#waiting) look();
  }

  /** For the subnet of that id, as soon as there is something new; undefined: there was not, or too many wait. */
  answer(subnet: PrincipalId, question: SliceQuestion): Promise<Uint8Array | undefined> {
    const slice = this.#sliceNow(subnet, question);
    if (slice !== undefined || this.#waiting.size >= MAX_WAITING) return Promise.resolve(slice);
    return new Promise((resolve) => {
      const settle = (found: Uint8Array | undefined): void => {
        cancel();
        this.#waiting.delete(look);
        resolve(found);
      };
      const look = (): void => {
        const found = this.#sliceNow(subnet, question);
        if (found !== undefined) settle(found);
      };
      const cancel = this.#timer.after(WAIT_MS, () => settle(undefined));
      this.#waiting.add(look);
    });
  }

  #sliceNow(subnet: PrincipalId, { from, most, signals }: SliceQuestion): Uint8Array | undefined {
    const state = this.#state();
    const header = state?.lookup(headerPath(subnet));
    if (state === undefined || header === undefined) return undefined;
    const { end, signalsEnd } = decodeStreamHeader(header);
    const isNew = (most > 0 && end > from) || signalsEnd > signals;
    return isNew && signalsEnd >= signals ? certifiedSlice(state, subnet, from, { messages: most }) : undefined;
  }
}
