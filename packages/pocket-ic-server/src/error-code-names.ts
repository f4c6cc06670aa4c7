// Error and reject codes as PocketIC's clients read them: by name, and whether the reject is certified. Interface
// specification, "Reject codes"; the numbers are those of the replica.
import { ErrorCode, rejectCodeOf, type UserError } from "@atoll/types/errors";
import type { Json } from "./json.ts";

const ERROR_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ErrorCode).map(([name, code]) => [code, name]));

const REJECT_NAMES: Readonly<Record<number, string>> = {
  1: "SysFatal",
  2: "SysTransient",
  3: "DestinationInvalid",
  4: "CanisterReject",
  5: "CanisterError",
  6: "SysUnknown",
};

/** `certified`: the reject is in the state of a subnet, and not only this node's word. */
export function rejectResponse({ code, message }: UserError, certified: boolean): Json {
  return {
    reject_code: REJECT_NAMES[rejectCodeOf(code)] as string,
    reject_message: message,
    error_code: ERROR_NAMES.get(code) as string,
    certified,
  };
}
