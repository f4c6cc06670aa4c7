// The sample canister: deployed when a network starts for the first time, found again afterwards. A start that was
// killed before it was done leaves it to the next one.
import type { StateFolder } from "@atoll/host-node";
import type { CanisterId } from "@atoll/types";
import type { CanisterCalls } from "./sample-calls.ts";
import { readSample, writeSample } from "./secrets.ts";

export async function deploySample(
  calls: CanisterCalls & { exists(id: CanisterId): Promise<boolean> },
  folder: StateFolder,
): Promise<CanisterId | undefined> {
  const saved = readSample(folder);
  if (saved === undefined) return undefined;
  if (saved !== "wanted") return (await calls.exists(saved)) ? saved : undefined;
  const { loadSample } = await import("@atoll/example-hello/sample");
  const { wasm, initArg } = await loadSample();
  const id = await calls.create();
  await calls.install(id, wasm, initArg);
  writeSample(folder, id);
  return id;
}
