// Randomness from a seed: the same network with the same seed draws the same keys and gives its canisters the same
// random bytes, so that a test can be run again. Predictable by whoever knows the seed: for tests only.
import type { CryptoPort, EntropyPort } from "@atoll/types";

const BLOCK_BYTES = 32;

export class SeededEntropy implements EntropyPort {
  readonly #seed: Uint8Array;
  readonly #crypto: Pick<CryptoPort, "sha256">;
  #counter: bigint;

  constructor(seed: Uint8Array, crypto: Pick<CryptoPort, "sha256">, counter = 0n) {
    this.#seed = seed;
    this.#crypto = crypto;
    this.#counter = counter;
  }

  randomBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const input = new Uint8Array(this.#seed.length + 8);
    input.set(this.#seed);
    const view = new DataView(input.buffer);
    for (let at = 0; at < length; at += BLOCK_BYTES) {
      view.setBigUint64(this.#seed.length, this.#counter++);
      bytes.set(this.#crypto.sha256(input).subarray(0, length - at), at);
    }
    return bytes;
  }

  /** Draws the same from here on, and is independent of this one. */
  fork(): SeededEntropy {
    return new SeededEntropy(this.#seed, this.#crypto, this.#counter);
  }
}
