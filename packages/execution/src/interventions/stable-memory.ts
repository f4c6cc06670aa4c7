// Replaces all stable memory of a canister: it gets a new memory with the given content, as large as that needs. The
// old one goes as it does with a reinstallation, so readers, live instances and the disk notice in the same way.
import { newMemory, touch } from "@atoll/state";
import { type InterventionResult, OS_PAGE_BYTES, WASM_PAGE_BYTES } from "@atoll/types";
import { availableMemory } from "../resource-usage.ts";
import type { Round } from "../round.ts";
import { busyError, canisterOf, type InterventionOf, MADE, nameOf, notFound, refused } from "./refused.ts";

/** A batch is one record of the log and has to fit there. */
const MAX_CONTENT_BYTES = 128 * 1024 * 1024;

export function setStableMemory(
  round: Round,
  { canister: id, content }: InterventionOf<"set_stable_memory">,
): InterventionResult {
  const { state } = round;
  const canister = canisterOf(round, id);
  if (canister === undefined) return notFound(id);
  if (content.length > MAX_CONTENT_BYTES) return refused(`The content has more than ${MAX_CONTENT_BYTES} bytes.`);
  const { execution } = canister;
  if (execution === undefined) return refused(`Canister ${nameOf(id)} has no Wasm module, so no stable memory.`);
  const busy = busyError(canister);
  if (busy !== undefined) return busy;
  const wasmPages = Math.ceil(content.length / WASM_PAGE_BYTES);
  const growth = (wasmPages - execution.stable.wasmPages) * WASM_PAGE_BYTES;
  if (growth > availableMemory(round)) return refused("The subnet has not so much memory left.");
  touch(state, canister);
  const memory = newMemory(state, canister);
  memory.wasmPages = wasmPages;
  for (let at = 0; at < content.length; at += OS_PAGE_BYTES) {
    const part = content.subarray(at, at + OS_PAGE_BYTES);
    // Pages of zeros take no room.
    if (part.some((byte) => byte !== 0)) memory.writeBytes(at, part, state.height);
  }
  execution.stable.discard(state.height);
  execution.stable = memory;
  return MADE;
}
