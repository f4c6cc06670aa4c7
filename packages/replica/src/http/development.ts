// What a network for development answers beside the interface of the specification: GET /_/topology, as PocketIC does,
// and POST /_/subnets, which adds a subnet while the network runs. Nobody is asked who they are, as with everything else
// on such a network; but a page of another origin cannot do it, because a browser asks before it sends JSON elsewhere,
// and is told no here.
import { type PrincipalId, principalToText } from "@atoll/types";
import type { HttpRequest, HttpResponse } from "@atoll/types/http";
import { emptyAnswer, jsonAnswer, textAnswer } from "./answers.ts";
import { type DescribedSubnet, topologyAnswer } from "./topology.ts";

export interface NetworkForDevelopment {
  subnets(): readonly DescribedSubnet[];
  /** Where canisters are created by calls that name no other place. */
  defaultSubnet(): PrincipalId;
  /** Of a kind as `--subnet` has it; "refused" with a sentence that says why. Absent: subnets are fixed. */
  addSubnet?(kind: string): Promise<DescribedSubnet | { readonly refused: string }>;
}

const MAX_BODY_BYTES = 1_024;
const EXAMPLE = '{"kind": "application"}';

/** The answer to a request below `/_/`; undefined: there is nothing there. */
export async function developmentAnswer(
  network: NetworkForDevelopment,
  request: HttpRequest,
): Promise<HttpResponse | undefined> {
  const [path] = request.target.split("?", 1);
  if (path === "/_/topology" && request.method !== "OPTIONS") {
    if (request.method !== "GET" && request.method !== "HEAD") return notAllowed("GET,HEAD");
    return topologyAnswer(network.subnets(), network.defaultSubnet());
  }
  if (path !== "/_/subnets" || network.addSubnet === undefined) return undefined;
  if (request.method !== "POST") return notAllowed("POST");
  if (request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase() !== "application/json") {
    return textAnswer(400, `Unexpected content-type, expected application/json: ${EXAMPLE}.`);
  }
  const kind = kindIn(request.body);
  if (kind === undefined) return textAnswer(400, `The body must name a kind of subnet: ${EXAMPLE}.`);
  const added = await network.addSubnet(kind);
  if ("refused" in added) return textAnswer(400, added.refused);
  return jsonAnswer({
    subnet_id: principalToText(added.subnetId),
    subnet_kind: added.kind,
    canister_ranges: added.canisterRanges.map((range) => range.map(principalToText)),
  });
}

function notAllowed(allow: string): HttpResponse {
  const answer = emptyAnswer(405);
  return { ...answer, headers: { ...answer.headers, allow } };
}

function kindIn(body: Uint8Array): string | undefined {
  if (body.length > MAX_BODY_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    const kind = (value as { kind?: unknown } | null)?.kind;
    return typeof kind === "string" ? kind : undefined;
  } catch {
    return undefined;
  }
}
