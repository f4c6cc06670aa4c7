// A node fetches what the root subnet says of its own subnet: a certificate with less in it than was asked for is not taken,
// though it is signed, and another node of the root subnet is asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { reconstructRoot, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto } from "@atoll/host-node";
import {
  encodeCbor,
  encodeCertificate,
  encodeLeb128,
  type HashTree,
  principalFromBytes,
  principalFromText,
} from "@atoll/types";
import { keepDelegation } from "../src/nodes/root-delegation.ts";

const crypto = await createNodeCrypto();
const SECRET = new Uint8Array(32).fill(7);
const rootKey = subnetKeyToDer(crypto.bls.publicKey(SECRET));
const publicKey = subnetKeyToDer(crypto.bls.publicKey(new Uint8Array(32).fill(8)));
const rootSubnetId = principalFromText("rrkah-fqaaa-aaaaa-aaaaq-cai") ?? assert.fail();
const id = Uint8Array.of(1, 2, 3);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const fork = (...[first, ...rest]: HashTree[]): HashTree =>
  rest.length === 0 ? (first as HashTree) : { kind: "fork", left: first as HashTree, right: fork(...rest) };
const at = (label: string | Uint8Array, child: HashTree): HashTree => ({
  kind: "labeled",
  label: typeof label === "string" ? bytes(label) : label,
  child,
});
const leaf = (value: Uint8Array): HashTree => ({ kind: "leaf", value });
const pruned = (tree: HashTree): HashTree => ({ kind: "pruned", hash: reconstructRoot(tree, crypto.sha256) });
type Cut = "nothing" | "flat" | "shards" | "shard" | "type";

/** The state of the root subnet, without what is cut. */
function certificate(cut: Cut): Uint8Array {
  const but = (name: Cut, tree: HashTree) => (cut === name ? pruned(tree) : tree);
  const ranges = leaf(encodeCbor([[Uint8Array.of(0), Uint8Array.of(9)]]));
  const tree = fork(
    but("shards", at("canister_ranges", at(id, at(Uint8Array.of(0), but("shard", ranges))))),
    at(
      "subnet",
      at(
        id,
        fork(
          but("flat", at("canister_ranges", ranges)),
          at("public_key", leaf(publicKey)),
          but("type", at("type", leaf(bytes("application")))),
        ),
      ),
    ),
    at("time", leaf(encodeLeb128(1n))),
  );
  const signature = signStateRoot(reconstructRoot(tree, crypto.sha256), SECRET, crypto.bls);
  return encodeCertificate({ tree, signature });
}

async function fetchFrom(first: Cut) {
  let refused = 0;
  const answerOf = (cut: Cut) => new Uint8Array(encodeCbor({ certificate: certificate(cut) }));
  const delegation = keepDelegation({
    ...{ rootKey, rootSubnetId, subnetId: principalFromBytes(id), publicKey, crypto },
    log: { log: () => undefined },
    ask: async () => ({ bytes: answerOf(refused === 0 ? first : "nothing"), refuse: () => void refused++ }),
    now: () => 0,
  });
  try {
    for (let i = 0; i < 500 && delegation.source("sharded") === undefined; i++) await setTimeout(20);
    return { refused, kept: delegation.source("sharded")?.certificate };
  } finally {
    delegation.stop();
  }
}

for (const cut of ["flat", "shards", "shard", "type"] as const)
  test(`a certificate without ${cut} is not kept, and whoever gave it is passed over`, async () => {
    const { refused, kept } = await fetchFrom(cut);
    assert.ok(refused > 0, "nobody was refused");
    assert.deepEqual(kept, certificate("nothing"));
  });

test("a certificate with all that was asked for is kept", async () => {
  assert.deepEqual(await fetchFrom("nothing"), { refused: 0, kept: certificate("nothing") });
});
