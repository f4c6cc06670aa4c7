// Why a canister's execution failed, as a value, and how a user gets to read it. The wording is part of the
// interface in practice: projects match on substrings of it. Checklist 6.4.
import { type CanisterId, ErrorCode, principalToText, type UserError, userError } from "@atoll/types";

export type TrapCode =
  | "stack overflow"
  | "heap out of bounds"
  | "stable memory out of bounds"
  | "32 bit stable memory api used on a memory larger than 4GB"
  | "integer division by 0"
  | "unreachable"
  | "table out of bounds"
  | "cycles amount exceeds 64-bit representation"
  | "unknown";

export type ExecutionError =
  | { readonly kind: "trapped"; readonly trap: TrapCode; readonly backtrace?: string }
  | { readonly kind: "called-trap"; readonly message: string; readonly backtrace?: string }
  | {
      readonly kind: "contract-violation";
      readonly error: string;
      readonly suggestion?: string;
      readonly topic?: string;
    }
  | { readonly kind: "instruction-limit"; readonly limit: number }
  | { readonly kind: "slice-overrun"; readonly instructions: number; readonly limit: number }
  | { readonly kind: "memory-access-limit"; readonly detail: string }
  | { readonly kind: "out-of-memory" }
  | { readonly kind: "wasm-memory-limit"; readonly bytes: bigint; readonly limit: bigint }
  | {
      readonly kind: "cycles-in-memory-grow";
      readonly bytes: number;
      /** What a controller is told; undefined: the caller is none. */
      readonly missing: bigint | undefined;
    }
  | { readonly kind: "reserved-cycles-limit"; readonly bytes: number; readonly limit: bigint; readonly excess: bigint }
  | { readonly kind: "invalid-principal" }
  | { readonly kind: "insufficient-cycles" | "environment-variable"; readonly message: string }
  | { readonly kind: "function-not-found"; readonly index: number }
  | {
      readonly kind: "method-not-found";
      readonly methodKind: "update" | "query" | "composite_query";
      readonly name: string;
    }
  | { readonly kind: "no-module" }
  | {
      readonly kind: "invalid-wasm";
      readonly step?: "validate" | "instrument";
      readonly detail: string;
      readonly advice?: { readonly suggestion: string; readonly topic: string } | undefined;
    }
  | { readonly kind: "message-rejected" }
  | { readonly kind: "engine"; readonly detail: string }
  | { readonly kind: "cleanup"; readonly callback: ExecutionError; readonly cleanup: ExecutionError };

/** Thrown by a system call to end the execution; caught by `runFunction`, never seen outside this package. */
export class Trap extends Error {
  readonly error: ExecutionError;
  /** The function of `ic0` that runs inside of the module in the replica: a frame of its own in backtraces. */
  within: string | undefined;
  constructor(error: ExecutionError) {
    super(error.kind);
    this.error = error;
  }
}

/** Thrown to end an execution that could go on but may not run longer in this round. */
export class SliceEnd extends Error {}

/** Digits in groups of three, as cycles are printed everywhere. */
export function groupedCycles(cycles: bigint): string {
  return String(cycles).replace(/\B(?=(\d{3})+(?!\d))/g, "_");
}

/** Without a suggestion the toolchain is to blame; an empty one gives no advice at all. */
export function contractViolation(error: string, suggestion?: string, topic?: string): Trap {
  return new Trap({
    kind: "contract-violation",
    error,
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(topic === undefined ? {} : { topic }),
  });
}

const DOCUMENTATION = "https://internetcomputer.org/docs/current/references/execution-errors#";
const TOOLCHAIN =
  "If you are running this canister in a test environment (e.g., dfx), make sure the test environment is up to date. " +
  "Otherwise, this is likely an error with the compiler/CDK toolchain being used to build the canister. Please report " +
  "the error to IC devs on the forum: https://forum.dfinity.org and include which language/CDK was used to create the " +
  "canister.";

