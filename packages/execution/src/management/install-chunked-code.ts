// install_chunked_code: install_code with a module that lies in pieces in a chunk store, its own or that of another
// canister of the subnet. Specification, "IC method install_chunked_code"; checklist 4.4.
import type { CanisterState } from "@atoll/state";
import { touch } from "@atoll/state";
import {
  ErrorCode,
  MAX_WASM_CHUNKS,
  principalToText,
  toHex,
  type UserError,
  userError,
  WASM_CHUNK_BYTES,
} from "@atoll/types";
import { freezingThreshold } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type InstallChunkedCodeArg, InstallChunkedCodeRecord } from "./candid-types.ts";
import { install } from "./install-code.ts";
import {
  controlledCanister,
  controlledOrOwnCanister,
  failed,
  isUserError,
  senderVersionError,
} from "./managed-canister.ts";
import { chunkStoreError, installOutOfCycles } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function installChunkedCode(call: ManagementCall): MethodResult | "later" {
  const decoded = decodeArgument<InstallChunkedCodeArg>(InstallChunkedCodeRecord, call.arg);
  if (!decoded.ok) return decoded;
  const request = decoded.value;
  const versionError = senderVersionError(call, request.sender_canister_version) ?? checkSizes(request);
  if (versionError !== undefined) return failed(versionError);
  const store = storeCanister(call, request);
  if (isUserError(store)) return failed(store);
  const target = controlledCanister(call, request.target_canister);
  if (isUserError(target)) return failed(target);
  const chargeError = chargeAssembly(call, target, request.chunk_hashes_list.length);
  if (chargeError !== undefined) return failed(chargeError);
  const wasm = assemble(call, store, request);
  if (!(wasm instanceof Uint8Array)) return failed(wasm);
  const { mode, arg, sender_canister_version } = request;
  return install(call, target, { mode, wasm, arg, senderVersion: sender_canister_version });
}

function checkSizes({ chunk_hashes_list, wasm_module_hash }: InstallChunkedCodeArg): UserError | undefined {
  if (chunk_hashes_list.length > MAX_WASM_CHUNKS) {
    return userError(
      ErrorCode.CanisterContractViolation,
      `InstallChunkedCode Error: chunk_hashes_list length ${chunk_hashes_list.length} exceeds the maximum of ` +
        `${MAX_WASM_CHUNKS} chunks`,
    );
  }
  if (wasm_module_hash.length === 32) return undefined;
  const shown = wasm_module_hash.length <= 100 ? listed(wasm_module_hash) : `of ${wasm_module_hash.length} bytes`;
  return userError(ErrorCode.CanisterContractViolation, `Invalid wasm hash ${shown}`);
}

function storeCanister(call: ManagementCall, request: InstallChunkedCodeArg): CanisterState | UserError {
  const { state } = call.round;
  const [id = request.target_canister] = request.store_canister;
  if (state.canisters.has(id)) return controlledOrOwnCanister(call, id);
  return userError(
    ErrorCode.CanisterNotFound,
    `InstallChunkedCode Error: Store canister ${principalToText(id)} was not found on subnet ` +
      `${principalToText(state.config.subnetId)} of target canister ${principalToText(request.target_canister)}`,
  );
}

/** One instruction a byte, each chunk counted as a whole MiB. */
function chargeAssembly(call: ManagementCall, target: CanisterState, chunks: number): UserError | undefined {
  const { round } = call;
  const instructions = chunks * WASM_CHUNK_BYTES;
  const cost = round.fees.managementInstructions(instructions);
  const needed = freezingThreshold(round, target) + cost;
  if (target.cycles < needed) return installOutOfCycles(target.id, needed - target.cycles);
  target.cycles -= cost;
  round.instructionsLeft -= instructions;
  touch(round.state, target);
  return undefined;
}

function assemble(call: ManagementCall, store: CanisterState, request: InstallChunkedCodeArg): Uint8Array | UserError {
  const chunks: Uint8Array[] = [];
  for (const { hash } of request.chunk_hashes_list) {
    if (hash.length !== 32) return chunkStoreError("Chunk hash is invalid. The length is not 32");
    const chunk = store.chunkStore.get(toHex(hash));
    if (chunk === undefined) return chunkStoreError(`Chunk hash ${listed(hash)} was not found`);
    chunks.push(chunk);
  }
  const wasm = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    wasm.set(chunk, at);
    at += chunk.length;
  }
  const hash = call.round.crypto.sha256(wasm);
  if (toHex(hash) === toHex(request.wasm_module_hash)) return wasm;
  return chunkStoreError(
    `Wasm module hash ${listed(hash)} does not match given hash WasmHash(${listed(request.wasm_module_hash)})`,
  );
}

/** Bytes as the replica prints them. */
function listed(bytes: Uint8Array): string {
  return `[${bytes.join(", ")}]`;
}
