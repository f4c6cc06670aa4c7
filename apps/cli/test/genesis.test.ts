// `atoll genesis` as people run it: all at once and in steps, and what is refused. What comes out must be right for
// everybody who was not there: keys are proven, dealings are checked, and no secret is in a file that is public.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createChainKeyCrypto } from "@atoll/consensus";
import { stateRootMessage } from "@atoll/crypto";
import { createNodeCrypto, nodeEntropy } from "@atoll/host-node";
import { readGenesis, readIdentity } from "../src/nodes/genesis-files.ts";
import { genesisFacts } from "../src/nodes/genesis-steps.ts";
import { readNodeConfig } from "../src/nodes/node-config.ts";
import { readNodeKeys } from "../src/nodes/node-folder.ts";
import { type Exit, endAll, run, temporaryFolder } from "./process.ts";

const TIMEOUT = { timeout: 300_000 };
const folder = temporaryFolder();
const crypto = await createNodeCrypto();
after(endAll);

async function genesis(...args: readonly string[]): Promise<Exit> {
  return run(["genesis", ...args], { timeoutMs: 120_000 });
}

async function succeed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await genesis(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function refusal(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await genesis(...args);
  assert.equal(code, 1, stdout);
  assert.match(stderr, /^atoll: [^\n]+\.\n$/, "one sentence");
  return stderr;
}

/** Everything that a search for these bytes could find, in a folder and below it. */
function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const steps = join(folder, "steps");
const identities = [1, 2, 3, 4].map((i) => join(steps, `host-${i}`));
const file = (name: string) => join(steps, name);
const dealing = (i: number) => file(`dealing-${i}.json`);

before(async () => {
  for (const [i, host] of identities.entries()) {
    await succeed("identity", "--out", host, "--address", `10.0.0.${i + 1}:4100`, "--http", `10.0.0.${i + 1}:8080`);
  }
  const files = identities.map((host) => join(host, "identity.json"));
  const keys = ["--registry-keys", file("registry-keys.json"), "--out", file("proposal.json")];
  await succeed("propose", ...keys, "--unit-delay-ms", "200", ...files);
  for (const i of [1, 2, 3]) {
    const own = join(identities[i - 1] as string, "node-keys.json");
    await succeed("deal", "--proposal", file("proposal.json"), "--keys", own, "--out", dealing(i));
  }
}, TIMEOUT);

test("all at once: a folder for each node, private, with all that it begins with", TIMEOUT, async () => {
  const out = join(folder, "all");
  await succeed("--out", out, "--nodes", "4", "--p2p-port", "5100", "--http-port", "9000", "--dkg-interval", "49");
  assert.deepEqual(readdirSync(out).sort(), [
    "genesis.json",
    "node-1",
    "node-2",
    "node-3",
    "node-4",
    "registry-keys.json",
  ]);
  const facts = genesisFacts(readGenesis(join(out, "genesis.json")), crypto);
  for (const i of [1, 2, 3, 4]) {
    const path = join(out, `node-${i}`);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.equal(statSync(join(path, "node-keys.json")).mode & 0o777, 0o600);
    assert.deepEqual(readFileSync(join(path, "genesis.json")), readFileSync(join(out, "genesis.json")));
    const { p2p, http } = readNodeConfig(join(path, "node.json"));
    assert.deepEqual([p2p.port, http.port], [5099 + i, 8999 + i]);
    const { nodeId } = readIdentity(join(path, "identity.json"));
    assert.ok(facts.record.record.nodes.some((node) => node.nodeId === nodeId));
  }
  assert.equal(facts.record.record.settings.dkgIntervalLength, 49);
  assert.match(await refusal("--out", out, "--nodes", "4"), /exists already/);
});

test(
  "the keys that were dealt sign under the subnet's key, with three of four nodes and not with two",
  TIMEOUT,
  async () => {
    await assemble("signing.json", 1, 2, 3);
    const { high } = readGenesis(file("signing.json"));
    const message = stateRootMessage(new Uint8Array(32).fill(7));
    const shares = identities.slice(0, 3).map((host) => {
      const { keys } = readNodeKeys(join(host, "node-keys.json"), undefined);
      const own = createChainKeyCrypto(keys, { crypto, entropy: nodeEntropy });
      assert.ok(own.loadTranscript(high));
      const index = high.receivers.indexOf(readIdentity(join(host, "identity.json")).nodeId);
      return { index, signature: own.signThreshold(high.dkgId, message) as Uint8Array };
    });
    const anybody = createChainKeyCrypto(
      readNodeKeys(join(identities[3] as string, "node-keys.json"), undefined).keys,
      { crypto, entropy: nodeEntropy },
    );
    const signature = anybody.combineThreshold(high, shares);
    assert.ok(signature !== undefined);
    assert.ok(crypto.bls.verify(high.coefficients[0] as Uint8Array, message, signature));
    assert.equal(anybody.combineThreshold(high, shares.slice(0, 2)), undefined);
  },
);

test("in steps: the genesis follows from the public files, and every host can check that", TIMEOUT, async () => {
  await assemble("genesis.json", 1, 2, 3);
  await assemble("again.json", 3, 1, 2);
  assert.deepEqual(readFileSync(file("genesis.json")), readFileSync(file("again.json")));
  const check = (name: string, ...more: readonly string[]) =>
    ["check", "--genesis", file(name), "--proposal", file("proposal.json"), ...more] as const;
  assert.match(await succeed(...check("genesis.json", dealing(1), dealing(2), dealing(3))), /is what follows/);
  assert.match(await refusal(...check("genesis.json", dealing(1))), /There are dealings of 1 nodes, and it takes 2/);
  const changed = JSON.parse(readFileSync(file("genesis.json"), "utf8"));
  writeFileSync(file("changed.json"), JSON.stringify({ ...changed, provisional: false }));
  const why = await refusal(...check("changed.json", dealing(1), dealing(2), dealing(3)));
  assert.match(why, /is not what follows .*: its "provisional" is another one/);
});

test("what does not belong together is refused by name", TIMEOUT, async () => {
  const own = join(identities[0] as string, "node-keys.json");
  const proposal = JSON.parse(readFileSync(file("proposal.json"), "utf8"));
  const [first, second, ...others] = proposal.nodes;
  // A key that its node never proved to have: that of another node.
  writeFileSync(
    file("stolen.json"),
    JSON.stringify({ ...proposal, nodes: [{ ...first, dealingKey: second.dealingKey }, second, ...others] }),
  );
  const stolen = await refusal("deal", "--proposal", file("stolen.json"), "--keys", own, "--out", file("none.json"));
  assert.match(stolen, /does not prove that it has its dealing key/);
  writeFileSync(file("other.json"), JSON.stringify({ ...proposal, time: "1" }));
  const otherArgs = ["--registry-keys", file("registry-keys.json"), "--out", file("none.json"), dealing(1), dealing(2)];
  const other = await refusal("assemble", "--proposal", file("other.json"), ...otherArgs);
  assert.match(other, /dealt for another proposal/);
  const few = await refusal("assemble", "--proposal", file("proposal.json"), ...otherArgs.slice(0, 5));
  assert.match(few, /There are dealings of 1 nodes, and it takes 2/);
  const twice = await refusal("assemble", "--proposal", file("proposal.json"), ...otherArgs, dealing(1));
  assert.match(twice, /dealt twice/);
  assert.match(
    await refusal("deal", "--proposal", own, "--keys", own, "--out", file("none.json")),
    /is not what it should be/,
  );
  assert.ok(!existsSync(file("none.json")));
});

test("no public file, and nothing that is printed, holds a secret", TIMEOUT, async () => {
  const secrets = [...identities.map((host) => join(host, "node-keys.json")), file("registry-keys.json")].map(
    (path) => (JSON.parse(readFileSync(path, "utf8")) as { content: string }).content,
  );
  const parts = secrets.flatMap((secret) => secret.match(/.{64}/g) ?? []);
  assert.equal(parts.length, 4 * 3 + 1);
  for (const path of filesOf(steps)) {
    if (path.endsWith("-keys.json")) continue;
    const content = readFileSync(path, "utf8");
    for (const part of parts) {
      const bytes = Buffer.from(part, "hex");
      assert.ok(!content.includes(part) && !content.includes(bytes.toString("base64").slice(0, 40)), path);
    }
  }
});

test("key files can be sealed with a passphrase from a file", TIMEOUT, async () => {
  const out = join(folder, "sealed");
  const passphraseFile = join(folder, "passphrase");
  writeFileSync(passphraseFile, "five crabs under the pier\n", { mode: 0o600 });
  await succeed("identity", "--out", out, "--address", "a:1", "--http", "a:2", "--passphrase-file", passphraseFile);
  assert.throws(() => readNodeKeys(join(out, "node-keys.json"), undefined), { code: "KEYS_SEALED" });
  const { keys } = readNodeKeys(join(out, "node-keys.json"), "five crabs under the pier");
  assert.equal(keys.signingSeed.length, 32);
});

async function assemble(name: string, ...dealers: readonly number[]): Promise<void> {
  const own = ["--registry-keys", file("registry-keys.json"), "--out", file(name)];
  await succeed("assemble", "--proposal", file("proposal.json"), ...own, ...dealers.map(dealing));
}
