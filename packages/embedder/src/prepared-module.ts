// From the bytes a user uploads to a module that this subnet can run: unpack, validate, rewrite. Done once, at
// install time; the result is kept beside the original. Checklist 3.1, instruction-costs 7.
import type { StoredModule } from "@atoll/state";
import { type CryptoPort, crc32, invariant, MAX_WASM_MODULE_BYTES, toHex } from "@atoll/types";
import { Gunzip } from "fflate";
import type { ExecutionError } from "./execution-error.ts";
import {
  type GlobalAccess,
  InstrumentationError,
  type InstrumentedModule,
  type InstrumentOptions,
  instrument,
  type MemoryInfo,
  type ModuleInfo,
  moduleTooLarge,
  type Refusal,
  type TableInfo,
  undecodable,
  validateModule,
  withNameTable,
} from "./wasm/index.ts";

/** Part of every key under which rewritten bytes are kept: a new rewriter rewrites again. */
export const REWRITER_VERSION = 6;

/** What the host must know to run a rewritten module. Plain data: kept on disk, sent to query threads. */
export interface ModuleDescription {
  readonly rewriterVersion: number;
  readonly memory64: boolean;
  readonly memory: MemoryInfo | undefined;
  readonly table: TableInfo | undefined;
  readonly methods: ModuleInfo["methods"];
  readonly entryPoints: ModuleInfo["entryPoints"];
  readonly systemImports: readonly string[];
  readonly globals: readonly GlobalAccess[];
  readonly dropsSegments: boolean;
  /** What was uploaded has line tables. */
  readonly hasLines: boolean;
  readonly customSectionBytes: number;
  /** Its private or public section `enhanced-orthogonal-persistence` says that the heap survives upgrades. */
  readonly orthogonalPersistence: boolean;
}

export interface PreparedModule {
  readonly stored: StoredModule;
  readonly description: ModuleDescription;
  /** Active data segments: written to the heap at install, not kept. */
  readonly dataSegments: ModuleInfo["dataSegments"];
  /** Operators to charge compilation for. */
  readonly compiledOperators: number;
}

export type PreparationResult =
  | { readonly ok: true; readonly module: PreparedModule }
  | {
      readonly ok: false;
      readonly error: ExecutionError /** Size the failed work is charged for. */;
      readonly bytes: number;
    };

export function prepareModule(uploaded: Uint8Array, crypto: Pick<CryptoPort, "sha256">): PreparationResult {
  const unpacked = unpack(uploaded);
  if (!unpacked.ok) return refused(unpacked.refusal, unpacked.bytes);
  const validation = validateModule(unpacked.wasm);
  if (!validation.ok) return refused(validation.refusal, Math.max(unpacked.wasm.length, uploaded.length));
  const { info } = validation;
  const bytes = Math.max(unpacked.wasm.length, uploaded.length);
  const rewritten = rewrite(unpacked.wasm, info, { isSuspendable: false });
  if (typeof rewritten === "string") return refused({ step: "instrument", text: rewritten }, bytes);
  const description: ModuleDescription = {
    rewriterVersion: REWRITER_VERSION,
    memory64: info.memory64,
    memory: rewritten.memory,
    table: rewritten.table,
    methods: info.methods,
    entryPoints: info.entryPoints,
    systemImports: [...new Set(info.systemImports)],
    globals: rewritten.globals,
    dropsSegments: rewritten.dropsSegments,
    hasLines: info.hasLines,
    customSectionBytes: info.customSections.reduce(
      (sum, section) => sum + section.name.length + section.content.length,
      0,
    ),
    orthogonalPersistence: info.customSections.some((section) => section.name === "enhanced-orthogonal-persistence"),
  };
  const stored: StoredModule = {
    hash: toHex(crypto.sha256(uploaded)),
    uploaded,
    prepared: rewritten.wasm,
    description,
    summary: {
      hasHeartbeat: info.entryPoints.heartbeat,
      metadata: info.customSections.map((section) => ({
        name: section.name,
        isPublic: section.visibility === "public",
        content: section.content.slice(),
      })),
    },
  };
  return {
    ok: true,
    module: { stored, description, dataSegments: info.dataSegments, compiledOperators: info.compiledOperators },
  };
}

