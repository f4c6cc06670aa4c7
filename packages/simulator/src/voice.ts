// What a node says, on its way to the network: checkers see each artifact, and of a node that lies the liar decides what becomes
// of it. Also what a liar hears and answers. Replicas broadcast proposals without the messages of users; here they are whole.
import {
  ARTIFACT_KINDS,
  type Artifact,
  artifactId,
  type ConsensusCrypto,
  decodeArtifact,
  encodeArtifact,
} from "@atoll/consensus";
import { ABOUT_PROPOSAL } from "@atoll/replica/consensus/consensus-replica";
import {
  decodeMessages,
  decodeStripped,
  encodeMissing,
  fillProposal,
  wholeOfId,
} from "@atoll/replica/consensus/stripped-proposal";
import type { PeerHandler, PeerNetwork, PrincipalId } from "@atoll/types";
import { type Audience, type Liar, type LiarOptions, makeLiar } from "./liar.ts";
import type { PeerGroups } from "./peer-groups.ts";
import type { Random } from "./random.ts";
import { SECOND } from "./scheduler.ts";

export interface Voice {
  /** What the node takes for the network. */
  readonly network: PeerNetwork;
  readonly liar: Liar | undefined;
  /** What the network takes for the node. */
  handler(node: PeerHandler): PeerHandler;
}

export interface VoiceOptions extends LiarOptions {
  /** Artifacts by their ids, decoded: what one node publishes most others publish too. */
  readonly decoded: Map<string, Artifact>;
}

export interface VoicePorts {
  readonly peers: PeerGroups;
  readonly crypto: ConsensusCrypto;
  readonly random: Random;
  isAlive(): boolean;
  after(delayNs: number, act: () => void): void;
  /** The same, so much later. */
  later<T>(delayNs: number, work: Promise<T>): Promise<T>;
  onPublished(id: string, artifact: Artifact): void;
  onRetracted(id: string): void;
}

const MAX_DECODED = 2_000;
/** Artifacts that a liar has said and not taken back: its table of slots has a bound. */
const MAX_SAID = 3_000;
const MAX_SYNC_PAUSE_NS = 10 * SECOND;

export function makeVoice(options: VoiceOptions, ports: VoicePorts): Voice {
  const { peers } = ports;
  const { decoded } = options;
  let own: PeerHandler | undefined;
  /** As the node broadcasts them, by the ids of the whole proposals. */
  const stripped: Stripped = new Map();
  const liar = options.behaviours.length === 0 ? undefined : liarOf(options, ports, stripped);
  const asked = async (of: Liar, peer: PrincipalId, question: Uint8Array): Promise<Uint8Array> => {
    if (of.has("slow-sync")) await ports.later(ports.random.below(MAX_SYNC_PAUSE_NS), Promise.resolve());
    return of.received(await peers.request(peer, question));
  };
  const network: PeerNetwork = {
    publish(id, bytes, origin) {
      const whole = wholeOfId(id);
      const artifact =
        whole === undefined
          ? decode(decoded, id, bytes, ports.crypto.sha256)
          : filled(whole, bytes, { options, own, ...ports });
      if (artifact === undefined) {
        if (liar?.has("silent") !== true) peers.publish(id, bytes, origin);
        return;
      }
      if (liar === undefined) {
        ports.onPublished(whole ?? id, artifact);
        peers.publish(id, bytes, origin);
        return;
      }
      if (whole !== undefined) stripped.set(whole, { id, bytes });
      liar.publish(artifact);
    },
    retract(id) {
      const whole = wholeOfId(id) ?? id;
      ports.onRetracted(whole);
      peers.retract(id);
      if (stripped.delete(whole)) peers.retract(whole);
    },
    request: (peer, question) => (liar === undefined ? peers.request(peer, question) : asked(liar, peer, question)),
    peers: () => peers.peers(),
    blame: (peer) => peers.blame(peer),
  };
  return {
    network,
    liar,
    handler(node) {
      own = node;
      return liar === undefined ? node : lyingHandler(node, liar, decoded, ports);
    },
  };
}

type Stripped = Map<string, { readonly id: string; readonly bytes: Uint8Array }>;

function liarOf(options: VoiceOptions, ports: VoicePorts, stripped: Stripped): Liar {
  const { peers, crypto, random } = ports;
  const said: string[] = [];
  const publish = (to: Audience, id: string, bytes: Uint8Array): void => {
    said.push(id);
    for (const old of said.length > MAX_SAID ? said.splice(0, 100) : []) peers.retract(old);
    peers.publishTo(to, id, bytes);
  };
  return makeLiar(options, {
    crypto,
    random,
    say(artifact, to) {
      if (!ports.isAlive()) return;
      const bytes = encodeArtifact(artifact);
      const id = artifactId(artifact, bytes, crypto.sha256);
      ports.onPublished(id, artifact);
      // What it has not changed it broadcasts as others do, and may keep the messages to itself.
      const asOthers = stripped.get(id) ?? { id, bytes };
      publish(to, asOthers.id, asOthers.bytes);
    },
    sayBytes: (id, bytes) => publish("all", id, bytes),
    after: ports.after,
  });
}

interface Asked {
  readonly options: VoiceOptions;
  readonly own: PeerHandler | undefined;
  readonly crypto: ConsensusCrypto;
}

/** The proposal with its messages, which are the node's own to give. Undefined: the bytes are none. */
function filled(
  whole: string,
  bytes: Uint8Array,
  { options: { self, decoded }, own, crypto }: Asked,
): Artifact | undefined {
  const known = decoded.get(whole);
  const proposal = known === undefined ? decodeStripped(bytes) : undefined;
  if (proposal === undefined || own === undefined) return known;
  const question = encodeMissing({ whole, places: proposal.digests.map((_, place) => place) });
  const answer = own.serve(self, Uint8Array.of(ABOUT_PROPOSAL, ...question));
  const envelopes = answer instanceof Uint8Array ? decodeMessages(answer) : undefined;
  const artifact = envelopes && fillProposal(proposal, envelopes, crypto.sha256);
  return artifact && decode(decoded, whole, artifact, crypto.sha256);
}

function lyingHandler(
  node: PeerHandler,
  liar: Liar,
  decoded: Map<string, Artifact>,
  { later, crypto }: VoicePorts,
): PeerHandler {
  return {
    receive(peer, id, bytes) {
      const artifact = decode(decoded, id, bytes, crypto.sha256);
      if (artifact !== undefined) liar.heard(artifact);
      return node.receive(peer, id, bytes);
    },
    wants: (id) => node.wants(id),
    idOf: (bytes) => node.idOf(bytes),
    async serve(peer, question) {
      const answer = liar.answer(await node.serve(peer, question));
      const delayNs = liar.answerDelayNs();
      return delayNs === 0 ? answer : later(delayNs, Promise.resolve(answer));
    },
  };
}

/** What the ids of consensus artifacts begin with; of all else it is not tried. */
const KINDS: ReadonlySet<string> = new Set(ARTIFACT_KINDS);

/** Undefined: no artifact of consensus. */
function decode(
  decoded: Map<string, Artifact>,
  id: string,
  bytes: Uint8Array,
  sha256: ConsensusCrypto["sha256"],
): Artifact | undefined {
  const known = decoded.get(id);
  if (known !== undefined) return known;
  const kind = id.slice(0, id.indexOf("/"));
  if (!KINDS.has(kind)) return undefined;
  const artifact = decodeArtifact(bytes, sha256)?.artifact;
  if (artifact?.kind !== kind) return undefined;
  if (decoded.size >= MAX_DECODED) decoded.clear();
  decoded.set(id, artifact);
  return artifact;
}
