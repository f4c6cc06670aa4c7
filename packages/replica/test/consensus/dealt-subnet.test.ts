// A new subnet of four nodes whose keys the four nodes of a running one dealt to them before they ran: a canister asks by
// setup_initial_dkg, and an unmodified agent believes the new subnet under the key that the answer names. No trusted dealer.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import {
  createChainKeyCrypto,
  createNodeKeys,
  type DkgTranscript,
  decodeInitialDkgReply,
  highThreshold,
  lowThreshold,
} from "@atoll/consensus";
import { createNodeCrypto, nodeEntropy } from "@atoll/host-node";
import { canisterIdFromIndex, principalToBytes, principalToText } from "@atoll/types";
import { Certificate, HttpAgent, LookupPathStatus } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../../execution/test/canisters/build.ts";
import * as u from "../../../execution/test/canisters/universal.ts";
import { deploy, query, update } from "../network.ts";
import { ManyNodes, type Member } from "./many-nodes.ts";

const root = await ManyNodes.start(4);
let dealt: ManyNodes | undefined;
after(async () => {
  await Promise.all([root.stop(), dealt?.stop()]);
});

async function within(what: string, subnet: ManyNodes, isSo: () => boolean, seconds = 90): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!isSo()) {
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s; ${subnet.problems.join("\n")}`);
    await setTimeout(20);
  }
}

const SetupInitialDkg = IDL.Record({
  node_ids: IDL.Vec(IDL.Principal),
  registry_version: IDL.Nat64,
  subnet_id: IDL.Opt(IDL.Principal),
});

/** Has the canister ask for the keys, and replies what it is told. */
function asking(nodes: readonly Member[], registryVersion: number): Uint8Array {
  const node_ids = nodes.map(({ id }) => Principal.fromUint8Array(principalToBytes(id)));
  const arg = IDL.encode([SetupInitialDkg], [{ node_ids, registry_version: BigInt(registryVersion), subnet_id: [] }]);
  return u.call({
    callee: u.bytes(""),
    method: "setup_initial_dkg",
    arg: u.bytes(arg),
    onReply: u.reply(u.argData()),
    onReject: u.reply(u.rejectMessage()),
  });
}

/** Whether the dealings in a transcript are of nodes of the running subnet to these, and make its key. */
async function verifies(transcript: DkgTranscript, threshold: number, receivers: readonly Member[]): Promise<void> {
  const port = await createNodeCrypto();
  const anybody = createChainKeyCrypto(createNodeKeys(nodeEntropy), { crypto: port, entropy: nodeEntropy });
  const { dkgId, registryVersion, dealings } = transcript;
  const config = {
    dkgId,
    dealers: root.ids,
    receivers: receivers.map(({ id }) => id),
    threshold,
    collectionThreshold: lowThreshold(root.ids.length),
    registryVersion,
    resharing: undefined,
  };
  const keysOf = (node: string) => receivers.find(({ id }) => id === node)?.record;
  const dealt = dealings.map(({ dealerIndex, content }) => ({ dealer: root.ids[dealerIndex] as never, content }));
  for (const { dealer, content } of dealt) assert.ok(anybody.verifyDealing(config, keysOf, dealer, content));
  assert.deepEqual(anybody.createTranscript(config, dealt), transcript);
}

let newcomers: readonly Member[];
let reply: Uint8Array;

describe("a subnet that another one makes the keys of", { concurrency: false }, () => {
  test("the registry canister gets both transcripts and the fresh subnet's name for nodes that do not run", async () => {
    await within("height 3", root, () => root.node(0).replica.status().certifiedHeight >= 3);
    const agent = await root.node(1).agent();
    const registry = await deploy(agent, u.universalModule(), new Uint8Array());
    assert.deepEqual(registry.toUint8Array(), principalToBytes(canisterIdFromIndex(0n)));
    const added = root.addUnassigned(4);
    newcomers = added.newcomers;
    const arg = asking(newcomers, added.registryVersion);
    ({ reply } = await agent.update(registry, { methodName: "update", arg }));
    const keys = decodeInitialDkgReply(reply);
    assert.ok(keys !== undefined, new TextDecoder().decode(reply));
    assert.equal(keys.low.registryVersion, added.registryVersion);
    await verifies(keys.low, lowThreshold(4), newcomers);
    await verifies(keys.high, highThreshold(4), newcomers);
    assert.notEqual(keys.subnetId, root.subnetId);
    assert.equal(principalToText(keys.subnetId), Principal.selfAuthenticating(keys.publicKey).toText());
  });

  test("these begin with them, make blocks, and certify under the key that the answer names", async () => {
    // Nothing of the subnet that dealt is needed any more.
    await root.stop();
    dealt = await ManyNodes.startDealt(newcomers, reply);
    const subnet = dealt;
    const publicKey = decodeInitialDkgReply(reply)?.publicKey as Uint8Array;
    assert.deepEqual(
      subnet.ids,
      newcomers.map(({ id }) => id),
    );
    const statuses = () => [...subnet.nodes.values()].map(({ replica }) => replica.status());
    await within("height 3", subnet, () => statuses().every(({ certifiedHeight }) => certifiedHeight >= 3));

    const agentAt = (place: number, rootKey: Uint8Array) =>
      HttpAgent.create({ host: "http://localhost:8000", fetch: subnet.node(place).fetch, rootKey });
    const agent = await agentAt(0, publicKey);
    const { wasm } = await canister("counter", { width: 32 });
    const id = await deploy(agent, wasm);
    assert.equal(await update(agent, id, "inc", [[], []], [IDL.Nat]), 1n);
    const last = Math.max(...statuses().map(({ certifiedHeight }) => certifiedHeight));
    await within("its answer", subnet, () => subnet.node(3).replica.status().certifiedHeight >= last);
    assert.equal(await query(await agentAt(3, publicKey), id, "get", [[], []], [IDL.Nat]), 1n);

    const path = ["time"].map((label) => new TextEncoder().encode(label));
    const { certificate } = await agent.readState({ canisterId: id }, { paths: [path] });
    const read = { certificate, principal: { canisterId: id }, agent };
    const time = (await Certificate.create({ ...read, rootKey: publicKey })).lookup_path(path);
    assert.equal(time.status, LookupPathStatus.Found);
    await assert.rejects(Certificate.create({ ...read, rootKey: root.rootKey }), /[Ss]ignature/);
  });

  test("these go on with keys that they deal to each other, under the same name", async () => {
    const subnet = dealt as ManyNodes;
    const statuses = () => [...subnet.nodes.values()].map(({ replica }) => replica.status());
    await within("a catch-up package", subnet, () => statuses().every(({ catchUpHeight }) => catchUpHeight > 0));
    const after = Math.max(...statuses().map(({ catchUpHeight }) => catchUpHeight));
    await within("more", subnet, () => statuses().every(({ certifiedHeight }) => certifiedHeight > after));
  });

  test("nobody complained", () => {
    assert.deepEqual([...root.problems, ...(dealt?.problems ?? [])], []);
  });
});
