// What this host's WebAssembly lacks of what canisters may need. Node 26 and today's Chromium lack nothing; browsers
// differ. Asked only when the engine refuses something, or before a network begins where nobody knows the engine.

/** The smallest modules that have the feature in question. */
const PROBES = {
  /** (memory 1) (memory 1) */
  severalMemories: [5, 5, 2, 0, 1, 0, 1],
  /** (memory i64 1) */
  memory64: [5, 3, 1, 4, 1],
  /** (table i64 1 funcref) */
  table64: [4, 4, 1, 0x70, 4, 1],
} as const;

export type EngineFeature = keyof typeof PROBES;

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export function engineHas(feature: EngineFeature): boolean {
  return WebAssembly.validate(Uint8Array.of(...HEADER, ...PROBES[feature]));
}

/** One sentence, for a module that needs these and was refused; undefined: the engine has them all. */
export function lackOf(needed: readonly EngineFeature[]): string | undefined {
  const missing = needed.find((feature) => !engineHas(feature));
  return missing === undefined ? undefined : LACKS[missing];
}

const LACKS: Readonly<Record<EngineFeature, string>> = {
  severalMemories:
    "This host's WebAssembly has no modules with several memories, which every canister here needs: " +
    "Chrome and Edge have them from version 120 on, Firefox from 125 on, Node from 22 on.",
  memory64:
    "This host's WebAssembly has no memories with 64-bit addresses, which this module needs: " +
    "use another host (Chrome and Edge have them from version 133 on, Firefox from 134 on, Node from 24 on), " +
    "or compile the canister for 32-bit memory (Motoko: --legacy-persistence).",
  table64:
    "This host's WebAssembly has no tables with 64-bit indexes, which this module needs: " +
    "use another host (Chrome and Edge have them from version 133 on, Firefox from 134 on, Node from 24 on), " +
    "or compile the canister for 32-bit memory (Motoko: --legacy-persistence).",
};
