// What a test asks of a subnet, checked by name before the network makes it, which knows the kinds themselves.
// The options are those of PocketIC's creation of an instance.
import type { SubnetSpec } from "../network-subnet.ts";
import { checkOptions, type FieldsOf } from "./given-options.ts";

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
}
