// The instances of a server, by number: created, listed, deleted. Numbers are never given out twice, so that a client
// with an old one is told that its instance is gone.
import { randomBytes } from "node:crypto";
import type { RoundEvent } from "@atoll/execution";
import { keepRecording } from "@atoll/host-node";
import { Network, type NetworkPorts } from "@atoll/pocket-ic";
import { EnvironmentError } from "@atoll/types";
import { Refusal } from "./answers.ts";
import { canisterLines } from "./canister-lines.ts";
import { FIRST_TIME, type InstanceOptions } from "./creation.ts";
import { Instance } from "./instance.ts";
import type { OperationGraph } from "./operations.ts";
import type { ServerLog } from "./server-log.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";

const SEED_BYTES = 32;

export class Instances {
  readonly #ports: NetworkPorts;
  readonly #graph: OperationGraph;
  readonly #log: ServerLog;
  readonly #recordings: string | undefined;
  /** Undefined: deleted. */
  readonly #all: (Instance | undefined)[] = [];
  /** `recordings`: the folder where instances leave theirs. */
  constructor(ports: NetworkPorts, graph: OperationGraph, log: ServerLog, recordings?: string) {
    this.#recordings = recordings;
    this.#log = log;
    this.#ports = ports;
    this.#graph = graph;
  }

  /** Throws a Refusal. */
  async create(options: InstanceOptions): Promise<Instance> {
    const directory = options.stateDir === undefined ? undefined : openFolder(options.stateDir);
    try {
      const kept = directory?.load();
      const begun = kept ?? { subnets: options.subnets, seed: randomBytes(SEED_BYTES), time: undefined };
      if (kept === undefined) directory?.begin(begun);
      const network = await Network.create(
        {
          subnets: begun.subnets,
          seed: begun.seed,
          ...(directory && { storage: directory.storage }),
          // A recording begins with the first batch.
          record: this.#recordings !== undefined && kept === undefined,
          ...startTimeOf(options, begun.time),
        },
        this.#ports,
      );
      const instance = this.#add(network, directory);
      if (options.progress !== undefined) instance.startProgress(options.progress.delayMs);
      return instance;
    } catch (error) {
      directory?.close();
      if (error instanceof EnvironmentError || error instanceof TypeError) throw new Refusal(400, error.message);
      throw error;
    }
  }

  #add(network: Network, directory: StateDirectory | undefined): Instance {
    const id = this.#all.length;
    const instance = new Instance(id, network, this.#graph, {
      save: () => directory?.save(network),
      record: () => this.#keepRecording(id, network),
      close: () => directory?.close(),
    });
    const show = (events: readonly RoundEvent[]): void => {
      for (const line of canisterLines(events)) this.#log.canister(line);
    };
    network.onRound = (_, { events }) => show(events);
    network.onQueryEvents = show;
    this.#all.push(instance);
    return instance;
  }

  async #keepRecording(id: number, network: Network): Promise<void> {
    if (this.#recordings === undefined) return;
    if (!network.isRecorded) {
      this.#log.log("warning", `Instance ${id} is not recorded: it goes on from its state folder`);
      return;
    }
    // What comes after it would be missing.
    await network.stopProgress();
    try {
      keepRecording(this.#recordings, `instance-${id}`, await network.recording());
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#log.log("error", error.message);
    }
  }

  /** Throws a Refusal: there never was one of that number, or it is deleted. */
  get(id: number): Instance {
    const instance = this.#all[id];
    if (instance !== undefined) return instance;
    throw new Refusal(400, id < this.#all.length ? "Instance was deleted" : "Instance not found");
  }

  list(): string[] {
    return this.#all.map((instance) => instance?.queue.state ?? "Deleted");
  }

  /** Waits for the operation that runs. A second time it does nothing. */
  async delete(id: number): Promise<void> {
    if (id >= this.#all.length) throw new Refusal(400, "Instance not found");
    await this.#all[id]?.close();
    this.#all[id] = undefined;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#all.map((_, id) => this.delete(id)));
  }
}

function openFolder(path: string): StateDirectory {
  try {
    return openStateDirectory(path);
  } catch (error) {
    throw error instanceof EnvironmentError ? new Refusal(400, error.message) : error;
  }
}

/** What clients see of a fresh instance is one round later; one that is opened again has had a round at its end, too. */
function startTimeOf({ startTime = FIRST_TIME }: InstanceOptions, kept: bigint | undefined): { startTime: bigint } {
  if (kept === undefined) return { startTime: startTime + 1n };
  return { startTime: startTime > kept ? startTime : kept + 2n };
}
