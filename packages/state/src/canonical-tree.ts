// What the state tree says of the state, as changes: after each round only the paths that differ from what was
// published before. Every node derives the same changes, so the tree can be kept (and hashed) wherever
// certificates are made. Specification, "The system state tree"; checklist 2.1.
import {
  type CanisterId,
  canisterIdFromIndex,
  encodeCbor,
  encodeStreamHeader,
  encodeStreamMessage,
  errorCodeText,
  fromHex,
  type IngressStatus,
  type NetworkTopology,
  type PrincipalId,
  principalToBytes,
  type RequestId,
  rejectCodeOf,
  type StreamMessage,
  type SubnetNode,
  type SubnetRecord,
  type TreeChange,
  toHex,
} from "@atoll/types";
import type { CanisterState } from "./canister-state.ts";
import { endOf, headerOf } from "./stream.ts";
import type { SubnetState } from "./subnet-state.ts";

const encoder = new TextEncoder();
const text = (value: string): Uint8Array => encoder.encode(value);
const LABEL = {
  time: text("time"),
  subnet: text("subnet"),
  canister: text("canister"),
  canisterRanges: text("canister_ranges"),
  requestStatus: text("request_status"),
  status: text("status"),
  reply: text("reply"),
  rejectCode: text("reject_code"),
  rejectMessage: text("reject_message"),
  errorCode: text("error_code"),
  controllers: text("controllers"),
  moduleHash: text("module_hash"),
  certifiedData: text("certified_data"),
  metadata: text("metadata"),
  metrics: text("metrics"),
  publicKey: text("public_key"),
  type: text("type"),
  node: text("node"),
  streams: text("streams"),
  header: text("header"),
  messages: text("messages"),
  height: text("height"),
  prevStateHash: text("prev_state_hash"),
};

interface Published {
  readonly controllers: readonly string[] | undefined;
  readonly moduleHash: string | undefined;
  readonly certifiedData: Uint8Array | undefined;
}

const NOTHING: Published = { controllers: undefined, moduleHash: undefined, certifiedData: undefined };

/** Of a stream: the messages that are in the tree, and the header. */
interface PublishedStream {
  readonly begin: number;
  readonly end: number;
  readonly header: string;
}

const NO_STREAM: PublishedStream = { begin: 0, end: 0, header: "" };

export class CanonicalTree {
  readonly #canisters = new Map<CanisterId, Published>();
  readonly #streams = new Map<PrincipalId, PublishedStream>();
  #topology: NetworkTopology | undefined;
  #nodes: readonly SubnetNode[] = [];
  #prevStateHash: Uint8Array | undefined;
  #metrics = "";

