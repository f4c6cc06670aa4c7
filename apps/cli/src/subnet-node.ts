// One subnet of the local network as it runs here: its replica, the thread that executes for it, and the loop that
// moves it on. A network has one or several of them.
import { join } from "node:path";
import type { RoundEvent } from "@atoll/execution";
import { createOutcallClient, nodeClock, nodeEntropy, type StateFolder } from "@atoll/host-node";
import { type ExecutedRound, Replica, type ReplicaOptions } from "@atoll/replica";
import type { CryptoPort, LogPort, PrincipalId } from "@atoll/types";
import { type Drive, drive } from "./drive.ts";
import { recordingName } from "./recordings.ts";
import { fatal } from "./signals.ts";
import type { QueryThread } from "./threads/query-calls.ts";
import { createThreadExecutor } from "./threads/thread-executor.ts";

export interface SubnetNode {
  /** Of its folder. */
  readonly name: string;
  readonly id: PrincipalId;
  readonly replica: Replica;
  /** Moves it on from now on; after `replica.start()`. */
  run(): void;
  stop(): Promise<void>;
}

/** What the subnets of a network share. */
export interface NodeSurroundings {
  readonly folder: StateFolder;
  readonly crypto: CryptoPort;
  readonly log: LogPort;
  readonly queries: QueryThread;
  /** The folder that its subnets are recorded in, if they are. */
  readonly recordings: string | undefined;
  onRound(subnet: string, round: ExecutedRound): void;
  onQueryEvents(subnet: string, events: readonly RoundEvent[]): void;
}

/** `subnetCount`: how many the network has with this one. */
export function createNode(
  name: string,
  options: ReplicaOptions,
  subnetCount: number,
  { folder, crypto, log, queries, recordings, onRound, onQueryEvents }: NodeSurroundings,
): SubnetNode {
  // Makes its folder.
  folder.storage(name);
  const executor = createThreadExecutor({
    config: options.config,
    rootKey: options.rootKey,
    storagePath: join(folder.path, `subnet-${name}`),
    recording: recordings === undefined ? undefined : { folder: recordings, file: recordingName(name) },
    subnetCount,
    checkpointBatches: testSetting("ATOLL_TEST_CHECKPOINT_BATCHES"),
    log,
    queries,
    onCrash: fatal,
  });
  const replica = new Replica(
    {
      ...options,
      onRound: (round) => onRound(name, round),
      onQueryEvents: (events) => onQueryEvents(name, events),
    },
    { clock: nodeClock, entropy: nodeEntropy, crypto, log },
    executor,
  );
  let driver: Drive | undefined;
  return {
    name,
    id: options.config.subnetId,
    replica,
    run() {
      driver = drive(replica, nodeClock, fatal);
      // Who develops has servers on this machine, mostly without certificates.
      replica.outcalls.serve(createOutcallClient({ plainHttp: "loopback" }));
    },
    async stop() {
      replica.outcalls.serve(undefined);
      await driver?.stop();
      await replica.stop();
    },
  };
}

/** A number that a test sets in the environment; it belongs to no interface. */
function testSetting(name: string): number | undefined {
  const value = Number(process.env[name]);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
