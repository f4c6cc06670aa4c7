// The canister on whose behalf the management canister is called: it decides which subnet handles the call and who
// pays for it. Its id is inside the Candid argument, and it must be the one in the URL, because whoever routes the
// request sees only that. Interface specification, "Effective canister id".
import { type CanisterId, principalFromBytes } from "@atoll/types";
import { isCandidWithin } from "@atoll/types/candid-bounds";

/** Values that a decoder may visit in an argument that nobody has paid for yet; the replica's skipping quota. */
const MAX_VALUES = 10_000;

/** Methods whose argument names no existing canister: any id will do. */
const WITHOUT_CANISTER: ReadonlySet<string> = new Set([
  "create_canister",
  "provisional_create_canister_with_cycles",
  "list_canisters",
]);

/** Methods of the management canister that create one: the only ones a subnet takes without an effective canister. */
export function isCreation(methodName: string): boolean {
  return methodName === "create_canister" || methodName === "provisional_create_canister_with_cycles";
}

/** The canister that `arg` names, or undefined when the method has none or the argument cannot be read. */
export async function managedCanister(methodName: string, arg: Uint8Array): Promise<CanisterId | undefined> {
  if (WITHOUT_CANISTER.has(methodName) || !isCandidWithin(arg, MAX_VALUES)) return undefined;
  const field = methodName === "install_chunked_code" ? "target_canister" : "canister_id";
  const { IDL } = await import("@icp-sdk/core/candid");
  try {
    // A copy: the decoder reads a part of a larger buffer from the buffer's beginning.
    const [record] = IDL.decode([IDL.Record({ [field]: IDL.Principal })], new Uint8Array(arg));
    const id = (record as unknown as Record<string, { toUint8Array(): Uint8Array }>)[field];
    return id === undefined ? undefined : principalFromBytes(id.toUint8Array());
  } catch {
    return undefined;
  }
}
