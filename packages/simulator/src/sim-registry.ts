// The registry of a run: its operator signs one version after the other and hands each to f + 1 nodes, and nodes have the rest
// from each other, as real ones do (RecordRegistry, RegistryExchange). What is in force is then agreed on in blocks. Section 4.
import { type CatchUpPackage, RecordRegistry, type SignedRegistryRecord, signRegistryRecord } from "@atoll/consensus";
import {
  type CryptoPort,
  InvariantViolation,
  type NodeRecord,
  type RegistryRecord,
  type StoragePort,
  type Time,
} from "@atoll/types";
import type { Random } from "./random.ts";
import { type Scheduler, SECOND } from "./scheduler.ts";

export interface SimRegistryPorts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly crypto: CryptoPort;
  readonly checkNode: (node: NodeRecord) => boolean;
  /** Whom the operator can ask now. */
  readonly takers: () => readonly RecordTaker[];
}

export interface RecordTaker {
  readonly index: number;
  /** False: it is not there, cannot write it, or does not know the version before. */
  takeRecord(signed: SignedRegistryRecord): boolean;
}

/** An operator whom too few nodes have answered tries again. */
const RETRY_NS = SECOND;

export class SimRegistry {
  readonly #ports: SimRegistryPorts;
  readonly #secret: Uint8Array;
  /** Version v is at v - 1. */
  readonly #versions: SignedRegistryRecord[] = [];

  constructor(first: RegistryRecord, ports: SimRegistryPorts) {
    this.#ports = ports;
    this.#secret = ports.random.bytes(32);
    this.#sign(first);
  }

  get latest(): RegistryRecord {
    return (this.#versions.at(-1) as SignedRegistryRecord).record;
  }

  /** A new version, which differs from the latest in `change`. */
  publish(change: Partial<Omit<RegistryRecord, "version">>): void {
    const { nodes, version } = this.latest;
    const signed = this.#sign({ ...this.latest, ...change, version: version + 1 });
    this.#ports.scheduler.note(`registry version ${version + 1}`);
    const most = Math.max(nodes.length, signed.record.nodes.length);
    this.#handOut(signed, Math.floor((most - 1) / 3) + 1, new Set());
  }

  /** Everybody who is a node of the subnet in some version. */
  everyNode(): readonly NodeRecord[] {
    return nodesOf(this.#versions.map(({ record }) => record));
  }

  /** What a process that starts now has on its disk, and takes from its peers; the first version came with the genesis. */
  open(storage: StoragePort, now: () => Time): RecordRegistry {
    const { crypto, checkNode } = this.#ports;
    const [first] = this.#versions as [SignedRegistryRecord];
    const operatorKey = crypto.ed25519PublicKey(this.#secret);
    const { subnetId } = first.record;
    const registry = new RecordRegistry({ subnetId, operatorKey, checkNode }, { storage, crypto, now });
    if (registry.add(first).kind === "refused")
      throw new InvariantViolation("the first version is that of the genesis");
    return registry;
  }

  #sign(record: RegistryRecord): SignedRegistryRecord {
    const signed = signRegistryRecord(this.#ports.crypto, this.#secret, record);
    this.#versions.push(signed);
    return signed;
  }

  #handOut(signed: SignedRegistryRecord, wanted: number, taken: Set<number>): void {
    const { scheduler, random, takers } = this.#ports;
    const open = takers().filter(({ index }) => !taken.has(index));
    for (const taker of random.sample(open, open.length)) {
      if (taken.size < wanted && taker.takeRecord(signed)) taken.add(taker.index);
    }
    if (taken.size < wanted) scheduler.after(RETRY_NS, () => this.#handOut(signed, wanted, taken));
  }
}

/** The version of the protocol that is in force from a catch-up package on, as far as the registry knows it. */
export function protocolVersionAt({ block }: CatchUpPackage, registry: RecordRegistry): string | undefined {
  if (block.payload.kind !== "summary") return undefined;
  return registry.record(block.payload.summary.registryVersion)?.protocolVersion;
}

/** Of all versions that are known there. */
export function knownNodes(registry: RecordRegistry): readonly NodeRecord[] {
  const versions = Array.from({ length: registry.latestVersion() }, (_, i) => registry.record(i + 1) as RegistryRecord);
  return nodesOf(versions);
}

function nodesOf(records: readonly RegistryRecord[]): readonly NodeRecord[] {
  return [...new Map(records.flatMap(({ nodes }) => nodes.map((node) => [node.nodeId, node] as const))).values()];
}
