// Methods of the specification that this version does not have: an honest answer instead of "no such method".
// Each of them leaves this list when it is built.
import { ErrorCode, type UserError, userError } from "@atoll/types";
import type { ManagementMethod } from "./method.ts";

export function unavailable(method: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, `${method} is not available in this version of Atoll`);
}

export function notAvailable(
  method: string,
  { open, takes }: Pick<ManagementMethod, "open" | "takes">,
): ManagementMethod {
  return { open, takes, run: () => ({ ok: false, error: unavailable(method) }) };
}
