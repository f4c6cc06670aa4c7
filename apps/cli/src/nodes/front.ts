// One address in front of all nodes of a network on this machine: each request goes to a node that is well, and to another
// one when that does not answer. That is safe for every request there is: queries change nothing, and a subnet executes a
// message once however many nodes have been given it. A client never sees an older state than it has seen before,
// whichever nodes answer it: the front tells nodes the newest height that it knows of (node-heights.ts).
import type { LogPort } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { FrontRequest, type Nodes, type Reply } from "./front-request.ts";
import { createNodeClient, type NodeClient } from "./node-client.ts";

export interface Front {
  readonly api: HttpHandler;
  /** A node serves at this address from now on; undefined: it is gone. */
  setNode(place: number, url: string | undefined): void;
  /** Resolves when a node says that it is healthy. */
  firstHealthy(): Promise<void>;
  stop(): void;
}

interface Target {
  readonly place: number;
  readonly client: NodeClient;
  /** The last question about its health was answered well. */
  isWell: boolean;
  height: number;
  /** Requests under way. */
  load: number;
}

/** So far behind the newest height that is known, a node is asked only when no other one can be. */
const FAR_BEHIND = 10;
const HEALTH_MS = 500;
const HEALTH_TIMEOUT_MS = 2_000;
/** How often it is looked whether those that were asked are still well. */
const LOOK_MS = 250;
const FIRST_MS = 50;
/** Major type 3, length 7. */
const HEALTHY = "\u0067healthy";

/** Of `/api/v2/status`: in CBOR, a text among few others. */
export function isHealthy({ status, body }: HttpResponse): boolean {
  return status === 200 && Buffer.from(body).includes(HEALTHY);
}

export function createFront(count: number, log: LogPort): Front {
  return new NodeFront(count, log);
}

class NodeFront implements Front, Nodes<Target> {
  readonly #count: number;
  readonly #log: LogPort;
  readonly #targets = new Map<number, Target>();
  readonly #underWay = new Set<FrontRequest<Target>>();
  readonly #timers: readonly NodeJS.Timeout[];
  /** Certified height that somebody has been answered from. */
  #newest = 0;
  #turn = 0;

  constructor(count: number, log: LogPort) {
    this.#count = count;
    this.#log = log;
    const checkAll = () => {
      for (const target of this.#targets.values()) this.#checkHealth(target);
    };
    const lookAll = () => {
      for (const request of this.#underWay) request.look();
    };
    this.#timers = [setInterval(checkAll, HEALTH_MS).unref(), setInterval(lookAll, LOOK_MS).unref()];
  }

  readonly api: HttpHandler = (request) =>
    new Promise((resolve) => {
      const underWay = new FrontRequest(this, request, (answer) => {
        this.#underWay.delete(underWay);
        resolve(answer);
      });
      this.#underWay.add(underWay);
      underWay.begin();
    });

  setNode(place: number, url: string | undefined): void {
    const former = this.#targets.get(place);
    if (url === undefined) this.#targets.delete(place);
    else this.#targets.set(place, { place, client: createNodeClient(url), isWell: true, height: 0, load: 0 });
    former?.client.close();
  }

  async firstHealthy(): Promise<void> {
    for (;;) {
      if (isHealthy(await this.api(STATUS))) return;
      await new Promise((resolve) => setTimeout(resolve, FIRST_MS));
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { client } of this.#targets.values()) client.close();
  }

  /** The best of those that have not been asked: one that is well and not behind, with little to do, in turn. */
  next(asked: readonly number[]): Target | undefined {
    this.#turn++;
    let best: Target | undefined;
    for (const target of this.#targets.values()) {
      if (!asked.includes(target.place) && (best === undefined || this.#isBefore(target, best))) best = target;
    }
    return best;
  }

  #isBefore(a: Target, b: Target): boolean {
    return (this.#rank(a) - this.#rank(b) || a.load - b.load || this.#inTurn(a) - this.#inTurn(b)) < 0;
  }

  #rank({ isWell, height }: Target): number {
    return (isWell ? 0 : 2) + (this.#newest - height > FAR_BEHIND ? 1 : 0);
  }

  #inTurn({ place }: Target): number {
    return (place + this.#turn) % this.#count;
  }

  ask(target: Target, request: HttpRequest, reply: Reply): () => void {
    target.load++;
    const giveUp = target.client.send(request, this.#newest, {
      answered: (answer, height) => {
        target.load--;
        this.#noteHeight(target, height);
        reply.answered(answer);
      },
      failed: () => {
        target.load--;
        // Others are asked first until it answers again.
        target.isWell = false;
        reply.failed();
      },
    });
    return () => {
      target.load--;
      giveUp();
    };
  }

  #noteHeight(target: Target, height: number): void {
    if (!Number.isSafeInteger(height)) return;
    target.height = height;
    this.#newest = Math.max(this.#newest, height);
  }

  #checkHealth(target: Target): void {
    const wasWell = target.isWell;
    const settle = (isWell: boolean): void => {
      clearTimeout(timer);
      target.isWell = isWell;
      if (wasWell === isWell || this.#targets.get(target.place) !== target) return;
      this.#log.log("debug", `Node ${target.place + 1} ${isWell ? "answers again" : "does not answer"}.`);
    };
    const timer = setTimeout(() => {
      giveUp();
      settle(false);
    }, HEALTH_TIMEOUT_MS);
    const giveUp = target.client.send(STATUS, 0, {
      answered: ({ status }, height) => {
        this.#noteHeight(target, height);
        settle(status === 200);
      },
      failed: () => settle(false),
    });
  }
}

const STATUS: HttpRequest = {
  method: "GET",
  target: "/api/v2/status",
  headers: { get: () => undefined, entries: () => [] },
  body: new Uint8Array(0),
};
