// GET /api/v2/status: what a client learns about a replica before it trusts anything else. Local clients take the
// root key from here; start scripts poll until the health is "healthy". Interface specification, "Request: Status".
import type { HttpResponse } from "@atoll/types/http";
import type { ReplicaBackend } from "../backend.ts";
import { cborAnswer } from "./answers.ts";

export interface Implementation {
  readonly version: string;
  /** Names the build, when there is one. */
  readonly hash?: string;
}

export function status(backend: ReplicaBackend, implementation: Implementation): HttpResponse {
  return cborAnswer({
    root_key: backend.subnet.rootKey,
    impl_version: implementation.version,
    impl_hash: implementation.hash,
    replica_health_status: backend.health(),
    certified_height: backend.certifiedState()?.height,
  });
}
