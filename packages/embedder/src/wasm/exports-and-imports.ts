// What a canister may import and how its entry points are found among its exports. Interface specification,
// "Canister module format" and "Entry points".
import type { EntryPoints, ModuleInfo } from "./module-info.ts";
import { type FunctionType, functionType, type Import, type ParsedModule } from "./parse.ts";
import { advised, type Refusal, refusal } from "./refusal.ts";
import { type Signature, systemApiSignatures } from "./system-api.ts";
import { displayTypes } from "./value-types.ts";

const MAX_METHODS = 1_000;
const MAX_METHOD_NAME_BYTES = 20_000;

const RESERVED_EXPORTS: ReadonlySet<string> = new Set([
  "canister counter_instructions",
  "canister counter_dirty_pages",
  "canister counter_accessed_pages",
  "canister_start",
  "stable_memory",
  "stable_memory_bytemap",
]);

const SYSTEM_ENTRY_POINTS: ReadonlySet<string> = new Set([
  "canister_init",
  "canister_pre_upgrade",
  "canister_post_upgrade",
  "canister_inspect_message",
  "canister_heartbeat",
  "canister_global_timer",
  "canister_on_low_wasm_memory",
]);

const METHOD_PREFIXES = {
  update: "canister_update ",
  query: "canister_query ",
  compositeQuery: "canister_composite_query ",
};

export function checkImports(module: ParsedModule, memory64: boolean): Refusal | undefined {
  const signatures = systemApiSignatures(memory64);
  for (const entry of module.imports) {
    const error = checkImport(entry, module, signatures);
    if (error !== undefined) return error;
  }
  return undefined;
}

function checkImport(
  entry: Import,
  module: ParsedModule,
  signatures: ReadonlyMap<string, Signature>,
): Refusal | undefined {
  const invalid = (reason: string) => refusal(`Wasm module has an invalid import section. ${reason}`);
  const { name, kind } = entry;
  const isFrom = (field: string) => entry.module === "env" && name === field;
  if (kind === 1) return isFrom("table") ? undefined : invalid("Only tables imported from env.table are allowed.");
  if (kind === 2) return isFrom("memory") ? undefined : invalid("Only memory imported from env.memory is allowed.");
  if (kind === 3) return invalid("Importing globals is not allowed.");
  const signature = signatures.get(name);
  if (signature === undefined) {
    return invalid(`Module imports function '${name}' from '${entry.module}' that is not exported by the runtime.`);
  }
  if (entry.module !== "ic0") {
    return invalid(
      `Module imports function "${name}" from "${entry.module}", expected to be imported from one of ["ic0"] instead.`,
    );
  }
  return checkSignature(name, signature, functionType(module, entry.type));
}

function checkSignature(name: string, expected: Signature, actual: FunctionType): Refusal | undefined {
  const invalid = (reason: string) => refusal(`Wasm module has an invalid function signature. ${reason}`);
  if (displayTypes(expected.params) !== displayTypes(actual.params)) {
    return invalid(
      `Expected input params ${displayTypes(expected.params)} for '${name}', got ${displayTypes(actual.params)}.`,
    );
  }
  if (displayTypes(expected.results) !== displayTypes(actual.results)) {
    return invalid(
      `Expected return type ${displayTypes(expected.results)} for '${name}', got ${displayTypes(actual.results)}.`,
    );
  }
  return undefined;
}

/** The method name in an export name, or undefined when it is none. */
function methodName(exported: string): string | undefined {
  for (const prefix of Object.values(METHOD_PREFIXES)) {
    if (exported.startsWith(prefix)) return exported.slice(prefix.length);
  }
  return undefined;
}

export function checkExports(module: ParsedModule): Refusal | undefined {
  const invalid = (reason: string) => refusal(`Wasm module has an invalid export section. ${reason}`);
  const methods = new Set<string>();
  let nameBytes = 0;
  for (const { name, kind, index } of module.exports) {
    if (RESERVED_EXPORTS.has(name)) return invalid(`Exporting reserved symbol ${name} not allowed.`);
    if (kind !== 0) continue;
    const method = methodName(name);
    if (method !== undefined) {
      if (methods.has(method)) {
        return duplicateMethod(method);
      }
      methods.add(method);
      nameBytes += new TextEncoder().encode(method).length;
    } else if (!SYSTEM_ENTRY_POINTS.has(name)) {
      if (name.startsWith("canister_")) return invalid(`Exporting reserved function '${name}' with "canister_" prefix`);
      continue;
    }
    const error = checkSignature(
      name,
      { params: [], results: [] },
      functionType(module, typeOfFunction(module, index)),
    );
    if (error !== undefined) return error;
  }
  return checkMethodCounts(methods.size, nameBytes);
}

function duplicateMethod(method: string): Refusal {
  return advised(
    `Duplicate function '${method}' exported multiple times with different call types: update, query, or composite_query.`,
    `Try defining different versions of the function for each call type, e.g. \`${method}_update\`, \`${method}_query\`, etc.`,
    "duplicate-exports",
  );
}

const CALLED = "called `canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>`";

function checkMethodCounts(count: number, nameBytes: number): Refusal | undefined {
  if (count > MAX_METHODS) {
    return advised(
      `The number of exported functions ${CALLED} is ${count} which exceeds ${MAX_METHODS}.`,
      "Try combining multiple endpoints into a single endpoint.",
      "exports-too-many-methods",
    );
  }
  if (nameBytes > MAX_METHOD_NAME_BYTES) {
    return advised(
      `The sum of \`<name>\` lengths in exported functions ${CALLED} is ${nameBytes} which exceeds the allowed limit of ${MAX_METHOD_NAME_BYTES}.`,
      "Try using shorter method names.",
      "sum-of-exported-name-lengths-too-large",
    );
  }
  return undefined;
}

function typeOfFunction(module: ParsedModule, index: number): number {
  const imported = module.importedFunctionTypes;
  return (index < imported.length ? imported[index] : module.functionTypes[index - imported.length]) ?? 0;
}

export function methods(module: ParsedModule): ModuleInfo["methods"] {
  const named = (prefix: string): string[] =>
    module.exports
      .filter(({ name, kind }) => kind === 0 && name.startsWith(prefix))
      .map(({ name }) => name.slice(prefix.length));
  return {
    update: named(METHOD_PREFIXES.update),
    query: named(METHOD_PREFIXES.query),
    compositeQuery: named(METHOD_PREFIXES.compositeQuery),
  };
}

export function entryPoints(module: ParsedModule): EntryPoints {
  const names = new Set(module.exports.filter(({ kind }) => kind === 0).map(({ name }) => name));
  return {
    init: names.has("canister_init"),
    preUpgrade: names.has("canister_pre_upgrade"),
    postUpgrade: names.has("canister_post_upgrade"),
    inspectMessage: names.has("canister_inspect_message"),
    heartbeat: names.has("canister_heartbeat"),
    globalTimer: names.has("canister_global_timer"),
    onLowWasmMemory: names.has("canister_on_low_wasm_memory"),
    start: module.start !== undefined,
  };
}
