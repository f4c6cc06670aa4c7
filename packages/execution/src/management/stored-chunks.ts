// stored_chunks: the hashes of what upload_chunk put into the store. Specification, "IC method stored_chunks".
// For the canister itself and its controllers.
import { fromHex } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord, ChunkHashes } from "./candid-types.ts";
import { controlledOrOwnCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function storedChunks(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledOrOwnCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  const hashes = [...canister.chunkStore.keys()].sort();
  return {
    ok: true,
    reply: encodeReply(
      ChunkHashes,
      hashes.map((hash) => ({ hash: fromHex(hash) })),
    ),
  };
}
