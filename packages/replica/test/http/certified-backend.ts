// A subnet of one node without execution: a state tree from a list of leaves, signed with a real root key, and
// switches for what the replica behind the HTTP interface may say. Enough to let a real client judge the interface;
// what canisters do is tested where they run.
import { reconstructRoot, selfAuthenticatingId, stateRootMessage, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto } from "@atoll/host-node/crypto-node";
import {
  canisterIdFromIndex,
  encodeCbor,
  encodeCertificate,
  encodeLeb128,
  fromHex,
  type HashTree,
  type IngressMessage,
  type Path,
  type PrincipalId,
  type QueryRequest,
  type QueryResult,
  toHex,
  type UserError,
} from "@atoll/types";
import type { CertifiedState, ReplicaBackend, ReplicaHealth, SubmitOutcome } from "../../src/backend.ts";

const text = new TextEncoder();
const SECRET = new Uint8Array(32).fill(7);
const NODE_SEED = new Uint8Array(32).fill(9);
const ED25519_DER = "302a300506032b6570032100";

export const CANISTER = canisterIdFromIndex(0n);
export const OTHER_CANISTER = canisterIdFromIndex(1n);
const LAST_CANISTER = canisterIdFromIndex(0xf_ffffn);

interface Switches {
  health: ReplicaHealth;
  certified: boolean;
  filter: (message: IngressMessage) => UserError | undefined;
  /** Messages are answered with their own argument, unless this says otherwise. */
  outcome: (message: IngressMessage) => "reply" | "never" | UserError;
  poolFull: boolean;
  query: (query: QueryRequest) => QueryResult;
}

export interface CertifiedBackend extends ReplicaBackend {
  readonly switches: Switches;
  readonly submitted: IngressMessage[];
  /** Replies to a message that was left alone. */
  finish(message: IngressMessage): void;
  /** How many waiters there are. */
  waiting(): number;
}

