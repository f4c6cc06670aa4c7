// The small files beside the state: the keys, which make it the same network after a restart; whether the network
// has begun; which canister is the sample. Each is written whole or not at all (state-folder.ts). Once a network has
// begun, a part of it that is not there was lost: that is said, and never answered with a new network in its place.
import { nodeEntropy, type StateFolder } from "@atoll/host-node";
import { makeSecrets, type NodeSecrets } from "@atoll/replica";
import { MANIFEST_FILE } from "@atoll/state/store/checkpoint-manifest";
import {
  type CanisterId,
  type CryptoPort,
  decodeState,
  EnvironmentError,
  encodeState,
  principalFromBytes,
  principalToBytes,
} from "@atoll/types";

export const SUBNET = "root";
const KEYS = "node";
const BEGUN = "begun";
const SAMPLE = "sample";
const NOTHING = new Uint8Array(0);

export function readOrMakeSecrets(
  folder: StateFolder,
  crypto: CryptoPort,
  { sample }: { sample: boolean },
): NodeSecrets {
  const saved = folder.readSecret(KEYS);
  const hasState = folder.subnets().includes(SUBNET) && folder.storage(SUBNET).size(MANIFEST_FILE) !== undefined;
  const hasBegun = isBegun(folder);
  if (saved !== undefined) {
    if (hasBegun && !hasState) throw lost(folder, `subnet-${SUBNET}/${MANIFEST_FILE}`);
    return decodeState(saved) as NodeSecrets;
  }
  if (hasBegun || hasState) throw lost(folder, `secret-${KEYS}`);
  // Before the keys: a first start that is killed leaves the sample to be deployed by the next one.
  if (sample) wantSample(folder);
  const secrets = makeSecrets(nodeEntropy, crypto);
  folder.writeSecret(KEYS, encodeState(secrets));
  return secrets;
}

/** Whether the folder has the keys of a network that is one subnet. */
export function hasSoloSecrets(folder: StateFolder): boolean {
  return folder.readSecret(KEYS) !== undefined;
}

/** From now on the state must be there. */
export function noteBegun(folder: StateFolder): void {
  if (!isBegun(folder)) folder.writeSecret(BEGUN, NOTHING);
}

/** That the file is there says it all: damage to it is no reason to refuse a start. */
export function isBegun(folder: StateFolder): boolean {
  try {
    return folder.readSecret(BEGUN) !== undefined;
  } catch (error) {
    if (error instanceof EnvironmentError && error.code === "STATE_CORRUPT") return true;
    throw error;
  }
}

/** The sample's canister, "wanted" while it is still to be deployed, undefined on a network without one. */
export function readSample(folder: StateFolder): CanisterId | "wanted" | undefined {
  const saved = folder.readSecret(SAMPLE);
  if (saved === undefined) return undefined;
  return saved.length === 0 ? "wanted" : principalFromBytes(saved);
}

export function wantSample(folder: StateFolder): void {
  folder.writeSecret(SAMPLE, NOTHING);
}

export function writeSample(folder: StateFolder, id: CanisterId): void {
  folder.writeSecret(SAMPLE, principalToBytes(id));
}

export function lost(folder: StateFolder, file: string): EnvironmentError {
  return new EnvironmentError(
    "STATE_CORRUPT",
    `The file ${file} in the state folder ${folder.path} is missing. Nothing was changed; restore a copy of the whole ` +
      "state folder, or start again with --clean, which deletes the state of this network.",
  );
}
