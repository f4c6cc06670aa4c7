// Artifacts as bytes: one form for each, whatever is hashed, signed, kept or sent; domains that keep one purpose from serving
// another; and bytes of strangers that do no harm. Sections 2 and 3.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Artifact,
  artifactCodec,
  beaconBytes,
  blockHash,
  blockMetadataBytes,
  catchUpBytes,
  certificationBytes,
  dealingBytes,
  encodeArtifact,
  finalizationBytes,
  notarizationBytes,
  type RandomBeacon,
  tapeBytes,
} from "@atoll/consensus";
import { type PrincipalId, toHex } from "@atoll/types";
import { decodeWire, WireError } from "@atoll/types/wire";
import fc from "fast-check";
import { TestSubnet } from "./harness/many-nodes.ts";

/** All that four nodes sent to each other in some intervals. */
function traffic(): Uint8Array[] {
  const subnet = new TestSubnet({ settings: { dkgIntervalLength: 4 } });
  subnet.rules.faulty.add(1);
  const seen = new Map<string, Uint8Array>();
  subnet.tamper = (from, to, id, bytes) => {
    seen.set(id, bytes);
    return from === 1 && to === 2 && id.startsWith("block-proposal/") ? subnet.anotherBlock(1, bytes) : undefined;
  };
  // Whether somebody sees both blocks of the faulty maker in time differs from round to round.
  const isProven = () => [...seen.keys()].some((id) => id.startsWith("equivocation-proof/"));
  subnet.run(30_000, () => subnet.finalized(0) >= 16 && isProven());
  return [...seen.values()];
}

describe("artifacts as bytes", () => {
  const all = traffic();
  const kinds = new Set(all.map((bytes) => decodeWire(artifactCodec, bytes).kind));

  it("are all there to be tried", () => assert.equal(kinds.size, 15, [...kinds].join()));

  it("are read and written alike", () => {
    for (const bytes of all) assert.deepEqual(encodeArtifact(decodeWire(artifactCodec, bytes)), bytes);
  });

  it("have one form only, and are refused in any other", () => {
    const changes = fc.tuple(
      fc.nat(all.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.nat(),
    );
    fc.assert(
      fc.property(changes, ([which, places, cut]) => {
        const bytes = (all[which] as Uint8Array).slice();
        for (const [place, byte] of places) bytes[place % bytes.length] = byte;
        for (const content of [bytes, bytes.subarray(0, cut % bytes.length)]) {
          let artifact: Artifact;
          try {
            artifact = decodeWire(artifactCodec, content);
          } catch (error) {
            assert.ok(error instanceof WireError, String(error));
            continue;
          }
          assert.deepEqual(encodeArtifact(artifact), content);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("are signed for one purpose each", () => {
    const protocolVersion = "test";
    const height = 7;
    const hash = new Uint8Array(32).fill(1);
    const dkgId = { startHeight: 0, dealerSubnet: "5b" as PrincipalId, tag: "low" as const, target: undefined };
    const reference = { protocolVersion, height, blockHash: hash };
    const beacon: RandomBeacon = {
      kind: "random-beacon",
      protocolVersion,
      height,
      parent: hash,
      dkgId,
      signature: new Uint8Array(),
    };
    const cup = { protocolVersion, height, beacon, stateHash: hash, oldestRegistryVersionInUse: 1 };
    const messages = [
      blockMetadataBytes({ ...reference, subnetId: "5b" as PrincipalId }),
      notarizationBytes(reference),
      finalizationBytes(reference),
      beaconBytes(beacon),
      tapeBytes(beacon),
      catchUpBytes(cup, hash),
      dealingBytes({ dkgId, dealer: "a1" as PrincipalId, content: hash, signature: hash }),
      certificationBytes(hash),
    ];
    // The length of the name and the name: no message can begin like another.
    const domains = messages.map((message) => toHex(message.subarray(0, 1 + (message[0] as number))));
    assert.equal(new Set(domains).size, messages.length);
    assert.equal(new TextDecoder().decode((messages.at(-1) as Uint8Array).subarray(1, 14)), "ic-state-root");
  });

  it("let a block's hash stand for its payload by the payload's hash", () => {
    const proposals = all
      .map((bytes) => decodeWire(artifactCodec, bytes))
      .filter((each) => each.kind === "block-proposal");
    const hashes = new Set(proposals.map(({ block }) => toHex(blockHash(block))));
    assert.equal(hashes.size, proposals.length);
    const [first] = proposals;
    assert.ok(first !== undefined);
    const stripped = {
      ...first.block,
      payload: { kind: "data" as const, batch: new Uint8Array(), dealings: [], remote: [] },
    };
    assert.deepEqual(blockHash(stripped), blockHash(first.block));
    const other = { ...first.block, payloadHash: new Uint8Array(32) };
    assert.notDeepEqual(blockHash(other), blockHash(first.block));
  });
});
