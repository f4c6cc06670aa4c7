// The hashes by which artifacts refer to each other: SHA-256 over the domain of what is hashed and its one encoding. The
// hash of a block covers the hash of its payload instead of the payload, so that both can be checked apart. Section 2.
import { sha256 } from "@atoll/crypto/sha";
import { type Codec, encodeWire, fixedBytes, record, text, uint } from "@atoll/types/wire";
import {
  type Block,
  blockContext,
  encodeArtifact,
  type Hash,
  type Payload,
  payloadCodec,
  type RandomBeacon,
  type RandomTape,
  randomBeaconCodec,
} from "./artifacts.ts";

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

/** Relies on `block.payloadHash`: whoever takes a block from a peer compares that with the payload first. */
export function blockHash(block: Block): Hash {
  const known = blockHashes.get(block);
  if (known !== undefined) return known;
  const fresh = sha256(prefixed("block_domain", encodeWire(blockHeader, block)));
  blockHashes.set(block, fresh);
  return fresh;
}

/** `digest`: SHA-256; payloads are large, and a host may have a fast one. */
export function payloadHash(payload: Payload, digest: (data: Uint8Array) => Uint8Array = sha256): Hash {
  return digest(prefixed("payload_domain", encodeWire(payloadCodec, payload)));
}

/** What the beacon of the next height names as its parent. */
export function beaconHash(beacon: RandomBeacon): Hash {
  const known = beaconHashes.get(beacon);
  if (known !== undefined) return known;
  const fresh = sha256(prefixed("random_beacon_domain", encodeWire(randomBeaconCodec, beacon)));
  beaconHashes.set(beacon, fresh);
  return fresh;
}

/** The randomness of a batch, from the whole tape. */
export function tapeHash(tape: RandomTape): Hash {
  return sha256(prefixed("random_tape_domain", encodeArtifact(tape)));
}

function prefixed(domain: string, content: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(domain);
  const whole = new Uint8Array(1 + name.length + content.length);
  whole[0] = name.length;
  whole.set(name, 1);
  whole.set(content, 1 + name.length);
  return whole;
}
