// Node as the host of simulated runs: its crypto, its way to get behind all promises that are settled, and what the nodes of a
// run are made of. Nothing here decides what happens in a run.
import { openConsensus } from "@atoll/consensus";
import { createNodeCrypto, sha256 } from "@atoll/host-node";
import { countingCores, type SimHost } from "@atoll/simulator";

export async function nodeHost(): Promise<SimHost> {
  const crypto = await createNodeCrypto();
  return {
    crypto,
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    makeCore: (scheduler) => countingCores({ scheduler, openConsensus, sha256 }),
  };
}
