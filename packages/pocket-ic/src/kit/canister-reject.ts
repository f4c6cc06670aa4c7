// What a call that failed rejects with. A test sees the words of the network, the codes by name and number, and below
// them everything that the call caused, as far as it was traced. Interface specification, "Reject codes".
import {
  ErrorCode,
  errorCodeText,
  type PrincipalId,
  principalToText,
  RejectCode,
  rejectCodeOf,
  type UserError,
} from "@atoll/types";

/** Their names. */
export const REJECT_CODES: readonly string[] = Object.keys(RejectCode);

/** What was called. */
export interface CalledMethod {
  readonly canister: PrincipalId;
  /** How the canister is called in messages; default: its id. */
  readonly name?: string | undefined;
  readonly method: string;
}

export class CanisterReject extends Error {
  override readonly name = "CanisterReject";
  /** `CANISTER_REJECT`, `CANISTER_ERROR`, `SYS_FATAL`...: who is to blame. */
  readonly code: keyof typeof RejectCode;
  /** `IC0503`: what happened. */
  readonly errorCode: string;
  /** `CanisterCalledTrap`: the same in a word. */
  readonly errorName: keyof typeof ErrorCode;
  /** The words of the canister or of the network alone. */
  readonly rejectMessage: string;
  /** Text of the canister's id. */
  readonly canister: string;
  readonly method: string;
  /** The messages that the call caused, one a line; empty when none were traced. */
  readonly tree: string;

  constructor({ canister, name, method }: CalledMethod, error: UserError, tree = "") {
    const id = principalToText(canister);
    const errorCode = errorCodeText(error.code);
    super(`${name ?? id}.${method}: ${errorCode}: ${error.message}${tree === "" ? "" : `\n\n${tree}`}`);
    this.code = nameIn(RejectCode, rejectCodeOf(error.code));
    this.errorCode = errorCode;
    this.errorName = nameIn(ErrorCode, error.code);
    this.rejectMessage = error.message;
    this.canister = id;
    this.method = method;
    this.tree = tree;
  }
}

function nameIn<Codes extends Readonly<Record<string, number>>>(codes: Codes, code: number): keyof Codes {
  const [name] = Object.entries(codes).find(([, number]) => number === code) ?? [`${code}`];
  return name as keyof Codes;
}
