// A version of the registry as the operator of a network hands it to its nodes: the record, and a signature over it by the
// registry key that every node was given with its configuration. The registry canister takes that place later. Section 12.
import { concatBytes } from "@atoll/crypto/domain";
import { ed25519KeyToDer } from "@atoll/crypto/public-key";
import type { ConsensusSettings, CryptoPort, NodeRecord, RegistryRecord } from "@atoll/types";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  fixedBytes,
  flag,
  list,
  principal,
  record,
  text,
  u64,
  uint,
} from "@atoll/types/wire";
import { MAX_NODES } from "../bounds.ts";

export interface SignedRegistryRecord {
  readonly record: RegistryRecord;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

/** A record with as many nodes as there may be takes less. */
export const MAX_RECORD_BYTES = 512 * 1024;

const node: Codec<NodeRecord> = record({
  nodeId: principal,
  signingKey: fixedBytes(32),
  committeeKey: fixedBytes(96),
  committeeKeyProof: fixedBytes(48),
  dealingKey: fixedBytes(48),
  dealingKeyProof: bytes(256),
  address: text(256),
  httpAddress: text(256),
});

const settings: Codec<ConsensusSettings> = record({
  unitDelay: u64,
  initialNotaryDelay: u64,
  dkgIntervalLength: uint(),
  dkgDealingsPerBlock: uint(),
  maxIngressPerBlock: uint(),
  maxBlockPayload: uint(),
  minimumChainLength: uint(),
  backlogDelay: u64,
  cupHoldBack: u64,
  registryStableAge: u64,
});

const nodes = list(node, MAX_NODES);
const fields: Codec<Required<RegistryRecord>> = record({
  version: uint(),
  subnetId: principal,
  nodes,
  unassigned: nodes,
  settings,
  protocolVersion: text(64),
  haltAtCupHeight: flag,
  isHalted: flag,
});

/** No unassigned nodes and none mentioned are the same. */
const registryRecord: Codec<RegistryRecord> = {
  write: (writer, value) => fields.write(writer, { ...value, unassigned: value.unassigned ?? [] }),
  read: (reader) => fields.read(reader),
};

export const signedRegistryRecord: Codec<SignedRegistryRecord> = record({
  record: registryRecord,
  signature: fixedBytes(64),
});

export function encodeSignedRecord(signed: SignedRegistryRecord): Uint8Array {
  return encodeWire(signedRegistryRecord, signed);
}

/** Throws WireError. */
export function decodeSignedRecord(encoded: Uint8Array): SignedRegistryRecord {
  return decodeWire(signedRegistryRecord, encoded);
}

/** What the operator signs. */
export function registryRecordBytes(content: RegistryRecord): Uint8Array {
  return concatBytes(DOMAIN, encodeWire(registryRecord, content));
}

/** `secret`: the Ed25519 seed of the operator's registry key. */
export function signRegistryRecord(
  crypto: CryptoPort,
  secret: Uint8Array,
  content: RegistryRecord,
): SignedRegistryRecord {
  return { record: content, signature: crypto.signEd25519(secret, registryRecordBytes(content)) };
}

/** `operatorKey`: 32 bytes. */
export function isSignedBy(crypto: CryptoPort, operatorKey: Uint8Array, signed: SignedRegistryRecord): boolean {
  const message = registryRecordBytes(signed.record);
  return crypto.verify("ed25519", ed25519KeyToDer(operatorKey), message, signed.signature);
}

const NAME = new TextEncoder().encode("registry_record_domain");
const DOMAIN = Uint8Array.of(NAME.length, ...NAME);
