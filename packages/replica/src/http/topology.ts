// GET /_/topology: which subnets a network for development has, which canister ids they host, and on which of them new
// canisters go. No part of the interface specification: PocketIC's gateway answers it, and clients of such networks
// ask it (the end-to-end tests of the JavaScript agent, PocketIC's own libraries). Shape from PocketIC's REST types.
import { type CanisterRange, type PrincipalId, principalToBytes, principalToText } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import type { ReplicaBackend, SubnetDescription } from "../backend.ts";
import { jsonAnswer } from "./answers.ts";

/** A subnet as a network for development describes it. */
export interface DescribedSubnet {
  readonly subnetId: PrincipalId;
  /** In the words of PocketIC: Application, NNS, ... */
  readonly kind: string;
  /** 32 bytes that are the subnet's own. */
  readonly seed: Uint8Array;
  readonly canisterRanges: readonly CanisterRange[];
  readonly subnetAdmins?: readonly PrincipalId[];
  readonly costSchedule?: "normal" | "free";
  readonly instructions?: "production" | "benchmarking";
}

const KINDS: Readonly<Record<SubnetDescription["type"], string>> = {
  application: "Application",
  system: "System",
  verified_application: "VerifiedApplication",
  cloud_engine: "CloudEngine",
};

/** Of a network that is one subnet. */
export function topology({ subnet, crypto }: Pick<ReplicaBackend, "subnet" | "crypto">): HttpResponse {
  const { subnetId, type, canisterRanges } = subnet;
  const ids = canisterRanges.flat().flatMap((id) => [...principalToBytes(id)]);
  const seed = crypto.sha256(Uint8Array.from(ids));
  return topologyAnswer([{ subnetId, kind: KINDS[type], seed, canisterRanges }], subnetId);
}

/** New canisters go to `defaultSubnet`, which is one of them. */
export function topologyAnswer(subnets: readonly DescribedSubnet[], defaultSubnet: PrincipalId): HttpResponse {
  const takesNew = subnets.find(({ subnetId }) => subnetId === defaultSubnet);
  const [[first] = [defaultSubnet]] = takesNew?.canisterRanges ?? [];
  return jsonAnswer({
    subnet_configs: Object.fromEntries(subnets.map((subnet) => [principalToText(subnet.subnetId), configOf(subnet)])),
    default_effective_canister_id: idField(first),
  });
}

function configOf({ kind, seed, canisterRanges, subnetAdmins, costSchedule, instructions }: DescribedSubnet) {
  return {
    subnet_kind: kind,
    subnet_admins: subnetAdmins?.map((id) => ({ principal_id: base64(principalToBytes(id)) })) ?? null,
    cost_schedule: costSchedule === "free" ? "Free" : "Normal",
    subnet_seed: [...seed],
    instruction_config: instructions === "benchmarking" ? "Benchmarking" : "Production",
    canister_ranges: canisterRanges.map(([start, end]) => ({ start: idField(start), end: idField(end) })),
  };
}

function idField(id: PrincipalId): { readonly canister_id: string } {
  return { canister_id: base64(principalToBytes(id)) };
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** RFC 4648, section 4, with padding. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b, c] = bytes.subarray(i, i + 3);
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    text += `${ALPHABET[group >> 18]}${ALPHABET[(group >> 12) & 63]}`;
    text += b === undefined ? "=" : ALPHABET[(group >> 6) & 63];
    text += c === undefined ? "=" : ALPHABET[group & 63];
  }
  return text;
}
