// Up to which height votes of this node can be: said by the name of an empty file beside the pool's log, where no damage to what
// files hold reaches it, and made durable before the first vote above the one before. So a log of which nothing can be read, or
// that is gone, still does not let this node sign a second time at a height where it has signed. Section 5.5.
import { EnvironmentError, type Height, type StoragePort } from "@atoll/types";

const NAME = /^pool-votes-([0-9]{16})$/;
/** So many heights at once: what a node abstains from for nothing at most, against a write for each. */
const STEP = 100;
const EMPTY = new Uint8Array();

export class VoteCeiling {
  readonly #storage: StoragePort;
  #height: Height | undefined;

  /** Undefined: there was none, and what the log says is all that is known. */
  get height(): Height | undefined {
    return this.#height;
  }

  constructor(storage: StoragePort) {
    this.#storage = storage;
    const heights = storage.list().flatMap((name) => NAME.exec(name)?.[1] ?? []);
    if (heights.length === 0) return;
    this.#height = Math.max(...heights.map(Number));
    // Perhaps nobody but the memory of the machine knows of it.
    storage.replace(fileName(this.#height), EMPTY);
  }

  /** Before a vote of that height is written; 0: nothing has been signed. Throws what the storage throws. */
  cover(height: Height): void {
    if (this.#height !== undefined && height <= this.#height) return;
    const next = height === 0 ? 0 : height + STEP;
    this.#storage.replace(fileName(next), EMPTY);
    this.#height = next;
    for (const name of this.#storage.list()) if (NAME.test(name) && name !== fileName(next)) this.#remove(name);
  }

  /** The greatest one counts: what stays is removed the next time. */
  #remove(name: string): void {
    try {
      this.#storage.remove(name);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }
}

function fileName(height: Height): string {
  return `pool-votes-${String(height).padStart(16, "0")}`;
}
