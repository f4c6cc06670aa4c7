// Texts that callers choose end up in the certified state and on disk: they must be storable, and the same on every
// machine whatever it did before. (The Candid library numbers types by what its process has decoded so far.)
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeState, ErrorCode, encodeState, MANAGEMENT_CANISTER, userError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { createCanister, message, newMachine, round, statusOf } from "./machine.ts";

test("an error's text is well-formed whatever it was made of", () => {
  const { message: text } = userError(ErrorCode.CanisterTrapped, "half a smile: \ud83d");
  assert.equal(decodeState(encodeState(text)), "half a smile: \ufffd");
});

test("an argument that cannot be decoded is rejected with the same storable text on every machine", () => {
  const machines = [newMachine(), newMachine()];
  const ids = machines.map((machine) => createCanister(machine));
  const canisterId = Principal.fromHex(ids[0] as string);
  const odd = [
    IDL.encode(
      [IDL.Record({ canister_id: IDL.Principal, amount: IDL.Vec(IDL.Text) })],
      [{ canister_id: canisterId, amount: [] }],
    ),
    IDL.encode([IDL.Vec(IDL.Service({ ["😀".repeat(300)]: IDL.Func([], [], []) }))], [[]]),
    IDL.encode([IDL.Vec(IDL.Service({ [`a${"😀".repeat(300)}`]: IDL.Func([], [], []) }))], [[]]),
  ];
  for (const arg of odd) {
    const call = message(
      machines[0] as (typeof machines)[0],
      MANAGEMENT_CANISTER,
      "provisional_top_up_canister",
      new Uint8Array(arg),
      {
        effective: ids[0] as (typeof ids)[0],
      },
    );
    const texts = machines.map((machine) => {
      round(machine, [call]);
      const status = statusOf(machine, call);
      assert.equal(status?.state, "rejected");
      return status?.state === "rejected" ? status.error.message : "";
    });
    assert.equal(texts[1], texts[0]);
    assert.equal(decodeState(encodeState(texts[0])), texts[0]);
  }
});
