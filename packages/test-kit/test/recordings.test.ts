// Where the environment asks for it, each network of a test leaves its recording when it is closed, forks too.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sha256 } from "@atoll/host-node";
import { createNetwork } from "@atoll/test-kit";
import { replayRecording } from "../../replica/src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "atoll-test-"));
process.env.ATOLL_RECORDINGS = folder;
after(() => rmSync(folder, { recursive: true, force: true }));

test("networks and forks leave a file each, in the order in which they were closed", async () => {
  const network = await createNetwork();
  await network.createCanister();
  const fork = await network.fork();
  await fork.createCanister();
  await fork.close();
  await network.close();
  const files = readdirSync(folder).sort();
  assert.deepEqual(
    files.map((name) => /^\d{4}-\d\d-\d\dT[\d-]+Z-\d+-(\d)\.recording$/.exec(name)?.[1]),
    ["1", "2"],
  );
  const [ofFork, ofNetwork] = await Promise.all(
    files.map((name) => replayRecording(readFileSync(join(folder, name)), { crypto: { sha256 } })),
  );
  assert.deepEqual([ofFork?.difference, ofNetwork?.difference], [undefined, undefined]);
  assert.ok((ofFork?.batches ?? 0) > (ofNetwork?.batches ?? 0));
});
