// AssemblyScript source in, canister module out. The language cannot name an export "canister_update inc", so exports
// named `update_x`, `query_x` and `composite_query_x` are renamed after the compilation; `canister_x` and the memory
// stay, every other export is removed. Sources end in `.as`, because they are no TypeScript to the type checker.

import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import binaryen from "binaryen";

const METHOD = /^(update|query|composite_query)_(.+)$/;
const KEPT = /^(memory|canister_.*)$/;

export async function compileAssemblyScript(source: URL): Promise<Uint8Array> {
  const text = readFileSync(source, "utf8");
  const written: Uint8Array[] = [];
  const flags = ["--runtime", "incremental", "-O2", "--use", "abort=canister/onAbort"];
  const outcome = await asc.main(["canister.ts", "--outFile", "canister.wasm", ...flags], {
    readFile: (name: string) => (name === "canister.ts" ? text : null),
    writeFile: (name: string, content: Uint8Array | string) => {
      if (name === "canister.wasm" && typeof content !== "string") written.push(content);
    },
    listFiles: () => [],
  });
  const [module] = written;
  if (outcome.error !== null || module === undefined) {
    throw new SyntaxError(`${source.pathname} does not compile: ${outcome.stderr.toString()}`);
  }
  return nameMethods(module);
}

function nameMethods(binary: Uint8Array): Uint8Array {
  const module = binaryen.readBinary(binary);
  const exported = Array.from({ length: module.getNumExports() }, (_, index) => {
    const { name, value } = binaryen.getExportInfo(module.getExportByIndex(index));
    return { name, value };
  });
  for (const { name, value } of exported) {
    if (KEPT.test(name)) continue;
    const [, kind, method] = METHOD.exec(name) ?? [];
    module.removeExport(name);
    if (kind !== undefined) module.addFunctionExport(value, `canister_${kind} ${method}`);
  }
  const renamed = new Uint8Array(module.emitBinary());
  module.dispose();
  return renamed;
}
