// ChaCha20's stream of bytes (RFC 8439, sections 2.1 to 2.4) with a zero nonce, as the source of a fixed shuffle: all nodes
// draw the same numbers from the same seed.

/** Draws from the stream of a 32-byte seed. */
export interface SeededDraw {
  /** A whole number from 0 to `bound` - 1, each as likely as any other. */
  below(bound: number): number;
}

const WORDS = 16;
const CONSTANTS = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
const U32 = 2 ** 32;

export function chacha20Draw(seed: Uint8Array): SeededDraw {
  const view = new DataView(seed.buffer, seed.byteOffset, 32);
  const state = new Uint32Array(WORDS);
  state.set(CONSTANTS);
  for (let i = 0; i < 8; i++) state[4 + i] = view.getUint32(4 * i, true);
  let words = new Uint32Array(WORDS);
  let used = WORDS;
  const next = () => {
    if (used === WORDS) {
      words = block(state);
      state[12] = (state[12] as number) + 1;
      used = 0;
    }
    return words[used++] as number;
  };
  return {
    below(bound) {
      // What is above the last multiple of the bound would make small numbers likelier.
      const limit = U32 - (U32 % bound);
      for (;;) {
        const word = next();
        if (word < limit) return word % bound;
      }
    },
  };
}

/** The next 64 bytes of the stream as little-endian words. */
function block(state: Uint32Array): Uint32Array<ArrayBuffer> {
  const mixed = new Uint32Array(state);
  for (let round = 0; round < 10; round++) {
    quarter(mixed, 0, 4, 8, 12);
    quarter(mixed, 1, 5, 9, 13);
    quarter(mixed, 2, 6, 10, 14);
    quarter(mixed, 3, 7, 11, 15);
    quarter(mixed, 0, 5, 10, 15);
    quarter(mixed, 1, 6, 11, 12);
    quarter(mixed, 2, 7, 8, 13);
    quarter(mixed, 3, 4, 9, 14);
  }
  for (let i = 0; i < WORDS; i++) mixed[i] = (mixed[i] as number) + (state[i] as number);
  return mixed;
}

function quarter(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] = (x[a] as number) + (x[b] as number);
  x[d] = rotate((x[d] as number) ^ (x[a] as number), 16);
  x[c] = (x[c] as number) + (x[d] as number);
  x[b] = rotate((x[b] as number) ^ (x[c] as number), 12);
  x[a] = (x[a] as number) + (x[b] as number);
  x[d] = rotate((x[d] as number) ^ (x[a] as number), 8);
  x[c] = (x[c] as number) + (x[d] as number);
  x[b] = rotate((x[b] as number) ^ (x[c] as number), 7);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
