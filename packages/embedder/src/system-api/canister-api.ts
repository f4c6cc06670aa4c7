// System calls about the canister itself and its surroundings: identity, time, certified data, timers,
// environment variables, counters, printing and trapping. Checklist 3.3.
import { MAX_CERTIFIED_DATA_BYTES, MAX_LOG_TEXT_BYTES, MAX_PRINCIPAL_BYTES, principalFromBytes } from "@atoll/types";
import { type Execution, unsigned, type Value } from "../execution.ts";
import { contractViolation, Trap } from "../execution-error.ts";
import { ALL_BUT_START, EVERY, Mode } from "../modes.ts";
import { type ApiFunction, type ApiTable, blobPair, lossyText, perByte, strictText, utf8 } from "./api-function.ts";

const CHANGING = Mode.init | Mode.preUpgrade | Mode.update | Mode.reply | Mode.reject | Mode.task;
const ROOT_KEY = CHANGING | Mode.replicatedQuery | Mode.cleanup;
const CERTIFICATE = Mode.query | Mode.compositeQuery;

/** Shorter than what the settings allow: longer names cannot be asked for by name. */
const MAX_ENVIRONMENT_VARIABLE_NAME_BYTES = 100;

export const canisterApi: ApiTable = {
  ...blobPair("canister_self", "id", ALL_BUT_START, (x) => x.self),
  ...blobPair("subnet_self", "id", ALL_BUT_START, (x) => x.subnet),
  ...blobPair("root_key", "bytes", ROOT_KEY, (x) => x.input.rootKey),
  data_certificate_size: {
    modes: CERTIFICATE,
    cost: 500,
    run: (x) => x.pointer(dataCertificate(x, "data_certificate_size").length),
  },
  data_certificate_copy: { modes: CERTIFICATE, cost: perByte(500, 2), heap: true, run: copyCertificate },
  data_certificate_present: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x) => ((x.input.mode & CERTIFICATE) !== 0 && x.input.dataCertificate !== undefined ? 1 : 0),
  },
  canister_status: { modes: ALL_BUT_START, cost: 500, run: (x) => x.input.canister.status },
  canister_version: { modes: ALL_BUT_START, cost: 500, run: (x) => BigInt(x.input.canister.version) },
  time: { modes: ALL_BUT_START, cost: 500, run: (x) => x.input.time },
  global_timer_set: {
    modes: CHANGING | Mode.cleanup,
    cost: 500,
    run: (x, time) => {
      const previous = x.effects.globalTimer ?? x.input.canister.globalTimer;
      x.effects.globalTimer = BigInt.asUintN(64, time as bigint);
      return previous;
    },
  },
  certified_data_set: {
    modes: CHANGING,
    cost: perByte(500, 1),
    heap: true,
    run: (x, source, size) => {
      const length = x.size(size as Value);
      if (length > MAX_CERTIFIED_DATA_BYTES) {
        throw contractViolation(
          `ic0_certified_data_set failed because the passed data must be no larger than ${MAX_CERTIFIED_DATA_BYTES} bytes. Found ${length} bytes.`,
          "Try certifying just the hash of your data instead of the full contents.",
          "certified_data_set-payload-too-large",
        );
      }
      const at = x.size(source as Value);
      const heap = x.heap.bytes();
      if (at + length > heap.length) throw outOfBounds("certified_data_set", "src", [source, size], heap.length);
      x.effects.certifiedData = heap.slice(at, at + length);
      return undefined;
    },
  },
  performance_counter: {
    modes: EVERY,
    cost: 200,
    run: (x, kind) => {
      const spent = x.input.instructionLimit - x.heap.charge(0);
      if (kind === 0) return BigInt(spent);
      if (kind === 1) return BigInt(spent + x.input.callContextInstructions);
      throw contractViolation(`Error getting performance counter type ${(kind as number) >>> 0}`, "");
    },
  },
  is_controller: {
    modes: EVERY,
    cost: perByte(1000, 1),
    heap: true,
    run: (x, source, size) => {
      x.range("ic0.is_controller", source as Value, size as Value);
      if (x.size(size as Value) > MAX_PRINCIPAL_BYTES) throw new Trap({ kind: "invalid-principal" });
      const bytes = x.readHeap("ic0.is_controller", source as Value, size as Value);
      return x.input.canister.controllers.includes(principalFromBytes(bytes)) ? 1 : 0;
    },
  },
  in_replicated_execution: { modes: EVERY, cost: 500, run: (x) => (x.input.replicated ? 1 : 0) },
  env_var_count: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x) => x.pointer(x.input.canister.environmentVariables.length),
  },
  env_var_name_size: { modes: ALL_BUT_START, cost: 500, run: (x, index) => x.pointer(variableName(x, index).length) },
  env_var_name_copy: {
    modes: ALL_BUT_START,
    cost: perByte(500, 3),
    heap: true,
    run: (x, index, target, offset, size) =>
      copy(x, "env_var_name_copy", "name", variableName(x, index), [target, offset, size]),
  },
  env_var_name_exists: {
    modes: ALL_BUT_START,
    cost: 500,
    heap: true,
    run: (x, source, size) => (variable(x, "env_var_name_exists", "heap", [source, size]).value === undefined ? 0 : 1),
  },
  env_var_value_size: {
    modes: ALL_BUT_START,
    cost: 500,
    heap: true,
    run: (x, source, size) => x.pointer(knownValue(x, "env_var_value_size", "heap", [source, size]).length),
  },
  env_var_value_copy: {
    modes: ALL_BUT_START,
    cost: perByte(500, 4),
    heap: true,
    run: (x, source, nameSize, target, offset, size) => {
      const value = knownValue(x, "env_var_value_copy", "name", [source, nameSize]);
      return copy(x, "env_var_value_copy", "value", value, [target, offset, size]);
    },
  },
  debug_print: {
    modes: EVERY,
    cost: (x, ...args) => {
      const bytes = x.size(args[1] as Value);
      return 100 + x.effects.log.charge(bytes) + (x.input.chargesPrinting ? bytes : 0);
    },
    heap: true,
    run: (x, source, size) => {
      x.effects.log.add(textAt(x, source, size) ?? utf8("(debug_print message out of memory bounds)"));
      return undefined;
    },
  },
  trap: {
    modes: EVERY,
    cost: (x, ...args) => {
      const bytes = x.size(args[1] as Value);
      return 500 + bytes + x.effects.log.charge(bytes);
    },
    heap: true,
    run: (x, source, size) => {
      // Only what is shown of the text must lie within the heap.
      const shown = Math.min(x.size(size as Value), MAX_LOG_TEXT_BYTES);
      const text = textAt(x, source, shown);
      const message = text === undefined ? "(trap message out of memory bounds)" : lossyText(text);
      throw new Trap({ kind: "called-trap", message });
    },
  } satisfies ApiFunction,
};

