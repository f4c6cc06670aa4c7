// Clock and entropy of the system. The clock never goes back within one process, whatever somebody does to the
// machine's time.
import { randomFillSync } from "node:crypto";
import type { ClockPort, EntropyPort, Time } from "@atoll/types";

let last: Time = 0n;

export const nodeClock: ClockPort = {
  now() {
    const now = BigInt(Date.now()) * 1_000_000n;
    if (now > last) last = now;
    return last;
  },
};

export const nodeEntropy: EntropyPort = {
  randomBytes: (length) => randomFillSync(new Uint8Array(length)),
};
