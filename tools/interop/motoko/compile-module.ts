// The modules of a case, compiled with the flags its headers ask for, as far as the compiler of the npm package has
// them. Results are kept by content (tools/motoko), so that only the first run of the suite waits for the compiler.

import { readFileSync } from "node:fs";
import { compileMotoko, MotokoError, type MotokoOptions } from "../../motoko/compile.ts";
import type { ModuleRequest, Persistence } from "./test-case.ts";

export interface CompiledModule {
  readonly wasm: Uint8Array;
  readonly persistence: Persistence;
}

/** The compiler's complaint, when it does not take a module. */
export class NotCompiled extends Error {
  override readonly name = "NotCompiled";
}

export async function compileModule(request: ModuleRequest): Promise<CompiledModule> {
  const { source, text, persistence, gc, forceGc, environment } = request;
  if (source.endsWith(".wasm")) return asItIs(source);
  const options: MotokoOptions = {
    flags: ["--legacy-actors", "--hide-warnings", ...request.flags],
    files: new Map([[source, text]]),
    forceGc,
    publicMetadata: [],
    ...(gc !== null && { gc }),
    ...(Object.keys(environment).length > 0 && { environment }),
  };
  try {
    const { wasm } = await compileMotoko({ source, width: persistence === "enhanced" ? 64 : 32, options });
    return { wasm, persistence };
  } catch (error) {
    if (error instanceof MotokoError) throw new NotCompiled(error.message, { cause: error });
    throw error;
  }
}

const ENHANCED = "icp:private enhanced-orthogonal-persistence";

function asItIs(path: string): CompiledModule {
  const wasm = readFileSync(path);
  return { wasm: new Uint8Array(wasm), persistence: wasm.includes(ENHANCED) ? "enhanced" : "classical" };
}
