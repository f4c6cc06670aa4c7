// Requests that come together have their signatures verified together, before they are authenticated one by one: Ed25519
// takes a third of the time that way. `authenticate` is told of those that are good; of others nothing is kept, so they are
// refused as always. It is tried only with requests that would have their signature verified in any case.
import type { CryptoPort, SignedMessage, Time } from "@atoll/types";
import type { CallContent, Envelope, ReadStateContent } from "./envelope.ts";
import { parsePublicKey } from "./public-key.ts";
import { checkBeforeSignature } from "./request-auth.ts";
import { requestIdOfContent, requestMessage } from "./request-content.ts";
import { selfAuthenticatingId } from "./subnet-key.ts";

type SignedRequest = Envelope<CallContent | ReadStateContent>;

interface Candidate {
  readonly request: SignedRequest;
  readonly signed: SignedMessage;
}

/** As many share their doublings; one wrong signature spoils no more. */
const MAX_TOGETHER = 64;
/** So few cost as much together as they do singly. */
const MIN_TOGETHER = 3;
/** Batches of a source that are not tried after one with several wrong signatures: twice as many each time, up to these. */
const LONGEST_PAUSE = 16;

export class RequestBatches {
  readonly #crypto: CryptoPort;
  /** For as long as the very objects live. */
  readonly #verified = new WeakSet<SignedRequest>();
  /** By source, as long as its last batch had several wrong signatures. */
  readonly #pauses = new Map<string, { readonly length: number; left: number }>();

  constructor(crypto: CryptoPort) {
    this.#crypto = crypto;
  }

  /** Whether its signature is good; false: it is not, or was not verified here. */
  has(request: SignedRequest): boolean {
    return this.#verified.has(request);
  }

  /** `source`: whoever is to blame for wrong ones; there must not be many. */
  verify(requests: readonly SignedRequest[], now: Time, source: string): void {
    if (requests.length < MIN_TOGETHER) return;
    const candidates: Candidate[] = [];
    for (const request of requests) {
      const signed = this.has(request) ? undefined : plainSignature(request, now, this.#crypto);
      if (signed !== undefined) candidates.push({ request, signed });
    }
    for (let i = 0; i < candidates.length; i += MAX_TOGETHER) {
      this.#verifyFrom(source, candidates.slice(i, i + MAX_TOGETHER));
    }
  }

  #verifyFrom(source: string, batch: readonly Candidate[]): void {
    // It would say nothing about the source.
    if (batch.length < MIN_TOGETHER) return;
    const pause = this.#pauses.get(source);
    if (pause !== undefined && pause.left > 0) {
      pause.left--;
      return;
    }
    if (this.#narrow(batch)) {
      this.#pauses.delete(source);
      return;
    }
    const length = Math.min(LONGEST_PAUSE, 2 * (pause?.length ?? 0.5));
    this.#pauses.set(source, { length, left: length });
  }

  /** One wrong signature is closed in on by halves. False: there are several, which go singly. */
  #narrow(batch: readonly Candidate[]): boolean {
    if (this.#isGood(batch)) return true;
    let rest = batch;
    while (rest.length > 2 * MIN_TOGETHER) {
      const middle = rest.length >> 1;
      const [first, second] = [rest.slice(0, middle), rest.slice(middle)];
      const isFirstGood = this.#isGood(first);
      if (!isFirstGood && !this.#isGood(second)) return false;
      rest = isFirstGood ? second : first;
    }
    return true;
  }

  #isGood(batch: readonly Candidate[]): boolean {
    if (batch.length < MIN_TOGETHER || !this.#crypto.verifyAllEd25519(batch.map(({ signed }) => signed))) return false;
    for (const { request } of batch) this.#verified.add(request);
    return true;
  }
}

/** Undefined: refused before its signature is looked at, or signed in another way. */
function plainSignature(request: SignedRequest, now: Time, crypto: CryptoPort): SignedMessage | undefined {
  const { content, authentication } = request;
  if (authentication === undefined || authentication.delegations.length > 0) return undefined;
  const { publicKey, signature } = authentication;
  const parsed = parsePublicKey(publicKey);
  if (!parsed.ok || parsed.key.kind !== "plain" || parsed.key.algorithm !== "ed25519") return undefined;
  if (signature.length !== 64 || checkBeforeSignature(content, now) !== undefined) return undefined;
  if (content.sender !== selfAuthenticatingId(publicKey, crypto.sha224)) return undefined;
  const message = requestMessage(requestIdOfContent(content, crypto.sha256));
  return { publicKeyDer: publicKey, message, signature };
}
