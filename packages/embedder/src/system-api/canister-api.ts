// System calls about the canister itself and its surroundings: identity, time, certified data, timers,
// environment variables, counters, printing and trapping. Checklist 3.3.
import {
  MAX_CERTIFIED_DATA_BYTES,
  MAX_ENVIRONMENT_VARIABLE_BYTES,
  MAX_LOG_TEXT_BYTES,
  MAX_PRINCIPAL_BYTES,
  principalFromBytes,
  principalToBytes,
} from "@atoll/types";
import type { Execution, Value } from "../execution.ts";
import { contractViolation, Trap } from "../execution-error.ts";
import { ALL_BUT_START, EVERY, Mode } from "../modes.ts";
import { type ApiFunction, type ApiTable, blobPair, lossyText, perByte, strictText, utf8 } from "./api-function.ts";

const CHANGING = Mode.init | Mode.preUpgrade | Mode.update | Mode.reply | Mode.reject | Mode.task;
const ROOT_KEY = CHANGING | Mode.replicatedQuery | Mode.cleanup;
const CERTIFICATE = Mode.query | Mode.compositeQuery;

export const canisterApi: ApiTable = {
  ...blobPair("canister_self", ALL_BUT_START, (x) => principalToBytes(x.input.canister.id)),
  ...blobPair("subnet_self", ALL_BUT_START, (x) => principalToBytes(x.input.subnetId)),
  ...blobPair("root_key", ROOT_KEY, (x) => x.input.rootKey),
  ...blobPair("data_certificate", CERTIFICATE, dataCertificate),
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
    run: (x, source, size) => {
      const length = x.size(size as Value);
      if (length > MAX_CERTIFIED_DATA_BYTES) {
        throw contractViolation(
          `ic0_certified_data_set failed because the passed data must be no larger than ${MAX_CERTIFIED_DATA_BYTES} bytes. Found ${length} bytes.`,
          "Try certifying just the hash of your data instead of the full contents.",
          "certified_data_set-payload-too-large",
        );
      }
      x.effects.certifiedData = x.readHeap("ic0.certified_data_set", source as Value, size as Value);
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
    run: (x, index, target, offset, size) =>
      copy(x, "env_var_name_copy", variableName(x, index), [target, offset, size]),
  },
  env_var_name_exists: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, source, size) => (variableValue(x, "env_var_name_exists", source, size) === undefined ? 0 : 1),
  },
  env_var_value_size: {
    modes: ALL_BUT_START,
    cost: 500,
    run: (x, source, size) => x.pointer(knownVariable(x, "env_var_value_size", source, size).length),
  },
  env_var_value_copy: {
    modes: ALL_BUT_START,
    cost: perByte(500, 4),
    run: (x, source, nameSize, target, offset, size) =>
      copy(x, "env_var_value_copy", knownVariable(x, "env_var_value_copy", source, nameSize), [target, offset, size]),
  },
  debug_print: {
    modes: EVERY,
    cost: (x, ...args) => 100 + x.logCharge(x.size(args[1] as Value)),
    run: (x, source, size) => {
      x.log(textAt(x, source, size, "(debug_print message out of memory bounds)"));
      return undefined;
    },
  },
  trap: {
    modes: EVERY,
    cost: (x, ...args) => 500 + x.size(args[1] as Value) + x.logCharge(x.size(args[1] as Value)),
    run: (x, source, size) => {
      const text = textAt(x, source, size, "(trap message out of memory bounds)");
      throw new Trap({ kind: "called-trap", message: lossyText(text) });
    },
  } satisfies ApiFunction,
};

function dataCertificate(x: Execution): Uint8Array {
  if (x.input.dataCertificate !== undefined) return x.input.dataCertificate;
  throw contractViolation("ic0.data_certificate_copy: there is no data certificate in this execution");
}

function variableName(x: Execution, index: Value | undefined): Uint8Array {
  const variables = x.input.canister.environmentVariables;
  const at = x.size(index as Value);
  const variable = variables[at];
  if (variable !== undefined) return utf8(variable.name);
  throw contractViolation(
    `Environment variable index ${at} is out of bounds. The number of environment variables is ${variables.length}.`,
    "",
  );
}

function variableValue(
  x: Execution,
  api: string,
  source: Value | undefined,
  size: Value | undefined,
): Uint8Array | undefined {
  const length = x.size(size as Value);
  if (length > MAX_ENVIRONMENT_VARIABLE_BYTES) throw contractViolation(`ic0.${api}: Variable name is too large.`, "");
  const name = strictText(x.readHeap(`ic0.${api} heap`, source as Value, size as Value));
  if (name === undefined) {
    throw contractViolation(
      `ic0.${api}: Variable name is not a valid UTF-8 string.`,
      "Provide a valid UTF-8 string for the environment variable name.",
    );
  }
  const variable = x.input.canister.environmentVariables.find((each) => each.name === name);
  return variable && utf8(variable.value);
}

function knownVariable(x: Execution, api: string, source: Value | undefined, size: Value | undefined): Uint8Array {
  const value = variableValue(x, api, source, size);
  if (value !== undefined) return value;
  const name = lossyText(x.readHeap(`ic0.${api} heap`, source as Value, size as Value));
  throw contractViolation(`Environment variable ${name} not found.`, "");
}

function copy(x: Execution, name: string, bytes: Uint8Array, args: (Value | undefined)[]): undefined {
  const [target, offset, size] = args as [Value, Value, Value];
  x.copyToHeap(name, bytes, target, offset, size);
  return undefined;
}

/** Text for printing, cut to what is ever shown; a view of the heap. A bad range is no reason to trap. */
function textAt(x: Execution, source: Value | undefined, size: Value | undefined, placeholder: string): Uint8Array {
  const start = x.size(source as Value);
  const length = x.size(size as Value);
  const heap = x.heap.bytes();
  return start + length > heap.length
    ? utf8(placeholder)
    : heap.subarray(start, start + Math.min(length, MAX_LOG_TEXT_BYTES));
}
