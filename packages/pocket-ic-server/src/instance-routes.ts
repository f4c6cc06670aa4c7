// What can be asked of an instance: one line per route of PocketIC's REST interface below /instances/<id>/read and
// /update. A route reads its arguments first, and so refuses what is malformed without waiting for its turn; what it
// gives then runs as the operation.
import type { Network, RoundOptions } from "@atoll/pocket-ic";
import { type PrincipalId, principalToText } from "@atoll/types";
import { done, type Outcome, Refusal } from "./answers.ts";
import type { BlobStore } from "./blob-store.ts";
import { balanceOf, findCanister, requireCanister, stableMemoryOf } from "./canister-facts.ts";
import { answerOutcall, mockArguments, pendingOutcalls } from "./canister-http.ts";
import { awaitMessage, ingressStatus, messageIdShape, query, readCall, statusArguments, submit } from "./ingress.ts";
import { setCertifiedTime, setTime } from "./instance.ts";
import type { Json } from "./json.ts";
import * as shape from "./shapes.ts";
import { downloadArguments, downloadSnapshot, uploadArguments, uploadSnapshot } from "./snapshots.ts";
import { base64, bytesToBase64, topologyJson } from "./topology.ts";

export type Work = (network: Network) => Promise<Outcome>;

export interface InstanceRoute {
  readonly method: "GET" | "POST";
  /** Waits for its turn as long as the server allows, instead of telling the client to come again. */
  readonly isPatient?: boolean;
  readonly prepare: (body: Json, blobs: BlobStore) => Work;
}

const canisterId = shape.record({ canister_id: shape.principal });
const subnetId = shape.record({ subnet_id: shape.principal });
const time = shape.record({ nanos_since_epoch: shape.u64 });
const addCycles = shape.record({ canister_id: shape.principal, amount: shape.u128 });
const stableMemory = shape.record({ canister_id: shape.principal, blob_id: shape.bytes });
const node = shape.record({ node_id: shape.principal });
const tick = shape.record({
  blockmakers: shape.optional(
    shape.list(shape.record({ subnet: subnetId, blockmaker: node, failed_blockmakers: shape.list(node) })),
  ),
});

export const INSTANCE_ROUTES: ReadonlyMap<string, InstanceRoute> = new Map<string, InstanceRoute>([
  ["read/topology", { method: "GET", isPatient: true, prepare: () => topology }],
  [
    "read/get_time",
    {
      method: "GET",
      prepare:
        () =>
        async ({ time }) =>
          done({ nanos_since_epoch: time }),
    },
  ],
  ["read/query", post((body) => readCall(body), query)],
  ["read/get_cycles", post(on(canisterId), async (network, { canister_id }) => cycles(network, canister_id))],
  ["read/get_controllers", post(on(canisterId), controllers)],
  ["read/get_stable_memory", post(on(canisterId), getStableMemory)],
  ["read/get_subnet", post(on(canisterId), getSubnet)],
  ["read/pub_key", post(on(subnetId), publicKey)],
  ["read/ingress_status", post(on(statusArguments), ingressStatus)],
  ["read/get_canister_http", { method: "GET", prepare: () => pendingOutcalls }],
  ["update/submit_ingress_message", post((body) => readCall(body), submit)],
  ["update/await_ingress_message", post(on(messageIdShape), awaitMessage)],
  ["update/tick", post(on(tick), runRound)],
  ["update/set_time", post(on(time), changeTime)],
  ["update/set_certified_time", post(on(time), certifyTime)],
  ["update/add_cycles", post(on(addCycles), giveCycles)],
  ["update/set_stable_memory", { method: "POST", prepare: setStableMemory }],
  ["update/mock_canister_http", post(on(mockArguments), answerOutcall)],
  ["update/canister_snapshot_download", post(on(downloadArguments), downloadSnapshot)],
  ["update/canister_snapshot_upload", post(on(uploadArguments), uploadSnapshot)],
]);

