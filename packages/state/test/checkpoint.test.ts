// A state on disk and back: what was saved is what is loaded, to the last field, and a state that was loaded goes on
// exactly as the one that never stopped. Checkpoints write what changed and nothing else.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { EnvironmentError, STOP_CANISTER_TIMEOUT_NS } from "@atoll/types";
import { removeAllSnapshots } from "../src/canister-snapshot.ts";
import type { CanisterState, StopWaiter } from "../src/canister-state.ts";
import { Checkpoints } from "../src/checkpoint.ts";
import type { PagedMemory } from "../src/paged-memory.ts";
import { CheckpointStore } from "../src/store/checkpoint-store.ts";
import { MemoryStorage } from "../src/store/memory-storage.ts";
import { streamRecord } from "../src/stream.ts";
import { forgetCanister, type SubnetState, touch } from "../src/subnet-state.ts";
import { addCanister, emptyState, filled, fullState, hashOf, idAt, install, moduleNamed, TIME } from "./full-state.ts";

/** Everything that a state holds, as plain data that can be compared. */
function plain(state: SubnetState): unknown {
  const {
    canisters,
    modules,
    pages: _,
    ingressHistory,
    metrics,
    touched,
    unmeasured,
    changedSinceCheckpoint,
    touchedStreams,
    streams,
    ...rest
  } = state;
  const ids = [...Array(20).keys()].map((i) => `${i}`.repeat(64));
  return {
    ...rest,
    retiredIds: [...rest.retiredIds].sort(),
    metrics: { ...metrics, canisterStateBytes: 0 },
    streams: [...streams].map(([id, stream]) => [id, stream.bytes, stream.refunds, streamRecord(stream)]),
    canisters: new Map([...canisters].sort().map(([id, canister]) => [id, plainCanister(canister)])),
    modules: ["one", "two", "three"].map((name) => modules.get(hashOf(name))),
    history: [ingressHistory.size, ids.map((id) => ingressHistory.get(id))],
  };
}

function plainCanister({ execution, input, snapshots, ...rest }: CanisterState): unknown {
  const memory = (source: PagedMemory) => {
    const pages = [...source.pages()].map(([page, bytes]) => [page, digest(bytes)]);
    return { id: source.id, wasmPages: source.wasmPages, pages };
  };
  const memories = ({ heap, stable }: { heap: PagedMemory; stable: PagedMemory }) => ({
    heap: memory(heap),
    stable: memory(stable),
  });
  return {
    ...rest,
    input: [...input],
    execution: execution && { ...execution, ...memories(execution) },
    snapshots: [...snapshots].map(([id, snapshot]) => {
      const { module } = snapshot;
      const code = module.kind === "uploaded" ? { ...module, bytes: memory(module.bytes) } : module;
      return [id, { ...snapshot, ...memories(snapshot), module: code }];
    }),
  };
}

/** Short enough to be shown when a test fails. */
function digest(bytes: Uint8Array | undefined): string {
  return createHash("sha256")
    .update(bytes ?? "")
    .digest("base64");
}

function loaded(storage: MemoryStorage): { state: SubnetState; checkpoints: Checkpoints } {
  const checkpoints = new Checkpoints(CheckpointStore.open(storage));
  const state = emptyState();
  checkpoints.load(state);
  return { state, checkpoints };
}

/** Every record and page of a store. */
function records(storage: MemoryStorage): unknown {
  const store = CheckpointStore.open(storage.clone());
  const pages = store.memories().map((name) => {
    const content = new Map<number, string>();
    store.readPages(name, (page, bytes) => content.set(page, digest(bytes)));
    return [name, new Map([...content].sort(([a], [b]) => a - b))];
  });
  return {
    height: store.height,
    meta: store.meta,
    keys: store.keys().map((key) => [key, digest(store.get(key))]),
    pages,
  };
}

/** A round that touches every kind of record. */
function change(state: SubnetState): void {
  state.height++;
  state.time = TIME + 5_000_000_000n;
  const one = state.canisters.get(idAt(1)) as CanisterState;
  one.input.shift();
  one.chunkStore.delete("11".repeat(32));
  one.chunkStore.set("33".repeat(32), Uint8Array.of(3));
  one.execution?.heap.write(4, filled(44), state.height);
  one.execution?.heap.write(0, filled(45), state.height);
  one.callContexts.delete(1);
  touch(state, one);
  install(state, state.canisters.get(idAt(2)) as CanisterState, moduleNamed("three"));
  const three = state.canisters.get(idAt(3)) as CanisterState;
  state.modules.leave(three.execution?.moduleHash as string, three.id);
  forgetCanister(state, three.id);
  addCanister(state, 5, moduleNamed("one"));
  state.ingressHistory.set("0".repeat(64), { state: "replied", reply: Uint8Array.of(7) }, state.time);
  state.ingressHistory.add(
    "9".repeat(64),
    { sender: one.id as never, receiver: one.id },
    { state: "received" },
    state.time,
  );
  state.ingressHistory.prune(TIME + 700_000_000_000n);
}

