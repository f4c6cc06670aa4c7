// A network in a Worker, as its page sees it: typed operations, and a `fetch` that any agent can be given. The page
// trusts the network's root key and nothing else: agents verify certificates here, outside of the Worker.
import type { IngressStatus, QueryResult, Time } from "@atoll/types";
import type { CanisterCall } from "../calls.ts";
import type { SubnetSpec } from "../network-subnet.ts";
import type { ProgressOptions } from "../progress.ts";
import type {
  Answer,
  Argument,
  LogEvent,
  MessageEnd,
  NetworkStatus,
  OpenOptions,
  OperationName,
  Result,
} from "./protocol.ts";

interface Waiting {
  resolve(value: Result<OperationName>): void;
  reject(error: Error): void;
}

/** Opens a network in `worker`, which runs `serveNetwork` and nothing else. */
export async function openNetwork(worker: MessageEnd, options: OpenOptions): Promise<NetworkInWorker> {
  const network = new NetworkInWorker(worker);
  await network.open(options);
  return network;
}

export class NetworkInWorker {
  readonly #worker: MessageEnd;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  /** Told what the network's log would say. */
  onLog: ((level: string, message: string) => void) | undefined;

  constructor(worker: MessageEnd) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#hear(data as Answer | LogEvent));
    worker.addEventListener("error", ({ message }) => this.#fail(message));
  }

  open(options: OpenOptions): Promise<NetworkStatus> {
    return this.#ask("open", options);
  }

  status(): Promise<NetworkStatus> {
    return this.#ask("status", undefined);
  }

  addSubnet(spec: SubnetSpec): Promise<NetworkStatus> {
    return this.#ask("addSubnet", spec);
  }

  tick(rounds = 1): Promise<NetworkStatus> {
    return this.#ask("tick", rounds);
  }

  /** ns since 1970; rejects for a time that is past. */
  setTime(time: Time): Promise<NetworkStatus> {
    return this.#ask("setTime", time);
  }

  /** Rounds by themselves: one follows whatever comes in, and the time goes on when nothing does. */
  startProgress(options: ProgressOptions = {}): Promise<NetworkStatus> {
    return this.#ask("startProgress", options);
  }

  stopProgress(): Promise<NetworkStatus> {
    return this.#ask("stopProgress", undefined);
  }

  /** As any principal, without a signature. */
  call(call: CanisterCall): Promise<IngressStatus | undefined> {
    return this.#ask("call", call);
  }

  query(call: CanisterCall): Promise<QueryResult> {
    return this.#ask("query", call);
  }

  close(): Promise<undefined> {
    return this.#ask("close", undefined);
  }

  /** The HTTP interface of the network, whatever host the address names. */
  readonly fetch = async (input: Request | URL | string, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { pathname, search } = new URL(request.url);
    const answer = await this.#ask("http", {
      method: request.method,
      target: pathname + search,
      headers: [...request.headers],
      body: new Uint8Array(await request.arrayBuffer()),
    });
    const { status, headers, body } = answer;
    return new Response(body.length > 0 ? (body as Uint8Array<ArrayBuffer>) : null, { status, headers });
  };

  #ask<K extends OperationName>(operation: K, argument: Argument<K>): Promise<Result<K>> {
    const id = this.#asked++;
    const answered = new Promise<Result<OperationName>>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#worker.postMessage({ id, operation, argument });
    return answered as Promise<Result<K>>;
  }

  /** Nobody will answer any more what has been asked. */
  #fail(reason = "its script could not be loaded"): void {
    const error = new Error(`The Worker of the network has failed: ${reason}.`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #hear(message: Answer | LogEvent): void {
    if ("event" in message) {
      this.onLog?.(message.level, message.message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.ok) waiting?.resolve(message.value);
    else waiting?.reject(new Error(message.message));
  }
}
