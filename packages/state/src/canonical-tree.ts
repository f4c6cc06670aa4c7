// What the state tree says of the state, as changes: after each round only the paths that differ from what was
// published before. Every node derives the same changes, so the tree can be kept (and hashed) wherever
// certificates are made. Specification, "The system state tree"; checklist 2.1.
import {
  type CanisterId,
  encodeCbor,
  errorCodeText,
  fromHex,
  type IngressStatus,
  principalToBytes,
  type RequestId,
  rejectCodeOf,
  type TreeChange,
} from "@atoll/types";
import type { CanisterState } from "./canister-state.ts";
import type { SubnetConfig, SubnetState } from "./subnet-state.ts";

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
};

interface Published {
  readonly controllers: readonly string[] | undefined;
  readonly moduleHash: string | undefined;
  readonly certifiedData: Uint8Array | undefined;
}

const NOTHING: Published = { controllers: undefined, moduleHash: undefined, certifiedData: undefined };

export class CanonicalTree {
  readonly #canisters = new Map<CanisterId, Published>();
  #hasSubnet = false;
  #metrics = "";

  /** Changes of the round that just ended; `changedRequests` are the ids of `ingressHistory.takeChanges()`. */
  changes(state: SubnetState, changedRequests: Iterable<RequestId>): TreeChange[] {
    const changes: TreeChange[] = [{ path: [LABEL.time], value: leb128(state.time) }];
    if (!this.#hasSubnet) changes.push(...subnetChanges(state.config));
    this.#hasSubnet = true;
    for (const id of state.touched) this.#canisterChanges(state, id, changes);
    const metrics = metricsText(state);
    if (metrics !== this.#metrics) changes.push(metricsChange(state));
    this.#metrics = metrics;
    for (const id of changedRequests) changes.push(...requestChanges(id, state.ingressHistory.get(id)?.status));
    return changes;
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

function subnetChanges(config: SubnetConfig): TreeChange[] {
  const id = principalToBytes(config.subnetId);
  const base = [LABEL.subnet, id];
  const ranges = config.canisterRanges.map(([first, last]) => [principalToBytes(first), principalToBytes(last)]);
  const encoded = encodeCbor(ranges, { selfDescribed: true });
  const first = ranges[0]?.[0] ?? new Uint8Array(10);
  return [
    { path: [...base, text("public_key")], value: config.publicKey },
    { path: [...base, text("type")], value: text(config.type) },
    { path: [...base, text("canister_ranges")], value: encoded },
    ...config.nodes.map(({ nodeId, publicKey }) => ({
      path: [...base, text("node"), principalToBytes(nodeId), text("public_key")],
      value: publicKey,
    })),
    { path: [LABEL.canisterRanges, id, first], value: encoded },
  ];
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
