// The supervisor with small programs in place of nodes: what it does when one ends, cannot start, or will not end.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { EnvironmentError } from "@atoll/types";
import { createSupervisor, type Supervisor } from "../src/nodes/supervisor.ts";
import { temporaryFolder } from "./process.ts";

const READY = 'process.send({ kind: "ready", id: "x", url: "http://127.0.0.1:1", rootKey: "" });';
const STAY = "process.on('message', () => {}); setInterval(() => {}, 1000);";
const program = (source: string): readonly string[] => {
  return [process.execPath, ...(/^\s*import /.test(source) ? ["--input-type=module"] : []), "-e", source];
};

const supervisors: Supervisor[] = [];
after(() => Promise.all(supervisors.map((supervisor) => supervisor.stop())));

interface Watched {
  readonly supervisor: Supervisor;
  readonly warnings: string[];
  readonly ready: number[];
  readonly ended: number[];
}

function supervise(...sources: readonly string[]): Watched {
  const watched = { warnings: [] as string[], ready: [] as number[], ended: [] as number[] };
  const supervisor = createSupervisor({
    commands: sources.map(program),
    log: { log: (_, message) => watched.warnings.push(message) },
    onMessage: (place, { kind }) => kind === "ready" && watched.ready.push(place),
    onEnded: (place) => watched.ended.push(place),
  });
  supervisors.push(supervisor);
  return { supervisor, ...watched };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a program that is killed is started again, and the others are left alone", { timeout: 60_000 }, async () => {
  const { supervisor, ready, ended, warnings } = supervise(READY + STAY, READY + STAY);
  await supervisor.start();
  const [first, second] = [supervisor.pid(0), supervisor.pid(1)] as [number, number];
  for (let kills = 1; kills <= 2; kills++) {
    process.kill(supervisor.pid(0) as number, "SIGKILL");
    await until(() => ready.filter((place) => place === 0).length === 1 + kills);
  }
  assert.notEqual(supervisor.pid(0), first);
  assert.equal(supervisor.pid(1), second);
  assert.deepEqual(ended, [0, 0]);
  assert.match(warnings[0] ?? "", /^Node 1 ended \(SIGKILL\); it is started again in \d+ ms\.$/);
  await supervisor.stop();
  assert.ok(!isRunning(second));
});

test("one that cannot start is the reason why the start fails, and no other is left", { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const pidFile = join(folder, "pid");
  const noting = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));`;
  const failing = `const wait = setInterval(() => {
    if (!require("fs").existsSync(${JSON.stringify(pidFile)})) return;
    clearInterval(wait);
    console.error("atoll: something before");
    console.error("atoll: Port 4100 is taken.");
    process.exitCode = 1;
    process.disconnect();
  }, 10);`;
  const { supervisor } = supervise(noting + READY + STAY, failing);
  const error = await supervisor.start().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EnvironmentError && error.code === "NODE_START", String(error));
  assert.equal(error.message, "Node 2 could not start: Port 4100 is taken.");
  assert.ok(!isRunning(Number(readFileSync(pidFile, "utf8"))));
});

test("a program that dies again and again is given more and more time", { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const marker = join(folder, "dies");
  const dying = `${READY} setTimeout(() => require("fs").existsSync(${JSON.stringify(marker)}) && process.exit(3), 20);${STAY}`;
  writeFileSync(marker, "");
  const { supervisor, warnings } = supervise(dying);
  await supervisor.start();
  await until(() => warnings.length >= 3);
  await supervisor.stop();
  const waits = warnings.map((warning) => Number(/again in (\d+) ms/.exec(warning)?.[1]));
  assert.ok(existsSync(marker));
  assert.deepEqual(waits.slice(0, 3), [200, 400, 800]);
});

test("nothing is started any more once it has been told to stop", { timeout: 60_000 }, async () => {
  const { supervisor, ready } = supervise(READY + STAY);
  await supervisor.start();
  process.kill(supervisor.pid(0) as number, "SIGKILL");
  await until(() => supervisor.pid(0) === undefined);
  await supervisor.stop();
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(ready, [0]);
});

test("a program that needs another version of itself is not started again", { timeout: 60_000 }, async () => {
  const ending = `
    import { fatal } from ${JSON.stringify(new URL("../src/signals.ts", import.meta.url).href)};
    import { EnvironmentError, OTHER_VERSION_NEEDED } from "@atoll/types/errors";
    ${READY}
    setTimeout(() => fatal(new EnvironmentError(OTHER_VERSION_NEEDED, "Install version 2.")), 20);`;
  const { supervisor, ready, ended, warnings } = supervise(ending);
  await supervisor.start();
  await until(() => ended.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual(warnings, ["Node 1 needs another version of this program; it is not started again."]);
  assert.deepEqual([ready, ended, supervisor.pid(0)], [[0], [0], undefined]);
});
