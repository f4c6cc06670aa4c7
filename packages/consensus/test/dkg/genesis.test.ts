// The bytes that every node of a subnet begins with. Consensus and chain-key facts, section 12.6.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@atoll/crypto";
import {
  DEFAULT_CONSENSUS_SETTINGS,
  EnvironmentError,
  type PrincipalId,
  type RegistryRecord,
  toHex,
} from "@atoll/types";
import { beaconHash, blockHash, payloadHash } from "../../src/artifact-hash.ts";
import { encodeArtifact } from "../../src/artifacts.ts";
import { genesisCatchUpPackage } from "../../src/dkg/genesis.ts";
import type { DkgTag, DkgTranscript } from "../../src/dkg-types.ts";

const NODES = ["aa02", "bb02", "cc02", "dd02"] as PrincipalId[];
const SUBNET = "5302" as PrincipalId;

const record: RegistryRecord = {
  version: 1,
  subnetId: SUBNET,
  nodes: NODES.map((nodeId, i) => ({
    nodeId,
    signingKey: new Uint8Array(32).fill(i),
    committeeKey: new Uint8Array(96).fill(i),
    committeeKeyProof: new Uint8Array(48).fill(i),
    dealingKey: new Uint8Array(48).fill(i),
    dealingKeyProof: new Uint8Array(48).fill(i),
    address: "",
    httpAddress: "",
  })),
  settings: { ...DEFAULT_CONSENSUS_SETTINGS, dkgIntervalLength: 9 },
  protocolVersion: "0.1.0",
  haltAtCupHeight: false,
  isHalted: false,
};

function transcript(tag: DkgTag, threshold: number, receivers: readonly PrincipalId[] = NODES): DkgTranscript {
  return {
    dkgId: { startHeight: 0, dealerSubnet: SUBNET, tag, target: new Uint8Array(32).fill(7) },
    receivers,
    threshold,
    registryVersion: 1,
    coefficients: Array.from({ length: threshold }, (_, i) => new Uint8Array(96).fill(i + 1)),
    dealings: [],
  };
}

const genesis = { record, time: 1_700_000_000_000_000_000n, low: transcript("low", 2), high: transcript("high", 3) };

test("every node makes the same package of genesis, to the byte", () => {
  const cup = genesisCatchUpPackage(genesis);
  const hash = (bytes: Uint8Array): string => toHex(sha256(bytes));
  assert.deepEqual(
    {
      package: hash(encodeArtifact(cup)),
      block: toHex(blockHash(cup.block)),
      payload: toHex(payloadHash(cup.block.payload)),
      beacon: toHex(beaconHash(cup.beacon)),
    },
    {
      package: "d9795ff6c719047a221a5f02419802f510cfc335e447aeb6185ca3c0934ee33a",
      block: "71a054c15f65c1048813a0f176f5928ebb9ed2f726e3607e207392230237dbdc",
      payload: "89261f5957c4c11edfbe7db09e07c9c73d5a224b924eafec58204e5d9c568cc7",
      beacon: "13d8d0dcbc2dbaa2f13feef24359bc085575fa45c52fc168ea61e628e9a52ba1",
    },
  );
});

test("genesis begins with the initial transcripts, has none for the next interval, and asks for a fresh low and a reshared high key", () => {
  const { block, beacon, signature, height } = genesisCatchUpPackage(genesis);
  assert.equal(height, 0);
  assert.equal(signature.length + beacon.signature.length, 0);
  assert.deepEqual(block.context, { registryVersion: 1, certifiedHeight: 0, time: genesis.time });
  assert.equal(block.rank, 0);
  assert.ok(block.payload.kind === "summary");
  const { summary } = block.payload;
  assert.deepEqual(summary.current, [genesis.low, genesis.high]);
  assert.deepEqual(summary.next, []);
  assert.deepEqual([summary.intervalLength, summary.nextIntervalLength], [9, 9]);
  const [low, high] = summary.configs;
  assert.deepEqual(
    summary.configs.map(({ dkgId }) => [dkgId.tag, dkgId.startHeight, dkgId.target]),
    [
      ["low", 0, undefined],
      ["high", 0, undefined],
    ],
  );
  assert.deepEqual([low?.threshold, low?.collectionThreshold, low?.resharing], [2, 2, undefined]);
  assert.deepEqual([high?.threshold, high?.collectionThreshold, high?.resharing], [3, 3, genesis.high]);
});

test("a recovery begins at a later height with the hash of its state", () => {
  const stateHash = new Uint8Array(32).fill(9);
  const cup = genesisCatchUpPackage({ ...genesis, height: 500, stateHash });
  assert.deepEqual(
    [cup.height, cup.block.height, cup.beacon.height, cup.block.context.certifiedHeight],
    [500, 500, 500, 500],
  );
  assert.deepEqual(cup.stateHash, stateHash);
});

test("transcripts that were dealt to other nodes, or for another key, are refused", () => {
  const bad = (change: Partial<typeof genesis>): void => {
    assert.throws(
      () => genesisCatchUpPackage({ ...genesis, ...change }),
      (error) => error instanceof EnvironmentError && error.code === "bad-genesis",
    );
  };
  bad({ low: transcript("high", 3) });
  bad({ high: transcript("low", 2) });
  bad({ high: transcript("high", 3, NODES.slice(1)) });
  bad({ low: transcript("low", 2, [...NODES].reverse()) });
  const { dkgId } = genesis.high;
  bad({ high: { ...genesis.high, dkgId: { ...dkgId, target: undefined } } });
  bad({ high: { ...transcript("high", 3), coefficients: [new Uint8Array(96)] } });
});
