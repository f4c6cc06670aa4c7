// What a start says when it cannot be, and what its options do. Every refusal is one sentence that says what to do, an
// exit code that is not 0, and a state folder that another start goes on with.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { type Exit, endAll, launch, type Network, run, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf } from "./recorder.ts";

/** One sentence on standard error, nothing on standard output, and a code that is not 0. */
function assertRefused(exit: Exit, ...parts: readonly (string | RegExp)[]): void {
  assert.equal(exit.code, 1, `exit code; standard error: ${exit.stderr}`);
  assert.equal(exit.stdout, "");
  assert.match(exit.stderr, /^atoll: [^\n]+\.\n$/, "one line");
  for (const part of parts) {
    if (typeof part === "string") assert.ok(exit.stderr.includes(part), `"${exit.stderr}" says "${part}"`);
    else assert.match(exit.stderr, part);
  }
}

const startArgs = (stateDir: string, ...more: readonly string[]): string[] => {
  return ["start", "--port", "0", "--no-sample", "--json", "--state-dir", stateDir, ...more];
};

let network: Network;
before(async () => {
  network = await startNetwork({ stateDir: join(temporaryFolder(), "new", "folder") });
});
after(endAll);

test("a folder that does not exist is made, and belongs to the user alone", () => {
  assert.ok(existsSync(join(network.stateDir, "atoll-state")));
  assert.equal(readFileSync(join(network.stateDir, "pid"), "utf8"), `${network.pid}\n`);
});

test("a folder in use is refused with the process that uses it, also with --clean", async () => {
  const files = readdirSync(network.stateDir);
  for (const more of [[], ["--clean"]]) {
    assertRefused(
      await run(startArgs(network.stateDir, ...more)),
      "in use",
      String(network.pid),
      "stop that network first",
    );
  }
  assert.deepEqual(readdirSync(network.stateDir), files);
  await agentOf(network).status();
});

test("a port that is taken is named", async () => {
  const stateDir = temporaryFolder();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    assertRefused(await run(startArgs(stateDir, "--port", String(port))), `Port ${port}`, "choose another port");
  } finally {
    server.close();
  }
  const second = await startNetwork({ stateDir, args: ["--port", String(port)] });
  assert.equal(new URL(second.gatewayUrl).port, String(port));
  await second.kill("SIGKILL");
});

test("a folder that cannot be used is refused", async (t) => {
  const folder = temporaryFolder();
  const file = join(folder, "file");
  writeFileSync(file, "a file of somebody");
  assertRefused(await run(startArgs(file)), file, "choose another");
  assertRefused(await run(startArgs(join(file, "below"))), join(file, "below"), "choose another");
  const locked = join(folder, "locked");
  mkdirSync(locked, { mode: 0o500 });
  const isMounted = process.getuid?.() === 0 && mount("tmpfs", "ro,size=1m", locked);
  if (process.getuid?.() === 0 && !isMounted) {
    t.diagnostic(
      "not checked: a folder without write permission (root may write everywhere, and mount is not allowed)",
    );
  } else {
    try {
      assertRefused(await run(startArgs(locked)), locked, /choose another/);
      assertRefused(await run(startArgs(join(locked, "below"))), locked, /choose another/);
    } finally {
      if (isMounted) execFileSync("umount", [locked]);
      else chmodSync(locked, 0o700);
    }
  }
});

test("a folder with other files in it is refused, also with --clean, and nothing is touched", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "thesis.tex"), "years of work");
  for (const more of [[], ["--clean"]]) assertRefused(await run(startArgs(folder, ...more)), folder, "thesis.tex");
  assert.deepEqual(readdirSync(folder), ["thesis.tex"]);
});

test("a folder of another version is refused, and stays as it is", async () => {
  const folder = temporaryFolder();
  const text = "Atoll state folder, format 2";
  const line = `${text}, check ${crc32(text).toString(16).padStart(8, "0")}\n`;
  writeFileSync(join(folder, "atoll-state"), line);
  assertRefused(await run(startArgs(folder)), folder, "format version 2", "--clean");
  assert.equal(readFileSync(join(folder, "atoll-state"), "utf8"), line);
});

