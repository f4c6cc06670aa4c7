// The sample canister: deployed when a network starts for the first time, found again afterwards.
import { canisterCalls } from "./sample-calls.ts";
import type { StateFolder } from "@atoll/host-node";
import type { Replica } from "@atoll/replica";
import { type CanisterId, principalFromBytes, principalToBytes } from "@atoll/types";

export async function deploySample(replica: Replica, folder: StateFolder, isNew: boolean): Promise<CanisterId | undefined> {
  const saved = folder.readSecret("sample");
  if (saved !== undefined) {
    const id = principalFromBytes(saved);
    return replica.backend.controllers(id) === undefined ? undefined : id;
  }
  if (!isNew) return undefined;
  const { loadSample } = await import("../../../examples/hello/sample.ts");
  const { wasm, initArg } = await loadSample();
  const calls = canisterCalls(replica);
  const id = await calls.create();
  await calls.install(id, wasm, initArg);
  folder.writeSecret("sample", principalToBytes(id));
  return id;
}
