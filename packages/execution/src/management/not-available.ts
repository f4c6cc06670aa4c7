// Methods of the specification that this version does not have: an honest answer instead of "no such method".
// Each of them leaves this list when it is built.
import { ErrorCode, userError } from "@atoll/types";
import type { ManagementMethod } from "./method.ts";

export function notAvailable(method: string, from: ManagementMethod["from"]): ManagementMethod {
  const error = userError(ErrorCode.CanisterRejectedMessage, `${method} is not available in this version of Atoll`);
  return { from, run: () => ({ ok: false, error }) };
}
