// The topology of an instance in PocketIC's words: GET read/topology, and part of the answer to a creation. The shapes
// are those that its clients decode.
import type { Network, NetworkSubnet, SubnetKind } from "@atoll/pocket-ic";
import { type PrincipalId, principalToBytes, principalToText } from "@atoll/types";
import type { Json } from "./json.ts";

export const KIND_NAMES: Readonly<Record<SubnetKind, string>> = {
  nns: "NNS",
  sns: "SNS",
  ii: "II",
  fiduciary: "Fiduciary",
  bitcoin: "Bitcoin",
  system: "System",
  application: "Application",
  "verified-application": "VerifiedApplication",
  "cloud-engine": "CloudEngine",
  "test-threshold-keys": "TestThresholdKeys",
};

export function topologyJson(network: Network): Json {
  const subnets = [...network.subnets.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const first = network.defaultSubnet.config.canisterRanges[0];
  return {
    subnet_configs: Object.fromEntries(subnets.map((subnet) => [principalToText(subnet.id), subnetJson(subnet)])),
    default_effective_canister_id: { canister_id: base64(first?.[0] ?? network.defaultSubnet.id) },
  };
}

function subnetJson({ kind, spec, seed, config }: NetworkSubnet): Json {
  return {
    subnet_kind: KIND_NAMES[kind],
    subnet_admins: spec.subnetAdmins?.map((id) => ({ principal_id: base64(id) })) ?? null,
    cost_schedule: spec.costSchedule === "free" ? "Free" : "Normal",
    subnet_seed: [...seed],
    instruction_config: spec.instructions === "benchmarking" ? "Benchmarking" : "Production",
    canister_ranges: config.canisterRanges.map(([first, last]) => ({
      start: { canister_id: base64(first) },
      end: { canister_id: base64(last) },
    })),
  };
}

export function base64(id: PrincipalId): string {
  return bytesToBase64(principalToBytes(id));
}

export function bytesToBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
