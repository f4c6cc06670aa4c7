// How a node that lies tells its peers different things: it takes part in the broadcast twice, once for each half of them, over
// one transport. To each half it looks like any other node. Section 24.1.
import { type FrameCodec, Gossip, type PeerTransport, type TransportHandler } from "@atoll/p2p";
import type { EntropyPort, PeerHandler, PeerNetwork, PrincipalId, Time } from "@atoll/types";
import type { Audience } from "./liar.ts";

export interface PeerGroups extends PeerNetwork {
  publishTo(audience: Audience, ...published: Published): void;
  start(handler: PeerHandler): void;
  setPeers(peers: readonly PrincipalId[]): void;
  step(): Time;
  stop(): void;
  onWork: (() => void) | undefined;
}

type Published = Parameters<PeerNetwork["publish"]>;

interface Ports {
  readonly attach: (handler: TransportHandler) => PeerTransport;
  readonly entropy: EntropyPort;
  readonly now: () => Time;
  readonly frames: FrameCodec;
}

/** `groups`: of each peer the group that it is in, from 0; honest nodes have one. */
export function peerGroups(
  self: PrincipalId,
  groups: (peer: PrincipalId) => number,
  count: number,
  ports: Ports,
): PeerGroups {
  const wanted: (readonly PrincipalId[])[] = Array.from({ length: count }, () => []);
  const gossips: Gossip[] = [];
  const of = (peer: PrincipalId): Gossip => gossips[count === 1 ? 0 : groups(peer)] as Gossip;
  const transport = ports.attach({
    onConnected: (peer) => of(peer).onConnected(peer),
    onDisconnected: (peer) => of(peer).onDisconnected(peer),
    onFrame: (peer, frame) => of(peer).onFrame(peer, frame),
    onWritable: (peer) => of(peer).onWritable(peer),
  });
  for (let group = 0; group < count; group++) {
    const view: PeerTransport = {
      ...transport,
      connected: () => transport.connected().filter((peer) => groups(peer) === group),
      setPeers(peers) {
        wanted[group] = peers;
        transport.setPeers(wanted.flat().sort());
      },
    };
    const gossip = new Gossip({ self }, { ...ports, transport: view });
    gossip.onWork = () => all.onWork?.();
    gossips.push(gossip);
  }
  const publishTo = (audience: Audience, ...published: Published): void => {
    for (const [group, gossip] of gossips.entries())
      if (count === 1 || audience === "all" || (audience === "first") === (group === 0)) gossip.publish(...published);
  };
  const all: PeerGroups = {
    onWork: undefined,
    publishTo,
    publish: (...published) => publishTo("all", ...published),
    retract(id) {
      for (const gossip of gossips) gossip.retract(id);
    },
    request: (peer, question) => of(peer).request(peer, question),
    peers: () => gossips.flatMap((gossip) => gossip.peers()).sort(),
    blame: (peer) => of(peer).blame(peer),
    start(handler) {
      for (const gossip of gossips) gossip.start(handler);
    },
    setPeers(peers) {
      for (const [group, gossip] of gossips.entries()) gossip.setPeers(peers.filter((peer) => groups(peer) === group));
    },
    step() {
      return gossips.map((gossip) => gossip.step()).reduce((a, b) => (a < b ? a : b));
    },
    stop() {
      for (const gossip of gossips) gossip.stop();
    },
  };
  return all;
}
