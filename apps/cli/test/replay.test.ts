// The state after a restart is the same state, to the last bit of its certified tree: loaded from a checkpoint and
// executed again from the log, wherever the checkpoints happened to fall.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@atoll/host-node";
import { DurableState } from "@atoll/replica";
import { applyChanges, EMPTY_TREE, MemoryStorage, PageStore, rootHash, type SubnetConfig } from "@atoll/state";
import {
  ANONYMOUS,
  type Batch,
  type CanisterId,
  canisterIdFromIndex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  principalToBytes,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { recorderWasm } from "./recorder.ts";

const config: SubnetConfig = {
  subnetId: `${"aa".repeat(28)}02` as PrincipalId,
  type: "application",
  publicKey: new Uint8Array(133),
  nodes: [],
  canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(1000n)]],
  feeNodes: 13,
  provisional: true,
};
const SECOND = 1_000_000_000n;
const START = 1_800_000_000n * SECOND;
const [near, far] = [canisterIdFromIndex(0n), canisterIdFromIndex(1n)];
const asPrincipal = (id: CanisterId) => Principal.fromUint8Array(principalToBytes(id));

test("a state that is loaded and executed again has the same root hash", async () => {
  const batches = makeBatches(await recorderWasm());
  const hashes: string[] = [];
  for (const checkpointBatches of [1, 2, 3, 7, 1_000_000]) {
    const storage = new MemoryStorage();
    const running = open(storage, checkpointBatches);
    const { treeChanges } = await running.start();
    let tree = applyChanges(EMPTY_TREE, treeChanges);
    for (const batch of batches) tree = applyChanges(tree, (await running.execute(batch)).treeChanges);
    // As after SIGKILL: nothing was closed.
    const restarted = applyChanges(EMPTY_TREE, (await open(storage.clone(), 1000).start()).treeChanges);
    assert.equal(hexHash(restarted), hexHash(tree), `checkpoints every ${checkpointBatches} batches`);
    const again = open(storage.clone(), 1000);
    await again.start();
    again.close();
    hashes.push(hexHash(tree));
  }
  assert.equal(new Set(hashes).size, 1, "where checkpoints fall makes no difference");
});

test("so has one in which executions take many rounds, wherever it was interrupted", async () => {
  const batches = makeBatches(await recorderWasm());
  const last = batches.at(-1) as Batch;
  for (let i = 1; i <= 60; i++) {
    const time = last.time + BigInt(i) * SECOND;
    batches.push({ height: last.height + i, time, randomness: new Uint8Array(32).fill(i), ingress: [] });
  }
  for (const checkpointBatches of [3, 1_000_000]) {
    const storage = new MemoryStorage();
    const running = open(storage, checkpointBatches, SLICES);
    let tree = applyChanges(EMPTY_TREE, (await running.start()).treeChanges);
    const hashes: string[] = [];
    const copies: MemoryStorage[] = [];
    let mostPaused = 0;
    for (const batch of batches) {
      const round = await running.execute(batch);
      mostPaused = Math.max(mostPaused, round.pausedExecutions);
      tree = applyChanges(tree, round.treeChanges);
      hashes.push(hexHash(tree));
      copies.push(storage.clone());
    }
    assert.ok(mostPaused >= 2, `${mostPaused} at a time`);
    assert.equal(running.machine.long.size, 0, "all have ended");
    for (const height of [2, 3, 4, 5, 9, 14, 22, 30]) {
      const again = open(copies[height - 1] as MemoryStorage, checkpointBatches, SLICES);
      let copy = applyChanges(EMPTY_TREE, (await again.start()).treeChanges);
      assert.equal(hexHash(copy), hashes[height - 1], `restarted at ${height}`);
      for (const batch of batches.slice(height)) copy = applyChanges(copy, (await again.execute(batch)).treeChanges);
      assert.equal(hexHash(copy), hashes.at(-1), `from ${height} to the end`);
    }
  }
});

