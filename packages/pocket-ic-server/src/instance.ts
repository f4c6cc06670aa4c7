// One instance: a network and the queue of operations on it. It lives until a client deletes it or the server ends;
// what it keeps on disk is written then.
import type { Network } from "@atoll/pocket-ic";
import { type Outcome, Refusal } from "./answers.ts";
import { type OperationGraph, OperationQueue, type Patience } from "./operations.ts";

/** Where the instance is kept, if anywhere. */
export interface InstanceDisk {
  save(): void;
  /** Leaves the recording, if there is one. */
  record(): Promise<void>;
  close(): void;
}

export class Instance {
  readonly id: number;
  readonly network: Network;
  readonly queue: OperationQueue;
  readonly #disk: InstanceDisk;
  #closing: Promise<void> | undefined;

  constructor(id: number, network: Network, graph: OperationGraph, disk: InstanceDisk) {
    this.id = id;
    this.network = network;
    this.queue = new OperationQueue(graph);
    this.#disk = disk;
  }

  /** Time follows the real clock from now on, and rounds run by themselves. Throws a Refusal when it does already. */
  startProgress(delayMs: number): void {
    if (this.network.isProgressing) throw new Refusal(400, "Auto progress mode has already been enabled.");
    this.network.startProgress({ artificialDelayMs: delayMs });
  }

  /** Runs an operation in its turn; what it changed about the instance itself is kept before its result is known. */
  operate(name: string, work: (network: Network) => Promise<Outcome>, patience: Patience): Promise<Outcome> {
    const keeping = async (): Promise<Outcome> => {
      const subnets = this.network.subnets.size;
      const outcome = await work(this.network);
      if (this.network.subnets.size !== subnets) this.#disk.save();
      return outcome;
    };
    return this.queue.run(name, keeping, patience);
  }

  /** Waits for the operation that runs, refuses the others. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.queue.close();
    await this.#disk.record();
    await this.network.close();
    this.#disk.save();
    this.#disk.close();
  }
}

/** Sets the time, and has the state certified at that time at once. Throws a Refusal when it is past. */
export async function setCertifiedTime(network: Network, time: bigint): Promise<void> {
  setTime(network, time);
  const certified = network.root.replica.backend.certifiedState()?.time;
  if (certified === undefined || certified < time) await network.certifyTime();
}

/** Throws a Refusal when it is past. */
export function setTime(network: Network, time: bigint): void {
  if (time < network.time) throw new Refusal(400, `SettingTimeIntoPast((${network.time}, ${time}))`);
  network.setTime(time);
}
