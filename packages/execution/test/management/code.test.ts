// Code goes in and out of canisters: install_code in its modes, chunked installation, uninstall_code, with real
// modules. Specification, "IC method install_code" and following; checklist 4.4.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { answerRandomness, executeRound } from "@atoll/execution";
import { type CanisterState, touch } from "@atoll/state";
import { fromHex, type IngressStatus, type PrincipalId, principalToBytes, toHex, type UserError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import * as u from "../canisters/universal.ts";
import { methods } from "./interface.ts";
import {
  ALICE,
  BOB,
  call,
  callAsCanister,
  callError,
  ErrorCode,
  encode,
  ids,
  NO_SETTINGS,
  newCanisterOf,
  newSubnet,
  principal,
  sendRaw,
  sha256,
  type TestSubnet,
  takeResponses,
} from "./subnet.ts";

const WASM = u.universalModule({ width: 32 });
const HASH = sha256(WASM);

const install = (canister: CanisterState, over: object = {}) => ({
  mode: { install: null },
  ...ids(canister),
  wasm_module: WASM,
  arg: new Uint8Array(),
  sender_canister_version: [],
  ...over,
});
const upgrade = (canister: CanisterState, options: object[] = []) => install(canister, { mode: { upgrade: options } });

function newRunning(subnet: TestSubnet, owner = ALICE): CanisterState {
  const canister = newCanisterOf(subnet, owner);
  assert.equal(call(subnet, owner, "install_code", install(canister)), undefined);
  return canister;
}

let updates = 0;

/** Puts an update call into the queue; its status once rounds have run. */
function submit(
  subnet: TestSubnet,
  canister: CanisterState,
  program: u.Code,
  sender: PrincipalId = ALICE,
): () => IngressStatus {
  const { state } = subnet;
  const requestId = `f${(++updates).toString(16).padStart(63, "0")}`;
  state.ingressHistory.add(
    requestId,
    { sender, receiver: canister.id },
    { state: "received" },
    state.time + 300_000_000_000n,
  );
  const message = {
    requestId,
    sender,
    receiver: canister.id,
    effectiveCanisterId: canister.id,
    methodName: "update",
    arg: program,
    expiry: state.time + 300_000_000_000n,
    byteSize: 100,
  };
  canister.input.push({ kind: "ingress", message });
  touch(state, canister);
  return () => state.ingressHistory.get(requestId)?.status as IngressStatus;
}

function update(subnet: TestSubnet, canister: CanisterState, program: u.Code): Uint8Array | UserError {
  const status = submit(subnet, canister, program);
  executeRound(subnet.round);
  const now = status();
  if (now.state === "rejected") return now.error;
  assert.ok(now.state === "replied", now.state);
  return now.reply;
}

describe("install_code", () => {
  test("installs: the code runs, status and history say so", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    assert.deepEqual(update(subnet, canister, u.reply(u.bytes("hello"))), new TextEncoder().encode("hello"));
    const status = call(subnet, ALICE, "canister_status", ids(canister));
    assert.deepEqual(status.module_hash, [HASH]);
    assert.equal(status.memory_metrics.wasm_binary_size, BigInt(WASM.length));
    assert.ok(status.memory_metrics.wasm_memory_size > 0n);
    assert.ok(status.cycles < 100_000_000_000_000n);
    assert.deepEqual(canister.history.entries.at(-1), {
      time: subnet.state.time,
      canisterVersion: 1,
      origin: { kind: "user", userId: ALICE },
      change: { kind: "code_deployment", mode: "install", moduleHash: toHex(HASH) },
    });
    assert.ok(subnet.state.modules.get(toHex(HASH)));
  });

  test("a gzipped module has the hash of what was uploaded", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const zipped = new Uint8Array(gzipSync(WASM));
    call(subnet, ALICE, "install_code", install(canister, { wasm_module: zipped }));
    assert.deepEqual(call(subnet, ALICE, "canister_status", ids(canister)).module_hash, [sha256(zipped)]);
  });

  test("refuses strangers, full canisters, empty ones to upgrade, and what is no Wasm", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    assert.equal(callError(subnet, BOB, "install_code", install(canister)).code, ErrorCode.CanisterInvalidController);
    assert.equal(
      callError(subnet, ALICE, "install_code", upgrade(canister)).code,
      ErrorCode.CanisterWasmModuleNotFound,
    );
    const junk = install(canister, { wasm_module: new Uint8Array([1, 2, 3]) });
    assert.equal(callError(subnet, ALICE, "install_code", junk).code, ErrorCode.CanisterInvalidWasm);
    assert.equal(canister.history.total, 1);
    assert.equal(canister.version, 0);
    call(subnet, ALICE, "install_code", install(canister));
    assert.equal(callError(subnet, ALICE, "install_code", install(canister)).code, ErrorCode.CanisterNonEmpty);
  });

  test("a trap in the new code leaves everything as it was", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    update(subnet, canister, u.seq(u.stableGrow(1), u.stableWrite(0, u.bytes("kept")), u.reply()));
    const history = structuredClone(canister.history);
    const version = canister.version;
    const error = callError(
      subnet,
      ALICE,
      "install_code",
      install(canister, { mode: { reinstall: null }, arg: u.trap("no") }),
    );
    assert.equal(error.code, ErrorCode.CanisterCalledTrap);
    assert.deepEqual(canister.history, history);
    assert.equal(canister.version, version);
    assert.deepEqual(update(subnet, canister, u.reply(u.stableRead(0, 4))), new TextEncoder().encode("kept"));
  });

  test("upgrade keeps stable memory, reinstall does not; both are recorded", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    update(subnet, canister, u.seq(u.stableGrow(1), u.stableWrite(0, u.bytes("kept")), u.reply()));
    call(subnet, ALICE, "install_code", upgrade(canister, [{ skip_pre_upgrade: [true], wasm_memory_persistence: [] }]));
    assert.deepEqual(update(subnet, canister, u.reply(u.stableRead(0, 4))), new TextEncoder().encode("kept"));
    call(subnet, ALICE, "install_code", install(canister, { mode: { reinstall: null } }));
    assert.deepEqual(update(subnet, canister, u.reply(u.le64(u.stableSize()))), new Uint8Array(8));
    assert.deepEqual(
      canister.history.entries.slice(1).map(({ change }) => change.kind === "code_deployment" && change.mode),
      ["install", "upgrade", "reinstall"],
    );
  });

  test("skip_pre_upgrade skips a hook that traps", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    update(subnet, canister, u.seq(u.storeProgram("preUpgrade", u.trap("stuck")), u.reply()));
    const error = callError(subnet, ALICE, "install_code", upgrade(canister));
    assert.match(error.message, /stuck/);
    call(subnet, ALICE, "install_code", upgrade(canister, [{ skip_pre_upgrade: [true], wasm_memory_persistence: [] }]));
    assert.equal(canister.history.total, 3);
  });

  test("wasm_memory_persistence reaches the installation", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    const keep = upgrade(canister, [{ skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] }]);
    const error = callError(subnet, ALICE, "install_code", keep);
    assert.equal(error.code, ErrorCode.CanisterContractViolation);
    assert.match(error.message, /^Invalid upgrade option: /);
    const replace = upgrade(canister, [{ skip_pre_upgrade: [], wasm_memory_persistence: [{ replace: null }] }]);
    assert.equal(call(subnet, ALICE, "install_code", replace), undefined);
  });

  test("by a canister: the origin has its id and the version it stated", () => {
    const subnet = newSubnet();
    const parent = newRunning(subnet);
    const child = newCanisterOf(subnet, parent.id);
    const arg = encode("install_code", install(child, { sender_canister_version: [1n] }));
    const program = u.call({ callee: u.bytes(new Uint8Array()), method: "install_code", arg: u.bytes(arg) });
    assert.ok(update(subnet, parent, program) instanceof Uint8Array);
    assert.deepEqual(child.history.entries.at(-1)?.origin, {
      kind: "canister",
      canisterId: parent.id,
      canisterVersion: 1,
    });
  });
});