export async function createCertifiedBackend(): Promise<CertifiedBackend> {
  const crypto = await createNodeCrypto();
  const rootKey = subnetKeyToDer(crypto.bls.publicKey(SECRET));
  const subnetId = selfAuthenticatingId(rootKey, crypto.sha224);
  const nodeKey = Buffer.concat([fromHex(ED25519_DER), crypto.ed25519PublicKey(NODE_SEED)]);
  const nodeId = selfAuthenticatingId(nodeKey, crypto.sha224);
  const leaves = new Map<string, { path: Path; value: Uint8Array }>();
  const put = (path: readonly (string | Uint8Array)[], value: string | Uint8Array) => {
    const labels = path.map((label) => (typeof label === "string" ? text.encode(label) : label));
    leaves.set(labels.map(toHex).join("/"), {
      path: labels,
      value: typeof value === "string" ? text.encode(value) : value,
    });
  };
  const subnet = fromHex(subnetId);
  const ranges = encodeCbor([[fromHex(CANISTER), fromHex(LAST_CANISTER)]], { selfDescribed: true });
  put(["subnet", subnet, "public_key"], rootKey);
  put(["subnet", subnet, "type"], "system");
  put(["subnet", subnet, "canister_ranges"], ranges);
  put(["subnet", subnet, "node", fromHex(nodeId), "public_key"], nodeKey);
  put(["canister_ranges", subnet, fromHex(CANISTER)], ranges);
  put(["canister", fromHex(CANISTER), "module_hash"], new Uint8Array(32).fill(3));
  put(["canister", fromHex(CANISTER), "controllers"], encodeCbor([Uint8Array.of(4)], { selfDescribed: true }));
  let height = 1;
  const now = () => BigInt(Date.now()) * 1_000_000n;
  const sign = (): CertifiedState => {
    put(["time"], encodeLeb128(now()));
    const tree = buildTree([...leaves.values()]);
    const signature = crypto.bls.sign(SECRET, stateRootMessage(reconstructRoot(tree, crypto.sha256)));
    const certificate = encodeCertificate({ tree, signature });
    const snapshot = new Map([...leaves].map(([key, leaf]) => [key, leaf.value]));
    return {
      height: height++,
      time: now(),
      certificate: () => certificate,
      undelegated: () => certificate,
      lookup: (path) => snapshot.get(path.map(toHex).join("/")),
      has: (path) => [...snapshot.keys()].some((key) => key.startsWith(path.map(toHex).join("/"))),
    };
  };
  let state = sign();
  const origins = new Map<string, IngressMessage>();
  const waiters = new Map<string, (state: CertifiedState) => void>();
  const submitted: IngressMessage[] = [];
  const switches: Switches = {
    health: "healthy",
    certified: true,
    filter: () => undefined,
    outcome: () => "reply",
    poolFull: false,
    query: (query) => ({ kind: "replied", reply: query.arg }),
  };
  const finish = (message: IngressMessage, outcome: "reply" | UserError) => {
    const status = ["request_status", fromHex(message.requestId)];
    put([...status, "status"], outcome === "reply" ? "replied" : "rejected");
    if (outcome === "reply") {
      put([...status, "reply"], message.arg);
    } else {
      put([...status, "reject_code"], Uint8Array.of(Math.floor(outcome.code / 100)));
      put([...status, "reject_message"], outcome.message);
      put([...status, "error_code"], `IC0${outcome.code}`);
    }
    state = sign();
    waiters.get(message.requestId)?.(state);
  };
  return {
    clock: { now },
    crypto,
    subnet: {
      subnetId,
      rootSubnetId: subnetId,
      type: "application",
      canisterRanges: [[CANISTER, LAST_CANISTER]],
      nodeId,
      rootKey,
    },
    trustedRootKeys: [rootKey],
    switches,
    submitted,
    finish: (message) => finish(message, "reply"),
    waiting: () => waiters.size,
    health: () => switches.health,
    certifiedState: () => (switches.certified ? state : undefined),
    filterIngress: async (message) => switches.filter(message),
    submitIngress(message): SubmitOutcome {
      if (switches.poolFull) return "pool-full";
      if (origins.has(message.requestId)) return "duplicate";
      origins.set(message.requestId, message);
      submitted.push(message);
      const outcome = switches.outcome(message);
      if (outcome !== "never") setTimeout(() => finish(message, outcome), 5);
      return "accepted";
    },
    awaitCompletion(requestId) {
      const completed = new Promise<CertifiedState>((resolve) => waiters.set(requestId, resolve));
      return { completed, cancel: () => waiters.delete(requestId) };
    },
    query: async (query) => {
      state = sign();
      return { result: switches.query(query), time: now() };
    },
    signAsNode: (message) => crypto.signEd25519(NODE_SEED, message),
    ingressOrigin(requestId) {
      const message = origins.get(requestId);
      return message && { sender: message.sender, receiver: message.receiver };
    },
    controllers: (canisterId) => (canisterId === CANISTER ? ["04" as PrincipalId] : undefined),
    isPrivateMetadata: (_canisterId, name) => name.startsWith("secret"),
  };
}

/** Leaves by path, as the balanced tree of the specification: labels in order, forks in between. */
function buildTree(leaves: { path: Path; value: Uint8Array }[]): HashTree {
  const [first] = leaves;
  if (leaves.length === 1 && first?.path.length === 0) return { kind: "leaf", value: first.value };
  const byLabel = new Map<string, { path: Path; value: Uint8Array }[]>();
  for (const { path, value } of leaves) {
    const key = toHex(path[0] as Uint8Array);
    byLabel.set(key, [...(byLabel.get(key) ?? []), { path: path.slice(1), value }]);
  }
  const labeled = [...byLabel.keys()]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((key): HashTree => ({ kind: "labeled", label: fromHex(key), child: buildTree(byLabel.get(key) ?? []) }));
  return fork(labeled);
}

function fork(nodes: HashTree[]): HashTree {
  if (nodes.length === 1) return nodes[0] as HashTree;
  const half = Math.ceil(nodes.length / 2);
  return { kind: "fork", left: fork(nodes.slice(0, half)), right: fork(nodes.slice(half)) };
}
