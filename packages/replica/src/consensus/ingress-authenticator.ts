// Whether messages that peers and blocks bring are really their users': by the same code that authenticates what comes
// over HTTP. Verifying a signature takes longer than everything else that happens to a small message, so a node verifies
// an envelope once, wherever it meets it: in the pool, in the blocks of several makers, in its own. What is remembered is
// the hash of the whole envelope: the request id covers no signature. Sections 8.3, 8.4 and 21.5.
import { authenticate, SignatureCache } from "@atoll/crypto";
import { type CryptoPort, type IngressMessage, MAX_INGRESS_TTL_NS, type Time, toHex } from "@atoll/types";
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
  readonly #known = new Map<string, AuthenticIngress>();
  #knownBytes = 0;
  /** The same by the very object: a block is looked at more than once. */
  readonly #byObject = new WeakMap<Uint8Array, AuthenticIngress>();

  constructor(options: AuthenticatorOptions, crypto: CryptoPort) {
    this.#options = options;
    this.#crypto = crypto;
  }

  /** Whether the envelope may be in a block of that time. */
  check(envelope: Uint8Array, time: Time): IngressVerdict {
    const found = this.#find(envelope);
    if (typeof found !== "string") return timely(found, time);
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
    const digest = toHex(this.#crypto.sha256(envelope));
    const known = this.#known.get(digest);
    if (known === undefined) return digest;
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
    const misplaced = refuseIngress(parsed.message, this.#options.subnet);
    if (misplaced !== undefined) return { kind: "invalid", why: misplaced };
    const early = timely({ ...parsed, envelope, digest }, time);
    if (early.kind !== "authentic") return early;
    const result = authenticate(parsed.envelope, {
      now: time,
      crypto: this.#crypto,
      rootKeys: this.#options.rootKeys,
      cache: this.#signatures,
    });
    if (!result.ok) return { kind: "invalid", why: result.error };
    return { kind: "authentic", ingress: this.#remember(envelope, digest, parsed) };
  }

  #remember(envelope: Uint8Array, digest: string, { message, delegatedUntil }: ParsedIngress): AuthenticIngress {
    const ingress: AuthenticIngress = { message, envelope, digest, delegatedUntil };
    this.#known.set(digest, ingress);
    this.#byObject.set(envelope, ingress);
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
function timely(ingress: AuthenticIngress, time: Time): IngressVerdict {
  const { message, delegatedUntil } = ingress;
  if (message.expiry < time) return { kind: "untimely", why: "it has expired" };
  if (message.expiry > time + MAX_INGRESS_TTL_NS) return { kind: "untimely", why: "it expires too late" };
  if (delegatedUntil !== undefined && delegatedUntil < time) {
    return { kind: "untimely", why: "a delegation of its sender has expired" };
  }
  return { kind: "authentic", ingress };
}
