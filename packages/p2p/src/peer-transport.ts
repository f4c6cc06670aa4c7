// What carries frames between two nodes: TLS connections in a real node, a scheduler's queue in the simulator. A frame
// arrives whole or not at all. It may get lost, come twice or out of order; the layer above is right all the same. But a
// frame that was sent before `onDisconnected` does not arrive after the next `onConnected`. Section 21.1.
import type { PrincipalId } from "@atoll/types";

export interface PeerTransport {
  /** False: not connected, or as much is on its way already as may be; `onWritable` tells when there is room again. */
  send(peer: PrincipalId, frame: Uint8Array): boolean;
  /** Sorted. */
  connected(): readonly PrincipalId[];
  /** The nodes to hold connections with from now on. Others are disconnected. */
  setPeers(peers: readonly PrincipalId[]): void;
  /** Ends the connection with a peer that breaks the rules. It may come back after a while. */
  disconnect(peer: PrincipalId): void;
}

/** Called by the transport, never from within a call to it. */
export interface TransportHandler {
  onConnected(peer: PrincipalId): void;
  onDisconnected(peer: PrincipalId): void;
  onFrame(peer: PrincipalId, frame: Uint8Array): void;
  onWritable(peer: PrincipalId): void;
}
