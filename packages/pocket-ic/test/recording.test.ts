// A recorded network, with calls between its subnets, an intervention and a fork, executed again by `atoll replay`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import { principalToBytes } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import { Network } from "../src/index.ts";
import { call, universal } from "./universal-canister.ts";

const atoll = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));

test("a recorded network is executed again to the same hashes, and so is its fork", async () => {
  const ports = {
    crypto: await createNodeCrypto(),
    clock: nodeClock,
    timer: { after: () => () => undefined },
    log: { log: () => undefined },
  };
  const subnets = [{ kind: "application" }, { kind: "application" }] as const;
  const network = await Network.create({ subnets, record: true }, ports);
  const [one, two] = [...network.subnets.keys()];
  const [a, b] = [await universal(network, one), await universal(network, two)];
  const callee = u.bytes(principalToBytes(b));
  const program = u.call({ callee, method: "update", arg: u.bytes(u.reply()), onReply: u.reply(u.argData()) });
  await call(network, a, "update", program);
  await network.intervene(two ?? assert.fail(), [{ kind: "add_cycles", canister: b, amount: 7n }]);
  await network.addSubnet({ kind: "system" });
  const fork = await network.fork();
  await call(fork, a, "update", program);
  const folder = mkdtempSync(join(tmpdir(), "atoll-test-"));
  try {
    for (const each of [network, fork]) {
      const file = join(folder, "recording");
      writeFileSync(file, await each.recording());
      const { stdout } = await promisify(execFile)(atoll, ["replay", "--json", file]);
      assert.equal(JSON.parse(stdout).difference ?? null, null, stdout);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await fork.close();
    await network.close();
  }
});
