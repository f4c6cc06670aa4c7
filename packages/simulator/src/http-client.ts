// A client of the subnet as clients are: it signs requests, sends them over HTTP to some node, believes nothing but certificates,
// asks another node when one does not answer, and gives up when its request has expired. Interface specification, "HTTPS interface".
import {
  type CertificateCrypto,
  concatBytes,
  DOMAIN,
  ed25519KeyToDer,
  equalBytes,
  lookupPath,
  queryResponseMessage,
  selfAuthenticatingId,
  verifyCertificate,
} from "@atoll/crypto";
import {
  type CanisterId,
  type CborInput,
  type CborMap,
  type CryptoPort,
  decodeCbor,
  encodeCbor,
  type HashTree,
  type PrincipalId,
  principalToBytes,
  principalToText,
  requestIdOf,
  toHex,
} from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import type { Random } from "./random.ts";
import { MS, type Scheduler, SECOND } from "./scheduler.ts";
import { WALL_START } from "./sim-clock.ts";

export interface HttpClientPorts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly crypto: CryptoPort;
  readonly certificates: CertificateCrypto;
  readonly rootKey: Uint8Array;
  /** Some node that may be asked; undefined: none is there. */
  pickNode(): HttpNode | undefined;
  /** A call that is about to be sent; its request id, hex. */
  onSent(requestId: string): void;
  /** A node has said that it takes care of it. */
  onAccepted(requestId: string, node: number): void;
  /** The answer to a query that the node has not signed. */
  onUnsigned(node: number): void;
}

export interface HttpNode {
  readonly index: number;
  readonly id: PrincipalId;
  /** Ed25519, 32 bytes: what it signs the answers to queries with. */
  readonly publicKey: Uint8Array;
  post(path: string, body: Uint8Array): Promise<HttpResponse>;
}

export type CallOutcome =
  /** Certified. */
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | { readonly kind: "rejected"; readonly message: string }
  /** Nobody has said what became of it: it may have happened. */
  | { readonly kind: "unknown" };

export interface HttpClient {
  readonly principal: Uint8Array;
  update(target: Target, method: string, arg: Uint8Array): Promise<CallOutcome>;
  /** Undefined: no answer. */
  query(target: Target, method: string, arg: Uint8Array): Promise<{ node: number; reply: Uint8Array } | undefined>;
}

export interface Target {
  readonly canister: CanisterId;
  /** The canister in the path: that which a call of the management canister is about. */
  readonly effective: CanisterId;
}

/** A request lives as long; a minute less than is allowed, as clients do. */
const TTL_NS = 240n * 1_000_000_000n;
const POLL_NS = 300 * MS;
const ANSWER_NS = 12 * SECOND;
/** After that a client has better things to do. */
const PATIENCE_NS = 20 * SECOND;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function httpClient(seed: Uint8Array, ports: HttpClientPorts): HttpClient {
  const { crypto, scheduler, random } = ports;
  const publicKey = ed25519KeyToDer(crypto.ed25519PublicKey(seed));
  const principal = principalToBytes(selfAuthenticatingId(publicKey, crypto.sha224));
  const envelope = (content: Fields) => signedEnvelope(content, { seed, publicKey, crypto });
  const common = (): Fields => ({
    sender: principal,
    nonce: random.bytes(16),
    // Clients have clocks of their own, and those of a run are right.
    ingress_expiry: WALL_START + BigInt(scheduler.now) + TTL_NS,
  });
  const callFields = (target: Target, method: string, arg: Uint8Array): Fields => ({
    ...common(),
    canister_id: principalToBytes(target.canister),
    method_name: method,
    arg,
  });

  const readStatus = async (target: Target, requestId: Uint8Array): Promise<CallOutcome | undefined> => {
    const content = { ...common(), request_type: "read_state", paths: [[encoder.encode("request_status"), requestId]] };
    const response = await answered(
      ports,
      `/api/v3/canister/${principalToText(target.effective)}/read_state`,
      envelope(content).body,
    );
    if (response === undefined || response.status !== 200) return undefined;
    const certificate = field(response.body, "certificate");
    return certificate === undefined ? undefined : certifiedOutcome(ports, target, requestId, certificate);
  };

  return {
    principal,
    async update(target, method, arg) {
      const { requestId, body } = envelope({ ...callFields(target, method, arg), request_type: "call" });
      ports.onSent(toHex(requestId));
      const deadline = scheduler.now + PATIENCE_NS;
      const node = ports.pickNode();
      const response = await answered(ports, `/api/v3/canister/${principalToText(target.effective)}/call`, body, node);
      if (response?.status === 200) {
        const certificate = field(response.body, "certificate");
        if (certificate === undefined) return { kind: "rejected", message: rejection(response.body) };
        const outcome = certifiedOutcome(ports, target, requestId, certificate);
        if (outcome !== undefined) return outcome;
      }
      if (response?.status === 202 && node !== undefined) ports.onAccepted(toHex(requestId), node.index);
      // Refused before anything could happen.
      if (response !== undefined && response.status >= 400 && response.status !== 500)
        return { kind: "rejected", message: `${response.status}` };
      while (scheduler.now < deadline) {
        const outcome = await readStatus(target, requestId);
        if (outcome !== undefined) return outcome;
        await sleep(scheduler, POLL_NS);
      }
      return { kind: "unknown" };
    },
    async query(target, method, arg) {
      const { body, requestId } = envelope({ ...callFields(target, method, arg), request_type: "query" });
      const node = ports.pickNode();
      const response = await answered(ports, `/api/v2/canister/${principalToText(target.effective)}/query`, body, node);
      if (response?.status !== 200 || node === undefined) return undefined;
      const reply = replyOf(response.body);
      if (reply === undefined) return undefined;
      if (!isSignedBy(node, { body: response.body, reply, requestId }, crypto)) ports.onUnsigned(node.index);
      return { node: node.index, reply };
    },
  };
}

