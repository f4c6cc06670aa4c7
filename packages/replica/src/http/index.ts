// Entry of the HTTP interface of a replica: a handler of plain requests for servers, and its wrapper for hosts that
// speak the Fetch standard.

export { developmentAnswer } from "./development.ts";
export { CONCURRENCY_LIMITS, type ConcurrencyLimits, type HttpInterfaceOptions } from "./endpoint.ts";
export { type Fetch, toFetch } from "./fetch.ts";
export { createNetworkHandler, createNetworkRouter, type NetworkBackends } from "./network-router.ts";
export { createHttpHandler } from "./router.ts";
export type { Implementation } from "./status.ts";
export type { DescribedSubnet } from "./topology.ts";
