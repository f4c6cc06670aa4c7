// The server as a process: what clients rely on before the first request. Version line, flags, the port file and its
// end on every way out, the times to live, signals.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BINARY, endAll, start, startServer, temporaryFolder } from "./server-process.ts";

const isWindows = process.platform === "win32";
after(endAll);

describe("the command line", { concurrency: 2 }, () => {
  test("the version line is the one that the Rust client parses", async () => {
    const { code, stdout, stderr } = await start(["--version"]).exited;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^pocket-ic-server 14\.\d+\.\d+\n$/);
    const older = await start(["--version"], BINARY, { ATOLL_POCKET_IC_VERSION: "13.0.0" }).exited;
    assert.equal(older.stdout, "pocket-ic-server 13.0.0\n");
  });

  test("help names every flag", async () => {
    const { code, stdout } = await start(["--help"]).exited;
    assert.equal(code, 0);
    for (const flag of ["--ip-addr", "--port", "--port-file", "--log-levels", "--ttl", "--hard-ttl", "--version"]) {
      assert.ok(stdout.includes(flag), flag);
    }
  });

  for (const [args, words] of [
    [["--nonsense"], /nonsense/],
    [["--port", "70000"], /70000/],
    [["--ttl", "soon"], /soon/],
    [["--ip-addr", "example.org"], /not an IP address/],
    [["--mainnet-routing-table", "x.json"], /^pocket-ic: not supported: --mainnet-routing-table/],
    [["--fetch-mainnet-routing-table"], /^pocket-ic: not supported/],
  ] as const) {
    test(`${args.join(" ")} is refused in one sentence with exit code 2`, async () => {
      const { code, stdout, stderr } = await start(args).exited;
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, words);
      assert.equal(stderr.trimEnd().split("\n").length, 1);
    });
  }

  test("an address of another machine leaves no port file", async () => {
    const portFile = join(temporaryFolder(), "p.port");
    const { code, stderr } = await start(["--ip-addr", "192.0.2.1", "--port-file", portFile]).exited;
    assert.equal(code, 1);
    assert.match(stderr, /^pocket-ic: 192\.0\.2\.1 is not an address of this machine/);
    assert.equal(existsSync(portFile), false);
  });

  test("a port file that cannot be made is said", async () => {
    const { code, stderr } = await start(["--port-file", join(temporaryFolder(), "no", "p.port")]).exited;
    assert.equal(code, 1);
    assert.match(stderr, /^pocket-ic: The port file .* cannot be made/);
  });
});

describe("the port file", () => {
  test("belongs to one server; the next one ends without a word", async () => {
    const { url, portFile, ...server } = await startServer();
    const content = readFileSync(portFile, "utf8");
    assert.match(content, /^\d+\n$/);
    const { code, stdout, stderr } = await start(["--port-file", portFile]).exited;
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
    assert.equal(readFileSync(portFile, "utf8"), content);
    assert.equal((await fetch(`${url}/status`)).status, 200);
    await server.kill("SIGTERM");
    assert.equal(existsSync(portFile), false);
  });

  test("of somebody else in its place is left alone", async () => {
    const { portFile, ...server } = await startServer();
    const own = readFileSync(portFile, "utf8");
    rmSync(portFile);
    writeFileSync(portFile, "1\n");
    assert.notEqual(own, "1\n");
    await server.kill("SIGTERM");
    assert.equal(existsSync(portFile) && readFileSync(portFile, "utf8"), "1\n");
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    test(`goes with ${signal}, exit code 0`, { skip: isWindows }, async () => {
      const { portFile, kill } = await startServer();
      const { code } = await kill(signal);
      assert.equal(code, 0);
      assert.equal(existsSync(portFile), false);
    });
  }
});

describe("the time to live", { concurrency: 3 }, () => {
  test("ends a server that nobody asks, in order", async () => {
    const { exited, portFile } = await startServer({ args: ["--ttl", "1"] });
    assert.equal((await exited).code, 0);
    assert.equal(existsSync(portFile), false);
  });

  test("begins again with each request", async () => {
    const { url, exited, kill } = await startServer({ args: ["--ttl", "3"] });
    let isOver = false;
    void exited.then(() => {
      isOver = true;
    });
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.equal((await fetch(`${url}/status`)).status, 200);
    }
    assert.equal(isOver, false);
    await kill("SIGTERM");
  });

  test("the hard one ends it with exit code 124 and no port file", async () => {
    const { exited, portFile } = await startServer({ args: ["--hard-ttl", "1"] });
    assert.equal((await exited).code, 124);
    assert.equal(existsSync(portFile), false);
  });
});

describe("where and how it is started", () => {
  test("through a chain of links, from another folder", { skip: isWindows }, async () => {
    const folder = temporaryFolder();
    symlinkSync(BINARY, join(folder, "first"));
    symlinkSync("first", join(folder, "pocket-ic"));
    const { url, kill } = await startServer({ binary: join(folder, "pocket-ic") });
    assert.equal((await fetch(`${url}/status`)).status, 200);
    await kill("SIGTERM");
  });

  test("as a command of atoll", { skip: isWindows }, async () => {
    const { stdout } = await start(["pocket-ic", "--version"], join(BINARY, "..", "atoll")).exited;
    assert.match(stdout, /^pocket-ic-server /);
  });

  test("says where it listens, at the levels that are asked for, and in the folder for logs", async () => {
    const folder = join(temporaryFolder(), "logs");
    const loud = await startServer({ env: { POCKET_IC_LOG_DIR: folder } });
    const quiet = await startServer({ args: ["--log-levels", "pocket_ic_server=error"] });
    const [said, unsaid] = await Promise.all([loud.kill("SIGTERM"), quiet.kill("SIGTERM")]);
    assert.match(said.stdout, /INFO pocket_ic_server: The PocketIC server is listening on port \d+\n/);
    assert.equal(unsaid.stdout, "");
    const [file] = readdirSync(folder);
    assert.match(file ?? "", /^pocket_ic_server_.*\.log$/);
    assert.match(readFileSync(join(folder, file as string), "utf8"), /is listening on port/);
  });

  test("listens where it is told to", async () => {
    const { url, kill } = await startServer({ args: ["-i", "127.0.0.1", "-p", "0", "-l", "debug"] });
    assert.equal((await fetch(`${url}/status/`)).status, 200);
    await kill("SIGTERM");
  });
});