interface Signer {
  readonly seed: Uint8Array;
  /** DER. */
  readonly publicKey: Uint8Array;
  readonly crypto: CryptoPort;
}

function signedEnvelope(
  content: Fields,
  { seed, publicKey, crypto }: Signer,
): { body: Uint8Array; requestId: Uint8Array } {
  const requestId = requestIdOf(content, crypto.sha256);
  const signature = crypto.signEd25519(seed, concatBytes(DOMAIN.request, requestId));
  const fields: CborInput = { content, sender_pubkey: publicKey, sender_sig: signature };
  return { requestId, body: encodeCbor(fields, { selfDescribed: true }) };
}

type Fields = { readonly [name: string]: string | bigint | Uint8Array | readonly (readonly Uint8Array[])[] };

/** Undefined: nobody was there, or no answer came in time. */
async function answered(
  ports: HttpClientPorts,
  path: string,
  body: Uint8Array,
  node = ports.pickNode(),
): Promise<HttpResponse | undefined> {
  if (node === undefined) {
    await sleep(ports.scheduler, POLL_NS);
    return undefined;
  }
  return Promise.race([node.post(path, body), sleep(ports.scheduler, ANSWER_NS)]);
}

function sleep(scheduler: Scheduler, ns: number): Promise<undefined> {
  return new Promise((resolve) => {
    scheduler.after(ns, () => {
      resolve(undefined);
      scheduler.settleSoon();
    });
  });
}

/** What a certificate says of a request; undefined: that it is not done, or nothing that counts. */
function certifiedOutcome(
  { certificates, rootKey }: HttpClientPorts,
  target: Target,
  requestId: Uint8Array,
  certificate: Uint8Array,
): CallOutcome | undefined {
  const verified = verifyCertificate(certificate, { crypto: certificates, rootKey, canisterId: target.effective });
  if (!verified.ok) return undefined;
  const at = (name: string): Uint8Array | undefined => leaf(verified.tree, ["request_status", requestId, name]);
  const status = at("status");
  switch (status && decoder.decode(status)) {
    case "replied":
      return { kind: "replied", reply: at("reply") ?? new Uint8Array() };
    case "rejected":
      return { kind: "rejected", message: decoder.decode(at("reject_message") ?? new Uint8Array()) };
    case "done":
      return { kind: "unknown" };
    default:
      return undefined;
  }
}

function leaf(tree: HashTree, path: readonly (string | Uint8Array)[]): Uint8Array | undefined {
  const found = lookupPath(
    tree,
    path.map((label) => (typeof label === "string" ? encoder.encode(label) : label)),
  );
  return found.status === "found" ? found.value : undefined;
}

function field(body: Uint8Array, name: string): Uint8Array | undefined {
  const value = (decodeCbor(body) as CborMap).get(name);
  return value instanceof Uint8Array ? value : undefined;
}

/** Whether the one signature in the answer is that node's. */
function isSignedBy(
  { id, publicKey }: HttpNode,
  { body, reply, requestId }: Record<"body" | "reply" | "requestId", Uint8Array>,
  crypto: CryptoPort,
): boolean {
  const signatures = (decodeCbor(body) as CborMap).get("signatures");
  const [only, ...others] = Array.isArray(signatures) ? signatures : [];
  if (!(only instanceof Map) || others.length > 0) return false;
  const [time, signature, identity] = ["timestamp", "signature", "identity"].map((name) => only.get(name));
  if (!(signature instanceof Uint8Array) || !(identity instanceof Uint8Array)) return false;
  if (typeof time !== "bigint" && typeof time !== "number") return false;
  if (!equalBytes(identity, principalToBytes(id))) return false;
  const message = queryResponseMessage(
    { status: "replied", reply: { arg: reply } },
    BigInt(time),
    requestId,
    crypto.sha256,
  );
  return crypto.verify("ed25519", ed25519KeyToDer(publicKey), message, signature);
}

function rejection(body: Uint8Array): string {
  return String((decodeCbor(body) as CborMap).get("reject_message"));
}

function replyOf(body: Uint8Array): Uint8Array | undefined {
  const map = decodeCbor(body) as CborMap;
  const reply = map.get("reply");
  if (map.get("status") !== "replied" || !(reply instanceof Map)) return undefined;
  const arg = reply.get("arg");
  return arg instanceof Uint8Array ? arg : undefined;
}
