// Installing code: in one message where it fits into one, else chunk by chunk through the chunk store of the canister.
// Interface specification, "IC method install_code", "IC method install_chunked_code".
import { type CanisterId, MAX_INGRESS_BYTES_APPLICATION, type PrincipalId, WASM_CHUNK_BYTES } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { manage } from "./management.ts";
import { toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";

export type InstallMode =
  | { readonly kind: "install" }
  | { readonly kind: "reinstall" }
  | {
      readonly kind: "upgrade";
      /** Do not run `canister_pre_upgrade`. */
      readonly skipPreUpgrade?: boolean;
      /** What happens to the heap. */
      readonly wasmMemoryPersistence?: "keep" | "replace";
    };

/** What code is started with: bytes, or values with the types that the factory's `init` gives. */
export interface InitArgument {
  /** Candid bytes; default: no arguments. */
  readonly arg?: Uint8Array;
  /** `init` of the generated declarations. */
  readonly init?: (api: { IDL: typeof IDL }) => IDL.Type[];
  /** Encoded by `init`. */
  readonly args?: readonly unknown[];
}

/** Room for the fields around module and argument in a message. */
const ROOM_BYTES = 16 * 1024;

/** Throws TypeError for values without their types. */
export function initArgument({ arg, init, args }: InitArgument): Uint8Array {
  if (args === undefined) return arg ?? IDL.encode([], []);
  if (init === undefined) throw new TypeError("`args` needs `init`, the function of the generated declarations");
  return IDL.encode(init({ IDL }), [...args]);
}

/** Rejects with CanisterReject. */
export async function installCode(
  session: Session,
  sender: PrincipalId,
  canister: CanisterId,
  { wasm, arg, mode }: { readonly wasm: Uint8Array; readonly arg: Uint8Array; readonly mode: InstallMode },
): Promise<void> {
  if (!ArrayBuffer.isView(wasm)) throw new TypeError("`wasm` is the bytes of a module; `wasmFile(path)` reads them");
  const canister_id = toPrincipal(canister);
  const common = { mode: candidMode(mode), arg, sender_canister_version: [] };
  if (wasm.length + arg.length + ROOM_BYTES <= MAX_INGRESS_BYTES_APPLICATION) {
    await manage(session, sender, "install_code", { ...common, canister_id, wasm_module: wasm });
    return;
  }
  const chunk_hashes_list = [];
  for (let at = 0; at < wasm.length; at += WASM_CHUNK_BYTES) {
    const chunk = wasm.subarray(at, at + WASM_CHUNK_BYTES);
    chunk_hashes_list.push(await manage<{ hash: Uint8Array }>(session, sender, "upload_chunk", { canister_id, chunk }));
  }
  const wasm_module_hash = session.crypto.sha256(wasm);
  const install = { ...common, target_canister: canister_id, store_canister: [], chunk_hashes_list, wasm_module_hash };
  await manage(session, sender, "install_chunked_code", install);
  await manage(session, sender, "clear_chunk_store", { canister_id });
}

function candidMode(mode: InstallMode): unknown {
  if (mode.kind !== "upgrade") return { [mode.kind]: null };
  const { skipPreUpgrade, wasmMemoryPersistence } = mode;
  if (skipPreUpgrade === undefined && wasmMemoryPersistence === undefined) return { upgrade: [] };
  return {
    upgrade: [
      {
        skip_pre_upgrade: skipPreUpgrade === undefined ? [] : [skipPreUpgrade],
        wasm_memory_persistence: wasmMemoryPersistence === undefined ? [] : [{ [wasmMemoryPersistence]: null }],
      },
    ],
  };
}
