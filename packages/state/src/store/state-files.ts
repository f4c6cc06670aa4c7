// Which files a state has in its storage, and what becomes of them when they are damaged: a node of a subnet of many gets
// its state from the others then, and what was damaged is kept for whoever wants to know why, one set of it and no more.
import type { StoragePort } from "@atoll/types/ports";
import { MANIFEST_FILE } from "./checkpoint-manifest.ts";
import { checkpointSegmentNumber } from "./checkpoint-records.ts";
import { LOG_MARK_FILE } from "./log-mark.ts";
import { logSegmentHeight } from "./log-records.ts";

const DAMAGED = "damaged-";
const HASHES = /^hashes-(\d{16})\.table$/;
const FETCHED = /^fetched-\d{8}\.chunks$/;

/** The hashes of the checkpoint of that height. */
export function hashesFileName(height: number): string {
  return `hashes-${String(height).padStart(16, "0")}.table`;
}

/** Undefined for any other file. */
export function hashesFileHeight(name: string): number | undefined {
  const digits = HASHES.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Chunks of a state that is being fetched, perhaps by the process before. */
export function fetchedFileName(number: number): string {
  return `fetched-${String(number).padStart(8, "0")}.chunks`;
}

export function isFetchedFile(name: string): boolean {
  return FETCHED.test(name);
}

/** Whether a file of that name is a state's, in use or set aside. */
export function isStateFile(name: string): boolean {
  if (name.startsWith(DAMAGED)) return isStateFile(name.slice(DAMAGED.length));
  return isInUse(name) || isFetchedFile(name);
}

/**
 * Sets the files of a state aside, so that the next start begins with an empty one and fetches it from the other nodes: for
 * a node of a subnet of many whose state is damaged (STATE_CORRUPT). What was set aside before is removed.
 */
export function setStateAside(storage: StoragePort): void {
  const names = storage.list();
  for (const name of names) if (name.startsWith(DAMAGED) && isStateFile(name)) storage.remove(name);
  for (const name of names) if (isFetchedFile(name)) storage.remove(name);
  // The manifest last: as long as it is there, a start after a crash in between finds the damage again.
  const inUse = names.filter((name) => isInUse(name) && name !== MANIFEST_FILE);
  if (names.includes(MANIFEST_FILE)) inUse.push(MANIFEST_FILE);
  for (const name of inUse) storage.rename(name, DAMAGED + name);
}

function isInUse(name: string): boolean {
  if (name === LOG_MARK_FILE || name === MANIFEST_FILE || hashesFileHeight(name) !== undefined) return true;
  return logSegmentHeight(name) !== undefined || checkpointSegmentNumber(name) !== undefined;
}
