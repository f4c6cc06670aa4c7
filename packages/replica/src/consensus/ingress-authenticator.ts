// Whether messages that peers and blocks bring are really their users': by the same code that authenticates what comes
// over HTTP. Verifying a signature takes longer than everything else that happens to a small message, so a node verifies
// an envelope once, wherever it meets it: in the pool, in the blocks of several makers, in its own. What is remembered is
// the hash of the whole envelope: the request id covers no signature. Sections 8.3, 8.4 and 21.5.
import { authenticate, RequestBatches, SignatureCache } from "@atoll/crypto";
import {
  type CryptoPort,
  type IngressMessage,
  MAX_INGRESS_TTL_NS,
  type RequestId,
  type Time,
  toHex,
} from "@atoll/types";
import type { SubnetDescription } from "../backend.ts";
import { forgetIngress, type ParsedIngress, parseIngress, refuseIngress } from "../ingress-message.ts";

export interface AuthenticatorOptions {
  readonly subnet: Pick<SubnetDescription, "type" | "canisterRanges">;
  /** DER: what canister signatures may go back to. */
  readonly rootKeys: readonly Uint8Array[];
}

/** An envelope that is what it says, while its times last. */
export interface AuthenticIngress {
  readonly message: IngressMessage;
  readonly envelope: Uint8Array;
  /** SHA-256 of the envelope, hex. */
  readonly digest: string;
  readonly delegatedUntil: Time | undefined;
}

export type IngressVerdict =
  | { readonly kind: "authentic"; readonly ingress: AuthenticIngress }
  /** It is not, or no longer, for a block of that time. */
  | { readonly kind: "untimely"; readonly why: string }
  | { readonly kind: "invalid"; readonly why: string };

/** Remembered beside what the pool holds; the oldest ones go first. */
const MAX_REMEMBERED = 20_000;
const MAX_REMEMBERED_BYTES = 64 * 1024 * 1024;

export class IngressAuthenticator {
  readonly #options: AuthenticatorOptions;
  readonly #crypto: CryptoPort;
  readonly #signatures = new SignatureCache();
  readonly #batches: RequestBatches;
  readonly #known = new Map<string, AuthenticIngress>();
  #knownBytes = 0;
  /** The same by the very object: a block is looked at more than once. */
  readonly #byObject = new WeakMap<Uint8Array, AuthenticIngress>();
  /** Of those that are not known, by the object. */
  readonly #digests = new WeakMap<Uint8Array, string>();

  constructor(options: AuthenticatorOptions, crypto: CryptoPort) {
    this.#options = options;
    this.#crypto = crypto;
    this.#batches = new RequestBatches(crypto);
  }

  /** Of an envelope of whatever sender; undefined: it is none. */
  requestIdOf(envelope: Uint8Array): RequestId | undefined {
    const result = parseIngress(envelope, this.#crypto.sha256);
    return result.ok ? result.parsed.message.requestId : undefined;
  }

  /** Envelopes that `check` is given next, for the same time: it takes less work for many at once. `source`: whose they are. */
  prepare(envelopes: readonly Uint8Array[], time: Time, source: string): void {
    const requests: ParsedIngress["envelope"][] = [];
    for (const envelope of envelopes) {
      if (this.known(envelope) !== undefined) continue;
      const result = parseIngress(envelope, this.#crypto.sha256);
      if (result.ok && this.#early(result.parsed, time) === undefined) {
        requests.push(result.parsed.envelope);
      }
    }
    this.#batches.verify(requests, time, source);
  }

  /** Whether the envelope may be in a block of that time. */
  check(envelope: Uint8Array, time: Time): IngressVerdict {
    const found = this.#find(envelope);
    if (typeof found !== "string") {
      const why = untimely(found, time);
      return why === undefined ? { kind: "authentic", ingress: found } : { kind: "untimely", why };
    }
    const result = parseIngress(envelope, this.#crypto.sha256);
    if (!result.ok) return { kind: "invalid", why: result.error };
    return this.#verify(envelope, found, result.parsed, time);
  }

  /** Of what was authenticated before, or admitted; its times are not looked at. */
  known(envelope: Uint8Array): AuthenticIngress | undefined {
    const found = this.#find(envelope);
    return typeof found === "string" ? undefined : found;
  }

  /** The digest of an envelope that is not known. */
  #find(envelope: Uint8Array): AuthenticIngress | string {
    const same = this.#byObject.get(envelope);
    if (same !== undefined) return same;
    const digest = this.#digests.get(envelope) ?? toHex(this.#crypto.sha256(envelope));
    const known = this.#known.get(digest);
    if (known === undefined) {
      this.#digests.set(envelope, digest);
      return digest;
    }
    this.#byObject.set(envelope, known);
    return known;
  }

  /** An authentic envelope by its hash, hex; undefined: it was never here, or is forgotten. */
  byDigest(digest: string): Uint8Array | undefined {
    return this.#known.get(digest)?.envelope;
  }

  /** Takes an envelope that this node authenticated when it came in over HTTP. Undefined: no block could carry it. */
  admit(envelope: Uint8Array): AuthenticIngress | undefined {
    const found = this.#find(envelope);
    if (typeof found !== "string") return found;
    const result = parseIngress(envelope, this.#crypto.sha256);
    if (!result.ok || refuseIngress(result.parsed.message, this.#options.subnet) !== undefined) return undefined;
    return this.#remember(envelope, found, result.parsed);
  }

  #verify(envelope: Uint8Array, digest: string, parsed: ParsedIngress, time: Time): IngressVerdict {
    const early = this.#early(parsed, time);
    if (early !== undefined) return early;
    const result = authenticate(parsed.envelope, {
      now: time,
      crypto: this.#crypto,
      rootKeys: this.#options.rootKeys,
      cache: this.#signatures,
      verified: this.#batches,
    });
    if (!result.ok) return { kind: "invalid", why: result.error };
    return { kind: "authentic", ingress: this.#remember(envelope, digest, parsed) };
  }

  /** What keeps its signature from being looked at. */
  #early(parsed: ParsedIngress, time: Time): IngressVerdict | undefined {
    const misplaced = refuseIngress(parsed.message, this.#options.subnet);
    if (misplaced !== undefined) return { kind: "invalid", why: misplaced };
    const why = untimely(parsed, time);
    return why === undefined ? undefined : { kind: "untimely", why };
  }

  #remember(envelope: Uint8Array, digest: string, { message, delegatedUntil }: ParsedIngress): AuthenticIngress {
    const ingress: AuthenticIngress = { message, envelope, digest, delegatedUntil };
    this.#known.set(digest, ingress);
    this.#byObject.set(envelope, ingress);
    this.#digests.delete(envelope);
    forgetIngress(envelope);
    this.#knownBytes += envelope.length;
    for (const [oldest, { envelope: bytes }] of this.#known) {
      if (this.#known.size <= MAX_REMEMBERED && this.#knownBytes <= MAX_REMEMBERED_BYTES) break;
      this.#known.delete(oldest);
      this.#knownBytes -= bytes.length;
    }
    return ingress;
  }
}

/** Section 8.3: it expires between the time of the block and five minutes later, and its delegations do not before. */
function untimely(
  { message, delegatedUntil }: Pick<AuthenticIngress, "message" | "delegatedUntil">,
  time: Time,
): string | undefined {
  if (message.expiry < time) return "it has expired";
  if (message.expiry > time + MAX_INGRESS_TTL_NS) return "it expires too late";
  return delegatedUntil !== undefined && delegatedUntil < time ? "a delegation of its sender has expired" : undefined;
}