/** The error as callers of `canister` see it: code and "Error from Canister <id>: <what>.\n<what to do>". */
export function toUserError(error: ExecutionError, canister: CanisterId): UserError {
  return userError(codeOf(error), `Error from Canister ${principalToText(canister)}: ${withHelp(error)}`);
}

function withHelp(error: ExecutionError): string {
  const what = describe(error);
  const help = helpFor(error);
  if (help === undefined) return what;
  const page = help.topic === undefined ? "" : ` See documentation: ${DOCUMENTATION}${help.topic}`;
  // Descriptions that end in a full stop get a second one: so does the replica, and people match on it.
  return `${what}.\n${help.suggestion}${page}`;
}

export function codeOf(error: ExecutionError): ErrorCode {
  switch (error.kind) {
    case "trapped":
      return ErrorCode.CanisterTrapped;
    case "called-trap":
      return ErrorCode.CanisterCalledTrap;
    case "contract-violation":
    case "invalid-principal":
    case "insufficient-cycles":
    case "environment-variable":
      return ErrorCode.CanisterContractViolation;
    case "instruction-limit":
    case "slice-overrun":
      return ErrorCode.CanisterInstructionLimitExceeded;
    case "memory-access-limit":
      return ErrorCode.CanisterMemoryAccessLimitExceeded;
    case "out-of-memory":
      return ErrorCode.CanisterOutOfMemory;
    case "wasm-memory-limit":
      return ErrorCode.CanisterWasmMemoryLimitExceeded;
    case "cycles-in-memory-grow":
      return ErrorCode.InsufficientCyclesInMemoryGrow;
    case "reserved-cycles-limit":
      return ErrorCode.ReservedCyclesLimitExceededInMemoryGrow;
    case "function-not-found":
      return ErrorCode.CanisterFunctionNotFound;
    case "method-not-found":
      return ErrorCode.CanisterMethodNotFound;
    case "no-module":
      return ErrorCode.CanisterWasmModuleNotFound;
    case "invalid-wasm":
      return ErrorCode.CanisterInvalidWasm;
    case "message-rejected":
      return ErrorCode.CanisterRejectedMessage;
    case "engine":
      return ErrorCode.CanisterWasmEngineError;
    case "cleanup":
      return codeOf(error.callback);
  }
}

/** As it is told to those who may not read the log. */
export function withoutBacktrace(error: ExecutionError): ExecutionError {
  if (error.kind !== "trapped" && error.kind !== "called-trap") return error;
  const { backtrace: _hidden, ...shown } = error;
  return shown;
}

function withBacktrace(text: string, backtrace: string | undefined): string {
  return backtrace === undefined ? text : `${text}\n${backtrace}`;
}

