// POST .../read_state: a certificate that reveals what is below the paths asked for, or proves that nothing is there.
// Interface specification, "Request: Read state".
import { parseEnvelope } from "@atoll/crypto";
import type { DelegationStyle, ReplicaBackend } from "../backend.ts";
import { cborAnswer, noCertifiedStateAnswer, textAnswer, unhealthyAnswer } from "./answers.ts";
import { createAuthenticate } from "./authentication.ts";
import type { Endpoint } from "./endpoint.ts";
import { checkPaths, type ReadStateEndpoint } from "./read-state-paths.ts";

export const TIME_PATH = [new TextEncoder().encode("time")];

export function readState(backend: ReplicaBackend, endpoint: ReadStateEndpoint): Endpoint {
  const authenticate = createAuthenticate(backend);
  const style = delegationStyle(endpoint);
  return (id, request) => {
    const health = backend.health();
    if (health !== "healthy") return unhealthyAnswer(health);
    const parsed = parseEnvelope(request.body, "read_state");
    if (!parsed.ok) return textAnswer(400, parsed.error);
    const authenticated = authenticate(parsed.envelope);
    if (!authenticated.ok) return textAnswer(400, authenticated.error);
    const state = backend.certifiedState();
    if (state === undefined) return noCertifiedStateAnswer();
    const { paths } = parsed.envelope.content;
    const { sender, targets } = authenticated;
    const reader = {
      sender,
      effectiveId: id,
      mayCall: (receiver: typeof id) => targets === undefined || targets.has(receiver),
    };
    const refusal = checkPaths(backend, endpoint, paths, reader);
    if (refusal !== undefined) return textAnswer(refusal.status, refusal.text);
    return cborAnswer({ certificate: state.certificate([TIME_PATH, ...paths], style) });
  };
}

function delegationStyle({ on, version }: ReadStateEndpoint): DelegationStyle {
  if (version === 2) return "flat";
  return on === "canister" ? "sharded" : "none";
}
