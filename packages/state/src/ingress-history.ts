// What became of each ingress message, kept until it can no longer be submitted again (its expiry), so that no
// message runs twice and every caller can fetch the answer. Entries sit in buckets of one second of expiry: a
// bucket is forgotten, or written to a checkpoint, as a whole.
// Interface specification, "Request status"; checklist 2.5.
import {
  type CanisterId,
  type IngressStatus,
  MAX_INGRESS_TTL_NS,
  type PrincipalId,
  type RequestId,
  type Time,
} from "@atoll/types";

const BUCKET_NS = 1_000_000_000n;

export interface IngressRecord {
  readonly status: IngressStatus;
  readonly sender: PrincipalId;
  readonly receiver: CanisterId;
  /** Bucket number: keep until the end of this second. */
  readonly bucket: number;
}

export class IngressHistory {
  readonly #records = new Map<RequestId, IngressRecord>();
  readonly #buckets = new Map<number, Set<RequestId>>();
  /** Ids whose status changed since the last `takeChanges`. */
  #changed = new Set<RequestId>();
  readonly #changedBuckets = new Set<number>();
  #prunedTo = -1;
  /** Bytes of all answers kept. */
  #answerBytes = 0;

  /** Records are never changed in place, so both have the same. */
  fork(): IngressHistory {
    const copy = new IngressHistory();
    for (const [id, record] of this.#records) copy.#records.set(id, record);
    for (const [bucket, ids] of this.#buckets) copy.#buckets.set(bucket, new Set(ids));
    for (const bucket of this.#changedBuckets) copy.#changedBuckets.add(bucket);
    copy.#changed = new Set(this.#changed);
    copy.#prunedTo = this.#prunedTo;
    copy.#answerBytes = this.#answerBytes;
    return copy;
  }

  get size(): number {
    return this.#records.size;
  }

  get(requestId: RequestId): IngressRecord | undefined {
    return this.#records.get(requestId);
  }

  /** Records a new message; terminal answers stay for the full lifetime of a message after `now`. */
  add(
    requestId: RequestId,
    origin: { sender: PrincipalId; receiver: CanisterId },
    status: IngressStatus,
    keepUntil: Time,
  ): void {
    const bucket = Number(keepUntil / BUCKET_NS) + 1;
    this.insert(requestId, { status, sender: origin.sender, receiver: origin.receiver, bucket });
    this.#noteChange(requestId, bucket);
  }

  set(requestId: RequestId, status: IngressStatus, now: Time): void {
    const record = this.#records.get(requestId);
    if (record === undefined) return;
    const isTerminal = status.state !== "received" && status.state !== "processing";
    const bucket = isTerminal
      ? Math.max(record.bucket, Number((now + MAX_INGRESS_TTL_NS) / BUCKET_NS) + 1)
      : record.bucket;
    if (bucket !== record.bucket) {
      this.#buckets.get(record.bucket)?.delete(requestId);
      this.#changedBuckets.add(record.bucket);
    }
    this.insert(requestId, { ...record, status, bucket });
    this.#noteChange(requestId, bucket);
  }

  /** Forgets everything whose time has passed, except messages still under way. */
  prune(now: Time): void {
    const current = Number(now / BUCKET_NS);
    // Within one second no further bucket expires, and nothing is answered into one that has.
    if (current === this.#prunedTo) return;
    this.#prunedTo = current;
    for (const [bucket, ids] of this.#buckets) {
      if (bucket >= current) continue;
      for (const id of ids) {
        const state = this.#records.get(id)?.status.state;
        if (state === "received" || state === "processing") continue;
        this.#answerBytes -= answerBytes(this.#records.get(id));
        this.#records.delete(id);
        ids.delete(id);
        this.#noteChange(id, bucket);
      }
      if (ids.size === 0) this.#buckets.delete(bucket);
    }
  }

  /**
   * Drops the answers that expire first until those kept have at most `maxBytes`. Their messages stay known, as `done`.
   * The order follows the content alone, not the history of this object.
   */
  dropAnswersAbove(maxBytes: number): void {
    if (this.#answerBytes <= maxBytes) return;
    for (const bucket of [...this.#buckets.keys()].sort((a, b) => a - b)) {
      for (const id of [...(this.#buckets.get(bucket) ?? [])].sort()) {
        const record = this.#records.get(id);
        if (record === undefined || answerBytes(record) === 0) continue;
        this.insert(id, { ...record, status: { state: "done" } });
        this.#noteChange(id, bucket);
        if (this.#answerBytes <= maxBytes) return;
      }
    }
  }

  /** Ids whose status changed, or that were forgotten, since the last call. */
  takeChanges(): ReadonlySet<RequestId> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Makes the next `takeChanges` name every id: for a tree that starts from nothing. */
  noteAll(): void {
    for (const id of this.#records.keys()) this.#changed.add(id);
  }

  /** Buckets to write to a checkpoint: number -> records, empty when the bucket is gone. */
  takeBucketChanges(): Map<number, [RequestId, IngressRecord][]> {
    const result = new Map<number, [RequestId, IngressRecord][]>();
    for (const bucket of this.#changedBuckets) {
      const ids = [...(this.#buckets.get(bucket) ?? [])];
      result.set(
        bucket,
        ids.map((id) => [id, this.#records.get(id) as IngressRecord]),
      );
    }
    this.#changedBuckets.clear();
    return result;
  }

  forgetBucketChanges(): void {
    this.#changedBuckets.clear();
  }

  /** Puts a record in without marking a change: also used when a checkpoint is loaded. */
  insert(requestId: RequestId, record: IngressRecord): void {
    this.#answerBytes += answerBytes(record) - answerBytes(this.#records.get(requestId));
    this.#records.set(requestId, record);
    let ids = this.#buckets.get(record.bucket);
    if (ids === undefined) {
      ids = new Set();
      this.#buckets.set(record.bucket, ids);
    }
    ids.add(requestId);
  }

  #noteChange(requestId: RequestId, bucket: number): void {
    this.#changed.add(requestId);
    this.#changedBuckets.add(bucket);
  }
}

function answerBytes(record: IngressRecord | undefined): number {
  if (record?.status.state === "replied") return record.status.reply.length;
  return record?.status.state === "rejected" ? record.status.error.message.length : 0;
}
