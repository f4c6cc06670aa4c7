// Methods of the specification that this version does not have: an honest answer instead of "no such method".
// Each of them leaves this list when it is built.
import { ErrorCode, type UserError, userError } from "@atoll/types";

export function unavailable(method: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, `${method} is not available in this version of Atoll`);
}
