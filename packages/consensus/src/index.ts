// Agreement between the nodes of a subnet. So far: certification of states; blocks, notarization, finalization, the
// random beacon and key generation join here when a subnet has many nodes.

export * from "./artifact-hash.ts";
export * from "./artifact-pool.ts";
export * from "./artifacts.ts";
export * from "./bounds.ts";
export * from "./catch-up-package-maker.ts";
export * from "./catch-up-package-validator.ts";
export * from "./certification.ts";
export * from "./certifier.ts";
export * from "./chain-key-crypto.ts";
export * from "./combine-then-verify.ts";
export * from "./consensus.ts";
export * from "./consensus-crypto.ts";
export * from "./dkg/dealer.ts";
export * from "./dkg/dealing-validator.ts";
export * from "./dkg/dkg-payload.ts";
export * from "./dkg/genesis.ts";
export * from "./dkg/key-loader.ts";
export * from "./dkg/registry-version.ts";
export * from "./dkg-types.ts";
export * from "./finalized-chain.ts";
export * from "./genesis-keys.ts";
export * from "./halting.ts";
export * from "./membership.ts";
export * from "./node-keys.ts";
export * from "./open-consensus.ts";
export * from "./pool.ts";
export * from "./pool-section.ts";
export * from "./pool-storage.ts";
export * from "./ports.ts";
export * from "./registry/record-registry.ts";
export * from "./registry/signed-record.ts";
export * from "./role-context.ts";
export * from "./shuffle.ts";
export * from "./signed-bytes.ts";
export * from "./thresholds.ts";
