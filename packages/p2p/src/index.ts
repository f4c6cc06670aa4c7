// What other packages may use of p2p: broadcast and questions between the nodes of a subnet. The sockets are not among it:
// import them from "@atoll/p2p/transport".
export { Gossip, type GossipOptions, type GossipPorts } from "./gossip.ts";
export { DEFAULT_GOSSIP_LIMITS, type GossipLimits, MAX_FRAME_BYTES } from "./limits.ts";
export { decodeFrame, encodeFrame, type Frame, type FrameCodec } from "./messages.ts";
export type { PeerStatistics } from "./peer-link.ts";
export type { PeerTransport, TransportHandler } from "./peer-transport.ts";
