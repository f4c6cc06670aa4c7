// Which calls to the management canister a node takes from users, and which canister each is about. Checklist 1.9, 4.1.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  effectiveCanisterId,
  filterManagementIngress,
  type ManagementFacts,
} from "@atoll/execution/management/ingress-filter";
import { canisterIdFromIndex, ErrorCode, type PrincipalId, principalToText } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { ALICE, BOB, encode, NO_SETTINGS, principal } from "./subnet.ts";

const CANISTER = canisterIdFromIndex(5n);
const NOBODY = canisterIdFromIndex(6n);
const one = (id: PrincipalId) => ({ canister_id: principal(id) });
const facts = (over: Partial<ManagementFacts> = {}): ManagementFacts => ({
  controllersOf: (id) => (id === CANISTER ? [ALICE] : undefined),
  provisional: true,
  ...over,
});
const filter = (sender: PrincipalId, methodName: string, arg: Uint8Array, over: Partial<ManagementFacts> = {}) =>
  filterManagementIngress(facts(over), { sender, methodName, arg });

const chunked = encode("install_chunked_code", {
  mode: { install: null },
  target_canister: principal(CANISTER),
  store_canister: [principal(NOBODY)],
  chunk_hashes_list: [],
  wasm_module_hash: new Uint8Array(32),
  arg: new Uint8Array(1_000_000),
  sender_canister_version: [],
});

describe("effective canister id", () => {
  test("comes from the argument", () => {
    assert.equal(effectiveCanisterId("canister_status", encode("canister_status", one(CANISTER))), CANISTER);
    assert.equal(effectiveCanisterId("install_chunked_code", chunked), CANISTER);
    const settings = { ...one(CANISTER), settings: NO_SETTINGS, sender_canister_version: [] };
    assert.equal(effectiveCanisterId("update_settings", encode("update_settings", settings)), CANISTER);
  });

  test("is any for methods about no canister, none where the argument names none", () => {
    for (const method of ["create_canister", "provisional_create_canister_with_cycles", "list_canisters"]) {
      assert.equal(effectiveCanisterId(method, new Uint8Array()), "any");
    }
    assert.equal(effectiveCanisterId("raw_rand", encode("raw_rand")), undefined);
    assert.equal(effectiveCanisterId("canister_status", new Uint8Array([1, 2, 3])), undefined);
    assert.equal(effectiveCanisterId("canister_status", chunked), undefined);
    const long = IDL.encode([IDL.Record({ canister_id: IDL.Vec(IDL.Nat8) })], [{ canister_id: new Uint8Array(30) }]);
    assert.equal(effectiveCanisterId("canister_status", long), undefined);
  });
});

describe("ingress filter", () => {
  const controllersOnly = [
    "update_settings",
    "install_code",
    "upload_chunk",
    "stored_chunks",
    "clear_chunk_store",
    "take_canister_snapshot",
  ];
  const adminsToo = ["canister_status", "start_canister", "stop_canister", "uninstall_code", "delete_canister"];
  const arg = encode("canister_status", one(CANISTER));

  test("takes what controllers send", () => {
    for (const method of [...controllersOnly, ...adminsToo])
      assert.equal(filter(ALICE, method, arg), undefined, method);
    assert.equal(filter(ALICE, "install_chunked_code", chunked), undefined);
  });

  test("refuses strangers, in the words of the replica", () => {
    for (const method of controllersOnly) {
      assert.deepEqual(filter(BOB, method, arg), {
        code: ErrorCode.CanisterInvalidController,
        message: `Only controllers of canister ${principalToText(CANISTER)} can call ic00 method ${method}`,
      });
    }
    for (const method of adminsToo) {
      const error = filter(BOB, method, arg);
      assert.equal(error?.code, ErrorCode.CanisterInvalidController);
      assert.ok(
        error?.message.includes(
          `Canister's controllers: ${principalToText(ALICE)}\nSender's ID: ${principalToText(BOB)}`,
        ),
      );
    }
  });

  test("refuses calls about nobody, about nothing, and unknown methods", () => {
    const missing = filter(ALICE, "canister_status", encode("canister_status", one(NOBODY)));
    assert.deepEqual(missing, {
      code: ErrorCode.CanisterNotFound,
      message: `Canister ${principalToText(NOBODY)} not found`,
    });
    const undecodable = filter(ALICE, "start_canister", new Uint8Array(9));
    assert.deepEqual(undecodable, {
      code: ErrorCode.InvalidManagementPayload,
      message: "Failed to decode payload for ic00 method: start_canister",
    });
    for (const method of [
      "create_canister",
      "raw_rand",
      "http_request",
      "deposit_cycles",
      "no_such_method",
      "constructor",
    ]) {
      assert.deepEqual(filter(ALICE, method, arg), {
        code: ErrorCode.CanisterRejectedMessage,
        message: `Only canisters can call ic00 method ${method}`,
      });
    }
    assert.match(
      filter(ALICE, "fetch_canister_logs", arg)?.message ?? "",
      /not accessible via ingress in replicated mode/,
    );
  });

  test("provisional methods are for networks that have them", () => {
    for (const method of ["provisional_create_canister_with_cycles", "provisional_top_up_canister"]) {
      assert.equal(filter(BOB, method, arg), undefined);
      assert.deepEqual(filter(BOB, method, arg, { provisional: false }), {
        code: ErrorCode.CanisterRejectedMessage,
        message: `Caller ${principalToText(BOB)} is not allowed to call ic00 method ${method}`,
      });
    }
  });

  test("a status that others may see", () => {
    const maySeeStatus = (id: PrincipalId, caller: PrincipalId) => id === CANISTER && caller === BOB;
    assert.equal(filter(BOB, "canister_status", arg, { maySeeStatus }), undefined);
    assert.equal(filter(BOB, "stop_canister", arg, { maySeeStatus })?.code, ErrorCode.CanisterInvalidController);
  });
});
