// The official command line `icp`, as it is, against a network that `atoll start` runs: calls, status, settings, code,
// stop and start, metadata, messages signed elsewhere, deletion. Its decoder of canister_status is strict and it
// branches on error codes, so what passes here is what its users see.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { endAll, type Network, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";
import { agentOf } from "../../../apps/cli/test/recorder.ts";
import { canister } from "../../../packages/execution/test/canisters/build.ts";
import { withCustomSection } from "../../../packages/execution/test/canisters/custom-section.ts";
import { createCanister, deploy } from "../../../packages/replica/test/network.ts";
import { ALICE, BOB, Icp, unsupported } from "./icp.ts";

describe("icp", { skip: unsupported }, () => {
  const folder = temporaryFolder();
  let network: Network;
  let icp: Icp;
  let agent: HttpAgent;
  let id: string;
  let wasm: Uint8Array;
  const people = new Map<string, string>();

  before(async () => {
    network = await startNetwork({ stateDir: temporaryFolder() });
    icp = new Icp(folder, network.gatewayUrl);
    people.set("alice", await icp.addIdentity("alice", ALICE));
    people.set("bob", await icp.addIdentity("bob", BOB));
    agent = agentOf(network);
    assert.equal(people.get("alice"), (await agent.getPrincipal()).toText());
    ({ wasm } = await canister("rust-counter"));
    id = (await deploy(agent, wasm)).toText();
  });
  after(endAll);

  test("network ping knows the network by its status", async () => {
    const status = JSON.parse(await icp.expect(["network", "ping", network.gatewayUrl])) as Record<string, unknown>;
    assert.equal(status.replica_health_status, "healthy");
    assert.deepEqual(status.root_key, [...network.rootKey]);
  });

  test("call: updates and queries, with the interface from the canister's metadata", async () => {
    assert.equal((await icp.on("call", "alice", [id, "inc", "()"])).trim(), "(1 : nat)");
    assert.equal((await icp.on("call", "alice", [id, "get", "()", "--query"])).trim(), "(1 : nat)");
    assert.equal(
      (await icp.on("call", "bob", [id, "whoami", "()", "--query"])).trim(),
      `(principal "${people.get("bob")}")`,
    );
    const json = JSON.parse(await icp.on("call", "alice", [id, "greet", '("you")', "--query", "--json"]));
    assert.equal(json.response_candid, '("hello, you!")');
  });

  test("call: what the canister or the network refuses comes with its code", async () => {
    const refusals: [args: string[], code: string, text: RegExp][] = [
      [[id, "nothing", "()"], "IC0536", /has no update method 'nothing'/],
      [[id, "trap_after_change", "()"], "IC0503", /trapped after the change/],
      [["7uieb-cx777-77776-qaaaq-cai", "get", "()"], "IC0301", /Canister 7uieb-cx777-77776-qaaaq-cai not found/],
    ];
    for (const [args, code, text] of refusals) {
      const { code: exit, stderr } = await icp.canister("call", "alice", args);
      assert.equal(exit, 1);
      assert.match(stderr, text);
      assert.ok(stderr.includes(`error code Some("${code}")`), stderr);
    }
    assert.equal((await icp.on("call", "alice", [id, "get", "()", "--query"])).trim(), "(1 : nat)");
  });

  test("call: certificates of another network are refused", async () => {
    const other = Buffer.from(network.rootKey);
    other.set(
      Buffer.from((await startNetwork({ stateDir: temporaryFolder() })).rootKey.subarray(-96)),
      other.length - 96,
    );
    const key = ["--network", network.gatewayUrl, "--root-key", other.toString("hex")];
    const { code, stderr } = await icp.run(["canister", "call", ...key, "--identity", "alice", id, "whoami", "()"]);
    assert.equal(code, 1);
    assert.match(stderr, /Certificate verification failed/);
  });

  test("metadata: a section, and its absence", async () => {
    assert.match(await icp.on("metadata", "bob", [id, "candid:service"]), /greet : \(text\) -> \(text\) query/);
    const { code, stderr } = await icp.canister("metadata", "bob", [id, "nothing"]);
    assert.equal(code, 1);
    assert.match(stderr, /Metadata section 'nothing' not found/);
  });

  test("status: everything for a controller, what is public for others", async () => {
    const status = await icp.on("status", "alice", [id]);
    const hash = createHash("sha256").update(wasm).digest("hex");
    for (const line of ["Status: Running", `controller: ${people.get("alice")}`, `Module hash: 0x${hash}`]) {
      assert.ok(status.includes(line), status);
    }
    const shown = await icp.on("status", "bob", [id]);
    assert.ok(shown.includes(`Module hash: 0x${hash}`));
    assert.ok(!shown.includes("Status:"), "nothing but what is public");
    assert.equal(await icp.on("status", "bob", [id, "--public"]), shown);
    const { code, stderr } = await icp.canister("status", "alice", ["7uieb-cx777-77776-qaaaq-cai"]);
    assert.equal(code, 1);
    assert.match(stderr, /was not found/);
  });

  test("settings update and show: every setting", async () => {
    const bob = people.get("bob") as string;
    const set = ["--add-controller", bob, "--compute-allocation", "1", "--memory-allocation", "1gib"];
    set.push("--freezing-threshold", "40d", "--reserved-cycles-limit", "3t", "--wasm-memory-limit", "2gib");
    set.push("--wasm-memory-threshold", "1mib", "--log-memory-limit", "8kib", "--set-log-viewer", bob);
    set.push("--snapshot-visibility", "public", "--status-visibility", "public");
    set.push("--add-environment-variable", "COLOUR=blue", "--add-environment-variable", "SIZE=7");
    await icp.on("settings update", "alice", [id, ...set]);
    const shown = (await icp.on("settings show", "alice", [id])).split("\n").map((line) => line.trim());
    const expected = [
      `controller: ${bob}`,
      "Compute allocation: 1",
      "Memory allocation: 1_073_741_824",
      "Freezing threshold: 3_456_000",
      "Reserved cycles limit: 3_000_000_000_000",
      "Wasm memory limit: 2_147_483_648",
      "Wasm memory threshold: 1_048_576",
      "Log memory limit: 8_192",
      `log viewer: ${bob}`,
      "Snapshot visibility: Public",
      "Status visibility: Public",
      "COLOUR: blue",
      "SIZE: 7",
    ];
    for (const line of expected) assert.ok(shown.includes(line), `"${line}" in ${shown.join("\n")}`);
    const back = ["--remove-controller", bob, "--compute-allocation", "0", "--memory-allocation", "0"];
    back.push("--log-visibility", "controllers", "--status-visibility", "controllers");
    await icp.on("settings update", "bob", [id, ...back, "--remove-environment-variable", "SIZE", "--force"]);
    const left = await icp.on("settings show", "alice", [id]);
    assert.ok(!left.includes(bob) && !left.includes("SIZE") && left.includes("COLOUR: blue"), left);
    const { code, stderr } = await icp.canister("settings update", "bob", [id, "--compute-allocation", "2"]);
    assert.equal(code, 1);
    assert.match(stderr, /IC0512/);
  });

  test("logs: what a canister printed and why it trapped, whole and in part, for whom the settings name", async () => {
    const quiet = (await deploy(agent, wasm)).toText();
    for (let i = 0; i < 3; i++) await icp.canister("call", "alice", [quiet, "trap_after_change", "()"]);
    const lines = (await icp.on("logs", "alice", [quiet])).trim().split("\n");
    assert.equal(lines.length, 3);
    for (const [i, line] of lines.entries()) {
      assert.match(line, new RegExp(`^\\[${i}\\. 20.*Z\\]: \\[TRAP\\]: trapped after the change$`));
    }
    const records = async (...args: string[]) =>
      JSON.parse(await icp.on("logs", "alice", [quiet, "--json", ...args])).log_records as { index: number }[];
    const indices = async (...args: string[]) => (await records(...args)).map(({ index }) => index);
    assert.deepEqual(await indices(), [0, 1, 2]);
    assert.deepEqual(await indices("--since-index", "1"), [1, 2]);
    assert.deepEqual(await indices("--since-index", "1", "--until-index", "2"), [1]);
    assert.deepEqual(await indices("--since", "2020-01-01T00:00:00Z"), [0, 1, 2]);
    assert.deepEqual(await indices("--until", "2020-01-01T00:00:00Z"), []);
    const { code, stderr } = await icp.canister("logs", "bob", [quiet]);
    assert.equal(code, 1);
    assert.match(stderr, /is not allowed to access canister logs/);
    await icp.on("settings update", "alice", [quiet, "--set-log-viewer", people.get("bob") as string]);
    assert.equal((await icp.on("logs", "bob", [quiet])).trim().split("\n").length, 3);
  });

  test("stop and start", async () => {
    await icp.on("stop", "alice", [id]);
    assert.match(await icp.on("status", "alice", [id]), /Status: Stopped/);
    const { code, stderr } = await icp.canister("call", "alice", [id, "inc", "()"]);
    assert.equal(code, 1);
    assert.match(stderr, /is stopped.*IC0508/s);
    await icp.on("start", "alice", [id]);
    assert.equal((await icp.on("call", "alice", [id, "inc", "()"])).trim(), "(2 : nat)");
  });

  test("install: upgrade keeps the state, reinstall does not, a module above 2 MiB goes in chunks", async () => {
    const module = join(folder, "module.wasm");
    writeFileSync(module, withCustomSection(wasm, "ballast", randomBytes(2_500_000)));
    await icp.on("install", "alice", [id, "--mode", "upgrade", "--wasm", module, "--yes"]);
    assert.equal((await icp.on("call", "alice", [id, "get", "()", "--query"])).trim(), "(2 : nat)");
    assert.equal((await icp.on("call", "alice", [id, "upgrades", "()", "--query"])).trim(), "(1 : nat32)");
    writeFileSync(module, wasm);
    await icp.on("install", "alice", [id, "--mode", "reinstall", "--wasm", module, "--args", '(opt "hi")', "--yes"]);
    assert.equal((await icp.on("call", "alice", [id, "get", "()", "--query"])).trim(), "(0 : nat)");
    assert.equal((await icp.on("call", "alice", [id, "greet", '("you")', "--query"])).trim(), '("hi, you!")');
    const fresh = (await createCanister(agent)).toText();
    await icp.on("install", "alice", [fresh, "--wasm", module, "--args", "(null)", "--yes"]);
    assert.equal((await icp.on("call", "alice", [fresh, "inc", "()"])).trim(), "(1 : nat)");
  });

  test("a message that is signed without a network and sent by somebody else", async () => {
    const file = join(folder, "signed.json");
    const candid = join(folder, "fixture.did");
    writeFileSync(candid, (await canister("rust-counter")).candid);
    const key = ["--network", network.gatewayUrl, "--root-key", Buffer.from(network.rootKey).toString("hex")];
    const sign = ["canister", "call", ...key, "--identity", "alice", id, "inc", "()"];
    await icp.expect([...sign, "--sign-only", file, "--candid", candid]);
    const before = Number(/\d+/.exec(await icp.on("call", "bob", [id, "get", "()", "--query"]))?.[0]);
    assert.match(await icp.expect(["message", "send", file, "--yes"]), new RegExp(`\\(${before + 1} : nat\\)`));
  });

  test("deploy: a project's canister, created by a call and linked, is installed with its settings and upgraded", async () => {
    const create = ["aaaaa-aa", "provisional_create_canister_with_cycles", "(record {})"];
    const [created] = /(?<=principal ")[^"]+/.exec(await icp.on("call", "alice", create)) ?? [];
    assert.ok(created);
    writeFileSync(join(folder, "fixture.wasm"), wasm);
    writeFileSync(join(folder, "icp.yaml"), manifest(network.gatewayUrl));
    const environment = ["--environment", "atoll"];
    await icp.expect(["canister", "link", ...environment, "fixture", created]);
    const deploy = ["deploy", ...environment, "--identity", "alice", "--yes", "--no-create"];
    await icp.expect(deploy);
    const ask = (...args: string[]) =>
      icp.expect(["canister", "call", ...environment, "--identity", "alice", "fixture", ...args]);
    assert.equal((await ask("greet", '("you")', "--query")).trim(), '("salut, you!")');
    await ask("inc", "()");
    await icp.expect(deploy);
    assert.equal((await ask("get", "()", "--query")).trim(), "(1 : nat)", "an upgrade");
    const shown = await icp.on("settings show", "alice", [created]);
    for (const line of ["Compute allocation: 1\n", "COLOUR: blue\n", `PUBLIC_CANISTER_ID:fixture: ${created}\n`]) {
      assert.ok(shown.includes(line), `"${line}" in ${shown}`);
    }
  });

  test("delete: the canister is gone", async () => {
    const doomed = (await deploy(agent, wasm)).toText();
    await icp.on("stop", "alice", [doomed]);
    await icp.on("delete", "alice", [doomed, "--no-recover-cycles"]);
    const { stderr } = await icp.canister("status", "alice", [doomed]);
    assert.match(stderr, /was not found/);
  });
});

/** A project of one canister on a network that it does not start itself. */
function manifest(url: string): string {
  return `canisters:
  - name: fixture
    init_args: '(opt "salut")'
    settings:
      compute_allocation: 1
      environment_variables:
        COLOUR: blue
    build:
      steps:
        - type: pre-built
          path: fixture.wasm
networks:
  - name: atoll
    mode: connected
    url: ${url}
    root-key: fetch
environments:
  - name: atoll
    network: atoll
`;
}
