// setup_initial_dkg: the registry canister has the keys of a new subnet made. The nodes of the root subnet deal them to the new
// subnet's nodes, which takes some intervals; the call waits in the state until a batch brings the keys.
// Consensus and chain-key facts, sections 12.2 and 15.
import {
  canisterIdFromIndex,
  ErrorCode,
  type InitialDkgResponse,
  invariant,
  type PrincipalId,
  principalToText,
  toHex,
  type UserError,
  userError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { hostOf } from "../outgoing.ts";
import { deliverResponse, responseTo } from "../responses.ts";
import type { Round } from "../round.ts";
import { originOfRequest } from "../trace.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, undecodable } from "./candid-argument.ts";
import { failed } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export const SetupInitialDkgRecord = IDL.Record({
  node_ids: IDL.Vec(IDL.Principal),
  registry_version: IDL.Nat64,
  subnet_id: IDL.Opt(IDL.Principal),
});

interface SetupInitialDkgArg {
  readonly node_ids: readonly PrincipalId[];
  readonly registry_version: bigint;
}

/** The registry canister, `rwlgt-iiaaa-aaaaa-aaaaa-cai`: the first one of the root subnet. */
const REGISTRY = canisterIdFromIndex(0n);
/** Of one subnet. */
const MAX_NODES = 200;
/** Requests that wait at once: each takes an interval of consensus or more. */
const MAX_WAITING = 16;

export function setupInitialDkg(call: ManagementCall): MethodResult | "later" {
  const { round, sender, caller, arg } = call;
  const { config, topology, initialDkgs } = round.state;
  const isAllowed =
    sender === REGISTRY && config.subnetId === topology.rootSubnetId && hostOf(round, sender) === topology.rootSubnetId;
  if (!isAllowed) return failed(notByNns(sender));
  const decoded = decodeArgument<SetupInitialDkgArg>(SetupInitialDkgRecord, arg);
  if (!decoded.ok) return decoded;
  const { node_ids: nodes, registry_version: version } = decoded.value;
  const repeated = nodes.find((node, place) => nodes.indexOf(node) !== place);
  if (repeated !== undefined) return failed(wrongArgument(repeated));
  if (nodes.length > MAX_NODES || version > BigInt(Number.MAX_SAFE_INTEGER))
    return undecodable("there are no such subnets or versions");
  if (initialDkgs.length >= MAX_WAITING)
    return failed(userError(ErrorCode.CanisterRejectedMessage, "Too many subnets wait for their keys."));
  invariant(caller.kind === "canister", "a request for keys of a user");
  const { arg: _, ...request } = caller.request;
  const registryVersion = Number(version);
  const target = targetOf(round, request.callbackId);
  initialDkgs.push({ target, receivers: [...nodes].sort(), registryVersion, request });
  return "later";
}

/** Targets that nobody waits for are nobody's: an answer may come twice. */
export function deliverInitialDkgs(round: Round, responses: readonly InitialDkgResponse[]): void {
  const { state } = round;
  for (const { target, result } of responses) {
    const place = state.initialDkgs.findIndex((context) => toHex(context.target) === toHex(target));
    const [context] = place < 0 ? [] : state.initialDkgs.splice(place, 1);
    if (context === undefined) continue;
    const { request } = context;
    round.traceEvents?.push({ kind: "answer", to: originOfRequest(request), payload: result, refund: request.payment });
    deliverResponse(round, responseTo(request, result, request.payment));
  }
}

/** 32 bytes that no other request has, and that nobody could know before: of the batch's randomness and of the call. */
function targetOf({ state, crypto }: Round, callbackId: number): Uint8Array {
  const label = new TextEncoder().encode(`setup_initial_dkg ${callbackId}`);
  return crypto.sha256(Uint8Array.of(label.length, ...label, ...state.randomness));
}

function notByNns(sender: PrincipalId): UserError {
  const sentence = `setup_initial_dkg is called by ${principalToText(sender)}. It can only be called by NNS.`;
  return userError(ErrorCode.CanisterContractViolation, sentence);
}

function wrongArgument(node: PrincipalId): UserError {
  const sentence = `Expected a set of NodeIds. The NodeId ${principalToText(node)} is repeated`;
  return userError(ErrorCode.InvalidManagementPayload, sentence);
}
