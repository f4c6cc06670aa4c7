// All system calls by their name in the import module `ic0`, and the import object of one instance.
// Each call is charged first, then checked against the module and the kind of execution, then run.
import type { Execution, Value } from "../execution.ts";
import { contractViolation } from "../execution-error.ts";
import type { ApiTable } from "./api-function.ts";
import { callApi } from "./call-api.ts";
import { canisterApi } from "./canister-api.ts";
import { cyclesApi } from "./cycles-api.ts";
import { messageApi } from "./message-api.ts";
import { stableApi } from "./stable-api.ts";

export const systemApi: ApiTable = { ...messageApi, ...callApi, ...cyclesApi, ...canisterApi, ...stableApi };

export type ImportedFunction = (...args: Value[]) => Value | undefined;

/** The functions `names` of `ic0`, bound to whatever execution `current` says is under way. */
export function systemImports(names: readonly string[], current: () => Execution): Record<string, ImportedFunction> {
  const imports: Record<string, ImportedFunction> = {};
  for (const name of names) {
    const api = systemApi[name];
    if (api === undefined) continue;
    const { modes, cost, heap, run } = api;
    imports[name] = (...args) => {
      const execution = current();
      execution.charge(typeof cost === "number" ? cost : cost(execution, ...args));
      if (heap && !execution.heap.hasMemory) throw contractViolation("WebAssembly module must define memory");
      execution.require(name, modes);
      return run(execution, ...args);
    };
  }
  return imports;
}
