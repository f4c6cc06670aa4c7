// The sample canister: deployed when a network starts for the first time, found again afterwards. A start that was
// killed before it was done leaves it to the next one.
import type { StateFolder } from "@atoll/host-node";
import type { Replica } from "@atoll/replica";
import type { CanisterId } from "@atoll/types";
import { canisterCalls } from "./sample-calls.ts";
import { readSample, writeSample } from "./secrets.ts";

export async function deploySample(replica: Replica, folder: StateFolder): Promise<CanisterId | undefined> {
  const saved = readSample(folder);
  if (saved === undefined) return undefined;
  if (saved !== "wanted") return replica.backend.controllers(saved) === undefined ? undefined : saved;
  const { loadSample } = await import("@atoll/example-hello/sample");
  const { wasm, initArg } = await loadSample();
  const calls = canisterCalls(replica);
  const id = await calls.create();
  await calls.install(id, wasm, initArg);
  writeSample(folder, id);
  return id;
}
