// Node as the host of simulated runs: its crypto, its way to get behind all promises that are settled, and what the nodes of a
// run are made of. Nothing here decides what happens in a run.
import { crc32 } from "node:zlib";
import { openConsensus } from "@atoll/consensus";
import { createNodeCrypto, sha256 } from "@atoll/host-node";
import { countingCores, type SimHost, wholeCores } from "@atoll/simulator";
import { workloadModule } from "./workload.ts";

/** whole: replicas with real state. counting: real consensus with next to no state. */
export type Fleet = "whole" | "counting";

export async function nodeHost(fleet: Fleet): Promise<SimHost> {
  const crypto = await createNodeCrypto();
  return {
    crypto,
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    module: workloadModule(),
    makeCore: (scheduler, random) =>
      fleet === "whole"
        ? wholeCores({ scheduler, random, crypto, crc32 })
        : countingCores({ scheduler, openConsensus, sha256 }),
  };
}