/** The rewritten module, or why there is none: what instrumentation adds may be more than the engine takes. */
function rewrite(wasm: Uint8Array, info: ModuleInfo, options: InstrumentOptions): InstrumentedModule | string {
  try {
    const rewritten = instrument(wasm, info, options);
    return { ...rewritten, wasm: withNameTable(rewritten.wasm, wasm, info) };
  } catch (error) {
    if (error instanceof InstrumentationError) return error.message;
    throw error;
  }
}

/** The other form of a module that was prepared before: for executions that are suspended between slices. */
export function suspendableCode({ uploaded }: StoredModule): Uint8Array<ArrayBuffer> {
  const unpacked = unpack(uploaded);
  const validation = unpacked.ok ? validateModule(unpacked.wasm) : undefined;
  invariant(unpacked.ok && validation?.ok === true, "an installed module is not accepted any more");
  const rewritten = rewrite(unpacked.wasm, validation.info, { isSuspendable: true });
  invariant(typeof rewritten !== "string", "an installed module has no suspendable form");
  return rewritten.wasm as Uint8Array<ArrayBuffer>;
}

export function describeModule(stored: StoredModule): ModuleDescription {
  return stored.description as ModuleDescription;
}

function refused({ step, text, advice }: Refusal, bytes: number): PreparationResult {
  if (step === "instantiate") return { ok: false, error: { kind: "engine", detail: text }, bytes };
  return { ok: false, error: { kind: "invalid-wasm", step, detail: text, advice }, bytes };
}

type Unpacked = { ok: true; wasm: Uint8Array } | { ok: false; refusal: Refusal; bytes: number };

/** The module itself, unpacked if need be; undefined when it cannot be. */
export function unpackModule(uploaded: Uint8Array): Uint8Array | undefined {
  const unpacked = unpack(uploaded);
  return unpacked.ok ? unpacked.wasm : undefined;
}

function unpack(uploaded: Uint8Array): Unpacked {
  const magic = String.fromCharCode(...uploaded.subarray(0, 4));
  if (magic === "\0asm") {
    return uploaded.length > MAX_WASM_MODULE_BYTES ? tooLarge(uploaded.length) : { ok: true, wasm: uploaded };
  }
  if (magic.startsWith("\x1f\x8b\x08")) return gunzip(uploaded);
  return corrupt("unsupported canister module format", uploaded.length);
}

const NOT_GZIP = "failed to decode compressed Wasm module:";

/** The trailer states the size; the stream is stopped as soon as it exceeds it, whatever it could become. */
function gunzip(uploaded: Uint8Array): Unpacked {
  if (uploaded.length < 16) return corrupt("invalid Wasm module: gzip stream is too short", uploaded.length);
  const trailer = new DataView(uploaded.buffer, uploaded.byteOffset + uploaded.length - 8, 8);
  const size = trailer.getUint32(4, true);
  if (size > MAX_WASM_MODULE_BYTES) return tooLarge(size);
  const wasm = new Uint8Array(size);
  let length = 0;
  let checksum = 0;
  const collect = (chunk: Uint8Array) => {
    if (length + chunk.length > size) throw new TooMuch();
    wasm.set(chunk, length);
    length += chunk.length;
    checksum = crc32(chunk, checksum);
  };
  try {
    const stream = new Gunzip(collect);
    // Small pieces of input bound what one step can unpack to before the check above sees it.
    for (let at = 0; at < uploaded.length; at += 16_384) {
      stream.push(uploaded.subarray(at, at + 16_384), at + 16_384 >= uploaded.length);
    }
  } catch (error) {
    // The replica reads one byte more than it expects, and no further.
    if (error instanceof TooMuch) return wrongSize(size, size + 1);
    return corrupt(`${NOT_GZIP} ${(error as Error).message}`, size);
  }
  if (length !== size) return wrongSize(size, length);
  if (checksum !== trailer.getUint32(0, true)) return corrupt(`${NOT_GZIP} the checksum does not match`, size);
  return { ok: true, wasm };
}

class TooMuch extends Error {}

function corrupt(reason: string, bytes: number): Unpacked {
  return { ok: false, refusal: undecodable(reason), bytes };
}

function wrongSize(stated: number, unpacked: number): Unpacked {
  return corrupt(`specified uncompressed size ${stated} does not match extracted size ${unpacked}`, stated);
}

function tooLarge(bytes: number): Unpacked {
  return { ok: false, refusal: moduleTooLarge(bytes, MAX_WASM_MODULE_BYTES), bytes };
}
