// Three intervals with the real cryptography: four nodes that dealt their first keys to each other, one of which is replaced by
// another. The subnet's key stays what clients know, and the client's own BLS verifies all that is signed with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkNodeRecord,
  createGenesisDealings,
  genesisCatchUpPackage,
  genesisKeys,
  isSummaryBlock,
} from "@atoll/consensus";
import { createNodeCrypto } from "@atoll/host-node";
import { DEFAULT_CONSENSUS_SETTINGS, type RegistryRecord, toHex } from "@atoll/types";
import { blsVerify } from "@icp-sdk/core/agent";
import { makeNodes } from "../key-generation.ts";
import { IntervalSubnet, SharedRegistry } from "./interval-subnet.ts";

const L = 4;
const S = (interval: number): number => interval * (L + 1);

test("a node is replaced, keys are dealt anew three times, and clients see one key", async () => {
  const port = await createNodeCrypto();
  const [added, ...members] = makeNodes(5, port);
  assert.ok(added !== undefined);
  const leaving = members[3];
  assert.ok(leaving !== undefined);
  assert.ok([added, ...members].every(({ record }) => checkNodeRecord(record, port) === undefined));
  const nodes = members.map(({ record }) => record);
  const dealings = members.map(({ id, crypto }) => createGenesisDealings(id, nodes, 1, crypto));
  const parts = dealings.flatMap((dealing) => dealing ?? []);
  const dealt = genesisKeys(nodes, 1, parts, { crypto: port, consensusCrypto: added.crypto });
  assert.ok(dealt.ok);
  const { keys } = dealt;
  const record = (version: number, of: RegistryRecord["nodes"]): RegistryRecord => ({
    version,
    subnetId: keys.subnetId,
    nodes: [...of].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    settings: {
      ...DEFAULT_CONSENSUS_SETTINGS,
      unitDelay: 100_000_000n,
      initialNotaryDelay: 20_000_000n,
      dkgIntervalLength: L,
      dkgDealingsPerBlock: 4,
      backlogDelay: 0n,
      registryStableAge: 0n,
    },
    protocolVersion: "0.1.0",
    haltAtCupHeight: false,
    isHalted: false,
  });
  const first = record(1, nodes);
  const genesis = genesisCatchUpPackage({ record: first, time: 1_700_000_000_000_000_000n, ...keys });
  const registry = new SharedRegistry();
  registry.publish(first, 0n);
  const subnet = new IntervalSubnet(keys.subnetId, registry);
  for (const { id, crypto } of [added, ...members]) subnet.start({ id, crypto, genesis });
  registry.publish(record(2, [...nodes.filter((node) => node !== leaving.record), added.record]), subnet.now.monotonic);
  subnet.runUntil(
    () => [...subnet.nodes.values()].every(({ consensus }) => consensus.catchUpPackage().height >= S(3)),
    () => "the third catch-up package",
  );
  // One more round, so that the keys of the third interval have signed.
  subnet.runTo(S(3) + 2);

  const shareOf = (id: typeof added.id, height: number) =>
    subnet.nodes
      .get(id)
      ?.events.some(
        (event) => event.kind === "signed" && event.what === "certification-share" && event.height === height,
      );
  assert.ok(shareOf(added.id, S(3) + 1) && !shareOf(added.id, S(3) - 1));
  assert.ok(!shareOf(leaving.id, S(3) + 1) && shareOf(leaving.id, S(3) - 1));
  const anyone = subnet.nodes.get(added.id);
  assert.ok(anyone !== undefined);
  for (let height = 1; height <= S(3) + 1; height++) {
    const certification = anyone.state.signatures.get(height);
    assert.ok(certification !== undefined);
    const message = Uint8Array.of(13, ...new TextEncoder().encode("ic-state-root"), ...certification.rootHash);
    assert.ok(await blsVerify(keys.publicKey, certification.signature, message), `certification ${height}`);
  }
  const { block } = anyone.consensus.catchUpPackage();
  assert.ok(isSummaryBlock(block));
  const { current } = block.payload.summary;
  assert.deepEqual(
    current.map(({ dkgId, receivers }) => [dkgId.tag, dkgId.startHeight, receivers.includes(added.id)]),
    [
      ["low", S(1), true],
      ["high", S(1), true],
    ],
  );
  assert.equal(toHex(current[1]?.coefficients[0] as Uint8Array), toHex(keys.publicKey));
});
