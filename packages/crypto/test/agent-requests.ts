// Requests as the agent makes them, signed by its identities: the bytes that arrive at the HTTP endpoints.
import { type HashableFields, requestIdOf } from "@atoll/types";
import { Cbor, type HttpAgentRequest, type Identity } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { parseEnvelope, type RequestKind } from "../src/envelope.ts";
import { type AuthenticationOptions, type AuthenticationResult, authenticate } from "../src/request-auth.ts";
import { bytes, crypto, keyOf } from "./certified-tree.ts";

export const NOW = 1_700_000_000_000_000_000n;
export const MINUTE = 60_000_000_000n;
export const CANISTER = Principal.fromHex("00000000000000050101");
export const ROOT = 1;

export type Content = Record<string, unknown>;
export type Body = Record<string, unknown> & { content: Content };

export function contentOf(kind: RequestKind, sender: Principal, more: Content = {}): Content {
  const common = { request_type: kind, sender: sender.toUint8Array(), ingress_expiry: NOW + MINUTE };
  const fields =
    kind === "read_state"
      ? { paths: [[bytes("time")], [bytes("request_status"), new Uint8Array(32)]] }
      : { canister_id: CANISTER.toUint8Array(), method_name: "greet", arg: bytes("DIDL\0\0") };
  return { ...common, ...fields, ...more };
}

/** The envelope that the agent's identity makes around a content. */
export async function bodyOf(identity: Identity, kind: RequestKind = "call", more: Content = {}): Promise<Body> {
  const content = contentOf(kind, identity.getPrincipal() as Principal, more);
  const request = { body: content, request: {}, endpoint: "call" } as unknown as HttpAgentRequest;
  const { body } = (await identity.transformRequest(request)) as { body: Body };
  return body;
}

/** What becomes of a body: parsed, then authenticated. */
export function receive(body: unknown, kind: RequestKind = "call", more: Partial<AuthenticationOptions> = {}) {
  return receiveBytes(Cbor.encode(body), kind, more);
}

export function receiveBytes(
  body: Uint8Array,
  kind: RequestKind = "call",
  more: Partial<AuthenticationOptions> = {},
): AuthenticationResult {
  const parsed = parseEnvelope(body, kind);
  if (!parsed.ok) return parsed;
  return authenticate(parsed.envelope, { now: NOW, crypto, rootKeys: [keyOf(ROOT)], ...more });
}

export function textOf(result: AuthenticationResult): string {
  return result.ok ? "accepted" : result.error;
}

export function requestId(content: Content): Uint8Array {
  return requestIdOf(content as HashableFields, crypto.sha256);
}
