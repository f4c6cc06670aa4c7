// Nodes of a subnet as far as payloads go: each with what it knows of the state and its own pools, joined by a network that
// hands everything on at once; and clients' envelopes, signed by the public SDK.

import type { BlockContext, PastPayload } from "@atoll/consensus";
import { ed25519KeyToDer, selfAuthenticatingId } from "@atoll/crypto";
import { createNodeCrypto, sha256 } from "@atoll/host-node";
import type { ExecutedRound, SlicePeers } from "@atoll/replica";
import {
  type CanisterId,
  type ConsensusSettings,
  canisterIdFromIndex,
  DEFAULT_CONSENSUS_SETTINGS,
  type NetworkTopology,
  type NodeRecord,
  type OutcallClient,
  type OutcallRequest,
  type PrincipalId,
  principalToBytes,
  type RegistryPort,
  type RegistryRecord,
} from "@atoll/types";
import { Cbor, type Identity, SignIdentity } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { BlockPayloads } from "../../src/consensus/block-payloads.ts";
import { type BatchPayload, decodePayload, EMPTY_PAYLOAD, encodePayload } from "../../src/consensus/payload-codec.ts";

export const crypto = await createNodeCrypto();
export const SECOND = 1_000_000_000n;
export const NOW = 1_800_000_000n * SECOND;
export const OWN = `${"5b".repeat(28)}02` as PrincipalId;
export const A = canisterIdFromIndex(1n);
export const B = canisterIdFromIndex(2n);
export const C = canisterIdFromIndex(3n);
/** Within the ranges of the subnet, and never created. */
export const NOBODY = canisterIdFromIndex(9n);
export const ELSEWHERE = canisterIdFromIndex(5000n);

export interface TestNode {
  readonly id: PrincipalId;
  readonly payloads: BlockPayloads;
  readonly alarms: string[];
  readonly logged: string[];
}

export interface TestNodes {
  readonly nodes: readonly TestNode[];
  readonly registry: RegistryRecord;
  /** Wall-clock time of all nodes. */
  now: bigint;
  /** Signature checks of all nodes together. */
  verifications: number;
  /** How many signatures were verified together, each time. */
  readonly batches: number[];
  /** SHA-256 of anything, of all nodes together. */
  hashes: number;
  readonly published: Map<string, Uint8Array>;
  /** All nodes have executed the same round. */
  executed(round: Partial<ExecutedRound>, how?: { readonly whole: boolean }): void;
}

interface TestOptions {
  readonly settings?: Partial<ConsensusSettings>;
  readonly peers?: SlicePeers;
  readonly topology?: NetworkTopology;
  readonly outcalls?: readonly OutcallClient[];
  readonly type?: "application" | "system";
}

const seedOf = (index: number): Uint8Array => new Uint8Array(32).fill(index + 1);

function nodeRecord(index: number): NodeRecord {
  const signingKey = crypto.ed25519PublicKey(seedOf(index));
  const nodeId = selfAuthenticatingId(ed25519KeyToDer(signingKey), crypto.sha224);
  const [none, address] = [new Uint8Array(), ""];
  const keys = { committeeKey: none, committeeKeyProof: none, dealingKey: none, dealingKeyProof: none };
  return { nodeId, signingKey, ...keys, address, httpAddress: "" };
}

export function makeNodes(count = 4, options: TestOptions = {}): TestNodes {
  const records = Array.from({ length: count }, (_, index) => nodeRecord(index));
  const settings = { ...DEFAULT_CONSENSUS_SETTINGS, ...options.settings };
  const registry = {
    ...{ version: 1, subnetId: OWN, nodes: records, settings, protocolVersion: "test" },
    ...{ haltAtCupHeight: false, isHalted: false },
  } as RegistryRecord;
  const port: RegistryPort = {
    latestVersion: () => 1,
    record: (version) => (version === 1 ? registry : undefined),
    knownSince: () => 0n,
  };
  const all: TestNode[] = [];
  const test: TestNodes = {
    nodes: all,
    registry,
    now: NOW,
    verifications: 0,
    batches: [],
    hashes: 0,
    published: new Map(),
    executed: (round, how) => {
      for (const { payloads } of all) payloads.noteRound({ ...NOTHING, ...round }, how);
    },
  };
  for (const [index, { nodeId: id }] of records.entries()) all.push(makeNode(test, index, id, port, options));
  const canisters = [A, B, C].map((id) => ({ id, controllers: [], privateSections: [], admitsAnyIngress: true }));
  test.executed({ height: 0, access: { canisters, requests: [] } }, { whole: true });
  return test;
}

const NOTHING = { height: 0, access: { canisters: [], requests: [] }, streams: [], outcalls: { began: [], ended: [] } };

