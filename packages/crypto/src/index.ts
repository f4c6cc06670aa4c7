// What other packages may use of crypto. The port in plain JavaScript is not among it, because loading its curves takes
// 60 ms: import it from "@atoll/crypto/universal-port".
export * from "./canister-signature.ts";
export * from "./certificate.ts";
export * from "./delegation.ts";
export * from "./der.ts";
export * from "./domain.ts";
export * from "./envelope.ts";
export * from "./hash-tree.ts";
export * from "./public-key.ts";
export * from "./query-response.ts";
export * from "./request-auth.ts";
export * from "./request-batch.ts";
export * from "./request-content.ts";
export * from "./scalar-field.ts";
export * from "./sha.ts";
export * from "./signature-batch.ts";
export * from "./subnet-key.ts";
export * from "./threshold-bls.ts";
export * from "./time-text.ts";
export * from "./user-signature.ts";
export * from "./webauthn.ts";
