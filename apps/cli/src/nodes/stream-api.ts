// Slices of streams between the nodes of different subnets, over the HTTP interface of the nodes: GET /_/streams/<subnet>,
// for the subnet that asks. Served where the operator is served, so never to clients: messages between canisters are nobody
// else's business. The answer proves itself; it comes as soon as there is something new. Consensus and chain-key, 16.4.
import type { SliceAnswer, SlicePeers, SliceQuestion, SliceServer } from "@atoll/replica";
import {
  MAX_CERTIFIED_SLICE_BYTES,
  MAX_STREAM_SIGNALS,
  type PrincipalId,
  principalFromText,
  principalToText,
} from "@atoll/types";
import type { HttpHandler, HttpResponse } from "@atoll/types/http";

export const STREAMS_PATH = "/_/streams/";

export function streamHandler(server: SliceServer): HttpHandler {
  return async ({ method, target }) => {
    if (method !== "GET") return { status: 405, headers: { allow: "GET" }, body: new Uint8Array() };
    const asked = parseTarget(target);
    if (asked === undefined) return { status: 400, headers: {}, body: new Uint8Array() };
    const slice = await server.answer(asked.subnet, asked.question);
    return slice === undefined ? NOTHING_NEW : { status: 200, headers: { "content-type": BYTES }, body: slice };
  };
}

const BYTES = "application/octet-stream";
const NOTHING_NEW: HttpResponse = { status: 204, headers: {}, body: new Uint8Array() };

function targetOf(subnet: PrincipalId, { from, most, signals }: SliceQuestion): string {
  return `${STREAMS_PATH}${principalToText(subnet)}?from=${from}&most=${most}&signals=${signals}`;
}

function parseTarget(target: string): { readonly subnet: PrincipalId; readonly question: SliceQuestion } | undefined {
  const parts = /^\/_\/streams\/([a-z0-9-]{1,63})\?from=(\d{1,15})&most=(\d{1,15})&signals=(\d{1,15})$/.exec(target);
  const subnet = parts?.[1] === undefined ? undefined : principalFromText(parts[1]);
  if (parts === null || subnet === undefined) return undefined;
  const [from = 0, most = 0, signals = 0] = parts.slice(2).map(Number);
  return { subnet, question: { from, most: Math.min(most, MAX_STREAM_SIGNALS), signals } };
}

/** So long who did not answer, or wrongly, is asked only when nobody else can be; each time in a row twice as long. */
const PASSED_OVER_MS = 30_000;
const MAX_PASSED_OVER_MS = 300_000;
/** Who answers sooner has not waited for the news. */
const AT_ONCE_MS = 1_000;
/** Longer than a node keeps anybody waiting who asks for news. */
const ANSWER_MS = 6_000;

interface Peer {
  readonly url: string;
  passedOverUntil: number;
  /** In a row. */
  failures: number;
}

interface Answered {
  readonly peer: Peer;
  readonly hasNews: boolean;
  readonly isAtOnce: boolean;
}

/** A request to the HTTP interface of a node: POST with a body of CBOR, GET without. */
export interface NodeQuestion {
  readonly target: string;
  readonly body?: Uint8Array<ArrayBuffer>;
}

export interface SubnetNodes extends SlicePeers {
  /** Asks nodes of a subnet, one after the other, until one answers. */
  ask(subnet: PrincipalId, question: NodeQuestion): Promise<SliceAnswer>;
  stop(): void;
}

/** `subnets`: addresses of the nodes of all other subnets. */
export function createSubnetNodes(
  own: PrincipalId,
  subnets: ReadonlyMap<PrincipalId, readonly string[]>,
  now: () => number,
): SubnetNodes {
  const ending = new AbortController();
  const peers = new Map([...subnets].map(([id, urls]) => [id, peersAt(urls)]));
  /** Each time another one is first; last those that were passed over, the one longest ago first. */
  const inOrder = (subnet: PrincipalId): Peer[] => {
    const known = peers.get(subnet);
    if (known === undefined) return [];
    const turn = known.turn++;
    const turned = known.all.map((_, i) => known.all[(i + turn) % known.all.length] as Peer);
    const rank = ({ passedOverUntil }: Peer) => (passedOverUntil > now() ? passedOverUntil : 0);
    return turned.sort((a, b) => rank(a) - rank(b));
  };
  const passOver = (peer: Peer, duration: number): void => {
    peer.passedOverUntil = Math.max(peer.passedOverUntil, now() + duration);
  };
  /** Who had nothing to say to the same question that another one answers at once is behind: to wait for it costs seconds. */
  const noteNews = (subnet: PrincipalId, { target }: NodeQuestion, { peer, hasNews, isAtOnce }: Answered): void => {
    const known = peers.get(subnet);
    if (known === undefined) return;
    if (known.silence.target !== target) known.silence = { target, peers: new Set() };
    if (!hasNews) known.silence.peers.add(peer);
    else if (isAtOnce) for (const silent of known.silence.peers) if (silent !== peer) passOver(silent, PASSED_OVER_MS);
    if (hasNews) known.silence.peers.clear();
  };
  const askAll = async (
    subnet: PrincipalId,
    question: NodeQuestion,
  ): Promise<{ readonly answer: Uint8Array | undefined; readonly refuse: () => void }> => {
    let why = "there is none";
    for (const peer of inOrder(subnet)) {
      const failures = peer.failures + 1;
      const refuse = (): void => {
        peer.failures = failures;
        passOver(peer, Math.min(PASSED_OVER_MS * 2 ** (failures - 1), MAX_PASSED_OVER_MS));
      };
      const since = now();
      try {
        const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(ANSWER_MS)]);
        const answer = await send(peer.url, question, signal);
        peer.failures = 0;
        noteNews(subnet, question, { peer, hasNews: answer !== undefined, isAtOnce: now() - since < AT_ONCE_MS });
        return { answer, refuse };
      } catch (error) {
        why = (error as Error).message;
      }
      if (ending.signal.aborted) break;
      refuse();
    }
    throw new Error(`no node of it answers: ${why}`);
  };
  return {
    async slice(source, question): Promise<SliceAnswer | undefined> {
      const { answer: bytes, refuse } = await askAll(source, { target: targetOf(own, question) });
      return bytes && { bytes, refuse };
    },
    async ask(subnet, question) {
      const { answer, refuse } = await askAll(subnet, question);
      return { bytes: answer ?? new Uint8Array(), refuse };
    },
    stop: () => ending.abort(),
  };
}

function peersAt(urls: readonly string[]) {
  const all = urls.map((url): Peer => ({ url, passedOverUntil: 0, failures: 0 }));
  // Who had nothing to say to the question that was asked last.
  return { all, turn: 0, silence: { target: "", peers: new Set<Peer>() } };
}

/** Undefined: the node has nothing. Rejects with what is wrong; nothing is read beyond what an answer may have. */
async function send(url: string, { target, body }: NodeQuestion, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const post = body && { method: "POST", headers: { "content-type": "application/cbor" }, body };
  const answer = await fetch(`${url}${target}`, { ...post, signal, redirect: "error" });
  if (answer.status === 204) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > MAX_CERTIFIED_SLICE_BYTES) throw new RangeError("its answer is too long");
    chunks.push(chunk);
  }
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
  return new Uint8Array(Buffer.concat(chunks, length));
}
