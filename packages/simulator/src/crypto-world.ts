// Who makes the signatures of a run. Light ones for most runs; real ones for a share of them, with keys that the nodes deal to
// each other as a real subnet does. Section 22, "Crypto backends".
import {
  type ConsensusCrypto,
  checkNodeRecord,
  createChainKeyCrypto,
  createGenesisDealings,
  createNodeKeys,
  type DkgTag,
  type DkgTranscript,
  type GenesisDealings,
  genesisKeys,
  highThreshold,
  lowThreshold,
  type NodeKeys,
  nodePublicKeys,
} from "@atoll/consensus";
import { ed25519KeyToDer, equalBytes, selfAuthenticatingId } from "@atoll/crypto";
import { type CryptoPort, type EntropyPort, InvariantViolation, type NodeRecord, type PrincipalId } from "@atoll/types";
import { type LightWorld, lightCrypto, lightNodeRecord, lightTranscript } from "./light-crypto.ts";
import type { Random } from "./random.ts";

export interface SimIdentity {
  readonly index: number;
  readonly id: PrincipalId;
  /** Ed25519 seed: answers to queries. */
  readonly secret: Uint8Array;
  readonly record: NodeRecord;
  readonly crypto: (entropy: EntropyPort) => ConsensusCrypto;
}

export interface FirstKeys {
  readonly low: DkgTranscript;
  readonly high: DkgTranscript;
  readonly subnetId: PrincipalId;
}

export interface CryptoWorld {
  /** Whether the keys of a node are its own. */
  checkNode(node: NodeRecord): boolean;
  identity(index: number, random: Random): SimIdentity;
  /** `nodes`: sorted by id. */
  firstKeys(nodes: readonly SimIdentity[]): FirstKeys;
  verifyThreshold(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

export function lightWorld(crypto: CryptoPort, random: Random): CryptoWorld {
  const world: LightWorld = { secret: random.bytes(32), sha256: (data) => crypto.sha256(data) };
  const nobody = selfAuthenticatingId(random.bytes(32), crypto.sha224);
  const verifier = lightCrypto(world, nobody, entropyOf(random));
  return {
    checkNode: (node) => {
      const { committeeKey, dealingKey } = lightNodeRecord(world, node.nodeId);
      return equalBytes(node.committeeKey, committeeKey) && equalBytes(node.dealingKey, dealingKey);
    },
    identity(index, own) {
      const secret = own.bytes(32);
      const id = selfAuthenticatingId(ed25519KeyToDer(crypto.ed25519PublicKey(secret)), crypto.sha224);
      const record = lightNodeRecord(world, id);
      return { index, id, secret, record, crypto: (entropy) => lightCrypto(world, id, entropy) };
    },
    firstKeys(nodes) {
      const subnetId = selfAuthenticatingId(random.stream("subnet").bytes(32), crypto.sha224);
      // Like a key that another subnet dealt: those that the first interval deals begin at the same height.
      const target = crypto.sha256(random.stream("target").bytes(32));
      const deal = (tag: DkgTag, threshold: number): DkgTranscript =>
        lightTranscript(world, {
          dkgId: { startHeight: 0, dealerSubnet: subnetId, tag, target },
          receivers: nodes.map(({ id }) => id),
          threshold,
          registryVersion: 1,
        });
      return {
        low: deal("low", lowThreshold(nodes.length)),
        high: deal("high", highThreshold(nodes.length)),
        subnetId,
      };
    },
    verifyThreshold: (...args) => verifier.verifyThreshold(...args),
  };
}

export function realWorld(crypto: CryptoPort, random: Random): CryptoWorld {
  const keysOf = new Map<PrincipalId, NodeKeys>();
  return {
    checkNode: (node) => checkNodeRecord(node, crypto) === undefined,
    identity(index, own) {
      const keys = createNodeKeys(entropyOf(own));
      const record: NodeRecord = { ...nodePublicKeys(keys, crypto), address: "", httpAddress: "" };
      keysOf.set(record.nodeId, keys);
      return {
        index,
        id: record.nodeId,
        secret: keys.signingSeed,
        record,
        crypto: (entropy) => createChainKeyCrypto(keys, { crypto, entropy }),
      };
    },
    firstKeys(nodes) {
      const records = nodes.map(({ record }) => record);
      const entropy = entropyOf(random.stream("first dealings"));
      const dealings = nodes.map(({ id, crypto: of }) => createGenesisDealings(id, records, 1, of(entropy)));
      const consensusCrypto = nodes[0]?.crypto(entropy);
      if (consensusCrypto === undefined || dealings.includes(undefined))
        throw new InvariantViolation("the first nodes deal keys to each other");
      const result = genesisKeys(records, 1, dealings as GenesisDealings[], { crypto, consensusCrypto });
      if (!result.ok) throw new InvariantViolation(result.error);
      return result.keys;
    },
    verifyThreshold: (publicKey, message, signature) => crypto.bls.verify(publicKey, message, signature),
  };
}

export function entropyOf(random: Random): EntropyPort {
  return { randomBytes: (length) => random.bytes(length) };
}