test("of several starts at once on one folder, exactly one gets it", async () => {
  const stateDir = temporaryFolder();
  const started = [1, 2, 3].map(() => launch(startArgs(stateDir)));
  const results = await Promise.allSettled(started.map(({ ready }) => ready));
  const winners = started.filter((_, i) => results[i]?.status === "fulfilled");
  const losers = started.filter((_, i) => results[i]?.status === "rejected");
  assert.equal(winners.length, 1);
  for (const { exited } of losers) assertRefused(await exited, "in use");
  const [winner] = winners;
  assert.equal((await winner?.kill("SIGTERM"))?.code, 0);
});

test("SIGINT and SIGTERM end it with code 0, and the same network starts again", async () => {
  const stateDir = temporaryFolder();
  let rootKey: Uint8Array | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const started = await startNetwork({ stateDir });
    assert.deepEqual(started.rootKey, rootKey ?? started.rootKey);
    ({ rootKey } = started);
    const { code, stdout, stderr } = await started.kill(signal);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.equal(stdout.split("\n").length, 2, "one line of JSON");
    assert.ok(!existsSync(join(stateDir, "pid")));
  }
});

test("a signal during the start ends it with code 0 as well", async () => {
  for (const delayMs of [0, 60, 200, 400]) {
    // A folder of its own: the lock in it shows that the program is up and listens to signals.
    const stateDir = temporaryFolder();
    const started = launch(startArgs(stateDir));
    while (!existsSync(join(stateDir, "lock.sqlite"))) await pause(5);
    await pause(delayMs);
    const { code, signal, stderr } = await started.kill("SIGTERM");
    assert.equal(code, 0, `${signal} ${stderr}`);
  }
});

test("--clean starts a new network, and only then", async () => {
  const stateDir = temporaryFolder();
  const keys: string[] = [];
  for (const args of [[], [], ["--clean"], []]) {
    const started = await startNetwork({ stateDir, args });
    keys.push(Buffer.from(started.rootKey).toString("hex"));
    await started.kill("SIGKILL");
  }
  assert.equal(keys[0], keys[1]);
  assert.notEqual(keys[1], keys[2]);
  assert.equal(keys[2], keys[3]);
});

test("--host chooses the address, and a wrong one is told", async () => {
  const started = await startNetwork({ stateDir: temporaryFolder(), args: ["--host", "127.0.0.2"] });
  const { port, hostname } = new URL(started.gatewayUrl);
  assert.equal(hostname, "127.0.0.2");
  assert.equal((await fetch(`http://127.0.0.2:${port}/api/v2/status`)).status, 200);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v2/status`));
  await started.kill("SIGKILL");
  assertRefused(await run(startArgs(temporaryFolder(), "--host", "192.0.2.1")), "192.0.2.1", "choose another host");
});

test("without --json a person can read it, and --state-dir is .atoll", async () => {
  const cwd = temporaryFolder();
  const started = launch(["start", "--port", "0", "--no-sample"], { cwd });
  while (!started.output().stdout.includes("Ctrl+C")) {
    await Promise.race([pause(20), started.exited.then((exit) => assert.fail(exit.stderr))]);
  }
  const { stdout, code } = await started.kill("SIGINT");
  assert.equal(code, 0);
  assert.match(stdout, /gateway +http:\/\/127\.0\.0\.1:\d+\n/);
  assert.match(stdout, /root key +308182[0-9a-f]{260}\n/);
  assert.ok(existsSync(join(cwd, ".atoll", "atoll-state")));
});

test("what cannot be understood is told, with the way to the help", async () => {
  const wrong = [
    ["start", "--port", "seventy"],
    ["start", "--port", "65536"],
    ["start", "--port", "-1"],
    ["start", "--ports", "8000"],
    ["start", "--state-dir", ""],
    ["start", "now"],
    ["stop"],
  ];
  for (const exit of await Promise.all(wrong.map((args) => run(args)))) assertRefused(exit, "--help");
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  for (const option of ["--port", "--host", "--state-dir", "--clean", "--json", "--no-sample"]) {
    assert.ok(help.stdout.includes(option));
  }
  assert.match((await run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});

function mount(type: string, options: string, folder: string): boolean {
  try {
    execFileSync("mount", ["-t", type, "-o", options, type, folder], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
