// One address in front of a network of several subnets of many nodes: each request goes to the subnet that its path is about,
// and there to a node that is well (front.ts). What nodes serve to each other and to the operator is not behind it.
import { SUBNET_KINDS, type SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import { createNetworkRouter, type DescribedSubnet } from "@atoll/replica";
import type { CanisterRange, NetworkTopology, PrincipalId } from "@atoll/types";
import type { HttpHandler, HttpResponse } from "@atoll/types/http";
import { type Front, isHealthy } from "./front.ts";

export interface FrontedSubnet {
  readonly id: PrincipalId;
  readonly kind: SubnetKind;
  /** 32 bytes that are the subnet's own. */
  readonly seed: Uint8Array;
  readonly canisterRanges: readonly CanisterRange[];
  readonly front: Front;
}

const NOT_EXTENDED = "The subnets of a network whose nodes are processes of their own are chosen when it is new.";

/** `subnets`: the root subnet first. */
export function networkFront(
  topology: NetworkTopology,
  subnets: readonly FrontedSubnet[],
  defaultSubnet: PrincipalId,
): HttpHandler {
  const described = subnets.map(
    ({ id, kind, seed, canisterRanges }): DescribedSubnet => ({
      ...{ subnetId: id, kind: SUBNET_KINDS[kind].label, seed, canisterRanges },
    }),
  );
  /** The root subnet's, unless another one is not well. */
  const ofNetwork: HttpHandler = async (request) => {
    const answers = await Promise.all(subnets.map(({ front }) => front.api(request)));
    return answers.find((answer) => !isHealthy(answer)) ?? (answers[0] as HttpResponse);
  };
  return createNetworkRouter({
    topology: () => topology,
    defaultSubnet: () => defaultSubnet,
    handlerOf: (subnet) => subnets.find(({ id }) => id === subnet)?.front.api,
    ofNetwork: () => ofNetwork,
    development: { subnets: () => described, addSubnet: async () => ({ refused: NOT_EXTENDED }) },
  });
}
