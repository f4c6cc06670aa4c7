// Protocol outcomes as values. A reject code says who is to blame (specification, "Reject codes"), the error
// code (IC0xxx) says what happened; the first of its three significant digits is the reject code.

export const RejectCode = {
  SYS_FATAL: 1,
  SYS_TRANSIENT: 2,
  DESTINATION_INVALID: 3,
  CANISTER_REJECT: 4,
  CANISTER_ERROR: 5,
  SYS_UNKNOWN: 6,
} as const;
export type RejectCode = (typeof RejectCode)[keyof typeof RejectCode];

/** The numbers of the replica's error codes: name -> number; text form `IC0301`. */
export const ErrorCode = {
  SubnetOversubscribed: 101,
  MaxNumberOfCanistersReached: 102,
  CanisterQueueFull: 201,
  IngressMessageTimeout: 202,
  CanisterQueueNotEmpty: 203,
  IngressHistoryFull: 204,
  CanisterIdAlreadyExists: 205,
  StopCanisterRequestTimeout: 206,
  CanisterOutOfCycles: 207,
  CertifiedStateUnavailable: 208,
  CanisterInstallCodeRateLimited: 209,
  CanisterHeapDeltaRateLimited: 210,
  CanisterNotFound: 301,
  CanisterSnapshotNotFound: 305,
  InsufficientMemoryAllocation: 402,
  InsufficientCyclesForCreateCanister: 403,
  SubnetNotFound: 404,
  CanisterNotHostedBySubnet: 405,
  CanisterRejectedMessage: 406,
  UnknownManagementMessage: 407,
  InvalidManagementPayload: 408,
  CanisterSnapshotImmutable: 409,
  InvalidSubnetAdmin: 410,
  CanisterTrapped: 502,
  CanisterCalledTrap: 503,
  CanisterContractViolation: 504,
  CanisterInvalidWasm: 505,
  CanisterDidNotReply: 506,
  CanisterOutOfMemory: 507,
  CanisterStopped: 508,
  CanisterStopping: 509,
  CanisterNotStopped: 510,
  CanisterStoppingCancelled: 511,
  CanisterInvalidController: 512,
  CanisterFunctionNotFound: 513,
  CanisterNonEmpty: 514,
  QueryCallGraphLoopDetected: 517,
  InsufficientCyclesInCall: 520,
  CanisterWasmEngineError: 521,
  CanisterInstructionLimitExceeded: 522,
  CanisterMemoryAccessLimitExceeded: 524,
  QueryCallGraphTooDeep: 525,
  QueryCallGraphTotalInstructionLimitExceeded: 526,
  CompositeQueryCalledInReplicatedMode: 527,
  QueryTimeLimitExceeded: 528,
  QueryCallGraphInternal: 529,
  InsufficientCyclesInComputeAllocation: 530,
  InsufficientCyclesInMemoryAllocation: 531,
  InsufficientCyclesInMemoryGrow: 532,
  ReservedCyclesLimitExceededInMemoryAllocation: 533,
  ReservedCyclesLimitExceededInMemoryGrow: 534,
  InsufficientCyclesInMessageMemoryGrow: 535,
  CanisterMethodNotFound: 536,
  CanisterWasmModuleNotFound: 537,
  CanisterAlreadyInstalled: 538,
  CanisterWasmMemoryLimitExceeded: 539,
  ReservedCyclesLimitIsTooLow: 540,
  CanisterInvalidControllerOrSubnetAdmin: 541,
  DeadlineExpired: 601,
  ResponseDropped: 602,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** A protocol outcome that is not a success, as a user sees it. A value, never thrown across a package border. */
export interface UserError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Half a character in a text cannot be stored or sent: it is replaced. */
export function userError(code: ErrorCode, message: string): UserError {
  return { code, message: message.toWellFormed() };
}

/** `IC0301` for 301. */
export function errorCodeText(code: ErrorCode): string {
  return `IC${String(code).padStart(4, "0")}`;
}

/** The reject code that an error code belongs to: its hundreds digit. */
export function rejectCodeOf(code: ErrorCode): RejectCode {
  return Math.floor(code / 100) as RejectCode;
}

/** A broken invariant of our own. Halts the replica; never reachable from user, canister or peer input. */
export class InvariantViolation extends Error {
  override name = "InvariantViolation";
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/**
 * Code of an EnvironmentError after which nobody knows what is on the disk, as when a sync has failed: trying again would only
 * seem to help. The program has to end; its next start reads what is there.
 */
export const RESTART_NEEDED = "RESTART_NEEDED";

/** Code of an EnvironmentError after which only another version of this program can go on. */
export const OTHER_VERSION_NEEDED = "OTHER_VERSION_NEEDED";

/** A failure of the environment (disk, socket, configuration): one sentence for the person at the terminal. */
export class EnvironmentError extends Error {
  override name = "EnvironmentError";
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
