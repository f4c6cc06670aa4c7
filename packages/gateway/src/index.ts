// Entry of the gateway: the web in front of a network.
export { toFetch } from "./fetch.ts";
export { createGateway, type GatewayOptions } from "./gateway.ts";
export type { FrontPage } from "./pages.ts";
