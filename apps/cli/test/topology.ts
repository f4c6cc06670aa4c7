// What a running network says of its subnets.
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import type { Ready } from "./process.ts";

export interface SubnetFacts {
  readonly id: Principal;
  readonly kind: string;
  /** The first canister id of the last range: one that new canisters get. */
  readonly first: Principal;
  readonly ranges: readonly (readonly [Principal, Principal])[];
}

interface Answer {
  readonly subnet_configs: Readonly<
    Record<string, { subnet_kind: string; canister_ranges: readonly { start: IdField; end: IdField }[] }>
  >;
  readonly default_effective_canister_id: IdField;
}

interface IdField {
  readonly canister_id: string;
}

const principalOf = ({ canister_id }: IdField) => Principal.fromUint8Array(Buffer.from(canister_id, "base64"));

/** In the order in which the subnets came. */
export async function topologyOf({
  gatewayUrl,
}: Pick<Ready, "gatewayUrl">): Promise<{ readonly subnets: readonly SubnetFacts[]; readonly home: Principal }> {
  const response = await fetch(`${gatewayUrl}/_/topology`);
  assert.equal(response.status, 200);
  const topology = (await response.json()) as Answer;
  const subnets = Object.entries(topology.subnet_configs).map(([id, { subnet_kind: kind, canister_ranges }]) => {
    const ranges = canister_ranges.map(({ start, end }) => [principalOf(start), principalOf(end)] as const);
    const [first] = ranges.at(-1) ?? assert.fail(`${id} hosts nothing`);
    return { id: Principal.fromText(id), kind, first, ranges };
  });
  return { subnets, home: principalOf(topology.default_effective_canister_id) };
}
