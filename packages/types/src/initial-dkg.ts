// Keys for a subnet that does not exist yet, as the registry canister asks for them by `setup_initial_dkg`: the request waits in
// the root subnet's state until its nodes have dealt, and the answer comes with a batch. Consensus and chain-key facts,
// sections 12.2 and 15.
import type { PrincipalId } from "./ids.ts";
import type { ResponsePayload } from "./messages.ts";

export interface InitialDkgRequest {
  /** 32 bytes that name the request among all. */
  readonly target: Uint8Array;
  /** The nodes of the new subnet. */
  readonly receivers: readonly PrincipalId[];
  /** Where their keys are found. */
  readonly registryVersion: number;
}

export interface InitialDkgResponse {
  readonly target: Uint8Array;
  readonly result: ResponsePayload;
}
