// The protocol's nouns and their bytes: what every other package speaks in.
// `ports.ts` and `http.ts` are where effects and requests enter; `limits.ts` has every constant.
export * from "./batch.ts";
export * from "./cbor.ts";
export * from "./errors.ts";
export * from "./hash-tree.ts";
export * from "./hash-tree-codec.ts";
export * from "./ids.ts";
export * from "./initial-dkg.ts";
export * from "./interventions.ts";
export * from "./limits.ts";
export * from "./messages.ts";
export * from "./outcalls.ts";
export * from "./ports.ts";
export * from "./registry.ts";
export * from "./request-id.ts";
export * from "./state-codec.ts";
export * from "./stream-codec.ts";
export * from "./streams.ts";
export * from "./topology.ts";
export * from "./units.ts";
