// All system calls by their name in the import module `ic0`, and the import object of one instance.
// Each call is charged first, then checked against the module and the kind of execution, then run.
import type { Execution, Value } from "../execution.ts";
import { contractViolation, Trap } from "../execution-error.ts";
import { systemApiSignatures } from "../wasm/system-api.ts";
import type { ApiTable } from "./api-function.ts";
import { callApi } from "./call-api.ts";
import { canisterApi } from "./canister-api.ts";
import { cyclesApi } from "./cycles-api.ts";
import { messageApi } from "./message-api.ts";
import { stableApi } from "./stable-api.ts";

export const systemApi: ApiTable = { ...messageApi, ...callApi, ...cyclesApi, ...canisterApi, ...stableApi };

/** How many parameters a call has is the same for both widths of pointers. */
const SIGNATURES = systemApiSignatures(false);

export type ImportedFunction = (...args: Value[]) => Value | undefined;

/** The functions `names` of `ic0`, bound to whatever execution `current` says is under way. */
export function systemImports(names: readonly string[], current: () => Execution): Record<string, ImportedFunction> {
  const imports: Record<string, ImportedFunction> = {};
  for (const name of names) {
    const api = systemApi[name];
    if (api === undefined) continue;
    const { modes, cost, heap, run } = api;
    const admit = (execution: Execution, instructions: number): void => {
      execution.charge(instructions);
      if (heap && !execution.heap.hasMemory) throw contractViolation("WebAssembly module must define memory");
      execution.require(name, modes);
    };
    const any: ImportedFunction = (...args) => {
      const execution = current();
      admit(execution, typeof cost === "number" ? cost : cost(execution, ...args));
      return run(execution, ...args);
    };
    // Calls that canisters make for every few bytes that they move have three parameters: no list is made for those.
    const three: ImportedFunction = (a, b, c) => {
      const execution = current();
      admit(execution, typeof cost === "number" ? cost : cost(execution, a as Value, b as Value, c as Value));
      return run(execution, a as Value, b as Value, c as Value);
    };
    const fitting = SIGNATURES.get(name)?.params.length === 3 ? three : any;
    imports[name] = name.startsWith("stable") ? within(name, fitting) : fitting;
  }
  return imports;
}

/** Traps of the function say that they happened in it. None of these has more than three parameters. */
function within(name: string, call: ImportedFunction): ImportedFunction {
  return (a, b, c) => {
    try {
      return call(a as Value, b as Value, c as Value);
    } catch (thrown) {
      if (thrown instanceof Trap) thrown.within = name;
      throw thrown;
    }
  };
}
