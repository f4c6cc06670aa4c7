// subnet_info: which software a subnet runs, for canisters. Specification, "IC method subnet_info".
// A network that has no registry yet is at its first version for good.
import { REPLICA_VERSION } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { type SubnetInfoArg, SubnetInfoArgRecord, SubnetInfoRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { otherSubnet } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

const REGISTRY_VERSION = 1n;

export function subnetInfo({ round, arg }: ManagementCall): MethodResult {
  const decoded = decodeArgument<SubnetInfoArg>(SubnetInfoArgRecord, arg);
  if (!decoded.ok) return decoded;
  const { subnetId } = round.state.config;
  if (decoded.value.subnet_id !== subnetId) return failed(otherSubnet(decoded.value.subnet_id, subnetId));
  const info = { replica_version: REPLICA_VERSION, registry_version: REGISTRY_VERSION };
  return { ok: true, reply: encodeReply(SubnetInfoRecord, info) };
}
