// What a state holds may change; then the version of the files must change too, or an older folder would be loaded by a
// program that counts on fields which it does not have. This knows the shape that belongs to the version.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { decodeState } from "@atoll/types";
import { Checkpoints } from "../src/checkpoint.ts";
import { CheckpointStore } from "../src/store/checkpoint-store.ts";
import { STORE_VERSION } from "../src/store/integrity.ts";
import { MemoryStorage } from "../src/store/memory-storage.ts";
import { fullState } from "./full-state.ts";

/** Version, and hash of the shape of all records of a state that has something of everything. */
const KNOWN = { version: 9, shape: "4f14e26a6a694583" };

test("the records of a checkpoint have the shape that belongs to the version of the store", () => {
  const store = CheckpointStore.open(new MemoryStorage(), {});
  new Checkpoints(store).save(fullState());
  const shapes = new Set([`meta ${shapeOf(decodeState(store.meta))}`]);
  for (const kind of ["canister/", "ingress/", "local/prepared/", "outcall/", "stream/"]) {
    for (const key of store.keys(kind)) shapes.add(`${kind} ${shapeOf(decodeState(store.get(key) as Uint8Array))}`);
  }
  const shape = createHash("sha256")
    .update([...shapes].sort().join("\n"))
    .digest("hex")
    .slice(0, 16);
  const advice = "raise STORE_VERSION in src/store/integrity.ts, and put the new version and shape here";
  assert.deepEqual({ version: STORE_VERSION, shape }, KNOWN, advice);
});

/** Names and kinds of the parts of a value, without what they hold. */
function shapeOf(value: unknown): string {
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Map) return `map ${union([...value].flat())}`;
  if (value instanceof Set || Array.isArray(value)) return `list ${union([...value])}`;
  if (typeof value !== "object" || value === null) return typeof value;
  const fields = Object.entries(value).map(([name, part]) => `${name}: ${shapeOf(part)}`);
  return `{${fields.sort().join(", ")}}`;
}

function union(values: readonly unknown[]): string {
  return `(${[...new Set(values.map(shapeOf))].sort().join(" | ")})`;
}
