// Where a trap happened in the source of a canister that was uploaded with its line tables: what a developer wants to
// see at the terminal. Never part of the replicated state: places within functions are the engine's to tell.
import type { StoredModule } from "@atoll/state";
import { framesOf, MAX_FRAMES } from "../backtrace.ts";
import { unpackModule } from "../prepared-module.ts";
import { demangle } from "../rust-names.ts";
import { CodeOffsets, functionNames, INJECTED_IMPORTS, validateModule } from "../wasm/index.ts";
import { findLines, type LineSections } from "./line-table.ts";

/** Unpacking and reading a module takes a moment that no meter sees: larger ones are not looked at. */
const MAX_UPLOADED_BYTES = 32 * 1024 * 1024;
/** Nor is more read than any developer needs, whatever canisters do. */
const MAX_BYTES_READ = 2 ** 34;
const MAX_KNOWN_PLACES = 10_000;

export interface TrapStack {
  readonly module: StoredModule;
  /** The text of the engine's stack. */
  readonly stack: string;
}

interface ReadModule {
  readonly hash: string;
  readonly offsets: CodeOffsets;
  readonly names: ReadonlyMap<number, string>;
  readonly sections: LineSections;
  readonly importedFunctions: number;
  /** By offset in the rewritten module; undefined: the table does not say. */
  readonly known: Map<number, string | undefined>;
}

type Frame = ReturnType<typeof framesOf>[number];

export class TrapPlaces {
  #read: ReadModule | undefined;
  #bytesLeft = MAX_BYTES_READ;

  /** Lines like `inner (src/lib.rs:12)`, innermost first; undefined when there is nothing to tell. */
  of({ module, stack }: TrapStack): string[] | undefined {
    if (module.uploaded.length > MAX_UPLOADED_BYTES) return undefined;
    const read = this.#module(module);
    if (read === undefined) return undefined;
    const frames = framesOf(stack).slice(0, MAX_FRAMES);
    const unknown = frames.filter(({ offset }) => !read.known.has(offset));
    if (unknown.length > 0 && this.#mayRead(read.sections.line.length)) learn(read, unknown);
    const lines = frames.flatMap(({ offset }) => read.known.get(offset) ?? []);
    return lines.length === 0 ? undefined : lines;
  }

  #mayRead(bytes: number): boolean {
    this.#bytesLeft -= bytes;
    return this.#bytesLeft >= 0;
  }

  #module(module: StoredModule): ReadModule | undefined {
    if (this.#read?.hash === module.hash) return this.#read;
    if (!this.#mayRead(module.uploaded.length + module.prepared.length)) return undefined;
    this.#read = readModule(module) ?? this.#read;
    return this.#read?.hash === module.hash ? this.#read : undefined;
  }
}

function readModule(module: StoredModule): ReadModule | undefined {
  const wasm = unpackModule(module.uploaded);
  const validation = wasm && validateModule(wasm);
  if (wasm === undefined || validation === undefined || !validation.ok) return undefined;
  const { info } = validation;
  const offsets = new CodeOffsets(wasm, module.prepared, info);
  const line = offsets.custom(".debug_line");
  if (line === undefined) return undefined;
  return {
    hash: module.hash,
    offsets,
    names: functionNames(wasm, info),
    sections: { line, lineStrings: offsets.custom(".debug_line_str"), strings: offsets.custom(".debug_str") },
    importedFunctions: info.importedFunctions,
    known: new Map(),
  };
}

function learn(read: ReadModule, frames: readonly Frame[]): void {
  if (read.known.size > MAX_KNOWN_PLACES) read.known.clear();
  const first = read.importedFunctions + INJECTED_IMPORTS;
  const addresses = frames.map(({ index, offset }) => read.offsets.originalOf(index - first, offset));
  const places = findLines(
    read.sections,
    addresses.filter((address) => address !== undefined),
  );
  frames.forEach(({ index, offset }, i) => {
    const place = places.get(addresses[i] ?? -1);
    const original = index - INJECTED_IMPORTS;
    const name = read.names.get(original);
    const shown = name === undefined ? `function ${original}` : demangle(name);
    read.known.set(offset, place && `${shown} (${place.file}:${place.line})`);
  });
}
