// When `canister_on_low_wasm_memory` has to run: once each time that less memory is left below the limit in the settings
// than the threshold there, and not again before there was enough in between. Looked at whenever the heap, the settings
// or the code changes. Specification, "On low Wasm memory hook"; checklist 3.5.
import type { CanisterState } from "@atoll/state";

/** Where the settings name no limit. */
const HEAP_WITHOUT_LIMIT = 4n * 1024n ** 3n;

/** Whether a heap of `bytes` leaves less than the canister's threshold. */
export function isMemoryLow({ settings }: CanisterState, bytes: number): boolean {
  const { wasmMemoryLimit, wasmMemoryThreshold } = settings;
  const limit = wasmMemoryLimit === 0n ? HEAP_WITHOUT_LIMIT : wasmMemoryLimit;
  return limit < BigInt(bytes) + wasmMemoryThreshold;
}

export function updateLowMemoryHook(canister: CanisterState): void {
  if (!isMemoryLow(canister, canister.execution?.heap.bytes ?? 0)) canister.lowMemoryHook = "notSatisfied";
  else if (canister.lowMemoryHook === "notSatisfied") canister.lowMemoryHook = "ready";
}
