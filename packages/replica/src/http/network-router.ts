// The HTTP interface of a whole network: each request goes to the subnet that its path is about, as the routers in
// front of the public network do it. A canister belongs to the subnet whose ranges hold its id; calls about no canister
// yet go to the subnet that takes new ones. Interface specification, "HTTPS interface".
import { MANAGEMENT_CANISTER, type NetworkTopology, type PrincipalId, subnetOf } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import type { ReplicaBackend, ReplicaHealth } from "../backend.ts";
import { textAnswer } from "./answers.ts";
import { developmentAnswer, type NetworkForDevelopment } from "./development.ts";
import type { HttpInterfaceOptions } from "./endpoint.ts";
import { createHttpHandler, parseId } from "./router.ts";

export interface NetworkBackends {
  topology(): NetworkTopology;
  backend(subnet: PrincipalId): ReplicaBackend | undefined;
  /** Where canisters are created by calls that name no other place. */
  defaultSubnet(): PrincipalId;
  /** What is served below `/_/`; nothing without it. */
  readonly development?: Omit<NetworkForDevelopment, "defaultSubnet">;
}

/** The same for subnets whose HTTP interfaces are somewhere else. */
export interface NetworkRoutes extends Omit<NetworkBackends, "backend"> {
  handlerOf(subnet: PrincipalId): HttpHandler | undefined;
  /** Answers what is about no subnet; undefined: not ready yet. */
  ofNetwork(): HttpHandler | undefined;
}

export function createNetworkHandler(network: NetworkBackends, options: HttpInterfaceOptions): HttpHandler {
  const handlers = new Map<PrincipalId, HttpHandler>();
  const handlerOf = (subnet: PrincipalId): HttpHandler | undefined => {
    let handler = handlers.get(subnet);
    const backend = handler === undefined ? network.backend(subnet) : undefined;
    if (backend !== undefined) {
      handler = createHttpHandler(backend, options);
      handlers.set(subnet, handler);
    }
    return handler;
  };
  let ofNetwork: HttpHandler | undefined;
  return createNetworkRouter({
    ...network,
    handlerOf,
    ofNetwork() {
      const root = network.backend(network.topology().rootSubnetId);
      if (root !== undefined) ofNetwork ??= createHttpHandler({ ...root, health: () => healthOf(network) }, options);
      return ofNetwork;
    },
  });
}

export function createNetworkRouter(network: NetworkRoutes): HttpHandler {
  const { development, defaultSubnet, handlerOf } = network;
  return async (request) => {
    const [path = ""] = request.target.split("?", 1);
    const [, area, , , id = "", verb] = path.split("/");
    if (area === "_" && development !== undefined) {
      const answer = await developmentAnswer({ ...development, defaultSubnet }, request);
      if (answer !== undefined) return answer;
    }
    if (area !== "api" || id === "") {
      const handler = network.ofNetwork();
      return handler === undefined ? textAnswer(503, "The network is not ready yet.") : handler(request);
    }
    if (verb === "call" && isNobodys(network, id)) return textAnswer(400, NOBODYS);
    const subnet = subnetOfPath(network, id);
    const handler = subnet === undefined ? undefined : handlerOf(subnet);
    if (handler === undefined) {
      return textAnswer(
        400,
        `"${id.slice(0, 100)}" is on no subnet of this network: no subnet has that id, or hosts it.`,
      );
    }
    return handler(request);
  };
}

const NOBODYS =
  "This network has several subnets, and aaaaa-aa is on none of them: no client could verify the answer. Make the call " +
  "with the id of the canister that it is about as its effective canister id; to create one, with any id of the subnet " +
  "that shall have it, such as default_effective_canister_id of GET /_/topology.";

/** Certificates of the root subnet alone are believed for ids that no subnet hosts. */
function isNobodys({ topology, defaultSubnet }: NetworkRoutes, text: string): boolean {
  return parseId(text) === MANAGEMENT_CANISTER && defaultSubnet() !== topology().rootSubnetId;
}

/** A network is healthy when all its subnets are. */
function healthOf({ topology, backend }: NetworkBackends): ReplicaHealth {
  for (const { subnetId } of topology().subnets) {
    const health = backend(subnetId)?.health() ?? "starting";
    if (health !== "healthy") return health;
  }
  return "healthy";
}

/** What is no principal at all is refused by the first subnet, like everything else that is wrong with a request. */
function subnetOfPath(network: NetworkRoutes, text: string): PrincipalId | undefined {
  const id = parseId(text);
  if (id === undefined || id === MANAGEMENT_CANISTER) return network.defaultSubnet();
  return subnetOf(network.topology(), id)?.subnetId;
}