describe("chunks", () => {
  const third = Math.ceil(WASM.length / 3);
  const pieces = [0, 1, 2].map((i) => WASM.slice(i * third, (i + 1) * third));
  const chunked = (target: CanisterState, over: object = {}) => ({
    mode: { install: null },
    target_canister: principal(target.id),
    store_canister: [],
    chunk_hashes_list: pieces.map((piece) => ({ hash: sha256(piece) })),
    wasm_module_hash: HASH,
    arg: new Uint8Array(),
    sender_canister_version: [],
    ...over,
  });
  const upload = (subnet: TestSubnet, canister: CanisterState) => {
    for (const chunk of pieces) {
      assert.deepEqual(call(subnet, ALICE, "upload_chunk", { ...ids(canister), chunk }), { hash: sha256(chunk) });
    }
  };

  test("are uploaded, listed, counted as a MiB each, charged each time, cleared", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    upload(subnet, canister);
    upload(subnet, canister);
    const cost = subnet.round.fees.managementInstructions(200_000_000);
    assert.equal(canister.cycles, 100_000_000_000_000n - 6n * cost);
    const listed = call(subnet, ALICE, "stored_chunks", ids(canister)) as { hash: Uint8Array }[];
    assert.deepEqual(
      listed.map(({ hash }) => toHex(hash)),
      pieces.map((piece) => toHex(sha256(piece))).sort(),
    );
    const status = call(subnet, ALICE, "canister_status", ids(canister));
    assert.equal(status.memory_metrics.wasm_chunk_store_size, 3n * 1024n * 1024n);
    call(subnet, ALICE, "clear_chunk_store", ids(canister));
    assert.deepEqual(call(subnet, ALICE, "stored_chunks", ids(canister)), []);
  });

  test("are for controllers and the canister itself", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const chunk = { ...ids(canister), chunk: new Uint8Array([1]) };
    assert.equal(callError(subnet, BOB, "upload_chunk", chunk).code, ErrorCode.CanisterInvalidController);
    callAsCanister(subnet, canister, "upload_chunk", chunk);
    assert.equal(takeResponses(canister)[0]?.payload.kind, "reply");
    assert.equal(canister.chunkStore.size, 1);
  });

  test("have at most a MiB, and there are at most a hundred", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const large = { ...ids(canister), chunk: new Uint8Array(1024 * 1024 + 1) };
    assert.match(
      callError(subnet, ALICE, "upload_chunk", large).message,
      /^Error from Wasm chunk store: Wasm chunk size 1048577/,
    );
    for (let i = 0; i < 100; i++)
      call(subnet, ALICE, "upload_chunk", { ...ids(canister), chunk: new Uint8Array([i, 1]) });
    const more = { ...ids(canister), chunk: new Uint8Array([0, 2]) };
    const error = callError(subnet, ALICE, "upload_chunk", more);
    assert.equal(error.code, ErrorCode.CanisterContractViolation);
    assert.match(error.message, /maximum capacity of 104857600 bytes or the maximum number of entries, 100/);
    assert.deepEqual(call(subnet, ALICE, "upload_chunk", { ...ids(canister), chunk: new Uint8Array([5, 1]) }), {
      hash: sha256(new Uint8Array([5, 1])),
    });
  });

  test("cannot be paid by a canister that would freeze", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.cycles = 1000n;
    const error = callError(subnet, ALICE, "upload_chunk", { ...ids(canister), chunk: new Uint8Array([1]) });
    assert.equal(error.code, ErrorCode.CanisterContractViolation);
    assert.match(error.message, /Error charging for 'upload_chunk': Canister \S+ is out of cycles/);
    assert.equal(canister.cycles, 1000n);
  });

  test("make a module, from the target's store or another one's", () => {
    const subnet = newSubnet();
    const [store, target] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, ALICE)];
    upload(subnet, store);
    call(subnet, ALICE, "install_chunked_code", chunked(store));
    assert.equal(store.chunkStore.size, 3);
    call(subnet, ALICE, "install_chunked_code", chunked(target, { store_canister: [principal(store.id)] }));
    for (const canister of [store, target]) {
      assert.deepEqual(update(subnet, canister, u.reply(u.bytes("hello"))), new TextEncoder().encode("hello"));
    }
    assert.equal(target.execution?.moduleHash, toHex(HASH));
  });

  test("must be there, fit the hash, and come from a store that the caller controls", () => {
    const subnet = newSubnet();
    const [store, target] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, BOB)];
    upload(subnet, store);
    const refusal = (caller: PrincipalId, over: object) =>
      callError(
        subnet,
        caller,
        "install_chunked_code",
        chunked(target, { store_canister: [principal(store.id)], ...over }),
      );
    assert.equal(refusal(BOB, {}).code, ErrorCode.CanisterInvalidController);
    assert.equal(refusal(ALICE, {}).code, ErrorCode.CanisterInvalidController);
    call(subnet, ALICE, "update_settings", {
      ...ids(store),
      settings: { ...NO_SETTINGS, controllers: [[principal(ALICE), principal(BOB)]] },
      sender_canister_version: [],
    });
    assert.match(refusal(BOB, { wasm_module_hash: new Uint8Array(32) }).message, /does not match given hash/);
    assert.match(refusal(BOB, { wasm_module_hash: new Uint8Array(3) }).message, /Invalid wasm hash \[0, 0, 0\]/);
    const missing = refusal(BOB, { chunk_hashes_list: [{ hash: new Uint8Array(32) }] });
    assert.equal(missing.code, ErrorCode.CanisterContractViolation);
    assert.match(missing.message, /^Error from Wasm chunk store: Chunk hash \[0, 0, .* was not found/);
    const many = refusal(BOB, { chunk_hashes_list: Array(101).fill({ hash: HASH }) });
    assert.match(many.message, /chunk_hashes_list length 101 exceeds the maximum of 100 chunks/);
    const nowhere = refusal(BOB, { store_canister: [principal("00000000000000990101" as PrincipalId)] });
    assert.match(nowhere.message, /^InstallChunkedCode Error: Store canister \S+ was not found on subnet/);
    assert.equal(target.execution, undefined);
  });
});

