// GET /_/topology: which subnets a network for development has, which canister ids they host, and on which of them new
// canisters go. No part of the interface specification: PocketIC's gateway answers it, and clients of such networks
// ask it (the end-to-end tests of the JavaScript agent, PocketIC's own libraries). Shape from PocketIC's REST types.
import { type PrincipalId, principalToBytes, principalToText } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import type { ReplicaBackend, SubnetDescription } from "../backend.ts";
import { jsonAnswer } from "./answers.ts";

const KINDS: Readonly<Record<SubnetDescription["type"], string>> = {
  application: "Application",
  system: "System",
  verified_application: "VerifiedApplication",
  cloud_engine: "CloudEngine",
};

export function topology({ subnet, crypto }: Pick<ReplicaBackend, "subnet" | "crypto">): HttpResponse {
  const ranges = subnet.canisterRanges.flat().flatMap((id) => [...principalToBytes(id)]);
  const [[first] = [subnet.subnetId]] = subnet.canisterRanges;
  return jsonAnswer({
    subnet_configs: {
      [principalToText(subnet.subnetId)]: {
        subnet_kind: KINDS[subnet.type],
        subnet_admins: null,
        cost_schedule: "Normal",
        subnet_seed: [...crypto.sha256(Uint8Array.from(ranges))],
        instruction_config: "Production",
        canister_ranges: subnet.canisterRanges.map(([start, end]) => ({ start: idField(start), end: idField(end) })),
      },
    },
    default_effective_canister_id: idField(first),
  });
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
