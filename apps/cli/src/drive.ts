// The driver of a replica on wall time: calls `step` when it is due or when a message came in. This loop is all
// that moves the network on.
import type { Replica } from "@atoll/replica";
import type { ClockPort, Time } from "@atoll/types";

const NS_PER_MS = 1_000_000n;

export interface Drive {
  /** Ends the loop; resolves when the last step is over. */
  stop(): Promise<void>;
}

export function drive(replica: Replica, clock: ClockPort, onFailure: (error: unknown) => void): Drive {
  let isStopping = false;
  let wake: (() => void) | undefined;
  let hasWork = false;
  replica.onWork = () => {
    hasWork = true;
    wake?.();
  };
  const sleepUntil = (time: Time): Promise<void> =>
    new Promise((resolve) => {
      const milliseconds = Number((time - clock.now()) / NS_PER_MS);
      const timer = setTimeout(done, Math.max(0, milliseconds));
      function done(): void {
        clearTimeout(timer);
        wake = undefined;
        resolve();
      }
      wake = done;
      if (hasWork || isStopping) done();
    });
  const loop = async (): Promise<void> => {
    while (!isStopping) {
      hasWork = false;
      const next = await replica.step(clock.now());
      if (next > clock.now()) await sleepUntil(next);
      // What has arrived on the sockets meanwhile goes into the same block: the cost of a block is shared.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const ended = loop().catch(onFailure);
  return {
    async stop() {
      isStopping = true;
      wake?.();
      await ended;
    },
  };
}
