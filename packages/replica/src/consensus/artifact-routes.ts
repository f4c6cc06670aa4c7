// Everything that is broadcast among the nodes of a subnet goes through one network: the artifacts of consensus, clients'
// messages, shares of outcalls. The first byte says which family an artifact is of, the first part of its id too; here
// each goes to whoever it is for.
import type { PeerHandler, PeerNetwork, PrincipalId } from "@atoll/types";

/** Who takes and gives artifacts of one family. */
export interface ArtifactFamily {
  /** What the ids of the family begin with, up to the first "/"; undefined: all that no other family has. */
  readonly prefix: string | undefined;
  receive(peer: PrincipalId, id: string, artifact: Uint8Array): ReturnType<PeerHandler["receive"]>;
  wants(id: string): boolean;
  /** Undefined: these bytes are no artifact of the family. */
  idOf(artifact: Uint8Array): string | undefined;
}

export interface ArtifactRoutes extends Omit<PeerHandler, "serve"> {
  /** What a family publishes, it publishes here. */
  publisher(family: ArtifactFamily): Pick<PeerNetwork, "publish" | "retract">;
}

/** Ids of artifacts that are none. */
const NO_ID = "";

/** At most 256 families; their order is part of what goes over the wire. */
export function artifactRoutes(
  families: readonly ArtifactFamily[],
  network: Pick<PeerNetwork, "publish" | "retract">,
): ArtifactRoutes {
  const rest = families.find(({ prefix }) => prefix === undefined);
  const byPrefix = new Map(families.map((family) => [family.prefix, family]));
  const familyOf = (id: string): ArtifactFamily | undefined => byPrefix.get(id.slice(0, id.indexOf("/"))) ?? rest;
  return {
    receive(peer, id, bytes) {
      const family = families[bytes[0] ?? -1];
      if (family === undefined || family !== familyOf(id)) return "invalid";
      return family.receive(peer, id, bytes.subarray(1));
    },
    wants: (id) => familyOf(id)?.wants(id) ?? false,
    idOf: (bytes) => families[bytes[0] ?? -1]?.idOf(bytes.subarray(1)) ?? NO_ID,
    publisher(family) {
      const place = families.indexOf(family);
      return {
        publish(id, artifact) {
          const tagged = new Uint8Array(artifact.length + 1);
          tagged[0] = place;
          tagged.set(artifact, 1);
          network.publish(id, tagged);
        },
        retract: (id) => network.retract(id),
      };
    },
  };
}
