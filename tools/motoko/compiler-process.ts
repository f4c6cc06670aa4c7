// The process in which one compilation runs (compile.ts starts it, one per canister): reads a CompilerInput as JSON on
// standard input, answers on standard output with a line of JSON and then the bytes of the module. Diagnostics go to
// standard error with exit code 1. Nothing here touches the disk but the compiler's own package.

import { readFileSync } from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import type { CompilerInput } from "./compile.ts";

interface Diagnostic {
  readonly source: string;
  readonly range: { readonly start: { readonly line: number; readonly character: number } };
  readonly severity: number;
  readonly code: string;
  readonly message: string;
}

/** The part of moc's JavaScript interface that is used here. */
interface Moc {
  saveFile(path: string, content: string): void;
  addPackage(name: string, directory: string): void;
  setExtraFlags(flags: readonly string[]): void;
  setPublicMetadata(names: readonly string[]): void;
  gcFlags(option: string): void;
  compileWasm(
    mode: "ic",
    path: string,
  ): {
    readonly diagnostics: readonly Diagnostic[] | null;
    readonly code: { readonly wasm: Uint8Array; readonly candid: string; readonly stable: string | null } | null;
  };
}

const ERROR_SEVERITY = 1;

enableCompileCache();
const require = createRequire(import.meta.url);
const input = JSON.parse(readFileSync(0, "utf8")) as CompilerInput;
const moc = (require("motoko/versions/latest/moc.min.js") as { Motoko: Moc }).Motoko;
compile(moc, input);

function compile(moc: Moc, input: CompilerInput): void {
  loadCore(moc);
  for (const [path, content] of Object.entries(input.files)) moc.saveFile(path, content);
  moc.gcFlags(input.width === 64 ? "enhancedOP" : "classicOP");
  if (input.gc !== null) moc.gcFlags(input.gc === "compacting" ? "marking" : input.gc);
  if (input.forceGc === true) moc.gcFlags("force");
  if (input.flags.length > 0) moc.setExtraFlags(input.flags);
  moc.setPublicMetadata(input.publicMetadata);
  const result = moc.compileWasm("ic", input.main);
  if (result.code === null || result.code === undefined) {
    process.stderr.write(describe(result.diagnostics ?? []));
    process.exitCode = 1;
    return;
  }
  const head = { candid: result.code.candid, stableTypes: result.code.stable ?? "" };
  process.stdout.write(`${JSON.stringify(head)}\n`);
  process.stdout.write(new Uint8Array(result.code.wasm));
}

/** The bundled library, so that `import "mo:core/Nat"` needs no package manager and no network. */
function loadCore(moc: Moc): void {
  const core = require("motoko/packages/latest/core.json") as { files: Record<string, { content: string }> };
  for (const [path, file] of Object.entries(core.files)) moc.saveFile(`/packages/core/${path}`, file.content);
  moc.addPackage("core", "/packages/core");
}

function describe(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === ERROR_SEVERITY);
  return errors
    .map(({ source, range, code, message }) => {
      return `${source}:${range.start.line + 1}:${range.start.character + 1}: ${message} [${code}]\n`;
    })
    .join("");
}