describe("uninstall_code", () => {
  const uninstall = (canister: CanisterState) => ({ ...ids(canister), sender_canister_version: [] });

  test("removes code, memory, chunks, logs, certified data, timer; id, cycles, settings and history stay", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    call(subnet, ALICE, "upload_chunk", { ...ids(canister), chunk: new Uint8Array([1]) });
    update(
      subnet,
      canister,
      u.seq(u.certifiedDataSet(u.bytes("x")), u.globalTimerSet(u.int(-1)), u.debugPrint("log"), u.reply()),
    );
    assert.equal(subnet.state.withTimer.size, 1);
    const before = canister.cycles;
    call(subnet, ALICE, "uninstall_code", uninstall(canister));
    assert.equal(canister.execution, undefined);
    assert.equal(subnet.state.modules.get(toHex(HASH)), undefined);
    assert.equal(subnet.round.pool.has(canister.id), false);
    assert.equal(canister.chunkStore.size, 0);
    assert.deepEqual(canister.logs.records, []);
    assert.equal(canister.certifiedData.length, 0);
    assert.equal(canister.globalTimer, 0n);
    assert.equal(subnet.state.withTimer.size, 0);
    assert.equal(canister.cycles, before);
    assert.deepEqual(canister.history.entries.at(-1)?.change, { kind: "code_uninstall" });
    const error = update(subnet, canister, u.reply());
    assert.ok("code" in error && error.code === ErrorCode.CanisterWasmModuleNotFound);
    assert.equal(
      callError(subnet, BOB, "uninstall_code", uninstall(canister)).code,
      ErrorCode.CanisterInvalidController,
    );
  });

  test("tells open callers, refunds them, and drops what still comes in", () => {
    const subnet = newSubnet();
    const [front, middle] = [newRunning(subnet), newRunning(subnet)];
    // raw_rand is answered in a later round: until then both calls are open.
    const random = u.call({ callee: u.bytes(new Uint8Array()), method: "raw_rand", arg: u.bytes(IDL.encode([], [])) });
    const user = submit(subnet, middle, random);
    const viaFront = submit(
      subnet,
      front,
      u.call({
        callee: u.bytes(principalToBytes(middle.id)),
        method: "update",
        arg: u.bytes(random),
        cycles: 5n,
        onReject: u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), u.rejectMessage())),
      }),
    );
    executeRound(subnet.round);
    assert.equal(subnet.state.pendingRandomness.length, 2);
    call(subnet, ALICE, "uninstall_code", uninstall(middle));
    executeRound(subnet.round);
    const told = user();
    assert.ok(told.state === "rejected");
    assert.deepEqual(told.error, { code: 406, message: "Canister has been uninstalled." });
    const passedOn = viaFront();
    assert.ok(passedOn.state === "replied");
    assert.equal(passedOn.reply[0], 4);
    assert.equal(passedOn.reply[8], 5);
    assert.equal(new TextDecoder().decode(passedOn.reply.subarray(24)), "Canister has been uninstalled.");
    // New code, then the late answers: they must not reach it.
    call(subnet, ALICE, "install_code", install(middle));
    assert.equal(middle.callContexts.size, 2);
    answerRandomness(subnet.round);
    executeRound(subnet.round);
    assert.equal(middle.callContexts.size, 0);
    assert.equal(middle.callbacks.size, 0);
    assert.deepEqual(user(), told);
  });

  test("a canister deleted with its code gives module and memory up", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    call(subnet, ALICE, "stop_canister", ids(canister));
    call(subnet, ALICE, "delete_canister", ids(canister));
    assert.equal(subnet.state.modules.get(toHex(HASH)), undefined);
    assert.equal(subnet.round.pool.has(canister.id), false);
  });
});

