// What the blocks between the certified state and a new block carry already: the new one must not repeat it. Each payload
// is read once, whichever blocks are built on it. Section 8.3, "past payloads".
import type { PastPayload } from "@atoll/consensus";
import { type CryptoPort, type PrincipalId, type RequestId, toHex } from "@atoll/types";
import { WireError } from "@atoll/types/wire";
import { parseIngress } from "../ingress-message.ts";
import type { TakenSlice } from "../xnet/expectations.ts";
import { readSlice } from "../xnet/verify-slice.ts";
import type { IngressAuthenticator } from "./ingress-authenticator.ts";
import { type BatchPayload, decodePayload } from "./payload-codec.ts";

/** One payload, as far as later ones depend on it. */
interface PayloadContent {
  readonly requestIds: ReadonlySet<RequestId>;
  readonly slices: ReadonlyMap<PrincipalId, TakenSlice>;
  readonly outcalls: ReadonlySet<number>;
}

/** Several payloads, one after the other. */
export interface PastContent {
  hasIngress(requestId: RequestId): boolean;
  hasOutcall(outcall: number): boolean;
  /** From one subnet, the oldest first. */
  slices(source: PrincipalId): readonly TakenSlice[];
}

const NOTHING: PayloadContent = { requestIds: new Set(), slices: new Map(), outcalls: new Set() };

/** More than there are between a certified state and the tip. */
const MAX_KNOWN = 300;

export class PastPayloads {
  readonly #own: PrincipalId;
  readonly #crypto: Pick<CryptoPort, "sha256">;
  readonly #authenticator: IngressAuthenticator;
  readonly #known = new Map<string, PayloadContent>();
  readonly #decoded = new WeakMap<Uint8Array, BatchPayload | "undecodable">();

  constructor(own: PrincipalId, crypto: Pick<CryptoPort, "sha256">, authenticator: IngressAuthenticator) {
    this.#own = own;
    this.#crypto = crypto;
    this.#authenticator = authenticator;
  }

  /** Undefined: these are not the bytes of any payload. The same object is decoded once. */
  decode(batch: Uint8Array): BatchPayload | undefined {
    let decoded = this.#decoded.get(batch);
    if (decoded === undefined) {
      decoded = tryDecode(batch);
      this.#decoded.set(batch, decoded);
    }
    return decoded === "undecodable" ? undefined : decoded;
  }

  content(past: readonly PastPayload[]): PastContent {
    const contents = past.map((payload) => this.#contentOf(payload));
    return {
      hasIngress: (requestId) => contents.some(({ requestIds }) => requestIds.has(requestId)),
      hasOutcall: (outcall) => contents.some(({ outcalls }) => outcalls.has(outcall)),
      slices: (source) => contents.flatMap(({ slices }) => slices.get(source) ?? []),
    };
  }

  #contentOf({ payloadHash, batch }: PastPayload): PayloadContent {
    if (batch.length === 0) return NOTHING;
    const key = toHex(payloadHash);
    const content = this.#known.get(key) ?? this.#read(batch);
    // Again at the end: what was not asked for longest goes first.
    this.#known.delete(key);
    this.#known.set(key, content);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return content;
  }

  #read(batch: Uint8Array): PayloadContent {
    const payload = this.decode(batch);
    if (payload === undefined) return NOTHING;
    const requestIds = new Set<RequestId>();
    for (const envelope of payload.ingress) {
      const requestId = this.#requestIdOf(envelope);
      if (requestId !== undefined) requestIds.add(requestId);
    }
    const slices = new Map<PrincipalId, TakenSlice>();
    for (const { source, certified } of payload.slices) {
      const slice = readSlice(certified, source, this.#own);
      if (typeof slice === "string") continue;
      const { header, messages } = slice;
      slices.set(source, { header: { signalsEnd: header.signalsEnd }, messages: { length: messages.length } });
    }
    const outcalls = new Set([...payload.outcalls, ...payload.divergent].map(({ outcall }) => outcall));
    return { requestIds, slices, outcalls };
  }

  #requestIdOf(envelope: Uint8Array): RequestId | undefined {
    const known = this.#authenticator.known(envelope);
    if (known !== undefined) return known.message.requestId;
    const result = parseIngress(envelope, this.#crypto.sha256);
    return result.ok ? result.parsed.message.requestId : undefined;
  }
}

function tryDecode(batch: Uint8Array): BatchPayload | "undecodable" {
  try {
    return decodePayload(batch);
  } catch (error) {
    if (error instanceof WireError) return "undecodable";
    throw error;
  }
}
