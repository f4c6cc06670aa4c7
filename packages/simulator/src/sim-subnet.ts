// The subnet of a run before it begins: who its nodes are, their keys, the first record of the registry, the keys that the
// subnet has from the start, and the first state. All of it follows from the seed.
import { type CatchUpPackage, type DkgTranscript, genesisCatchUpPackage } from "@atoll/consensus";
import { ed25519KeyToDer, subnetKeyToDer } from "@atoll/crypto";
import type { SubnetConfig } from "@atoll/state";
import { type CryptoPort, canisterIdFromIndex, type NodeRecord, type RegistryRecord } from "@atoll/types";
import type { CryptoWorld, SimIdentity } from "./crypto-world.ts";
import type { Random } from "./random.ts";
import { FIRST_VERSION, type RunPlan } from "./run-plan.ts";
import { WALL_START } from "./sim-clock.ts";

export interface SimSubnet {
  readonly identities: readonly SimIdentity[];
  readonly genesis: CatchUpPackage;
  readonly firstRecord: RegistryRecord;
  readonly config: SubnetConfig;
  /** DER. */
  readonly rootKey: Uint8Array;
  readonly transcripts: { readonly low: DkgTranscript; readonly high: DkgTranscript };
}

export function makeSubnet(
  plan: RunPlan,
  { world, crypto, random }: { world: CryptoWorld; crypto: CryptoPort; random: Random },
): SimSubnet {
  const identities = Array.from({ length: plan.members + plan.spares }, (_, index) =>
    world.identity(index, random.stream(`node ${index}`)),
  );
  const members = identities.slice(0, plan.members).sort((a, b) => (a.id < b.id ? -1 : 1));
  const { low, high, subnetId } = world.firstKeys(members);
  const firstRecord: RegistryRecord = {
    version: 1,
    subnetId,
    nodes: members.map(({ record }) => record),
    settings: plan.settings,
    protocolVersion: FIRST_VERSION,
    haltAtCupHeight: false,
    isHalted: false,
  };
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
    transcripts: { low, high },
  };
}

/** As a record has them: by id. */
export function sorted(records: readonly NodeRecord[]): NodeRecord[] {
  return [...records].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}
