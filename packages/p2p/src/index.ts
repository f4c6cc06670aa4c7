// What other packages may use of p2p: broadcast and questions between the nodes of a subnet. The sockets are not among it:
// import them from "@atoll/p2p/transport".
export type { PeerTransport, TransportHandler } from "./peer-transport.ts";