describe("a checkpoint", () => {
  test("holds the whole state", () => {
    const storage = new MemoryStorage();
    const state = fullState();
    new Checkpoints(CheckpointStore.open(storage)).save(state);
    assert.deepEqual(plain(loaded(storage).state), plain(state));
  });

  test("of a loaded state that went on is the one of the state that never stopped", () => {
    const [here, there] = [new MemoryStorage(), new MemoryStorage()];
    const never = fullState();
    const checkpoints = new Checkpoints(CheckpointStore.open(here));
    checkpoints.save(never);
    new Checkpoints(CheckpointStore.open(there)).save(fullState());
    const stopped = loaded(there);
    for (const state of [never, stopped.state]) change(state);
    assert.deepEqual(plain(stopped.state), plain(never));
    checkpoints.save(never);
    stopped.checkpoints.save(stopped.state);
    assert.deepEqual(records(there), records(here));
    assert.deepEqual(plain(loaded(there).state), plain(never));
  });

  test("writes what changed and nothing else", () => {
    const storage = new MemoryStorage();
    const state = fullState();
    const store = CheckpointStore.open(storage);
    const checkpoints = new Checkpoints(store);
    checkpoints.save(state);
    const before = store.size;
    state.height++;
    const three = state.canisters.get(idAt(3)) as CanisterState;
    three.execution?.heap.write(1, filled(1), state.height);
    touch(state, three);
    checkpoints.save(state);
    const written = store.size - before;
    assert.ok(written > 4_096 && written < 6_000, `${written} bytes for one page and one canister`);
    state.height++;
    checkpoints.save(state);
    assert.ok(store.size - before - written < 500, "nothing changed");
  });

  test("keeps no record of what is gone", () => {
    const storage = new MemoryStorage();
    const state = fullState();
    const store = CheckpointStore.open(storage);
    const checkpoints = new Checkpoints(store);
    checkpoints.save(state);
    for (const canister of [...state.canisters.values()]) {
      removeAllSnapshots(state, canister);
      if (canister.execution !== undefined) state.modules.leave(canister.execution.moduleHash, canister.id);
      forgetCanister(state, canister.id);
    }
    for (let i = 0; i < 2; i++) state.ingressHistory.set(`${i}`.repeat(64), { state: "done" }, TIME);
    state.ingressHistory.prune(TIME + 10_000_000_000_000n);
    for (const outcall of [...state.outcalls.numbers()]) state.outcalls.take(outcall);
    state.height++;
    checkpoints.save(state);
    const streams = [...state.streams.keys()].map((id) => `stream/${id}`);
    assert.deepEqual(store.keys(), streams);
    assert.deepEqual(store.memories(), []);
    assert.equal(loaded(storage).state.canisters.size, 0);
  });

  test("that a full disk interrupts is made up for by the next", () => {
    const storage = new MemoryStorage();
    const state = fullState();
    const checkpoints = new Checkpoints(CheckpointStore.open(storage));
    checkpoints.save(state);
    change(state);
    const put = storage.append.bind(storage);
    storage.append = () => {
      throw new EnvironmentError("DISK_FULL", "The disk is full.");
    };
    assert.throws(() => checkpoints.save(state), EnvironmentError);
    storage.append = put;
    assert.equal(loaded(storage.clone()).state.height, 5);
    state.height++;
    checkpoints.save(state);
    assert.deepEqual(plain(loaded(storage).state), plain(state));
  });

  test("brings the indexes back", () => {
    const storage = new MemoryStorage();
    const state = fullState();
    new Checkpoints(CheckpointStore.open(storage)).save(state);
    const { state: again } = loaded(storage);
    for (const index of ["withInput", "stopping"] as const) assert.deepEqual([...again[index]], [idAt(1)], index);
    const { status } = again.canisters.get(idAt(1)) as CanisterState;
    const [waiter] = status.kind === "stopping" ? status.waiters : [];
    assert.equal(again.stopTimeouts.get(idAt(1)), (waiter as StopWaiter).since + STOP_CANISTER_TIMEOUT_NS);
    assert.deepEqual([again.withHeartbeat.size, again.withTimer.size], [0, 0], "no tasks while it stops");
    assert.equal(again.changedSinceCheckpoint.size, 0);
    assert.deepEqual([...again.withDebit, ...again.withLowMemoryHook], [idAt(1)], "no hook while it stops");
    assert.equal(again.unmeasured.size, again.canisters.size, "all are measured anew");
    const running = again.canisters.get(idAt(1)) as CanisterState;
    running.status = { kind: "running" };
    touch(again, running);
    assert.deepEqual([...again.withHeartbeat, ...again.withLowMemoryHook], [idAt(1), idAt(1)]);
    assert.equal(again.withTimer.earliest, running.globalTimer);
  });
});
