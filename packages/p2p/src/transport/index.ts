// The sockets between nodes, for programs that run on Node.js: import it as "@atoll/p2p/transport". Whatever else there is
// in this folder is behind `createTlsTransport`.
export { DEFAULT_TLS_LIMITS, type TlsLimits } from "./limits.ts";
export {
  createTlsTransport,
  type TlsStatistics,
  type TlsTransport,
  type TlsTransportOptions,
} from "./tls-transport.ts";
