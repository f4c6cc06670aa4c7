// Authenticated messages that wait for a block. Bounded in number and bytes; a message leaves when it was executed
// or when it can no longer be (expiry).
import type { IngressMessage, RequestId, Time } from "@atoll/types";

const MAX_MESSAGES = 10_000;
const MAX_BYTES = 256 * 1024 * 1024;

export class IngressPool {
  readonly #messages = new Map<RequestId, IngressMessage>();
  #bytes = 0;

  get size(): number {
    return this.#messages.size;
  }

  has(requestId: RequestId): boolean {
    return this.#messages.has(requestId);
  }

  /** False: the pool is full. */
  add(message: IngressMessage): boolean {
    if (this.#messages.size >= MAX_MESSAGES || this.#bytes + message.byteSize > MAX_BYTES) return false;
    this.#messages.set(message.requestId, message);
    this.#bytes += message.byteSize;
    return true;
  }

  remove(requestId: RequestId): void {
    const message = this.#messages.get(requestId);
    if (message === undefined) return;
    this.#messages.delete(requestId);
    this.#bytes -= message.byteSize;
  }

  fork(): IngressPool {
    const fork = new IngressPool();
    for (const message of this.#messages.values()) fork.add(message);
    return fork;
  }

  /** The oldest messages, up to `maxCount` and `maxBytes`, and at least one; expired ones are dropped. They stay in the pool. */
  select(now: Time, maxCount: number, maxBytes: number): IngressMessage[] {
    const selected: IngressMessage[] = [];
    let bytes = 0;
    for (const message of this.#messages.values()) {
      if (message.expiry < now) {
        this.remove(message.requestId);
        continue;
      }
      if (selected.length >= maxCount || (selected.length > 0 && bytes + message.byteSize > maxBytes)) break;
      selected.push(message);
      bytes += message.byteSize;
    }
    return selected;
  }
}
