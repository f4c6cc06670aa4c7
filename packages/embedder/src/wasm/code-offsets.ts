// From a place in a rewritten function back to the same place in what was uploaded: plans and writes the one function
// again and remembers where each stretch of the original went. For people who look for a line of source; costs what
// reading both modules' sections costs.
import { FunctionEmitter } from "./function-emitter.ts";
import { FunctionPlan } from "./function-plan.ts";
import { injectedIndexes } from "./instrument.ts";
import type { ModuleInfo } from "./module-info.ts";
import { type ParsedModule, parseModule } from "./parse.ts";
import { Writer } from "./writer.ts";

/** What is needed to look up places of one module again and again. */
export class CodeOffsets {
  readonly #original: ParsedModule;
  readonly #rewritten: ParsedModule;
  readonly #info: ModuleInfo;

  constructor(original: Uint8Array, rewritten: Uint8Array, info: ModuleInfo) {
    this.#original = parseModule(original);
    this.#rewritten = parseModule(rewritten);
    this.#info = info;
  }

  /** Custom section of the original, undefined when there is none. */
  custom(name: string): Uint8Array | undefined {
    const found = this.#original.customs.find((custom) => custom.name === name);
    return found && this.#original.bytes.subarray(found.start, found.end);
  }

  /**
   * For byte `offset` of the rewritten module, in its local function `local`: the place in the original, counted from
   * the beginning of the code section's content.
   */
  originalOf(local: number, offset: number): number | undefined {
    const original = this.#original;
    const start = original.bodies[2 * local];
    const end = original.bodies[2 * local + 1];
    const rewrittenStart = this.#rewritten.bodies[2 * local];
    const code = original.sections.find(({ id }) => id === 10);
    if (start === undefined || end === undefined || rewrittenStart === undefined || code === undefined)
      return undefined;
    const plan = new FunctionPlan(original, this.#info.functionTraits, this.#info.memory64);
    const emitter = new FunctionEmitter(
      original.bytes,
      new Writer(end - start + 1000),
      injectedIndexes(original),
      false,
    );
    emitter.copies = [];
    plan.plan(local, start);
    emitter.emit(plan, end);
    const within = offset - rewrittenStart;
    const copy = emitter.copies.findLast((each) => each.to <= within);
    if (copy === undefined) return undefined;
    // Between two stretches there is what was put for the operator at the end of the first.
    return copy.from + Math.min(within - copy.to, copy.length) - code.start;
  }
}
