// An artifact from its bytes, and its name: whoever fetched it from a peer knows by the name whether it got what it asked for.
// Section 21.3.
import { decodeWire } from "@atoll/types/wire";
import { type Artifact, type ArtifactId, artifactCodec, artifactIdOf } from "./artifacts.ts";

export interface NamedArtifact {
  readonly artifact: Artifact;
  /** SHA-256 of the bytes. */
  readonly hash: Uint8Array;
  readonly id: ArtifactId;
}

type Sha256 = (data: Uint8Array) => Uint8Array;

/** The network asks for the name of the very bytes that it hands over next. */
const named = new WeakMap<Uint8Array, NamedArtifact | "none">();

/** An artifact that was made here, with its bytes: whoever is handed the same object need not decode it. */
export function nameArtifact(artifact: Artifact, bytes: Uint8Array, sha256: Sha256): NamedArtifact {
  const hash = sha256(bytes);
  const made = { artifact, hash, id: artifactIdOf(artifact, hash) };
  named.set(bytes, made);
  return made;
}

/** Undefined: these are not the bytes of any artifact. The same object is decoded once: its bytes must not change. */
export function decodeArtifact(bytes: Uint8Array, sha256: Sha256): NamedArtifact | undefined {
  let found = named.get(bytes);
  if (found === undefined) {
    found = read(bytes, sha256) ?? "none";
    named.set(bytes, found);
  }
  return found === "none" ? undefined : found;
}

function read(bytes: Uint8Array, sha256: Sha256): NamedArtifact | undefined {
  try {
    const artifact = decodeWire(artifactCodec, bytes);
    const hash = sha256(bytes);
    return { artifact, hash, id: artifactIdOf(artifact, hash) };
  } catch {
    return undefined;
  }
}
