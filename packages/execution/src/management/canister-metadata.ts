// canister_metadata: a custom section of another canister's module, for canisters: the public ones for everybody, the
// private ones for controllers. Specification, "IC method canister_metadata".
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterMetadataArg, CanisterMetadataArgRecord, CanisterMetadataRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { canisterNotFound, noModuleForMetadata, noSuchMetadata } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function canisterMetadata({ round, sender, arg }: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterMetadataArg>(CanisterMetadataArgRecord, arg);
  if (!decoded.ok) return decoded;
  const { canister_id: id, name } = decoded.value;
  const canister = round.state.canisters.get(id);
  if (canister === undefined) return failed(canisterNotFound(id));
  const { execution, settings } = canister;
  if (execution === undefined) return failed(noModuleForMetadata(id));
  const sections = round.state.modules.info(execution.moduleHash)?.metadata ?? [];
  const section = sections.find((each) => each.name === name);
  const isOpen = section !== undefined && (section.isPublic || settings.controllers.includes(sender));
  if (!isOpen) return failed(noSuchMetadata(id, name));
  return { ok: true, reply: encodeReply(CanisterMetadataRecord, { value: section.content }) };
}