const SLICES = { slice: 3_000_000, operation: 100_000_000 };

function open(storage: MemoryStorage, checkpointBatches: number, slices?: typeof SLICES): DurableState {
  const log = { log: (_: string, message: string) => assert.fail(message) };
  const pages = new PageStore({ shared: false });
  pages.heights[0] = Number.MAX_SAFE_INTEGER;
  return new DurableState(
    { config, rootKey: config.publicKey, pages, checkpointBatches, ...(slices === undefined ? {} : { slices }) },
    { storage, crypto: { sha256 }, log },
  );
}

function hexHash(tree: Parameters<typeof rootHash>[0]): string {
  return Buffer.from(rootHash(tree, sha256)).toString("hex");
}

/** Two canisters are made and called, also by each other; one is installed anew, one is deleted. */
function makeBatches(wasm: Uint8Array): Batch[] {
  const create = () =>
    management("provisional_create_canister_with_cycles", IDL.Record({ amount: IDL.Opt(IDL.Nat) }), { amount: [] });
  const install = (id: CanisterId, mode: "install" | "reinstall") => {
    const Mode = IDL.Variant({ install: IDL.Null, reinstall: IDL.Null });
    const type = IDL.Record({
      mode: Mode,
      canister_id: IDL.Principal,
      wasm_module: IDL.Vec(IDL.Nat8),
      arg: IDL.Vec(IDL.Nat8),
    });
    const value = { mode: { [mode]: null }, canister_id: asPrincipal(id), wasm_module: wasm, arg: IDL.encode([], []) };
    return management("install_code", type, value, id);
  };
  const ofCanister = (method: string, id: CanisterId) => {
    return management(method, IDL.Record({ canister_id: IDL.Principal }), { canister_id: asPrincipal(id) }, id);
  };
  const record = (number: bigint) => message(near, "record", IDL.encode([IDL.Nat, IDL.Nat], [0n, number]));
  const relay = (number: bigint) => {
    return message(near, "relay", IDL.encode([IDL.Principal, IDL.Nat, IDL.Nat], [asPrincipal(far), 1n, number]));
  };
  const fill = (id: CanisterId, words: bigint) => message(id, "fill", IDL.encode([IDL.Nat], [words]));
  const rounds: (() => IngressMessage)[][] = [
    [create, create, create],
    [() => install(near, "install"), () => install(far, "install")],
    [() => fill(near, 3000n), () => fill(far, 2000n)],
    [() => record(0n), () => relay(0n), () => relay(1n)],
    [() => record(1n), () => relay(2n), () => message(near, "no_such_method", new Uint8Array())],
    [],
    [() => install(far, "reinstall"), () => record(2n)],
    [() => ofCanister("stop_canister", canisterIdFromIndex(2n))],
    [() => ofCanister("delete_canister", canisterIdFromIndex(2n)), () => relay(3n)],
    [() => fill(far, 1000n), () => record(3n)],
    [],
  ];
  return rounds.map((messages, i) => ({
    height: i + 1,
    time: START + BigInt(i) * SECOND,
    randomness: new Uint8Array(32).fill(i),
    ingress: messages.map((make) => make()),
  }));
}

function management(method: string, type: IDL.Type, value: unknown, effectiveCanisterId?: CanisterId): IngressMessage {
  return message(MANAGEMENT_CANISTER, method, IDL.encode([type], [value]), effectiveCanisterId);
}

let messageCount = 0;

function message(
  receiver: CanisterId,
  methodName: string,
  arg: Uint8Array,
  effectiveCanisterId = receiver,
): IngressMessage {
  const requestId = (++messageCount).toString(16).padStart(64, "0");
  const expiry = START + 240n * SECOND;
  return { requestId, sender: ANONYMOUS, receiver, effectiveCanisterId, methodName, arg, expiry, byteSize: arg.length };
}
