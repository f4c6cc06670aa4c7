// Each height's state tree holds that height and the root hash of the tree before it: who has a certificate of the latest
// height has the whole chain. Consensus and chain-key facts, 10.1 to 10.3.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookupPath, reconstructRoot } from "@atoll/crypto";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import { type ExecutedRound, InlineExecutor, makeSecrets, Replica, soloReplicaOptions } from "@atoll/replica";
import { MemoryStorage, rootHash } from "@atoll/state";
import { type CryptoPort, toHex } from "@atoll/types";
import { heightWitness, NO_STATE, nextTree, type TreeAtHeight } from "../src/certified-tree.ts";

const SECOND_NS = 1_000_000_000n;
const START = 1_800_000_000n * SECOND_NS;
const log = { log: () => undefined };
const label = (text: string): Uint8Array => new TextEncoder().encode(text);
const rootOf = ({ tree }: TreeAtHeight): string => toHex(rootHash(tree, sha256));

const secretsOf = (crypto: CryptoPort) => makeSecrets(nodeEntropy, crypto);

/** A replica whose blocks the test makes, with the trees of the rounds that it told of. */
async function start(crypto: CryptoPort, secrets: ReturnType<typeof secretsOf>, storage: MemoryStorage) {
  const options = soloReplicaOptions(secrets, crypto);
  const executor = new InlineExecutor(options, { storage, crypto: { sha256 }, log });
  const clock = { now: () => START };
  const replica = new Replica(options, { clock, entropy: nodeEntropy, crypto, log }, executor);
  let tree = nextTree(NO_STATE, await replica.start());
  const trees = [tree];
  const makeBlock = async (): Promise<void> => {
    const round: ExecutedRound = await replica.makeBlock(START + BigInt(tree.height) * SECOND_NS);
    tree = nextTree(tree, round);
    trees.push(tree);
  };
  return { replica, trees, makeBlock };
}

test("each height holds the root hash of the one before, across restarts of any kind", async () => {
  const crypto = await createNodeCrypto();
  const secrets = secretsOf(crypto);
  let storage = new MemoryStorage();
  let node = await start(crypto, secrets, storage);
  const roots = new Map(node.trees.map((tree) => [tree.height, rootOf(tree)]));
  for (const end of ["stop", "kill", "stop", "kill"]) {
    for (let i = 0; i < 3; i++) await node.makeBlock();
    for (const tree of node.trees.slice(1)) {
      const shown = heightWitness(tree, sha256);
      assert.equal(toHex(reconstructRoot(shown, sha256)), rootOf(tree));
      const height = lookupPath(shown, [label("metadata"), label("height")]);
      assert.deepEqual(height, { status: "found", value: Uint8Array.of(tree.height) });
      roots.set(tree.height, rootOf(tree));
    }
    const certified = node.replica.backend.certifiedState();
    const previous = certified?.lookup([label("metadata"), label("prev_state_hash")]);
    assert.equal(previous && toHex(previous), roots.get((certified?.height ?? 0) - 1));
    if (end === "stop") await node.replica.stop();
    else storage = storage.clone();
    node = await start(crypto, secrets, storage);
    const [whole] = node.trees as [TreeAtHeight];
    assert.equal(rootOf(whole), roots.get(whole.height), `after ${end}, the tree from nothing is the same`);
  }
});
