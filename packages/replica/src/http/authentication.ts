// Authentication of requests with the clock and the trusted keys of one replica, and the check that a request is for
// the canister in its URL: whoever routes or blocks by URL must not be fooled by another id inside.
// Interface specification, "Authentication" and "Effective canister id".
import {
  type AuthenticationResult,
  authenticate,
  type CallContent,
  type Envelope,
  type ReadStateContent,
  RequestBatches,
  SignatureCache,
} from "@atoll/crypto";
import { type CanisterId, MANAGEMENT_CANISTER, principalToText } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import type { ReplicaBackend } from "../backend.ts";
import { textAnswer } from "./answers.ts";
import { managedCanister } from "./effective-canister-id.ts";

export type Authenticate = (envelope: Envelope<CallContent | ReadStateContent>) => AuthenticationResult;

export function createAuthenticate(backend: ReplicaBackend, verified?: RequestBatches): Authenticate {
  const cache = new SignatureCache();
  return (envelope) =>
    authenticate(envelope, {
      now: backend.clock.now(),
      crypto: backend.crypto,
      rootKeys: backend.trustedRootKeys,
      cache,
      ...(verified && { verified }),
    });
}

/** The same for requests that may come many at once, over one connection: those of one turn are verified together. */
export function createAuthenticateTogether(
  backend: ReplicaBackend,
): (envelope: Parameters<Authenticate>[0]) => Promise<AuthenticationResult> {
  const batches = new RequestBatches(backend.crypto);
  const authenticate = createAuthenticate(backend, batches);
  let waiting: Parameters<Authenticate>[0][] = [];
  return async (envelope) => {
    waiting.push(envelope);
    // Whoever goes on first finds all that came before it went on.
    await undefined;
    const all = waiting;
    waiting = [];
    batches.verify(all, backend.clock.now(), "users");
    return authenticate(envelope);
  };
}

/** 400 when a call or query is for a canister other than the one in the URL. */
export function refuseOtherCanister(content: CallContent, effectiveId: CanisterId): HttpResponse | undefined {
  if (content.canisterId === effectiveId || content.canisterId === MANAGEMENT_CANISTER) return undefined;
  return mismatch(content.canisterId, effectiveId);
}

/** The same for the canister that the argument of a management call names; one that names none is the callee's. */
export function refuseOtherManagedCanister(content: CallContent, effectiveId: CanisterId): HttpResponse | undefined {
  const managed = managedCanister(content.methodName, content.arg);
  return managed === undefined || managed === effectiveId ? undefined : mismatch(managed, effectiveId);
}

function mismatch(specified: CanisterId, effectiveId: CanisterId): HttpResponse {
  const [inside, url] = [specified, effectiveId].map(principalToText);
  return textAnswer(400, `Specified canister ID ${inside} does not match effective canister ID in URL ${url}`);
}
