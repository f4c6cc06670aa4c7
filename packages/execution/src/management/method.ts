// What a method of the management canister is: to whom it is open, what it takes, and a function of the call.
// One file each; the table of all of them is methods.ts.
import type { ManagementCaller } from "@atoll/state";
import type { PrincipalId } from "@atoll/types";
import type { IDL } from "@icp-sdk/core/candid";
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

/**
 * To whom a method is open, and how: the gate that a user's message passes before it enters a block. Canisters are let
 * through to the method, which checks again who calls.
 */
export type Openness =
  /** Other canisters alone. */
  | "canisters"
  /** Canisters, and the admins of the subnet by ingress messages. */
  | "canisters and admins"
  /** Nobody in a round: users ask it in queries. */
  | "queries"
  /** Controllers of the canister in the argument. */
  | "controllers"
  /** Its controllers and the admins of the subnet. */
  | "controllers and admins"
  /** Whoever may see its status, or its snapshots. */
  | "status viewers"
  | "snapshot viewers"
  /** Anybody on a network for development. */
  | "development";

export interface ManagementMethod {
  readonly open: Openness;
  /** Candid type of the argument; "nothing" for none. */
  readonly takes: IDL.Type | "nothing";
  /** "later": the method keeps the caller and answers it itself. */
  run(call: ManagementCall): MethodResult | "later";
}
