// A node's own state on its disk, and what becomes of it when it turns out to be another one than the subnet's: it is set
// aside, for whoever looks for the reason, and the node begins anew by fetching the state of the others. Section 5.9.
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StateFolder } from "@atoll/host-node";

const SUBNET = "root";
/** Of the newest one that was set aside; earlier ones are gone. */
const SET_ASIDE = "diverged";
const MARK = "diverged";

/** Makes the folder of the subnet's files when it is missing. */
export function openSubnetState(folder: StateFolder): string {
  const path = join(folder.path, `subnet-${SUBNET}`);
  if (folder.readSecret(MARK)?.length === 1) {
    const aside = join(folder.path, `subnet-${SET_ASIDE}`);
    rmSync(aside, { recursive: true, force: true });
    if (existsSync(path)) renameSync(path, aside);
    folder.writeSecret(MARK, new Uint8Array(0));
  }
  folder.storage(SUBNET);
  return path;
}

/** At the next start. */
export function setStateAside(folder: StateFolder): void {
  folder.writeSecret(MARK, Uint8Array.of(1));
}
