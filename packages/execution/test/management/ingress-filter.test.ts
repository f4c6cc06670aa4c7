// Which calls to the management canister a node takes from users, and which canister each is about. Checklist 1.9, 4.1.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { effectiveCanisterId } from "@atoll/execution/management/ingress-filter";
import { canisterIdFromIndex, ErrorCode, type PrincipalId, principalToText } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { sampleArgs } from "./sample-args.ts";
import { ALICE, BOB, encode, filter, ids, NO_SETTINGS, newCanisterOf, newSubnet, principal } from "./subnet.ts";

const CANISTER = canisterIdFromIndex(5n);
const NOBODY = canisterIdFromIndex(6n);
const one = (id: PrincipalId) => ({ canister_id: principal(id) });

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
  test("takes what a controller sends, refuses what is about nobody or about nothing", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    for (const method of ["canister_status", "stop_canister", "upload_chunk", "update_settings"]) {
      const arg = sampleArgs(canister.id).get(method) as Uint8Array;
      assert.equal(filter(subnet, ALICE, method, arg), undefined, method);
      assert.deepEqual(filter(subnet, ALICE, method, sampleArgs(NOBODY).get(method) as Uint8Array), {
        code: ErrorCode.CanisterNotFound,
        message: `Canister ${principalToText(NOBODY)} not found`,
      });
      const undecodable = filter(subnet, ALICE, method, new Uint8Array(9));
      assert.equal(undecodable?.code, ErrorCode.InvalidManagementPayload);
      assert.match(
        undecodable.message,
        new RegExp(`^Failed to parse payload for ic00 method ${method}: IC0408: Error decoding candid: `),
      );
    }
  });

  test("the whole argument is read, not only the canister id", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const onlyId = encode("canister_status", ids(canister));
    for (const method of ["install_code", "upload_chunk", "update_settings"]) {
      assert.equal(filter(subnet, ALICE, method, onlyId)?.code, ErrorCode.InvalidManagementPayload, method);
    }
  });

  test("provisional methods are for networks that have them", () => {
    const [open, closed] = [newSubnet(), newSubnet({ provisional: false })];
    const canister = newCanisterOf(open, ALICE);
    for (const method of ["provisional_create_canister_with_cycles", "provisional_top_up_canister"]) {
      const arg = sampleArgs(canister.id).get(method) as Uint8Array;
      assert.equal(filter(open, BOB, method, arg), undefined);
      assert.deepEqual(filter(closed, BOB, method, arg), {
        code: ErrorCode.CanisterRejectedMessage,
        message: `Caller ${principalToText(BOB)} is not allowed to call ic00 method ${method}`,
      });
    }
  });

  test("the canister must be able to pay, except for what may save it", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    canister.cycles = 0n;
    const args = sampleArgs(canister.id);
    const frozen = (method: string, arg = args.get(method) as Uint8Array) => filter(subnet, ALICE, method, arg)?.code;
    assert.equal(frozen("canister_status"), ErrorCode.CanisterOutOfCycles);
    assert.equal(frozen("update_settings"), undefined);
    assert.equal(frozen("provisional_top_up_canister"), undefined);
    const variables = [["n", "o", "p"].map((name) => ({ name, value: "v".repeat(128) }))];
    const large = encode("update_settings", {
      ...ids(canister),
      settings: { ...NO_SETTINGS, environment_variables: variables },
      sender_canister_version: [],
    });
    assert.ok(large.length > 338);
    assert.equal(frozen("update_settings", large), ErrorCode.CanisterOutOfCycles);
    const missing = filter(subnet, ALICE, "canister_status", args.get("canister_status") as Uint8Array);
    assert.match(missing?.message ?? "", /is out of cycles: please top up the canister with at least/);
    const toStranger = filter(subnet, BOB, "canister_status", args.get("canister_status") as Uint8Array);
    assert.equal(toStranger?.message, `Canister ${principalToText(canister.id)} is out of cycles`);
  });
});
