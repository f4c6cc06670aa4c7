// The hashes by which artifacts refer to each other: SHA-256 over the domain of what is hashed and its one encoding. The
// hash of a block covers the hash of its payload instead of the payload, so that both can be checked apart. Section 2.
import { sha256 } from "@atoll/crypto/sha";
import { type Codec, fixedBytes, record, text, uint, WireWriter } from "@atoll/types/wire";
import {
  artifactCodec,
  type Block,
  blockContext,
  type Hash,
  type Payload,
  payloadCodec,
  type RandomBeacon,
  type RandomTape,
  randomBeaconCodec,
} from "./artifacts.ts";

type Sha256 = (data: Uint8Array) => Uint8Array;

const hash = fixedBytes(32);
const blockHeader: Codec<Omit<Block, "payload">> = record({
  protocolVersion: text(64),
  height: uint(),
  parent: hash,
  payloadHash: hash,
  rank: uint(),
  context: blockContext,
});

// Blocks and beacons are never changed, and their hashes are asked for again and again.
const blockHashes = new WeakMap<Block, Hash>();
const beaconHashes = new WeakMap<RandomBeacon, Hash>();

/**
 * Relies on `block.payloadHash`: whoever takes a block from a peer compares that with the payload first. `digest`, here and
 * below: SHA-256; a host may have a fast one.
 */
export function blockHash(block: Block, digest: Sha256 = sha256): Hash {
  const known = blockHashes.get(block);
  if (known !== undefined) return known;
  const fresh = hashOf("block_domain", blockHeader, block, digest);
  blockHashes.set(block, fresh);
  return fresh;
}

export function payloadHash(payload: Payload, digest: Sha256 = sha256): Hash {
  return hashOf("payload_domain", payloadCodec, payload, digest);
}

/** What the beacon of the next height names as its parent. */
export function beaconHash(beacon: RandomBeacon, digest: Sha256 = sha256): Hash {
  const known = beaconHashes.get(beacon);
  if (known !== undefined) return known;
  const fresh = hashOf("random_beacon_domain", randomBeaconCodec, beacon, digest);
  beaconHashes.set(beacon, fresh);
  return fresh;
}

/** The randomness of a batch, from the whole tape. */
export function tapeHash(tape: RandomTape, digest: Sha256 = sha256): Hash {
  return hashOf("random_tape_domain", artifactCodec, tape, digest);
}

const domainName = text(64);

function hashOf<T>(domain: string, codec: Codec<T>, content: T, digest: Sha256): Hash {
  const writer = new WireWriter();
  domainName.write(writer, domain);
  codec.write(writer, content);
  return writer.finish(digest);
}
