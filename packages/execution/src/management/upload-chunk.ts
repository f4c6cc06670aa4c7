// upload_chunk: one piece of a module too large for a single message, found again by its hash. Each piece counts as
// a full MiB of memory, whatever its size. Specification, "IC method upload_chunk"; checklist 4.4.
import { noteConsumption, touch } from "@atoll/state";
import { MAX_WASM_CHUNKS, OS_PAGE_BYTES, toHex, WASM_CHUNK_BYTES } from "@atoll/types";
import { outOfCycles } from "../prepayment.ts";
import { heapDeltaError, noteHeapDelta } from "../rate-limits.ts";
import { reserveMemory } from "../reserve-memory.ts";
import { freezingThreshold } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { ChunkHash, type UploadChunkArg, UploadChunkRecord } from "./candid-types.ts";
import { controlledOrOwnCanister, failed, isUserError } from "./managed-canister.ts";
import { chunkStoreError } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export const UPLOAD_INSTRUCTIONS = 200_000_000;

export function uploadChunk(call: ManagementCall): MethodResult {
  const { round } = call;
  const decoded = decodeArgument<UploadChunkArg>(UploadChunkRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, chunk } = decoded.value;
  const canister = controlledOrOwnCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  const cost = round.fees.managementInstructions(UPLOAD_INSTRUCTIONS);
  const needed = freezingThreshold(round, canister) + cost;
  if (canister.cycles < needed) {
    return failed(
      chunkStoreError(`Error charging for 'upload_chunk': ${outOfCycles(canister, needed, call.sender).message}`),
    );
  }
  // Charged even if the chunk is there already: finding that out takes hashing it.
  canister.cycles -= cost;
  const nominal = round.fees.nominal.managementInstructions(UPLOAD_INSTRUCTIONS);
  noteConsumption(round.state, canister, "instructions", nominal);
  round.instructionsLeft -= UPLOAD_INSTRUCTIONS;
  touch(round.state, canister);
  const hash = round.crypto.sha256(chunk);
  const key = toHex(hash);
  if (!canister.chunkStore.has(key)) {
    if (chunk.length > WASM_CHUNK_BYTES) {
      return failed(
        chunkStoreError(`Wasm chunk size ${chunk.length} exceeds the maximum chunk size of ${WASM_CHUNK_BYTES}`),
      );
    }
    if (canister.chunkStore.size >= MAX_WASM_CHUNKS) {
      return failed(
        chunkStoreError(
          `Wasm chunk store has already reached maximum capacity of ${MAX_WASM_CHUNKS * WASM_CHUNK_BYTES} bytes or the ` +
            `maximum number of entries, ${MAX_WASM_CHUNKS}`,
        ),
      );
    }
    const refusal = heapDeltaError(round, canister) ?? reserveMemory(round, canister, WASM_CHUNK_BYTES);
    if (refusal !== undefined) return failed(refusal);
    canister.chunkStore.set(key, chunk);
    noteHeapDelta(round, canister, WASM_CHUNK_BYTES / OS_PAGE_BYTES);
    touch(round.state, canister);
  }
  return { ok: true, reply: encodeReply(ChunkHash, { hash }) };
}
