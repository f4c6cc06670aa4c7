// What carries frames between two nodes: TLS connections in a real node, a scheduler's queue in the simulator. A frame
// arrives whole or not at all. It may get lost when a connection breaks; the layer above is right under loss, repetition
// and any order. Section 21.1.
import type { PrincipalId } from "@atoll/types";

export interface PeerTransport {
  /** False: not connected, or as much is on its way already as may be; `onWritable` tells when there is room again. */
  send(peer: PrincipalId, frame: Uint8Array): boolean;
  /** Sorted. */
  connected(): readonly PrincipalId[];
  /** The nodes to hold connections with from now on. Others are disconnected. */
  setPeers(peers: readonly PrincipalId[]): void;
}

export interface TransportHandler {
  onConnected(peer: PrincipalId): void;
  onDisconnected(peer: PrincipalId): void;
  onFrame(peer: PrincipalId, frame: Uint8Array): void;
  onWritable(peer: PrincipalId): void;
}
