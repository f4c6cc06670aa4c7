// Non-interactive distributed key generation (consensus and chain-key facts, section 14.2): what consensus uses of it. A
// dealer makes a dealing for receivers that need not be there; everybody checks it; receivers get their shares out of it.
export { createDealing, type DealingCrypto } from "./create-dealing.ts";
export { type DealingTerms, readCoefficients } from "./dealing.ts";
export { dealingPublicKey, proveDealingKey, verifyDealingKey } from "./dealing-key.ts";
export { decryptShare } from "./decrypt-share.ts";
export { type ChunkSearch, createChunkSearch } from "./discrete-log.ts";
export { combinePolynomials, sharePublicKeys } from "./public-polynomial.ts";
export { verifyDealing } from "./verify-dealing.ts";
