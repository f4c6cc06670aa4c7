// Entry of the gateway: the web in front of a network. What a driver needs to put one together; everything else in
// this folder is a step of the way from a browser's request to a canister and back.
export { toFetch } from "./fetch.ts";
export { createGateway, type GatewayOptions } from "./gateway.ts";
export type { FrontPage } from "./pages.ts";
