// What a canister hears when its request to the management canister has no method, no right version or no place to go:
// the words of the replica's routing (its tests: threshold_signatures.rs, execution_environment/tests.rs).
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, type PrincipalId, principalToText } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import type { MethodName } from "../management/interface.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const a = s.newUniversal(m);
const { subnetId } = m.machine.state.config;

/** Reject code and message, or "reply". */
function hear(method: string, arg: Uint8Array, callee: u.Code = s.MANAGEMENT): string {
  const code = u.seq(u.setSlot(20, u.rejectCode()), u.setSlot(21, u.add(u.int(48), u.getSlot(20))));
  const digit = u.seq(u.int(1), u.op("alloc"), u.op("dup"), u.getSlot(21), u.op("store8"), u.int(1));
  const onReject = u.seq(code, u.reply(u.concat(digit, u.bytes(" "), u.rejectMessage())));
  const program = u.call({ callee, method, arg: u.bytes(arg), onReply: u.reply(u.bytes("reply")), onReject });
  return s.updateText(m, a, program);
}
const hearTyped = (method: MethodName, arg: unknown) => hear(method, s.candid(method, arg));

test("no such method", () => {
  const empty = s.candid("raw_rand");
  assert.equal(hear("unknown", empty), "5 IC0536: Management canister has no method 'unknown'");
  assert.equal(hear("list_canisters", empty), "5 IC0536: Management canister has no method 'list_canisters'");
  assert.equal(hear("unknown", empty, s.idBytes(subnetId)), "5 IC0536: Management canister has no method 'unknown'");
});

test("another version than the caller's own, or an argument in which none can be found", () => {
  const settings = { ...s.onCanister(a), settings: s.NO_SETTINGS, sender_canister_version: [666n] };
  assert.match(
    hearTyped("update_settings", settings),
    /^5 IC0504: Management canister call payload includes sender canister version 666 that does not match the actual sender canister version \d+\.$/,
  );
  for (const method of ["update_settings", "create_canister", "install_code"]) {
    assert.match(hear(method, Uint8Array.of(1)), /^4 IC0408: Error decoding candid: /);
  }
});

test("an argument that names no canister", () => {
  for (const method of ["canister_status", "deposit_cycles", "canister_info", "stored_chunks", "bitcoin_get_balance"]) {
    const start = `3 Unable to route management canister request ${method}: UserError(UserError { code: InvalidManagementPayload, description: "Error decoding candid: `;
    assert.ok(hear(method, Uint8Array.of(1)).startsWith(start), hear(method, Uint8Array.of(1)));
  }
});

test("a canister that no subnet has, and one that this subnet could have", () => {
  const nowhere = "0102" as CanisterId;
  assert.equal(
    hearTyped("canister_status", s.onCanister(nowhere)),
    `3 Unable to route management canister request canister_status: SubnetNotFound(CanisterId(${principalToText(nowhere)}), DepositCycles)`,
  );
  assert.equal(
    hearTyped("canister_info", { ...s.onCanister(nowhere), num_requested_changes: [] }),
    `3 Unable to route management canister request canister_info: SubnetNotFound(CanisterId(${principalToText(nowhere)}), CanisterInfo)`,
  );
  const missing = "00000000000000f00101" as CanisterId;
  assert.match(hearTyped("canister_status", s.onCanister(missing)), /^3 Canister \S+ not found\./);
});

test("another subnet", () => {
  const other = "99".repeat(28).concat("02") as PrincipalId;
  const arg = { subnet_id: s.principal(other) };
  assert.equal(hearTyped("subnet_info", arg), `3 No route to canister ${principalToText(other)}`);
  assert.equal(hearTyped("subnet_info", { subnet_id: s.principal(subnetId) }), "reply");
});

test("keys that nobody has", () => {
  const key_id = { curve: { secp256k1: null }, name: "no_such_key" };
  assert.equal(
    hearTyped("ecdsa_public_key", { canister_id: [], derivation_path: [], key_id }),
    '3 Unable to route management canister request ecdsa_public_key: ChainKeyError("Requested unknown threshold key: ecdsa:Secp256k1:no_such_key, existing keys: []")',
  );
  assert.equal(
    hearTyped("sign_with_ecdsa", { message_hash: new Uint8Array(32), derivation_path: [], key_id }),
    '3 Unable to route management canister request sign_with_ecdsa: ChainKeyError("Requested unknown or disabled threshold key: ecdsa:Secp256k1:no_such_key, existing enabled keys: []")',
  );
});

test("what is right gets to its method", () => {
  assert.equal(hearTyped("canister_status", s.onCanister(a)), "reply");
  assert.equal(hear("raw_rand", s.candid("raw_rand")), "reply");
  assert.equal(
    hearTyped("bitcoin_get_current_fee_percentiles", { network: { mainnet: null } }),
    "4 No bitcoin canisters available.",
  );
});
