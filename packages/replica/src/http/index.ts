// Entry of the HTTP interface of a replica.
export { type Fetch, toFetch } from "./fetch.ts";
export { CONCURRENCY_LIMITS, type ConcurrencyLimits, createHttpHandler, type HttpInterfaceOptions } from "./router.ts";
export type { Implementation } from "./status.ts";
