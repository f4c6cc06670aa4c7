// What has been verified is not verified again, and what will have to be is verified along with something else: one BLS
// signature more in the same check takes half the time of a check of its own. If not all are right together, what was
// asked is verified alone, and the expected ones when they are asked in their turn.
import type { SignatureCache } from "@atoll/crypto/certificate";
import { concatBytes } from "@atoll/crypto/domain";
import { verifyTogether } from "@atoll/crypto/signature-batch";
import { type CryptoPort, type SignedStatement, toHex } from "@atoll/types";
import { dropOldest } from "./threshold-keys.ts";

/** Whether `verify` says yes, now or before for the same parts, which are all that its answer depends on. */
export type Once = (kind: string, parts: readonly Uint8Array[], verify: () => boolean) => boolean;

export function verifyingOnce(verified: SignatureCache, { sha256 }: CryptoPort): Once {
  return (kind, parts, verify) => {
    const name = nameOf(sha256, kind, parts);
    if (verified.has(name)) return true;
    const isGood = verify();
    if (isGood) verified.add(name);
    return isGood;
  };
}

/** Signatures that wait at a time, and those that are not taken along a second time because they may have been wrong. */
const MAX_EXPECTED = 4;
const MAX_TRIED = 64;

export class ExpectedSignatures {
  readonly #verified: SignatureCache;
  readonly #crypto: CryptoPort;
  readonly #waiting = new Map<string, SignedStatement>();
  readonly #tried = new Set<string>();

  constructor(verified: SignatureCache, crypto: CryptoPort) {
    this.#verified = verified;
    this.#crypto = crypto;
  }

  expect(statement: SignedStatement): void {
    const name = this.#nameOf(statement);
    if (this.#verified.has(name) || this.#tried.has(name) || this.#waiting.has(name)) return;
    dropOldest(this.#waiting, MAX_EXPECTED);
    this.#waiting.set(name, statement);
  }

  verify(statement: SignedStatement): boolean {
    const name = this.#nameOf(statement);
    if (this.#verified.has(name)) return true;
    this.#waiting.delete(name);
    const others = [...this.#waiting];
    this.#waiting.clear();
    if (others.length > 0) {
      for (const [other] of others) {
        dropOldest(this.#tried, MAX_TRIED);
        this.#tried.add(other);
      }
      if (verifyTogether([statement, ...others.map(([, other]) => other)], this.#crypto)) {
        for (const [good] of [[name], ...others]) this.#verified.add(good);
        return true;
      }
    }
    const { publicKeys, message, signature } = statement;
    const [only] = publicKeys;
    const { bls } = this.#crypto;
    const isGood =
      only !== undefined && publicKeys.length === 1
        ? bls.verify(only, message, signature)
        : bls.verifyAggregate(publicKeys, message, signature);
    if (isGood) this.#verified.add(name);
    return isGood;
  }

  #nameOf({ publicKeys, message, signature }: SignedStatement): string {
    return nameOf(this.#crypto.sha256, "bls", [...publicKeys, signature, message]);
  }
}

const encoder = new TextEncoder();

function nameOf(sha256: CryptoPort["sha256"], kind: string, parts: readonly Uint8Array[]): string {
  return toHex(sha256(concatBytes(...[encoder.encode(kind), ...parts].map(sha256))));
}
