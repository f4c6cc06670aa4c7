// The sample canister: deployed when a network starts for the first time, found again afterwards. A start that was
// killed before it was done leaves it to the next one.
import type { StateFolder } from "@atoll/host-node";
import type { CanisterId } from "@atoll/types";
import type { LocalNetwork } from "./local-network.ts";
import { canisterCalls } from "./sample-calls.ts";
import { readSample, writeSample } from "./secrets.ts";

export async function deploySample(
  network: Pick<LocalNetwork, "replicaOf" | "defaultReplica">,
  folder: StateFolder,
): Promise<CanisterId | undefined> {
  const saved = readSample(folder);
  if (saved === undefined) return undefined;
  if (saved !== "wanted") return network.replicaOf(saved)?.backend.controllers(saved) === undefined ? undefined : saved;
  const { loadSample } = await import("@atoll/example-hello/sample");
  const { wasm, initArg } = await loadSample();
  const calls = canisterCalls(network.defaultReplica);
  const id = await calls.create();
  await calls.install(id, wasm, initArg);
  writeSample(folder, id);
  return id;
}
