// A canister by the Motoko compiler, whose default output has 64-bit memory and table. Compiled once for all tests.
import { fileURLToPath } from "node:url";
import { compileMotoko } from "../../../../tools/motoko/compile.ts";

const SOURCE = fileURLToPath(new URL("counter.mo", import.meta.url));

export async function motokoCounter(memory64: boolean): Promise<Uint8Array> {
  return (await compileMotoko({ source: SOURCE, width: memory64 ? 64 : 32 })).wasm;
}