function dataCertificate(x: Execution, name: string): Uint8Array {
  if (x.input.dataCertificate === undefined) throw x.wrongMode(name);
  return x.input.dataCertificate;
}

function copyCertificate(x: Execution, ...args: Value[]): undefined {
  const [target, offset, size] = args as [Value, Value, Value];
  const certificate = dataCertificate(x, "data_certificate_copy");
  const [at, from, length] = [x.size(target), x.size(offset), x.size(size)];
  const heap = x.heap.bytes();
  const name = "data_certificate_copy";
  if (from + length > certificate.length) throw outOfBounds(name, "offset", [offset, size], certificate.length);
  if (at + length > heap.length) throw outOfBounds(name, "dst", [target, size], heap.length);
  if (length === 0) return;
  heap.set(certificate.subarray(from, from + length), at);
  x.heap.markDirty(at, length);
}

function outOfBounds(name: string, what: string, range: (Value | undefined)[], max: number): Trap {
  const [start, size] = (range as Value[]).map(unsigned);
  return contractViolation(
    `ic0_${name} failed because ${what} + size is out of bounds. Found ${what} = ${start} and size = ${size} while ` +
      `${what} + size must be <= ${max}`,
  );
}

function variableName(x: Execution, index: Value | undefined): Uint8Array {
  const variables = x.input.canister.environmentVariables;
  const found = variables[x.size(index as Value)];
  if (found !== undefined) return utf8(found.name);
  const message = `Environment variable index ${unsigned(index as Value)} is out of bounds. The number of environment variables is ${variables.length}.`;
  throw new Trap({ kind: "environment-variable", message });
}

/** The name in the heap, and the value of the variable of that name if there is one. */
function variable(
  x: Execution,
  api: string,
  part: string,
  range: (Value | undefined)[],
): { name: string; value: Uint8Array | undefined } {
  const [source, size] = range as [Value, Value];
  const invalid = (reason: string, suggestion: string) => contractViolation(`ic0.${api}: ${reason}`, suggestion);
  if (x.size(size) > MAX_ENVIRONMENT_VARIABLE_NAME_BYTES) throw invalid("Variable name is too large.", "");
  const name = strictText(x.readHeap(`ic0.${api} ${part}`, source, size));
  if (name === undefined) {
    throw invalid(
      "Variable name is not a valid UTF-8 string.",
      "Provide a valid UTF-8 string for the environment variable name.",
    );
  }
  const found = x.input.canister.environmentVariables.find((each) => each.name === name);
  return { name, value: found && utf8(found.value) };
}

function knownValue(x: Execution, api: string, part: string, range: (Value | undefined)[]): Uint8Array {
  const { name, value } = variable(x, api, part, range);
  if (value !== undefined) return value;
  throw new Trap({ kind: "environment-variable", message: `Environment variable ${name} not found.` });
}

function copy(x: Execution, name: string, part: string, bytes: Uint8Array, args: (Value | undefined)[]): undefined {
  const [target, offset, size] = args as [Value, Value, Value];
  x.copyToHeap(name, part, bytes, target, offset, size);
  return undefined;
}

/** A view of the heap; undefined when the range is wrong, which is no reason to trap for text that is shown. */
function textAt(x: Execution, source: Value | undefined, size: Value | undefined): Uint8Array | undefined {
  const start = x.size(source as Value);
  const length = x.size(size as Value);
  const heap = x.heap.bytes();
  return start + length > heap.length ? undefined : heap.subarray(start, start + length);
}