describe("raw_rand", () => {
  test("each call gets 32 bytes of its own, from the randomness of a later batch", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    for (let i = 0; i < 3; i++) callAsCanister(subnet, canister, "raw_rand", undefined, 9n);
    assert.equal(takeResponses(canister).length, 0);
    const draw = (randomness: string): string[] => {
      subnet.state.randomness = fromHex(randomness.repeat(32));
      answerRandomness(subnet.round);
      return takeResponses(canister).map(({ payload, refund }) => {
        assert.equal(refund, 9n);
        assert.ok(payload.kind === "reply");
        const [bytes] = IDL.decode(methods.raw_rand.result, payload.data) as unknown as [Uint8Array];
        assert.equal(bytes.length, 32);
        return toHex(bytes);
      });
    };
    const first = draw("01");
    assert.equal(new Set(first).size, 3);
    assert.equal(first[0], toHex(sha256(new Uint8Array([...Array(32).fill(1), ...Array(8).fill(0)]))));
    assert.deepEqual(draw("01"), []);
    callAsCanister(subnet, canister, "raw_rand", undefined, 9n);
    assert.notEqual(draw("02")[0], first[0]);
  });

  test("is answered like any call when its argument is no Candid", () => {
    const subnet = newSubnet();
    const canister = newRunning(subnet);
    const program = u.call({
      callee: u.bytes(new Uint8Array()),
      method: "raw_rand",
      arg: u.bytes("?"),
      onReject: u.reply(u.rejectMessage()),
    });
    const answer = update(subnet, canister, program);
    assert.ok(answer instanceof Uint8Array);
    assert.match(new TextDecoder().decode(answer), /^Error decoding candid: /);
  });
});

