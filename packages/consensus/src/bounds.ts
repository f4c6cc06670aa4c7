// Bounds of what peers may send, so that decoding takes bounded memory whatever arrives. Generous where the protocol has no
// number of its own: they are against floods, not rules.

/** Nodes of a subnet; the public network has up to 40. */
export const MAX_NODES = 200;
/** A BLS signature has 48 bytes, an Ed25519 one 64. */
export const MAX_SIGNATURE_BYTES = 96;
export const MAX_WITNESS_BYTES = 16 * 1024;
/** Twice the limit of a block's payload: above that it is refused unseen (section 8.2). */
export const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
/** A dealing to 40 nodes has about 45 KB. */
export const MAX_DEALING_BYTES = 1024 * 1024;
/** Key generations that a summary can ask for at once. */
export const MAX_DKG_CONFIGS = 16;

/** What one peer may have waiting in the unvalidated section. Enough for an honest node's shares and blocks of all heights that matter. */
export const MAX_UNVALIDATED_COUNT = 10_000;
export const MAX_UNVALIDATED_BYTES = 64 * 1024 * 1024;
/**
 * Of one kind at one height, of one peer; of catch-up packages: at all heights. An honest node has fewer to offer (a block of
 * each maker, a share for each), and each may cost a pairing before it is known to be wrong.
 */
export const MAX_UNVALIDATED_ALIKE = 16;

/** A segment of the pool on the disk is closed when it has grown to this. */
export const SEGMENT_BYTES = 1024 * 1024;
/** The largest artifact that can be kept; an encoding has at most a payload and a few fields. */
export const MAX_ARTIFACT_BYTES = MAX_PAYLOAD_BYTES + 1024 * 1024;
