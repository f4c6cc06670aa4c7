// A whole node as a host makes it: a replica with real state and real Wasm, on the ports of its simulated machine. Only the
// executor has something between it and the replica: its work takes virtual time (sim-executor.ts).
import { InlineExecutor } from "@atoll/replica";
import { createConsensusReplica } from "@atoll/replica/consensus/consensus-replica";
import { type CryptoPort, EnvironmentError, OTHER_VERSION_NEEDED } from "@atoll/types";
import type { CoreParts, MakeCore, NodeCore } from "./node-core.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import { simExecutor } from "./sim-executor.ts";

interface WholePorts {
  readonly scheduler: Scheduler;
  readonly crypto: CryptoPort;
  readonly random: Random;
  readonly crc32?: (bytes: Uint8Array, seed?: number) => number;
}

export function wholeCores(ports: WholePorts): MakeCore {
  return (parts) => wholeCore(parts, ports);
}

function wholeCore(parts: CoreParts, { scheduler, crypto, random, crc32 }: WholePorts): NodeCore {
  const { identity, subnet, execution } = parts;
  const { config, rootKey } = subnet;
  const inline = new InlineExecutor(
    { config, rootKey, agreedCheckpoints: true },
    { storage: parts.stateStorage, crypto, log: parts.log, ...(crc32 && { crc32 }) },
  );
  const executor = simExecutor(inline, execution, { scheduler, random });
  let failure: { readonly error: unknown } | undefined;
  const replica = createConsensusReplica(
    {
      config,
      rootKey,
      rootSubnetId: config.subnetId,
      nodeId: identity.id,
      nodeSecret: identity.secret,
      protocolVersion: parts.protocolVersion,
      genesis: parts.genesis,
      onEvent: parts.onEvent,
      onRound: ({ height }, rootHash) => parts.onRound({ height, rootHash }),
      onDiverged: parts.onDiverged,
      onFailure: (error) => {
        // The process beside the node sees the same package, and brings the version.
        if (error instanceof EnvironmentError && error.code === OTHER_VERSION_NEEDED) return;
        execution.onWorked();
        failure = { error };
        replica.onWork?.();
      },
    },
    { ...parts, crypto },
    executor,
  );
  return {
    backend: replica.backend,
    peerHandler: replica.peerHandler,
    // Executors, clients and peers are waited for all the time.
    mayWait: true,
    get onWork() {
      return replica.onWork;
    },
    set onWork(listener) {
      replica.onWork = listener;
    },
    start: () => replica.start(),
    step() {
      if (failure !== undefined) throw failure.error;
      return replica.step();
    },
    status: () => replica.status(),
    // What it would still write goes to a disk that is no longer its own.
    discard: () => void inline.stop().catch(() => undefined),
  };
}