function post<T>(read: (body: Json) => T, perform: (network: Network, input: T) => Promise<Outcome>): InstanceRoute {
  return {
    method: "POST",
    prepare(body) {
      const input = read(body);
      return (network) => perform(network, input);
    },
  };
}

function on<T>(read: shape.Shape<T>): (body: Json) => T {
  return (body) => read(body, "");
}

async function topology(network: Network): Promise<Outcome> {
  return done(topologyJson(network));
}

function cycles(network: Network, id: PrincipalId): Outcome {
  return done({ cycles: balanceOf(requireCanister(network, id)) });
}

async function controllers(network: Network, { canister_id }: { canister_id: PrincipalId }): Promise<Outcome> {
  const { canister } = requireCanister(network, canister_id);
  return done(canister.settings.controllers.map((id) => ({ principal_id: base64(id) })));
}

async function getStableMemory(network: Network, { canister_id }: { canister_id: PrincipalId }): Promise<Outcome> {
  return done({ blob: bytesToBase64(stableMemoryOf(requireCanister(network, canister_id))) });
}

async function getSubnet(network: Network, { canister_id }: { canister_id: PrincipalId }): Promise<Outcome> {
  const found = findCanister(network, canister_id);
  return done(found === undefined ? null : { subnet_id: base64(found.subnet.id) });
}

async function publicKey(network: Network, { subnet_id }: { subnet_id: PrincipalId }): Promise<Outcome> {
  const subnet = network.subnets.get(subnet_id);
  if (subnet === undefined) throw subnetNotFound(subnet_id);
  return done([...subnet.config.publicKey]);
}

async function changeTime(network: Network, { nanos_since_epoch }: { nanos_since_epoch: bigint }): Promise<Outcome> {
  setTime(network, nanos_since_epoch);
  return done();
}

async function certifyTime(network: Network, { nanos_since_epoch }: { nanos_since_epoch: bigint }): Promise<Outcome> {
  await setCertifiedTime(network, nanos_since_epoch);
  return done();
}

async function giveCycles(network: Network, input: ReturnType<typeof addCycles>): Promise<Outcome> {
  const { subnet, canister } = requireCanister(network, input.canister_id);
  await network.intervene(subnet.id, [{ kind: "add_cycles", canister: canister.id, amount: input.amount }]);
  return cycles(network, canister.id);
}

function setStableMemory(body: Json, blobs: BlobStore): Work {
  const { canister_id, blob_id } = stableMemory(body, "");
  const content = blobs.content(blob_id);
  return async (network) => {
    const { subnet, canister } = requireCanister(network, canister_id);
    if (canister.execution === undefined) throw new Refusal(400, `CanisterIsEmpty(${principalToText(canister.id)})`);
    await network.intervene(subnet.id, [{ kind: "set_stable_memory", canister: canister.id, content }]);
    return done();
  };
}

async function runRound(network: Network, { blockmakers = [] }: ReturnType<typeof tick>): Promise<Outcome> {
  const chosen: [PrincipalId, { proposer: PrincipalId; failed: PrincipalId[] }][] = blockmakers.map((each) => {
    const { subnet_id } = each.subnet;
    const proposer = each.blockmaker.node_id;
    const failed = each.failed_blockmakers.map(({ node_id }) => node_id);
    const subnet = network.subnets.get(subnet_id);
    if (subnet === undefined) throw subnetNotFound(subnet_id);
    const nodes = new Set(subnet.config.nodes.map(({ nodeId }) => nodeId));
    const unknown = [proposer, ...failed].find((id) => !nodes.has(id));
    if (unknown !== undefined) throw new Refusal(400, `BlockmakerNotFound(${principalToText(unknown)})`);
    if (failed.includes(proposer)) {
      throw new Refusal(400, `BlockmakerContainedInFailed(${principalToText(proposer)})`);
    }
    return [subnet_id, { proposer, failed }];
  });
  const options: RoundOptions = { blockmakers: new Map(chosen) };
  await network.tick(options);
  return done();
}

function subnetNotFound(id: PrincipalId): Refusal {
  return new Refusal(400, `SubnetNotFound(${principalToText(id)})`);
}
