// The signatures of consensus as it needs them, behind one interface with two implementations: the real one (Ed25519,
// BLS, non-interactive key generation) and a light one for the simulator, which tags instead of signs and still keeps to
// signer sets, thresholds and the uniqueness of combined signatures. Sections 2, 13, 14 and 22.
import type { NodeRecord, PrincipalId } from "@atoll/types";
import type { DkgConfig, DkgId, DkgTranscript } from "./dkg-types.ts";

/** Nothing here throws because of bytes that a peer sent: they are false, invalid or undefined. */
export interface ConsensusCrypto {
  sha256(data: Uint8Array): Uint8Array;

  /** With this node's signing key (Ed25519). */
  signBasic(message: Uint8Array): Uint8Array;
  verifyBasic(node: NodeRecord, message: Uint8Array, signature: Uint8Array): boolean;

  /** With this node's committee key. */
  signMulti(message: Uint8Array): Uint8Array;
  /** Undefined when one of them is no signature at all. They are not checked against keys. */
  combineMulti(signatures: readonly Uint8Array[]): Uint8Array | undefined;
  /** Whether all of `signers` have signed; one signer: its share. */
  verifyMulti(signers: readonly NodeRecord[], message: Uint8Array, signature: Uint8Array): boolean;

  /** Gets this node's share out of a transcript that it is a receiver of, so that it can sign. False: not a receiver, or it cannot be had. */
  loadTranscript(transcript: DkgTranscript): boolean;
  /** Forgets the shares of all transcripts but these. */
  retainTranscripts(dkgIds: readonly DkgId[]): void;
  /** Undefined when no share of that transcript is loaded. */
  signThreshold(dkgId: DkgId, message: Uint8Array): Uint8Array | undefined;
  /** `index`: place of the signer among the receivers. */
  verifyThresholdShare(transcript: DkgTranscript, index: number, message: Uint8Array, signature: Uint8Array): boolean;
  /** From at least `transcript.threshold` shares of different receivers; which ones does not matter. Not checked. */
  combineThreshold(
    transcript: DkgTranscript,
    shares: readonly { readonly index: number; readonly signature: Uint8Array }[],
  ): Uint8Array | undefined;
  /** `publicKey`: the first coefficient of a transcript. */
  verifyThreshold(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Says that `verifyThreshold` will be asked this, and not yet: it is looked at together with what has to be verified next,
   * which takes half the time. A hint: it changes no answer.
   */
  expectThreshold(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void;

  /** A dealing of this node, which is a dealer of `config`; undefined: it lacks its share of the key to be shared anew. */
  createDealing(config: DkgConfig, keys: KeysOf): Uint8Array | undefined;
  verifyDealing(config: DkgConfig, keys: KeysOf, dealer: PrincipalId, content: Uint8Array): boolean;
  /** From exactly `config.collectionThreshold` verified dealings, sorted by dealer. Undefined: they do not fit together. */
  createTranscript(
    config: DkgConfig,
    dealings: readonly { readonly dealer: PrincipalId; readonly content: Uint8Array }[],
  ): DkgTranscript | undefined;
}

/** A node's record at the registry version of a key generation. */
export type KeysOf = (node: PrincipalId) => NodeRecord | undefined;