describe("stop_canister", () => {
  test("waits for open calls to end, then answers all who asked", () => {
    const subnet = newSubnet();
    const [canister, other] = [newRunning(subnet), newRunning(subnet)];
    const management = { callee: u.bytes(new Uint8Array()) };
    const random = u.call({ ...management, method: "raw_rand", arg: u.bytes(IDL.encode([], [])), onReply: u.reply() });
    const open = submit(subnet, canister, random);
    executeRound(subnet.round);
    call(subnet, ALICE, "update_settings", {
      ...ids(canister),
      settings: { ...NO_SETTINGS, controllers: [[principal(ALICE), principal(other.id)]] },
      sender_canister_version: [],
    });
    const arg = encode("stop_canister", ids(canister));
    const byCanister = submit(subnet, other, u.call({ ...management, method: "stop_canister", arg: u.bytes(arg) }));
    const byUser = sendRaw(subnet, ALICE, "stop_canister", arg);
    executeRound(subnet.round);
    const refused = update(subnet, canister, u.reply());
    assert.ok("code" in refused && refused.code === ErrorCode.CanisterStopping);
    assert.deepEqual([byUser().state, byCanister().state], ["processing", "processing"]);
    answerRandomness(subnet.round);
    executeRound(subnet.round);
    assert.equal(canister.status.kind, "stopped");
    assert.deepEqual([open().state, byUser().state, byCanister().state], ["replied", "replied", "replied"]);
  });
});
