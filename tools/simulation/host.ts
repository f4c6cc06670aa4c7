// Node as the host of simulated runs: its crypto, its way to get behind all promises that are settled, and what the nodes of a
// run are made of. Nothing here decides what happens in a run.
import { crc32 } from "node:zlib";
import { openConsensus } from "@atoll/consensus";
import { createNodeCrypto, sha256 } from "@atoll/host-node";
import { countingCores, type Settle, type SimHost, wholeCores } from "@atoll/simulator";

/** whole: replicas with real state. counting: real consensus with next to no state. */
export type Fleet = "whole" | "counting";

export async function nodeHost(fleet: Fleet): Promise<SimHost> {
  const crypto = await createNodeCrypto();
  // Where nobody executes anything there are no clients, nor what they would call.
  const module = fleet === "whole" ? (await import("./workload.ts")).workloadModule() : new Uint8Array();
  return {
    crypto,
    settle: nodeSettle(),
    module,
    makeCore: (scheduler, random) =>
      fleet === "whole"
        ? wholeCores({ scheduler, random, crypto, crc32 })
        : countingCores({ scheduler, openConsensus, sha256 }),
  };
}

/** A turn of the event loop is dear, and nothing of a run waits for one; but whatever else the process does must not starve. */
const TURN_EVERY = 1000;

/** A tick comes when all promises that are settled, and those that these settle, have been looked at. */
function nodeSettle(): Settle {
  let count = 0;
  return () =>
    new Promise((resolve) => {
      if (++count % TURN_EVERY === 0) setImmediate(resolve);
      else process.nextTick(resolve);
    });
}