export function describe(error: ExecutionError): string {
  switch (error.kind) {
    case "trapped":
      return withBacktrace(`Canister trapped: ${error.trap}`, error.backtrace);
    case "called-trap":
      return withBacktrace(`Canister called \`ic0.trap\` with message: '${error.message}'`, error.backtrace);
    case "contract-violation":
      return `Canister violated contract: ${error.error}`;
    case "instruction-limit":
      return `Canister exceeded the limit of ${error.limit} instructions for single message execution.`;
    case "slice-overrun":
      return (
        `Canister attempted to perform a large memory operation that used ${error.instructions} instructions and ` +
        `exceeded the slice limit ${error.limit}.`
      );
    case "memory-access-limit":
      return `Canister exceeded memory access limits: ${error.detail}`;
    case "out-of-memory":
      return "Canister cannot grow its memory usage.";
    case "wasm-memory-limit":
      return (
        `Canister exceeded its current Wasm memory limit of ${error.limit} bytes. The peak Wasm memory usage was ` +
        `${error.bytes} bytes. If the canister reaches 4GiB, then it may stop functioning and may become ` +
        "unrecoverable. Please reach out to the canister owner to investigate the reason for the increased memory " +
        "usage. It might be necessary to move data from the Wasm memory to the stable memory. If such high Wasm memory " +
        "usage is expected and safe, then the developer can increase the Wasm memory limit in the canister settings."
      );
    case "cycles-in-memory-grow":
      return (
        `Canister cannot grow memory by ${error.bytes} bytes due to insufficient cycles.` +
        (error.missing === undefined ? "" : ` At least ${groupedCycles(error.missing)} additional cycles are required.`)
      );
    case "reserved-cycles-limit":
      return (
        `Canister cannot grow memory by ${error.bytes} bytes due to its reserved cycles limit. The current limit ` +
        `(${groupedCycles(error.limit)}) would be exceeded by ${groupedCycles(error.excess)}.`
      );
    case "invalid-principal":
      return "Canister provided invalid principal id";
    case "insufficient-cycles":
    case "environment-variable":
      return error.message;
    case "function-not-found":
      return `Canister requested to invoke a non-existent Wasm function ${error.index} from table 0`;
    case "method-not-found":
      return `Canister has no ${error.methodKind} method '${error.name}'.`;
    case "no-module":
      return "Attempted to execute a message, but the canister contains no Wasm module.";
    case "invalid-wasm":
      return error.step === "instrument"
        ? `Could not instrument wasm module of canister: ${error.detail}`
        : `Canister's Wasm module is not valid: ${error.detail}`;
    case "message-rejected":
      return "Canister rejected the message";
    case "engine":
      return `Canister encountered a Wasm engine error: ${error.detail}`;
    case "cleanup":
      return `${describe(error.callback)}\n\ncall_on_cleanup also failed:\n\n${describe(error.cleanup)}`;
  }
}

interface Help {
  readonly suggestion: string;
  readonly topic?: string;
}

const FAILURES =
  "Consider gracefully handling failures from this canister or altering the canister to handle exceptions.";

function helpFor(error: ExecutionError): Help | undefined {
  switch (error.kind) {
    case "trapped":
      return { suggestion: FAILURES, topic: "trapped" };
    case "called-trap":
      return { suggestion: FAILURES, topic: "trapped-explicitly" };
    case "contract-violation":
      if (error.suggestion === undefined) return { suggestion: TOOLCHAIN };
      if (error.suggestion === "") return undefined;
      return { suggestion: error.suggestion, ...(error.topic === undefined ? {} : { topic: error.topic }) };
    case "function-not-found":
    case "invalid-principal":
      return { suggestion: TOOLCHAIN };
    case "invalid-wasm":
      return error.advice ?? { suggestion: TOOLCHAIN };
    case "instruction-limit":
      return {
        suggestion:
          "Try optimizing this method to consume fewer instructions or split the work across multiple messages.",
        topic: "instruction-limit-exceeded",
      };
    case "slice-overrun":
      return {
        suggestion: "Try breaking up large copies within the canister code into smaller chunks.",
        topic: "slice-overrun",
      };
    case "memory-access-limit":
      return {
        suggestion:
          "Try optimizing the use of stable memory so that individual messages don't need to access as much stable memory.",
        topic: "memory-access-limit-exceeded",
      };
    case "out-of-memory":
      return {
        suggestion:
          "Check the canister's memory usage against its allocation and the system wide limits to determine why more " +
          "memory cannot be allocated.",
        topic: "out-of-memory",
      };
    case "cycles-in-memory-grow":
      return { suggestion: "Try topping up the canister.", topic: "insufficient-cycles-in-memory-grow" };
    case "reserved-cycles-limit":
      return {
        suggestion: "Try increasing the canister's reserved cycles limit.",
        topic: "reserved-cycles-limit-exceeded-in-memory-grow",
      };
    case "wasm-memory-limit":
      return {
        suggestion:
          "Try checking the canister for a possible memory leak or modifying it to use more stable memory instead of " +
          "Wasm memory.",
        topic: "wasm-memory-limit-exceeded",
      };
    case "method-not-found":
      return {
        suggestion: "Check that the method being called is exported by the target canister.",
        topic: "method-not-found",
      };
    case "no-module":
      return {
        suggestion: "Please install code to this canister before calling it.",
        topic: "wasm-module-not-found",
      };
    default:
      return undefined;
  }
}
