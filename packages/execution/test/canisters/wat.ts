// Canisters as text, for tests that are about a single instruction or System API function. The text is the WebAssembly
// text format with 64-bit memories and tables, several memories, SIMD, tail calls, threads and so on; what may run on a
// network is for the network to say. Proposals that change the encoding of ordinary modules (GC types, compact imports)
// stay off unless asked for.
// The parser is binaryen's, which rebuilds a function's body from a tree: blocks may lose or gain a label, and code
// that cannot be reached may be dropped. A test that counts instructions to the last one must allow for that.

import binaryen from "binaryen";

const { Features } = binaryen;

const DEFAULT_FEATURES =
  Features.Atomics |
  Features.MutableGlobals |
  Features.NontrappingFPToInt |
  Features.SIMD128 |
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.SignExt |
  Features.ExceptionHandling |
  Features.TailCall |
  Features.ReferenceTypes |
  Features.CallIndirectOverlong |
  Features.Multivalue |
  Features.Memory64 |
  Features.RelaxedSIMD |
  Features.ExtendedConst |
  Features.MultiMemory;

export interface WatOptions {
  /** `false` lets an ill-typed module through, for tests of a validator. */
  readonly validate?: boolean;
  /** With a name section: functions are called in backtraces what the text calls them. */
  readonly names?: boolean;
  /** Also the types of the GC proposal (structs, arrays, typed references). */
  readonly gc?: boolean;
}

export function wat(text: string, options: WatOptions = {}): Uint8Array<ArrayBuffer> {
  const module = parse(text);
  binaryen.setDebugInfo(options.names === true);
  try {
    module.setFeatures(options.gc === true ? DEFAULT_FEATURES | Features.GC : DEFAULT_FEATURES);
    const binary = new Uint8Array(module.emitBinary());
    if (options.validate !== false && !WebAssembly.validate(binary)) {
      throw new SyntaxError(`this module is not valid: ${reasonOf(binary)}`);
    }
    return binary;
  } finally {
    binaryen.setDebugInfo(false);
    module.dispose();
  }
}

function parse(text: string): binaryen.Module {
  try {
    return binaryen.parseText(text);
  } catch (error) {
    // binaryen throws a plain object: line, column and what was expected there.
    throw new SyntaxError((error as { message?: string }).message ?? String(error));
  }
}

function reasonOf(binary: Uint8Array<ArrayBuffer>): string {
  try {
    new WebAssembly.Module(binary);
    return "no reason";
  } catch (error) {
    return (error as Error).message;
  }
}
