// POST .../query: runs a query against the certified state and answers with the signature of this node, which says
// who is to blame when it was wrong. Interface specification, "Request: Query call".
import { parseEnvelope, type QueryResponse, queryResponseMessage } from "@atoll/crypto";
import { MANAGEMENT_CANISTER, principalToBytes, type QueryResult, toHex } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import type { DelegationStyle, ReplicaBackend } from "../backend.ts";
import { cborAnswer, rejectFields, textAnswer, unhealthyAnswer } from "./answers.ts";
import { createAuthenticate, refuseOtherCanister, refuseOtherManagedCanister } from "./authentication.ts";
import type { Endpoint } from "./endpoint.ts";

export function query(backend: ReplicaBackend, on: "canister" | "subnet", style: DelegationStyle): Endpoint {
  const authenticate = createAuthenticate(backend);
  const identity = principalToBytes(backend.subnet.nodeId);
  return async (id, request) => {
    const health = backend.health();
    if (health !== "healthy") return unhealthyAnswer(health);
    const parsed = parseEnvelope(request.body, "query");
    if (!parsed.ok) return textAnswer(400, parsed.error);
    const { content } = parsed.envelope;
    const misplaced =
      on === "canister" ? refuseOtherCanister(content, id) : refuseOtherSubnetQuery(backend, id, content);
    if (misplaced !== undefined) return misplaced;
    const authenticated = authenticate(parsed.envelope);
    if (!authenticated.ok) return textAnswer(400, authenticated.error);
    const toManagement = content.canisterId === MANAGEMENT_CANISTER && on === "canister";
    const mismatch = toManagement ? refuseOtherManagedCanister(content, id) : undefined;
    if (mismatch !== undefined) return mismatch;
    const { result, time } = await backend.query(
      {
        requestId: toHex(authenticated.requestId),
        sender: authenticated.sender,
        receiver: content.canisterId,
        effectiveCanisterId: on === "canister" ? id : MANAGEMENT_CANISTER,
        methodName: content.methodName,
        arg: content.arg,
        ...(authenticated.callerInfo && { callerInfo: authenticated.callerInfo }),
      },
      style,
    );
    return signedAnswer(backend, identity, queryResponse(result), time, authenticated.requestId);
  };
}

/** A subnet answers one query by itself: which canisters it has. */
function refuseOtherSubnetQuery(
  backend: ReplicaBackend,
  subnetId: string,
  content: { readonly canisterId: string; readonly methodName: string },
): HttpResponse | undefined {
  if (subnetId !== backend.subnet.subnetId)
    return textAnswer(400, "The subnet in the URL is not the one of this node.");
  if (content.canisterId === MANAGEMENT_CANISTER && content.methodName === "list_canisters") return undefined;
  return textAnswer(400, "Only the method list_canisters of the management canister can be queried on a subnet.");
}

function queryResponse(result: QueryResult): QueryResponse {
  return result.kind === "replied"
    ? { status: "replied", reply: { arg: result.reply } }
    : { status: "rejected", ...rejectFields(result.error) };
}

function signedAnswer(
  backend: ReplicaBackend,
  identity: Uint8Array,
  response: QueryResponse,
  timestamp: bigint,
  requestId: Uint8Array,
): HttpResponse {
  const signature = backend.signAsNode(queryResponseMessage(response, timestamp, requestId, backend.crypto.sha256));
  return cborAnswer({ ...response, signatures: [{ timestamp, signature, identity }] });
}