  /** For a fork of the state: it has published the same. */
  fork(): CanonicalTree {
    const copy = new CanonicalTree();
    for (const [id, published] of this.#canisters) copy.#canisters.set(id, published);
    for (const [id, published] of this.#streams) copy.#streams.set(id, published);
    copy.#topology = this.#topology;
    copy.#nodes = this.#nodes;
    copy.#prevStateHash = this.#prevStateHash;
    copy.#metrics = this.#metrics;
    return copy;
  }

  /** Changes of the round that just ended; `changedRequests` are the ids of `ingressHistory.takeChanges()`. */
  changes(state: SubnetState, changedRequests: Iterable<RequestId>): TreeChange[] {
    const changes: TreeChange[] = [{ path: [LABEL.time], value: leb128(state.time) }];
    this.#metadataChanges(state, changes);
    this.#topologyChanges(state, changes);
    this.#nodeChanges(state, changes);
    for (const id of state.touched) this.#canisterChanges(state, id, changes);
    for (const id of [...state.touchedStreams].sort()) this.#streamChanges(state, id, changes);
    const metrics = metricsText(state);
    if (metrics !== this.#metrics) changes.push(metricsChange(state));
    this.#metrics = metrics;
    for (const id of changedRequests) changes.push(...requestChanges(id, state.ingressHistory.get(id)?.status));
    return changes;
  }

  /** The height is what shows that a certification belongs to it; the hash before chains the heights. */
  #metadataChanges({ height, prevStateHash }: SubnetState, changes: TreeChange[]): void {
    changes.push({ path: [LABEL.metadata, LABEL.height], value: leb128(BigInt(height)) });
    if (prevStateHash === this.#prevStateHash) return;
    changes.push({ path: [LABEL.metadata, LABEL.prevStateHash], value: prevStateHash ?? null });
    this.#prevStateHash = prevStateHash;
  }

  /** Only a subnet itself says which nodes it has. */
  #nodeChanges({ config, nodes }: SubnetState, changes: TreeChange[]): void {
    if (nodes === this.#nodes) return;
    const base = [LABEL.subnet, principalToBytes(config.subnetId), LABEL.node];
    const gone = new Set(this.#nodes.map(({ nodeId }) => nodeId));
    for (const { nodeId, publicKey } of nodes) {
      gone.delete(nodeId);
      changes.push({ path: [...base, principalToBytes(nodeId), LABEL.publicKey], value: publicKey });
    }
    for (const nodeId of gone) changes.push({ path: [...base, principalToBytes(nodeId)], value: null });
    this.#nodes = nodes;
  }

  #topologyChanges({ topology }: SubnetState, changes: TreeChange[]): void {
    const before = this.#topology;
    if (before === topology) return;
    const old = new Map(before?.subnets.map((record) => [record.subnetId, record]));
    for (const record of topology.subnets) {
      const known = old.get(record.subnetId);
      old.delete(record.subnetId);
      if (known === undefined || contentOf(known) !== contentOf(record)) changes.push(...subnetChanges(record));
    }
    for (const id of old.keys()) {
      changes.push({ path: [LABEL.subnet, principalToBytes(id)], value: null });
      changes.push({ path: [LABEL.canisterRanges, principalToBytes(id)], value: null });
    }
    this.#topology = topology;
  }

  #streamChanges({ streams }: SubnetState, id: PrincipalId, changes: TreeChange[]): void {
    const stream = streams.get(id);
    if (stream === undefined) return;
    const before = this.#streams.get(id) ?? NO_STREAM;
    const base = [LABEL.streams, principalToBytes(id)];
    const { begin, signalsEnd, rejectSignals } = stream;
    const end = endOf(stream);
    for (let index = before.begin; index < Math.min(begin, before.end); index++) {
      changes.push({ path: [...base, LABEL.messages, indexLabel(index)], value: null });
    }
    for (let index = Math.max(begin, before.end); index < end; index++) {
      const message = encodeStreamMessage(stream.messages.at(index - begin) as StreamMessage);
      changes.push({ path: [...base, LABEL.messages, indexLabel(index)], value: message });
    }
    // Reject signals come and go at the ends alone.
    const header = `${begin} ${end} ${signalsEnd} ${rejectSignals[0]?.index} ${rejectSignals.at(-1)?.index}`;
    if (header !== before.header) {
      changes.push({ path: [...base, LABEL.header], value: encodeStreamHeader(headerOf(stream)) });
    }
    this.#streams.set(id, { begin, end, header });
  }

  #canisterChanges(state: SubnetState, id: CanisterId, changes: TreeChange[]): void {
    const canister = state.canisters.get(id);
    const before = this.#canisters.get(id) ?? NOTHING;
    const base = [LABEL.canister, principalToBytes(id)];
    if (canister === undefined) {
      changes.push({ path: base, value: null });
      this.#canisters.delete(id);
      return;
    }
    const now = publishedOf(canister);
    if (now.controllers !== before.controllers) {
      changes.push({ path: [...base, LABEL.controllers], value: controllersValue(canister) });
    }
    if (now.moduleHash !== before.moduleHash) changes.push(...moduleChanges(state, base, now.moduleHash));
    if (now.certifiedData !== before.certifiedData) {
      changes.push({ path: [...base, LABEL.certifiedData], value: now.certifiedData ?? null });
    }
    this.#canisters.set(id, now);
  }
}

function publishedOf(canister: CanisterState): Published {
  const { execution } = canister;
  return {
    controllers: canister.settings.controllers,
    moduleHash: execution?.moduleHash,
    certifiedData: execution === undefined ? undefined : canister.certifiedData,
  };
}

function moduleChanges(state: SubnetState, base: Uint8Array[], hash: string | undefined): TreeChange[] {
  const changes: TreeChange[] = [
    { path: [...base, LABEL.metadata], value: null },
    { path: [...base, LABEL.moduleHash], value: hash === undefined ? null : fromHex(hash) },
  ];
  for (const { name, content } of (hash === undefined ? undefined : state.modules.info(hash))?.metadata ?? []) {
    changes.push({ path: [...base, LABEL.metadata, text(name)], value: content });
  }
  return changes;
}

function controllersValue(canister: CanisterState): Uint8Array {
  return encodeCbor(canister.settings.controllers.map(principalToBytes), { selfDescribed: true });
}

function requestChanges(id: RequestId, status: IngressStatus | undefined): TreeChange[] {
  const base = [LABEL.requestStatus, fromHex(id)];
  if (status === undefined) return [{ path: base, value: null }];
  const changes: TreeChange[] = [{ path: [...base, LABEL.status], value: text(status.state) }];
  // What was dropped must not stay readable, or a restart would lead to another tree.
  if (status.state === "done") changes.unshift({ path: base, value: null });
  if (status.state === "replied") changes.push({ path: [...base, LABEL.reply], value: status.reply });
  if (status.state === "rejected") {
    changes.push(
      { path: [...base, LABEL.rejectCode], value: leb128(BigInt(rejectCodeOf(status.error.code))) },
      { path: [...base, LABEL.rejectMessage], value: text(status.error.message) },
      { path: [...base, LABEL.errorCode], value: text(errorCodeText(status.error.code)) },
    );
  }
  return changes;
}

/** As text, to be compared. */
function contentOf({ type, publicKey, canisterRanges }: SubnetRecord): string {
  return `${type} ${toHex(publicKey)} ${canisterRanges.join(" ")}`;
}

const RANGES_PER_LEAF = 5;

function subnetChanges({ subnetId, type, publicKey, canisterRanges }: SubnetRecord): TreeChange[] {
  const id = principalToBytes(subnetId);
  const base = [LABEL.subnet, id];
  const changes: TreeChange[] = [
    { path: [...base, LABEL.publicKey], value: publicKey },
    { path: [...base, LABEL.type], value: text(type) },
    { path: [...base, LABEL.canisterRanges], value: rangesValue(canisterRanges) },
    { path: [LABEL.canisterRanges, id], value: null },
  ];
  // A subnet that hosts no ids has one leaf that says so.
  for (let i = 0; i < Math.max(canisterRanges.length, 1); i += RANGES_PER_LEAF) {
    const shard = canisterRanges.slice(i, i + RANGES_PER_LEAF);
    const first = principalToBytes(shard[0]?.[0] ?? canisterIdFromIndex(0n));
    changes.push({ path: [LABEL.canisterRanges, id, first], value: rangesValue(shard) });
  }
  return changes;
}

function rangesValue(ranges: SubnetRecord["canisterRanges"]): Uint8Array {
  const bytes = ranges.map(([first, last]) => [principalToBytes(first), principalToBytes(last)]);
  return encodeCbor(bytes, { selfDescribed: true });
}

/** 8 bytes, big-endian. */
export function indexLabel(index: number): Uint8Array {
  const label = new Uint8Array(8);
  new DataView(label.buffer).setBigUint64(0, BigInt(index));
  return label;
}

function metricsText({ canisters, metrics }: SubnetState): string {
  return `${canisters.size} ${metrics.canisterStateBytes} ${metrics.consumedCycles} ${metrics.updateTransactions}`;
}

/** Maps with integer keys, as the replica packs them: 0 canisters, 1 bytes, 2 consumed cycles, 3 update transactions. */
function metricsChange(state: SubnetState): TreeChange {
  const { consumedCycles } = state.metrics;
  const consumed = new Map([
    [0, consumedCycles & 0xffff_ffff_ffff_ffffn],
    [1, consumedCycles >> 64n],
  ]);
  const metrics = new Map<number, unknown>([
    [0, state.canisters.size],
    [1, state.metrics.canisterStateBytes],
    [2, consumed],
    [3, state.metrics.updateTransactions],
  ]);
  return {
    path: [LABEL.subnet, principalToBytes(state.config.subnetId), LABEL.metrics],
    value: encodeCbor(metrics as never, { selfDescribed: true }),
  };
}

/** Unsigned LEB128. */
export function leb128(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? byte : byte | 128);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}
