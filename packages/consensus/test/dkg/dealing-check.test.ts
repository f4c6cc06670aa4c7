// Whether a dealing is right depends on the key generation that it is for, and not on its id alone: on two chains, of which one
// will be final, the same id can stand for other receivers. Section 12.3.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DkgConfig, dealingBytes } from "@atoll/consensus";
import { sha256 } from "@atoll/crypto/sha";
import { lightCrypto, lightNodeRecord } from "@atoll/simulator";
import { DEFAULT_CONSENSUS_SETTINGS, type PrincipalId, type RegistryPort, type RegistryRecord } from "@atoll/types";
import { checkDealing } from "../../src/dkg/dealing-check.ts";

const SUBNET = "5302" as PrincipalId;
const [A, B, C, STRANGER] = ["aa02", "bb02", "cc02", "ee02"] as [PrincipalId, PrincipalId, PrincipalId, PrincipalId];
const world = { secret: new Uint8Array(32).fill(42), sha256 };

test("what is a right dealing on one chain can be a wrong one on another", () => {
  const record: RegistryRecord = {
    version: 1,
    subnetId: SUBNET,
    nodes: [A, B, C].map((id) => lightNodeRecord(world, id)),
    settings: DEFAULT_CONSENSUS_SETTINGS,
    protocolVersion: "0.1.0",
    haltAtCupHeight: false,
    isHalted: false,
  };
  const registry: RegistryPort = { latestVersion: () => 1, record: () => record, knownSince: () => 0n };
  const dkgId = { startHeight: 10, dealerSubnet: SUBNET, tag: "low", target: undefined } as const;
  const config = (receivers: readonly PrincipalId[]): DkgConfig => ({
    ...{ dkgId, receivers, dealers: [A, B, C], threshold: 1, collectionThreshold: 1, registryVersion: 1 },
    resharing: undefined,
  });
  const crypto = lightCrypto(world, A, { randomBytes: (length) => new Uint8Array(length) });
  const keys = (id: PrincipalId) => record.nodes.find(({ nodeId }) => nodeId === id);
  const content = crypto.createDealing(config([A, B, C]), keys);
  assert.ok(content !== undefined);
  const unsigned = { dkgId, dealer: A, content, signature: new Uint8Array() };
  const message = { ...unsigned, signature: crypto.signBasic(dealingBytes(unsigned)) };
  assert.equal(checkDealing(crypto, registry, config([A, B, C]), message), "valid");
  assert.equal(checkDealing(crypto, registry, config([A, B, STRANGER]), message), "invalid");
  assert.equal(checkDealing(crypto, registry, config([A, B, C]), message), "valid");
});
