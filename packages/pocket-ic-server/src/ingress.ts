// Calls as the clients of PocketIC make them: as any principal, without a signature. Submit, await, ask for the status,
// query. Contract of PocketIC's REST interface, instance routes.
import { decodeArgument } from "@atoll/execution/management/candid-argument";
import type { CanisterCall, MessageId, Network, SubnetKind } from "@atoll/pocket-ic";
import { kindOfPublicId } from "@atoll/pocket-ic/subnet-kinds";
import {
  type CanisterId,
  canisterIndex,
  type IngressStatus,
  MANAGEMENT_CANISTER,
  MAX_INGRESS_BYTES_APPLICATION,
  MAX_INGRESS_BYTES_SYSTEM,
  type PrincipalId,
  principalToText,
  subnetOf,
  toHex,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { done, notSupported, type Outcome, Refusal } from "./answers.ts";
import { rejectResponse } from "./error-code-names.ts";
import type { Json } from "./json.ts";
import * as shape from "./shapes.ts";
import { base64, bytesToBase64 } from "./topology.ts";

const MAX_ROUNDS = 100;

const effectivePrincipal = shape.variant<PrincipalId | undefined>({
  None: shape.unit(undefined),
  SubnetId: shape.principal,
  CanisterId: shape.principal,
});

const rawCall = shape.record({
  sender: shape.principal,
  canister_id: shape.principal,
  effective_principal: effectivePrincipal,
  method: shape.text,
  payload: shape.bytes,
  sender_info: shape.optional(shape.record({ info: shape.bytes, signer: shape.principal })),
});

/** Gives what to call; throws a Refusal. */
export function readCall(body: Json): CanisterCall {
  const raw = rawCall(body, "");
  const info = raw.sender_info;
  return {
    sender: raw.sender,
    receiver: raw.canister_id,
    methodName: raw.method,
    arg: raw.payload,
    ...(raw.effective_principal !== undefined && { effective: raw.effective_principal }),
    ...(info !== undefined && { callerInfo: { data: info.info, signer: info.signer } }),
  };
}

export const messageIdShape = shape.record({ effective_principal: effectivePrincipal, message_id: shape.bytes });

export const statusArguments = shape.record({
  raw_message_id: messageIdShape,
  raw_caller: shape.optional<PrincipalId>((value, at) =>
    // The JavaScript client sends the bytes alone.
    typeof value === "string"
      ? shape.principal(value, at)
      : shape.record({ principal_id: shape.principal })(value, at).principal_id,
  ),
});

export async function submit(network: Network, call: CanisterCall): Promise<Outcome> {
  requireRoute(network, call);
  requireSize(network, call);
  await addSubnetFor(network, call);
  const submission = await network.submit(call);
  if (!submission.ok) return done({ Err: rejectResponse(submission.error, false) });
  const { subnet, requestId } = submission.message;
  return done({
    Ok: {
      effective_principal: { SubnetId: base64(subnet) },
      message_id: Buffer.from(requestId, "hex").toString("base64"),
    },
  });
}

export async function query(network: Network, call: CanisterCall): Promise<Outcome> {
  requireRoute(network, call);
  const result = await network.query(call);
  if (result.kind === "replied") return done({ Ok: bytesToBase64(result.reply) });
  return done({ Err: rejectResponse(result.error, false) });
}

/** Runs at most 100 rounds; rounds of an execution that takes many are not counted. */
export async function awaitMessage(network: Network, raw: ReturnType<typeof messageIdShape>): Promise<Outcome> {
  const message = messageIdOf(network, raw);
  for (let rounds = 0; rounds <= MAX_ROUNDS; ) {
    const answer = answerOf(network.status(message));
    if (answer !== undefined) return done(answer);
    await network.tick();
    // Others have requests too.
    await new Promise((resolve) => setImmediate(resolve));
    const isLong = [...network.subnets.values()].some(({ executor }) => executor.durable.machine.long.size > 0);
    if (!isLong) rounds++;
  }
  throw bad(`Failed to answer to ingress 0x${message.requestId} after ${MAX_ROUNDS} rounds.`);
}

export async function ingressStatus(network: Network, raw: ReturnType<typeof statusArguments>): Promise<Outcome> {
  const message = messageIdOf(network, raw.raw_message_id);
  const sender = network.subnets.get(message.subnet)?.replica.backend.ingressOrigin(message.requestId)?.sender;
  if (raw.raw_caller !== undefined && sender !== undefined && sender !== raw.raw_caller) {
    throw new Refusal(403, "The user tries to access Request ID not signed by the caller.");
  }
  return done(answerOf(network.status(message)) ?? null);
}

function answerOf(status: IngressStatus | undefined): Json | undefined {
  switch (status?.state) {
    case "replied":
      return { Ok: bytesToBase64(status.reply) };
    case "rejected":
      return { Err: rejectResponse(status.error, true) };
    case "done":
      throw bad("The answer to this message was there and has been forgotten since.");
    default:
      return undefined;
  }
}

function messageIdOf(network: Network, raw: ReturnType<typeof messageIdShape>): MessageId {
  const { effective_principal: effective, message_id: id } = raw;
  if (id.length !== 32) throw new Refusal(422, "message_id: expected 32 bytes.");
  const subnet = effective === undefined ? network.defaultSubnet.id : subnetOf(network.topology, effective)?.subnetId;
  if (subnet === undefined) throw noRoute(effective as PrincipalId);
  return { subnet, requestId: toHex(id) };
}

/** Around the fields of a call in the envelope that it would come in. */
const ENVELOPE_BYTES = 150;

/** As the HTTP interface of a subnet refuses larger ones. */
function requireSize({ topology }: Network, { receiver, methodName, arg, effective }: CanisterCall): void {
  const type = subnetOf(topology, receiver === MANAGEMENT_CANISTER ? (effective ?? receiver) : receiver)?.type;
  const most = type === "system" ? MAX_INGRESS_BYTES_SYSTEM : MAX_INGRESS_BYTES_APPLICATION;
  const bytes = ENVELOPE_BYTES + methodName.length + arg.length;
  if (bytes <= most) return;
  throw bad(`Request is too large. Message byte size ${bytes} is larger than the max allowed ${most}.`);
}

function requireRoute({ topology }: Network, { receiver, effective }: CanisterCall): void {
  const target = receiver === MANAGEMENT_CANISTER ? effective : receiver;
  if (target === undefined || target === MANAGEMENT_CANISTER) return;
  const kind = kindOfPublicId(target as CanisterId);
  const isAddable = kind !== undefined && kind !== "nns";
  if (subnetOf(topology, target) === undefined && !isAddable) throw noRoute(target);
}

/** Ids below this number are given out, or will be, on the public network. */
const PUBLIC_IDS = 0x0300_0000n;

function noRoute(id: PrincipalId): Refusal {
  const text = `The effective canister ID ${principalToText(id)}`;
  if (kindOfPublicId(id as CanisterId) !== undefined) {
    return bad(
      `${text} belongs to the NNS subnet on the IC mainnet for which PocketIC provides a \`SubnetKind\`: please set up ` +
        "your PocketIC instance with a subnet of that `SubnetKind`.",
    );
  }
  const index = canisterIndex(id);
  if (index !== undefined && index < PUBLIC_IDS) {
    throw notSupported(
      `${text} is one of an application subnet of the IC mainnet; only named subnets come up by themselves.`,
    );
  }
  return bad(`${text} does not belong to an existing subnet and it is not a mainnet canister ID.`);
}

function bad(message: string): Refusal {
  return new Refusal(400, `BadIngressMessage(${JSON.stringify(message)})`);
}

const SpecifiedId = IDL.Record({ specified_id: IDL.Opt(IDL.Principal) });

/** A canister with an id of a named subnet of the public network brings that subnet into being, but never the root. */
async function addSubnetFor(network: Network, { receiver, methodName, arg }: CanisterCall): Promise<void> {
  if (receiver !== MANAGEMENT_CANISTER || methodName !== "provisional_create_canister_with_cycles") return;
  const id = specifiedId(arg);
  if (id === undefined || subnetOf(network.topology, id) !== undefined) return;
  const kind: SubnetKind | undefined = kindOfPublicId(id);
  if (kind !== undefined && kind !== "nns") await network.addSubnet({ kind });
}

/** Undefined also when the argument is no such record: the management canister says what is wrong with it. */
function specifiedId(arg: Uint8Array): CanisterId | undefined {
  const decoded = decodeArgument<{ specified_id: readonly [] | readonly [CanisterId] }>(SpecifiedId, arg);
  return decoded.ok ? decoded.value.specified_id[0] : undefined;
}
