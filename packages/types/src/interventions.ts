// What a test does to a state beside sending messages. Part of the batch, so that a recorded test can be run again to
// the same bytes. Only networks for tests and development take them.
import type { CanisterId } from "./ids.ts";
import type { Cycles } from "./units.ts";

export type Intervention =
  | { readonly kind: "add_cycles"; readonly canister: CanisterId; readonly amount: Cycles }
  | { readonly kind: "set_stable_memory"; readonly canister: CanisterId; readonly content: Uint8Array };
