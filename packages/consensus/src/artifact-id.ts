// The name of an artifact, from its bytes alone: whoever fetched it from a peer knows by it whether it got what it asked for.
// Section 21.3.
import { decodeWire, WireError } from "@atoll/types/wire";
import { type ArtifactId, artifactCodec, artifactId } from "./artifacts.ts";

/** Empty: these are not the bytes of any artifact. */
export function idOfArtifact(bytes: Uint8Array, sha256: (data: Uint8Array) => Uint8Array): ArtifactId {
  try {
    return artifactId(decodeWire(artifactCodec, bytes), bytes, sha256);
  } catch (error) {
    if (error instanceof WireError) return "";
    throw error;
  }
}
