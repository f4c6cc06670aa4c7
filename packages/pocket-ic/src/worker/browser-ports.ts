// What a browser's Worker lends to a network: its clock and timers, and cryptography in plain JavaScript. A library of
// WebAssembly for pairings would double the bundle to save milliseconds (docs/decisions/0011).
import { createUniversalCrypto } from "@atoll/crypto/universal-port";
import type { LogPort } from "@atoll/types";
import type { NetworkPorts } from "../network.ts";

export function browserPorts(log: LogPort): NetworkPorts {
  return {
    crypto: createUniversalCrypto(),
    clock: { now: () => BigInt(Date.now()) * 1_000_000n },
    timer: {
      after: (milliseconds, callback) => {
        const handle = setTimeout(callback, milliseconds);
        return () => clearTimeout(handle);
      },
    },
    log,
  };
}
