// The two connections with one peer: small frames on one, large ones on the other, so that a block on its way does not hold
// up a share. They live and die together. Section 21.1.
import type { Channel } from "./channel.ts";
import { LANES, type Lane } from "./hello.ts";
import type { TlsLimits } from "./limits.ts";

export interface PairHandler {
  onFrame(frame: Uint8Array): void;
  onWritable(): void;
  /** Once. */
  onClose(why: string): void;
}

/** Frames above this size go by the bulk connection. */
const CONTROL_FRAME_BYTES = 16 * 1024;

export class PeerPair {
  readonly #lanes: Readonly<Record<Lane, Channel>>;
  readonly #handler: PairHandler;
  #isClosed = false;

  constructor(lanes: Readonly<Record<Lane, Channel>>, handler: PairHandler) {
    this.#lanes = lanes;
    this.#handler = handler;
    for (const lane of LANES) {
      lanes[lane].handler = {
        onFrame: (frame) => {
          if (!this.#isClosed) handler.onFrame(frame);
        },
        onWritable: () => {
          if (!this.#isClosed) handler.onWritable();
        },
        onClose: (why) => this.#onClose(why),
      };
    }
  }

  /** Lets the frames in. */
  release(): void {
    for (const lane of LANES) this.#lanes[lane].release();
  }

  send(frame: Uint8Array): boolean {
    return !this.#isClosed && this.#lanes[frame.length > CONTROL_FRAME_BYTES ? "bulk" : "control"].send(frame);
  }

  /** `now`: milliseconds of `performance.now()`. */
  tick(now: number, { aliveMs, deadMs, stuckMs }: TlsLimits): void {
    for (const lane of LANES) {
      const channel = this.#lanes[lane];
      if (now - channel.heardAt > deadMs) this.close("nothing was heard of it");
      else if (channel.stuckAt !== undefined && now - channel.stuckAt > stuckMs) this.close("it does not read");
      else if (now - channel.saidAt >= aliveMs) channel.sayAlive();
    }
  }

  /** The process did not run for a while: what has come in meanwhile was not read yet. */
  forgive(now: number): void {
    for (const lane of LANES) this.#lanes[lane].heardAt = now;
  }

  close(why: string): void {
    for (const lane of LANES) this.#lanes[lane].close(why);
  }

  #onClose(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.close(why);
    this.#handler.onClose(why);
  }
}
