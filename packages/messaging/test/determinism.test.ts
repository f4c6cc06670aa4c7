// Same state + same batches = same bytes: two machines execute the same batches, one with room for every instance, one
// that must throw each away for the next, and agree on every root hash and every instruction.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InstancePool } from "@atoll/embedder";
import { FeeSchedule, LongExecutions } from "@atoll/execution";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import { processBatch, type StateMachine } from "@atoll/messaging";
import { makeSecrets, soloReplicaOptions } from "@atoll/replica";
import {
  applyChanges,
  CanonicalTree,
  EMPTY_TREE,
  type Labels,
  ModuleStore,
  newSubnetState,
  PageStore,
  rootHash,
} from "@atoll/state";
import {
  type CanisterId,
  canisterIdFromIndex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  toHex,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";

const SENDER = "04" as PrincipalId;
const CANISTERS = 6;
const START = 1_700_000_000_000_000_000n;

async function machines(): Promise<StateMachine[]> {
  const crypto = await createNodeCrypto();
  const { config, rootKey } = soloReplicaOptions(makeSecrets(nodeEntropy, crypto), crypto);
  return [1000, 1].map((maxInstances) => ({
    state: newSubnetState(config, new ModuleStore(), new PageStore({ shared: false })),
    pool: new InstancePool({ maxInstances, maxModules: maxInstances }),
    fees: new FeeSchedule(config),
    crypto: { sha256 },
    rootKey,
    tree: new CanonicalTree(),
    long: new LongExecutions(),
  }));
}

let nonce = 0;
function ingress(
  receiver: CanisterId,
  methodName: string,
  arg: Uint8Array,
  effectiveCanisterId = receiver,
): IngressMessage {
  const requestId = toHex(sha256(new TextEncoder().encode(String(nonce++))));
  const expiry = START + 200_000_000_000n;
  return { requestId, sender: SENDER, receiver, effectiveCanisterId, methodName, arg, expiry, byteSize: arg.length };
}

async function batches(): Promise<IngressMessage[][]> {
  const ids = Array.from({ length: CANISTERS }, (_, i) => canisterIdFromIndex(BigInt(i)));
  const create = IDL.encode([IDL.Record({})], [{}]);
  const Install = IDL.Record({
    mode: IDL.Variant({ install: IDL.Null }),
    canister_id: IDL.Principal,
    wasm_module: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
  });
  const modules = [
    (await canister("calls", { width: 64 })).wasm,
    (await canister("calls", { width: 32 })).wasm,
    (await canister("timers", { width: 64 })).wasm,
  ];
  const principal = (id: CanisterId) => Principal.fromHex(id);
  const install = ids.map((id, i) => {
    const value = {
      mode: { install: null },
      canister_id: principal(id),
      wasm_module: modules[i % 3],
      arg: IDL.encode([], []),
    };
    return ingress(MANAGEMENT_CANISTER, "install_code", IDL.encode([Install], [value]), id);
  });
  const [a, b] = ids as [CanisterId, CanisterId];
  const work = [
    ingress(a, "parallel", IDL.encode([IDL.Nat], [20])),
    ingress(b, "callEcho", IDL.encode([IDL.Principal, IDL.Text], [principal(a), "hello"])),
    ingress(a, "trapThenCleanup", IDL.encode([], [])),
    ingress(ids[2] as CanisterId, "after", IDL.encode([IDL.Nat, IDL.Text], [1, "x"])),
    ingress(ids[5] as CanisterId, "trapAfter", IDL.encode([IDL.Nat], [1])),
    ingress(ids[3] as CanisterId, "recurse", IDL.encode([IDL.Nat], [10])),
  ];
  const creations = ids.map(() => ingress(MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", create));
  return [creations, install, work, [], work.map((m) => ingress(m.receiver, m.methodName, m.arg)), [], []];
}

test("two machines with different caches agree on every root hash", async () => {
  const both = await machines();
  const trees: Labels[] = [EMPTY_TREE, EMPTY_TREE];
  let height = 0;
  const all = await batches();
  for (const messages of all) {
    height++;
    const batch = {
      height,
      time: START + BigInt(height) * 1_000_000_000n,
      randomness: sha256(Uint8Array.of(height)),
      ingress: messages,
    };
    const outputs = both.map((machine) => processBatch(machine, batch));
    outputs.forEach((output, i) => {
      trees[i] = applyChanges(trees[i] as Labels, output.treeChanges);
    });
    const [first, second] = trees.map((tree) => toHex(rootHash(tree, sha256)));
    assert.equal(second, first, `root hashes at height ${height}`);
    assert.equal(outputs[1]?.instructions, outputs[0]?.instructions, `instructions at height ${height}`);
    const cycles = both.map(({ state }) => [...state.canisters.values()].map((each) => each.cycles));
    assert.deepEqual(cycles[1], cycles[0], `cycles at height ${height}`);
  }
  const statuses = all.flat().map(({ requestId }) => both[0]?.state.ingressHistory.get(requestId)?.status.state);
  assert.ok(statuses.filter((state) => state === "replied").length >= 2 * CANISTERS, "most of the calls worked");
});
