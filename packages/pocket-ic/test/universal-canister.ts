// The universal canister on a network of a test: a message to it is a program that it runs.
import assert from "node:assert/strict";
import { type CanisterId, MANAGEMENT_CANISTER, type PrincipalId, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import * as u from "../../execution/test/canisters/universal.ts";
import type { CanisterCall, Network } from "../src/index.ts";

export const ALICE = "0a1102" as PrincipalId;

/** An update by Alice, run to its reply. */
export async function call(
  network: Network,
  receiver: CanisterId,
  methodName: string,
  arg: Uint8Array,
  effective?: PrincipalId,
): Promise<Uint8Array> {
  const submission = await network.submit({
    sender: ALICE,
    receiver,
    methodName,
    arg,
    ...(effective && { effective }),
  });
  assert.ok(submission.ok);
  const status = await network.awaitMessage(submission.message);
  assert.equal(status?.state, "replied", JSON.stringify(status));
  return status.reply;
}

const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});
const wasm = u.universalModule({});

/** A new one, on that subnet or where new canisters go. */
export function universal(network: Network, subnet?: PrincipalId): Promise<CanisterId> {
  return universalBy(
    ({ receiver, methodName, arg, effective }) => call(network, receiver, methodName, arg, effective),
    subnet,
  );
}

/** The same by whatever makes updates. */
export async function universalBy(
  update: (call: CanisterCall) => Promise<Uint8Array>,
  subnet?: PrincipalId,
): Promise<CanisterId> {
  const management = { sender: ALICE, receiver: MANAGEMENT_CANISTER };
  const create = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 16n] }]);
  const methodName = "provisional_create_canister_with_cycles";
  const reply = await update({ ...management, methodName, arg: create, ...(subnet && { effective: subnet }) });
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
    { canister_id: Principal },
  ];
  const arg = IDL.encode([Install], [{ mode: { install: null }, canister_id, wasm_module: wasm, arg: [] }]);
  const id = toHex(canister_id.toUint8Array()) as CanisterId;
  await update({ ...management, methodName: "install_code", arg, effective: id });
  return id;
}
