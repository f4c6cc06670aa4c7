// The folder that an instance keeps its state in: the subnets as any node keeps them, and one file that says which
// subnets there are, the seed of their keys and the time. Each round is durable before its effects can be seen, so
// that it does not matter how the server ends.
import fs from "node:fs";
import { join } from "node:path";
import { openStateFolder } from "@atoll/host-node";
import type { Network, SubnetSpec } from "@atoll/pocket-ic";
import { decodeState, encodeState, type StoragePort, type Time } from "@atoll/types";

export interface KeptInstance {
  /** In the order in which they were made. */
  readonly subnets: readonly SubnetSpec[];
  readonly seed: Uint8Array;
  readonly time: Time | undefined;
}

export interface StateDirectory {
  readonly storage: (place: number) => StoragePort;
  /** Undefined: the folder is new. */
  load(): KeptInstance | undefined;
  /** Durable when it returns. */
  begin(instance: KeptInstance): void;
  /** Notes what has changed since. */
  save(network: Network): void;
  close(): void;
}

const INSTANCE = "instance";

/** Whether the folder holds an instance already. */
export function isKeptInstance(path: string): boolean {
  return fs.existsSync(join(path, `secret-${INSTANCE}`));
}

/** Throws EnvironmentError: another server uses the folder, or somebody else's files are in it. */
export function openStateDirectory(path: string): StateDirectory {
  const folder = openStateFolder(path);
  let kept: KeptInstance | undefined;
  const write = (instance: KeptInstance): void => {
    folder.writeSecret(INSTANCE, encodeState(instance));
    kept = instance;
  };
  return {
    storage: (place) => folder.storage(String(place)),
    load() {
      const saved = folder.readSecret(INSTANCE);
      kept = saved && (decodeState(saved) as KeptInstance);
      return kept;
    },
    begin: write,
    save({ subnets, time }) {
      if (kept === undefined || (kept.time === time && kept.subnets.length === subnets.size)) return;
      write({ subnets: [...subnets.values()].map(({ spec }) => spec), seed: kept.seed, time });
    },
    close: () => folder.close(),
  };
}
