// What a test asks of a subnet, checked before the network makes it: its kind by name, its options by theirs.
// The kinds are those of PocketIC's topology.
import type { SubnetSpec } from "../network-subnet.ts";
import { SUBNET_KINDS } from "../subnet-kinds.ts";
import { checkChoice, checkOptions, type FieldsOf } from "./given-options.ts";

const FIELDS: FieldsOf<SubnetSpec> = {
  kind: true,
  seed: true,
  instructions: true,
  costSchedule: true,
  subnetAdmins: true,
  publicId: true,
};

/** Throws TypeError for what is no description of a subnet. */
export function checkSubnet(spec: SubnetSpec): void {
  checkOptions("a subnet", spec, FIELDS);
  checkChoice("a kind of subnet", spec.kind, Object.keys(SUBNET_KINDS));
}
