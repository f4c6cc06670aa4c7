// What consensus has delivered becomes the batch that is executed: the same on every node, whether it has checked the block
// itself or has taken it because enough others notarized it. Nothing is verified again, and nothing fails: what cannot be
// read is left out, which takes more faulty nodes than there may be. Section 9.
import { type DeliveredBatch, initialDkgResponses } from "@atoll/consensus";
import { ed25519KeyToDer } from "@atoll/crypto";
import {
  type Batch,
  type CryptoPort,
  type IngressMessage,
  type OutcallResponse,
  type PrincipalId,
  principalToText,
  type RegistryPort,
  type StreamSlice,
  toHex,
} from "@atoll/types";
import { parseIngress } from "../ingress-message.ts";
import { countHashes, disagreement } from "../outcall-proposals.ts";
import { readSlice } from "../xnet/verify-slice.ts";
import type { IngressAuthenticator } from "./ingress-authenticator.ts";
import type { PastPayloads } from "./past-payloads.ts";
import { type BatchPayload, EMPTY_PAYLOAD } from "./payload-codec.ts";

export interface BatchOfPorts {
  readonly own: PrincipalId;
  readonly authenticator: IngressAuthenticator;
  readonly past: PastPayloads;
  readonly registry: RegistryPort;
  readonly crypto: Pick<CryptoPort, "sha256">;
  /** Told of what no honest nodes would have notarized. */
  readonly alarm: (what: string) => void;
}

/**
 * The batch without `prevStateHash`, which the executed state gives. With `needsStateHash` it names the nodes of its
 * registry version: these are the heights at which membership changes.
 */
export function batchOf(delivered: DeliveredBatch, ports: BatchOfPorts): Batch {
  const { height, time, randomness, blockmaker, failed, needsStateHash, registryVersion } = delivered;
  const payload = payloadOf(delivered, ports);
  const slices = slicesOf(payload, height, ports);
  const outcallResponses = responsesOf(payload);
  const record = needsStateHash ? ports.registry.record(registryVersion) : undefined;
  return {
    height,
    time,
    randomness,
    ingress: messagesOf(payload, height, ports),
    blockmaker: { proposer: blockmaker, failed },
    ...(needsStateHash && { isCheckpoint: true }),
    ...(record && {
      nodes: record.nodes.map(({ nodeId, signingKey }) => ({ nodeId, publicKey: ed25519KeyToDer(signingKey) })),
    }),
    ...(slices.length > 0 && { slices }),
    ...(outcallResponses.length > 0 && { outcallResponses }),
    ...(delivered.remoteDkgs.length > 0 && { remoteDkgs: initialDkgResponses(delivered.remoteDkgs) }),
  };
}

function payloadOf({ batch, height }: DeliveredBatch, { past, alarm }: BatchOfPorts): BatchPayload {
  const payload = batch === undefined ? EMPTY_PAYLOAD : past.decode(batch);
  if (payload !== undefined) return payload;
  alarm(`The payload of block ${height} cannot be decoded and counts as empty.`);
  return EMPTY_PAYLOAD;
}

function messagesOf(payload: BatchPayload, height: number, ports: BatchOfPorts): IngressMessage[] {
  const messages: IngressMessage[] = [];
  for (const envelope of payload.ingress) {
    const known = ports.authenticator.known(envelope);
    const result = known === undefined ? parseIngress(envelope, ports.crypto.sha256) : undefined;
    if (known !== undefined) messages.push(known.message);
    else if (result?.ok === true) messages.push(result.parsed.message);
    else ports.alarm(`A message of block ${height} is none and is left out.`);
  }
  return messages;
}

function slicesOf(payload: BatchPayload, height: number, { own, alarm }: BatchOfPorts): StreamSlice[] {
  const slices: StreamSlice[] = [];
  for (const { source, certified } of payload.slices) {
    const slice = readSlice(certified, source, own);
    if (typeof slice !== "string") slices.push(slice);
    else alarm(`A slice from subnet ${principalToText(source)} in block ${height} is none and is left out: ${slice}.`);
  }
  return slices;
}

function responsesOf({ outcalls, divergent }: BatchPayload): OutcallResponse[] {
  const responses: OutcallResponse[] = outcalls.map(({ outcall, result }) => ({ outcall, result }));
  for (const { outcall, shares } of divergent) {
    const hashes = shares.map(({ hash }) => toHex(hash));
    responses.push({ outcall, result: disagreement(outcall, countHashes(hashes)) });
  }
  return responses.sort((a, b) => a.outcall - b.outcall);
}
