// The versions of the registry that a node knows, from records that the operator signed. They come from the node's own
// configuration, from the operator, or from peers, and are right whoever brought them; each is on the disk before it
// counts. All versions are kept: they are few, and keys of long ago may still name them. Sections 4, 12 and 15.
import { equalBytes } from "@atoll/crypto/domain";
import type { CryptoPort, RegistryPort, RegistryRecord, StoragePort, Time } from "@atoll/types";
import { decodeWire, encodeWire, list, record, uint, WireError } from "@atoll/types/wire";
import { type RecordRules, recordFault } from "./record-rules.ts";
import {
  decodeSignedRecord,
  encodeSignedRecord,
  isSignedBy,
  MAX_RECORD_BYTES,
  type SignedRegistryRecord,
  signedRegistryRecord,
} from "./signed-record.ts";

export interface RecordRegistryOptions extends RecordRules {
  /** Ed25519, 32 bytes. */
  readonly operatorKey: Uint8Array;
}

export interface RecordRegistryPorts {
  readonly storage: StoragePort;
  readonly crypto: CryptoPort;
  /** Monotonic. */
  readonly now: () => Time;
}

export type AddedRecord = { readonly kind: "added" | "known" } | { readonly kind: "refused"; readonly why: string };

/** An operator who changes something every hour gets there in over a year. */
export const MAX_REGISTRY_VERSIONS = 10_000;
const FILE = "registry.log";
const LENGTH_BYTES = 4;
/** Of the answer to one question: the rest is asked for again. */
const MAX_ANSWER_BYTES = 1024 * 1024;

interface Known {
  readonly signed: SignedRegistryRecord;
  readonly encoded: Uint8Array;
  readonly since: Time;
}

export class RecordRegistry implements RegistryPort {
  readonly #options: RecordRegistryOptions;
  readonly #ports: RecordRegistryPorts;
  /** Version v is at v - 1. */
  readonly #known: Known[] = [];
  #size = 0;

  /** Reads what is on the disk. Damaged versions and those behind are forgotten: they can be had again. */
  constructor(options: RecordRegistryOptions, ports: RecordRegistryPorts) {
    this.#options = options;
    this.#ports = ports;
    const { storage } = ports;
    const size = storage.size(FILE) ?? 0;
    for (let encoded = this.#next(size); encoded !== undefined; encoded = this.#next(size)) {
      if (this.#take(encoded) === undefined) break;
      this.#size += LENGTH_BYTES + encoded.length;
    }
    if (this.#size < size) storage.truncate(FILE, this.#size);
  }

  latestVersion(): number {
    return this.#known.length;
  }

  record(version: number): RegistryRecord | undefined {
    return this.#known[version - 1]?.signed.record;
  }

  knownSince(version: number): Time | undefined {
    return this.#known[version - 1]?.since;
  }

  /** The record with its signature, to be handed on. */
  signedRecord(version: number): SignedRegistryRecord | undefined {
    return this.#known[version - 1]?.signed;
  }

  /** Versions come one after the other. Throws EnvironmentError when the disk does not take it: then it is not known. */
  add(signed: SignedRegistryRecord): AddedRecord {
    const { version } = signed.record;
    const encoded = encodeSignedRecord(signed);
    const known = this.#known[version - 1];
    if (known !== undefined) {
      if (equalBytes(known.encoded, encoded)) return { kind: "known" };
      return { kind: "refused", why: `version ${version} is known already, as something else` };
    }
    const why = this.#fault(signed);
    if (why !== undefined) return { kind: "refused", why };
    const { storage } = this.#ports;
    if ((storage.size(FILE) ?? 0) > this.#size) storage.truncate(FILE, this.#size);
    storage.append(FILE, [lengthOf(encoded), encoded]);
    storage.sync(FILE);
    this.#size += LENGTH_BYTES + encoded.length;
    this.#known.push({ signed, encoded, since: this.#ports.now() });
    return { kind: "added" };
  }

  /** To be asked of peers. */
  question(): Uint8Array {
    return encodeWire(newerThan, { version: this.latestVersion() });
  }

  /** Undefined: that is no such question. */
  answer(question: Uint8Array): Uint8Array | undefined {
    const asked = decoded(() => decodeWire(newerThan, question));
    if (asked === undefined) return undefined;
    const records: SignedRegistryRecord[] = [];
    let size = 0;
    for (const { signed, encoded } of this.#known.slice(asked.version)) {
      size += encoded.length;
      if (records.length === MAX_ANSWER_RECORDS || (size > MAX_ANSWER_BYTES && records.length > 0)) break;
      records.push(signed);
    }
    return encodeWire(answers, records);
  }

  /** Takes a peer's answer; refused: the peer sent something that no right peer sends. */
  takeAnswer(answer: Uint8Array): AddedRecord {
    const records = decoded(() => decodeWire(answers, answer));
    if (records === undefined) return { kind: "refused", why: "it is no list of records" };
    let result: AddedRecord = { kind: "known" };
    for (const signed of records) {
      const added = this.add(signed);
      if (added.kind === "refused") return added;
      if (added.kind === "added") result = added;
    }
    return result;
  }

  #fault(signed: SignedRegistryRecord): string | undefined {
    if (this.#known.length >= MAX_REGISTRY_VERSIONS) return "there are as many versions as there can be";
    if (!isSignedBy(this.#ports.crypto, this.#options.operatorKey, signed)) return "the operator has not signed it";
    return recordFault(this.#options, this.record(this.latestVersion()), signed.record);
  }

  #take(encoded: Uint8Array): SignedRegistryRecord | undefined {
    const signed = decoded(() => decodeSignedRecord(encoded));
    if (signed === undefined || this.#fault(signed) !== undefined) return undefined;
    this.#known.push({ signed, encoded, since: this.#ports.now() });
    return signed;
  }

  #next(size: number): Uint8Array | undefined {
    const { storage } = this.#ports;
    if (size < this.#size + LENGTH_BYTES) return undefined;
    const head = storage.read(FILE, this.#size, LENGTH_BYTES);
    if (head.length < LENGTH_BYTES) return undefined;
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
    const start = this.#size + LENGTH_BYTES;
    return length > MAX_RECORD_BYTES || start + length > size ? undefined : storage.read(FILE, start, length);
  }
}

const MAX_ANSWER_RECORDS = 100;
const newerThan = record({ version: uint() });
const answers = list(signedRegistryRecord, MAX_ANSWER_RECORDS);

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof WireError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function lengthOf(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES);
  new DataView(bytes.buffer).setUint32(0, content.length);
  return bytes;
}
