// What a method of the management canister is: who may call it, and a function of the call.
// One file each; the table of all of them is methods.ts.
import type { ManagementCaller } from "@atoll/state";
import type { PrincipalId } from "@atoll/types";
import type { Round } from "../round.ts";
import type { MethodResult } from "./answer.ts";

/** A call to the management canister under way. */
export interface ManagementCall {
  readonly round: Round;
  readonly caller: ManagementCaller;
  readonly sender: PrincipalId;
  readonly arg: Uint8Array;
  /** Cycles attached; 0 for users. */
  readonly payment: bigint;
}

export interface ManagementMethod {
  /** Who may call: users through ingress messages, other canisters, both. */
  readonly from: "canisters" | "both";
  /** "later": the method keeps the caller and answers it in a later round. */
  run(call: ManagementCall): MethodResult | "later";
}
