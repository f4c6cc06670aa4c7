// What an endpoint is to the router, and what the HTTP interface as a whole can be told.
// The numbers are the replica's own where it has one; checklist 1.1.
import type { LogPort, PrincipalId } from "@atoll/types";
import type { HttpRequest, HttpResponse, TimerPort } from "@atoll/types/http";
import type { Implementation } from "./status.ts";

/** Requests that an endpoint serves at the same time; one more is answered with 429. */
export interface ConcurrencyLimits {
  readonly call: number;
  /** Synchronous calls wait for seconds and cost next to nothing meanwhile. */
  readonly syncCall: number;
  readonly query: number;
  readonly readState: number;
  readonly status: number;
}

export const CONCURRENCY_LIMITS: ConcurrencyLimits = {
  call: 50,
  syncCall: 5_000,
  query: 400,
  readState: 100,
  status: 100,
};

export interface HttpInterfaceOptions {
  readonly timer: TimerPort;
  readonly log?: LogPort;
  readonly limits?: Partial<ConcurrencyLimits>;
  readonly implementation?: Implementation;
  /** Answer `GET /_/topology`, as networks for development do. */
  readonly topology?: boolean;
  /** How long a synchronous call waits for its certificate; 10 s when not given. */
  readonly syncCallTimeoutMs?: number;
}

/** Serves a request whose path, method and size are right. `id` is the canister or subnet in the path. */
export type Endpoint = (id: PrincipalId, request: HttpRequest) => HttpResponse | Promise<HttpResponse>;