function makeNode(
  test: TestNodes,
  index: number,
  id: PrincipalId,
  registry: RegistryPort,
  { peers, topology, outcalls, type = "application" }: TestOptions,
): TestNode {
  const alarms: string[] = [];
  const logged: string[] = [];
  const others = (): TestNode[] => test.nodes.filter((node) => node.id !== id);
  const payloads = new BlockPayloads(
    {
      self: id,
      subnet: { subnetId: OWN, type, canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(1000n)]] },
      rootKeys: [],
      alarm: (what) => alarms.push(what),
      peers,
      topology,
      outcalls: outcalls?.[index],
    },
    {
      crypto: {
        ...crypto,
        verify: (...args) => {
          test.verifications++;
          return crypto.verify(...args);
        },
        verifyAllEd25519: (signed) => {
          test.batches.push(signed.length);
          return crypto.verifyAllEd25519(signed);
        },
        sha256: (data) => {
          test.hashes++;
          return crypto.sha256(data);
        },
      },
      consensusCrypto: {
        signBasic: (message) => crypto.signEd25519(seedOf(index), message),
        verifyBasic: (node, message, signature) =>
          crypto.verify("ed25519", ed25519KeyToDer(node.signingKey), message, signature),
      },
      registry,
      network: {
        publish: (artifactId, artifact) => {
          test.published.set(artifactId, artifact);
          for (const other of others())
            if (other.payloads.isOurs(artifactId)) other.payloads.receive(id, artifactId, artifact.slice());
        },
        retract: (artifactId) => test.published.delete(artifactId),
      },
      executor: { query: () => Promise.reject(new Error("no transform functions here")) },
      now: () => test.now,
      log: { log: (_level, message) => logged.push(message) },
    },
  );
  return { id, payloads, alarms, logged };
}

function contextOf(test: TestNodes): BlockContext {
  return { registryVersion: 1, certifiedHeight: 0, time: test.now };
}

export const node = (test: TestNodes, index = 0): TestNode => test.nodes[index] as TestNode;

/** The payload of a block at `height` by one node, decoded. */
export function build(
  test: TestNodes,
  options: { by?: number; height?: number; past?: readonly PastPayload[]; certifiedHeight?: number } = {},
) {
  const { by = 0, height = 1, past = [], certifiedHeight = 0 } = options;
  const context = { ...contextOf(test), certifiedHeight };
  const batch = node(test, by).payloads.port.build(height, context, past, 4 * 1024 * 1024);
  return { batch, payload: decodePayload(batch) };
}

/** What another node says of the payload. */
export function verdict(
  test: TestNodes,
  payload: Partial<BatchPayload> | Uint8Array,
  options: { by?: number; height?: number; past?: readonly PastPayload[]; context?: Partial<BlockContext> } = {},
): "valid" | "invalid" | "later" {
  const { by = 1, height = 1, past = [], context } = options;
  const batch = payload instanceof Uint8Array ? payload.slice() : encodePayload({ ...EMPTY_PAYLOAD, ...payload });
  const { port } = node(test, by).payloads;
  return port.validate(height, batch, { ...contextOf(test), ...context }, past, node(test, 0).id);
}

export function pastOf(height: number, batch: Uint8Array): PastPayload {
  return { height, time: NOW, payloadHash: sha256(batch), batch };
}

let nonce = 0;

export interface CallFields {
  readonly canister?: CanisterId;
  readonly methodName?: string;
  readonly arg?: Uint8Array;
  readonly expiry?: bigint;
}

const DEFAULT_IDENTITY = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(77));

/** What an agent sends for an update call. */
export async function envelope(fields: CallFields = {}, identity: Identity = DEFAULT_IDENTITY): Promise<Uint8Array> {
  const { canister = A, methodName = "bump", arg = new Uint8Array([68, 73, 68, 76, 0, 0]), expiry } = fields;
  const content = {
    request_type: "call",
    canister_id: Principal.fromUint8Array(principalToBytes(canister)),
    method_name: methodName,
    arg,
    sender: identity.getPrincipal(),
    ingress_expiry: expiry ?? NOW + 120n * SECOND,
    nonce: new TextEncoder().encode(`${nonce++}`),
  };
  const request = { request: {}, endpoint: "call", body: content } as never;
  const { body } = (await identity.transformRequest(request)) as { body: unknown };
  return Cbor.encode(body);
}

/** An identity that claims to be another one. */
export class Impostor extends SignIdentity {
  readonly #key: SignIdentity;
  readonly #claimed: SignIdentity;
  constructor(key: SignIdentity, claimed: SignIdentity) {
    super();
    this.#key = key;
    this.#claimed = claimed;
  }
  override getPublicKey() {
    return this.#claimed.getPublicKey();
  }
  override sign(blob: Uint8Array) {
    return this.#key.sign(blob);
  }
}

export function outcallRequest(outcall: number, fields: Partial<OutcallRequest> = {}): OutcallRequest {
  return {
    ...{ outcall, canister: A, url: "https://example.org/", method: "get", headers: [], body: undefined },
    ...{ maxResponseBytes: undefined, transform: undefined, node: undefined, time: NOW },
    ...fields,
  };
}
