// The files in deploy/ say what is true: every path in them is there, every command line is one that the program
// understands, and what tools can check of them here, they check.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseCommand } from "../src/options.ts";
import { OTHER_VERSION_EXIT } from "../src/signals.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (name: string): string => readFileSync(join(root, "deploy", name), "utf8");

test("every command line that the files show is understood", () => {
  const lines = ["README.md", "compose.yaml", "atoll-node.service"].flatMap((name) =>
    [...read(name).matchAll(/(?:^|[\s=#])(?:\S*bin\/)?atoll ((?:genesis|registry|node) [^\n#`]*)/gm)].map(
      ([, line]) => line ?? "",
    ),
  );
  assert.ok(lines.length >= 6, `${lines}`);
  for (const line of lines) {
    const args = line.replaceAll(" ID", " rwlgt-iiaaa-aaaaa-aaaaa-cai").trim().split(/\s+/);
    assert.ok(parseCommand(args).kind !== "version", line);
  }
});

test("what runs in the container is the program, by a command line that it understands", () => {
  const text = read("Containerfile");
  const [, entry = "[]"] = /^ENTRYPOINT (.+)$/m.exec(text) ?? [];
  const [, command = "[]"] = /^CMD (.+)$/m.exec(text) ?? [];
  const [program = ""] = JSON.parse(entry) as string[];
  assert.ok(existsSync(join(root, program.replace("/opt/atoll/", ""))), program);
  assert.deepEqual(parseCommand(JSON.parse(command) as string[]), {
    kind: "node",
    options: { config: "/etc/atoll/node.json" },
  });
  const [, file = ""] = /docker build -f (\S+)/.exec(text) ?? [];
  assert.ok(existsSync(join(root, file)), file);
});

test("the four containers are alike but for their own names, ports, files and states", () => {
  const text = read("compose.yaml");
  const services = [...text.matchAll(/^ {2}(node-\d):\n((?: {4}.*\n)+)/gm)];
  assert.deepEqual(
    services.map(([, name]) => name),
    ["node-1", "node-2", "node-3", "node-4"],
  );
  const [first] = services;
  for (const [i, [, , body = ""]] of services.entries()) {
    const own = (text: string) => text.replaceAll(new RegExp(`(node-|state-|808)${i + 1}`, "g"), "$1N");
    assert.equal(own(body), (first?.[2] ?? "").replaceAll(/(node-|state-|808)1/g, "$1N"));
    assert.match(text, new RegExp(`^ {2}state-${i + 1}:$`, "m"));
  }
  const [, dockerfile = ""] = /dockerfile: (\S+)/.exec(text) ?? [];
  assert.ok(existsSync(join(root, dockerfile)), dockerfile);
  assert.match(read("Containerfile"), /useradd --system --uid 10001 /);
  assert.match(read("README.md"), /chown -R 10001 /);
});

const docker = spawnSync("docker", ["compose", "version"]);
test("docker compose understands the compose file", {
  skip: docker.status === 0 ? false : "there is no docker compose here",
}, () => {
  const { status, stderr } = spawnSync("docker", ["compose", "-f", join(root, "deploy/compose.yaml"), "config"]);
  assert.equal(status, 0, String(stderr));
});

test("the unit starts the program by paths that the README installs", () => {
  const text = read("atoll-node.service");
  const [, line = ""] = /^ExecStart=\/opt\/atoll\/(.+)$/m.exec(text) ?? [];
  const [program = "", ...args] = line.split(" ");
  assert.ok(existsSync(join(root, program)), program);
  assert.equal(parseCommand(args).kind, "node");
  assert.match(read("README.md"), /\/etc\/atoll\//);
});

test("the unit leaves a node alone that needs another version of the program", () => {
  assert.match(read("atoll-node.service"), new RegExp(`^RestartPreventExitStatus=${OTHER_VERSION_EXIT}$`, "m"));
  assert.match(read("README.md"), new RegExp(`exit code ${OTHER_VERSION_EXIT}`));
});

const systemd = spawnSync("systemd-analyze", ["--version"]);
test("systemd understands the unit", {
  skip: systemd.status === 0 ? false : "there is no systemd-analyze here",
}, () => {
  // It knows every directive; that the program and the user are not installed here is no fault of the file.
  const { stderr, stdout } = spawnSync("systemd-analyze", ["verify", join(root, "deploy/atoll-node.service")]);
  const complaints = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("atoll-node.service"));
  assert.deepEqual(
    complaints.filter((line) => /Unknown|Failed to parse|Invalid|ignoring/i.test(line)),
    [],
  );
});
