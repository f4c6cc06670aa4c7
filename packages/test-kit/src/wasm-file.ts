// Modules as build tools leave them on the disk: `.wasm` and `.wasm.gz` alike, since the network takes both.
// A missing file is said in words, because it mostly means that something was not built.
import { readFileSync } from "node:fs";
import { EnvironmentError } from "@atoll/types";

/** The bytes of a module. Throws EnvironmentError when the file cannot be read. */
export function wasmFile(path: string | URL): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    const { code = "EIO", message } = error as NodeJS.ErrnoException;
    const advice = code === "ENOENT" ? " Was the canister built?" : "";
    throw new EnvironmentError(code, `The module ${path} cannot be read: ${message}.${advice}`, { cause: error });
  }
}
