// The canister on whose behalf the management canister is called: it decides which subnet handles the call and who
// pays for it. Its id is inside the Candid argument, and it must be the one in the URL, because whoever routes the
// request sees only that. Interface specification, "Effective canister id".
import { effectiveCanisterId } from "@atoll/execution";
import type { CanisterId } from "@atoll/types";

/** Methods of the management canister that create one: the only ones a subnet takes without an effective canister. */
export function isCreation(methodName: string): boolean {
  return methodName === "create_canister" || methodName === "provisional_create_canister_with_cycles";
}

/** The canister that `arg` names, or undefined when the method has none or the argument cannot be read. */
export function managedCanister(methodName: string, arg: Uint8Array): CanisterId | undefined {
  const id = effectiveCanisterId(methodName, arg);
  return id === "any" ? undefined : id;
}
