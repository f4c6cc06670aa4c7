// Calls of setup_initial_dkg that wait for their keys: part of the replicated state, so that every node of the root subnet knows
// for whom to deal. There are few of them, and they wait for some intervals of consensus at most.
// Consensus and chain-key facts, sections 12.2 and 15.
import type { InitialDkgRequest, Request } from "@atoll/types";

export interface InitialDkgContext extends InitialDkgRequest {
  /** The call that waits for the answer. */
  readonly request: Omit<Request, "arg">;
}
