// The bytes that are signed for each kind of artifact: the length and name of what it is for, then its one encoding, so that
// a signature for one purpose never serves another. Section 2. (The hashes by which artifacts refer to each other have
// domains of their own, in artifact-hash.ts.)
import { concatBytes, DOMAIN } from "@atoll/crypto/domain";
import type { Height, PrincipalId } from "@atoll/types";
import { type Codec, fixedBytes, principal, record, text, uint, WireWriter } from "@atoll/types/wire";
import {
  type BeaconContent,
  type BlockReference,
  type CatchUpContent,
  type Hash,
  randomBeaconCodec,
  type TapeContent,
} from "./artifacts.ts";
import { type DkgDealingMessage, dkgDealingMessage, dkgId } from "./dkg-types.ts";

/** What a block maker signs. The subnet is in it, so that nothing of one subnet is of use in another. */
export interface BlockMetadata extends BlockReference {
  readonly subnetId: PrincipalId;
}

export function blockMetadataBytes(content: BlockMetadata): Uint8Array {
  return signedBytes("block_metadata_domain", blockMetadata, content);
}

export function notarizationBytes(content: BlockReference): Uint8Array {
  return signedBytes("notarization_content_domain", blockReference, content);
}

export function finalizationBytes(content: BlockReference): Uint8Array {
  return signedBytes("finalization_content_domain", blockReference, content);
}

export function beaconBytes(content: BeaconContent): Uint8Array {
  return signedBytes("random_beacon_content_domain", beaconContent, content);
}

export function tapeBytes(content: TapeContent): Uint8Array {
  return signedBytes("random_tape_content_domain", tapeContent, content);
}

/** `blockHash`: of the summary block; a share carries only that, a package the block. */
export function catchUpBytes(content: CatchUpContent, blockHash: Hash): Uint8Array {
  return signedBytes("catch_up_content_domain", catchUpContent, { ...content, blockHash });
}

export function dealingBytes(content: DkgDealingMessage): Uint8Array {
  return signedBytes("dealing_content_non_interactive", dkgDealingMessage, { ...content, signature: NO_SIGNATURE });
}

/** Clients verify this one: the domain and the 32 bytes of the root hash. */
export function certificationBytes(rootHash: Hash): Uint8Array {
  return concatBytes(DOMAIN.stateRoot, rootHash);
}

const NO_SIGNATURE = new Uint8Array();
const hash = fixedBytes(32);
const version = text(64);
const height: Codec<Height> = uint();
const referenceFields = { protocolVersion: version, height, blockHash: hash };
const blockReference: Codec<BlockReference> = record(referenceFields);
const blockMetadata: Codec<BlockMetadata> = record({ ...referenceFields, subnetId: principal });
const beaconContent: Codec<BeaconContent> = record({ protocolVersion: version, height, parent: hash, dkgId });
const tapeContent: Codec<TapeContent> = record({ protocolVersion: version, height, dkgId });
const catchUpContent: Codec<CatchUpContent & { readonly blockHash: Hash }> = record({
  protocolVersion: version,
  height,
  beacon: randomBeaconCodec,
  stateHash: hash,
  oldestRegistryVersionInUse: uint(),
  blockHash: hash,
});

const domains = new Map<string, Uint8Array>();

function signedBytes<T>(domain: string, codec: Codec<T>, content: T): Uint8Array {
  let separator = domains.get(domain);
  if (separator === undefined) {
    const name = new TextEncoder().encode(domain);
    separator = Uint8Array.of(name.length, ...name);
    domains.set(domain, separator);
  }
  const writer = new WireWriter();
  writer.raw(separator);
  codec.write(writer, content);
  return writer.take();
}
