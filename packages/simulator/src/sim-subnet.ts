// The subnet of a run before it begins: who its nodes are, their keys, the first record of the registry, the keys that the
// subnet has from the start, and the first state. All of it follows from the seed.
import {
  type CatchUpPackage,
  type ConsensusCrypto,
  type DkgTag,
  type DkgTranscript,
  genesisCatchUpPackage,
  highThreshold,
  lowThreshold,
} from "@atoll/consensus";
import { ed25519KeyToDer, selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto";
import type { SubnetConfig } from "@atoll/state";
import {
  type CryptoPort,
  canisterIdFromIndex,
  type EntropyPort,
  type NodeRecord,
  type PrincipalId,
  type RegistryRecord,
} from "@atoll/types";
import { type LightWorld, lightCrypto, lightNodeRecord, lightTranscript } from "./light-crypto.ts";
import type { Random } from "./random.ts";
import { FIRST_VERSION, type RunPlan } from "./run-plan.ts";
import { WALL_START } from "./sim-clock.ts";

/** Who makes the signatures of a run, light or real. */
export interface CryptoWorld {
  /** `secret`: Ed25519 seed of the node. */
  record(nodeId: PrincipalId, secret: Uint8Array): NodeRecord;
  crypto(nodeId: PrincipalId, secret: Uint8Array, entropy: EntropyPort): ConsensusCrypto;
  /** A key that was dealt before the run begins. */
  deal(options: Pick<DkgTranscript, "dkgId" | "receivers" | "threshold" | "registryVersion">): DkgTranscript;
}

export interface SimIdentity {
  readonly index: number;
  readonly id: PrincipalId;
  readonly secret: Uint8Array;
  readonly record: NodeRecord;
}

export interface SimSubnet {
  readonly identities: readonly SimIdentity[];
  readonly genesis: CatchUpPackage;
  readonly firstRecord: RegistryRecord;
  readonly config: SubnetConfig;
  /** DER. */
  readonly rootKey: Uint8Array;
  readonly transcripts: readonly DkgTranscript[];
}

export function lightWorld(crypto: CryptoPort, random: Random): CryptoWorld {
  const world: LightWorld = { secret: random.bytes(32), sha256: (data) => crypto.sha256(data) };
  return {
    record: (nodeId) => lightNodeRecord(world, nodeId),
    crypto: (nodeId, _, entropy) => lightCrypto(world, nodeId, entropy),
    deal: (options) => lightTranscript(world, options),
  };
}

export function makeSubnet(
  plan: RunPlan,
  { world, crypto, random }: { world: CryptoWorld; crypto: CryptoPort; random: Random },
): SimSubnet {
  const identities = Array.from({ length: plan.members + plan.spares }, (_, index) => {
    const secret = random.stream(`node ${index}`).bytes(32);
    const id = selfAuthenticatingId(ed25519KeyToDer(crypto.ed25519PublicKey(secret)), crypto.sha224);
    return { index, id, secret, record: world.record(id, secret) };
  });
  const members = identities.slice(0, plan.members);
  const subnetId = selfAuthenticatingId(random.stream("subnet").bytes(32), crypto.sha224);
  const firstRecord: RegistryRecord = {
    version: 1,
    subnetId,
    nodes: sorted(members.map(({ record }) => record)),
    settings: plan.settings,
    protocolVersion: FIRST_VERSION,
    haltAtCupHeight: false,
    isHalted: false,
  };
  const deal = (tag: DkgTag, threshold: number): DkgTranscript =>
    world.deal({
      // Like a key that another subnet dealt: those that the first interval deals have the same height.
      dkgId: { startHeight: 0, dealerSubnet: subnetId, tag, target: crypto.sha256(random.stream("target").bytes(32)) },
      receivers: firstRecord.nodes.map(({ nodeId }) => nodeId),
      threshold,
      registryVersion: 1,
    });
  const low = deal("low", lowThreshold(plan.members));
  const high = deal("high", highThreshold(plan.members));
  const rootKey = subnetKeyToDer(high.coefficients[0] as Uint8Array);
  return {
    identities,
    genesis: genesisCatchUpPackage({ record: firstRecord, time: WALL_START, low, high }),
    firstRecord,
    config: {
      subnetId,
      type: "application",
      publicKey: rootKey,
      nodes: members.map(({ id, secret }) => ({
        nodeId: id,
        publicKey: ed25519KeyToDer(crypto.ed25519PublicKey(secret)),
      })),
      canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(0xffff_ffff_ffff_ffffn)]],
      feeNodes: 13,
      provisional: true,
    },
    rootKey,
    transcripts: [low, high],
  };
}

/** As a record has them: by id. */
export function sorted(records: readonly NodeRecord[]): NodeRecord[] {
  return [...records].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}
