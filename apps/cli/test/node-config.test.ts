// The configuration of a node: what is left out has its default, and whatever is wrong is one sentence that names the key
// and shows no value.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError, principalFromText } from "@atoll/types";
import { isLoopback, parseAddress, parseNodeConfig } from "../src/nodes/node-config.ts";

const PATH = "/srv/atoll/node.json";
const SMALLEST = { p2p: { port: 4100 }, http: { port: 8080 } };
const ID = "rwlgt-iiaaa-aaaaa-aaaaa-cai";

test("a configuration needs two ports; all else is found beside it and listens on this machine only", () => {
  assert.deepEqual(parseNodeConfig(JSON.stringify(SMALLEST), PATH), {
    dataDir: "/srv/atoll/data",
    keyFile: "/srv/atoll/node-keys.json",
    passphrase: undefined,
    genesisFile: "/srv/atoll/genesis.json",
    p2p: { host: "127.0.0.1", port: 4100 },
    http: { host: "127.0.0.1", port: 8080 },
    operator: undefined,
    addresses: new Map(),
    subnets: new Map(),
    log: { format: "text", level: "info" },
  });
});

test("everything can be said", () => {
  const config = parseNodeConfig(
    JSON.stringify({
      dataDir: "/var/lib/atoll",
      keyFile: "keys",
      passphrase: { env: "ATOLL_PASSPHRASE" },
      genesisFile: "../genesis.json",
      p2p: { host: "::", port: 4100 },
      http: { host: "0.0.0.0", port: 8080 },
      operator: { port: 9100 },
      addresses: { [ID]: "[fd00::7]:4100" },
      subnets: { [ID]: "127.0.0.1:1 [::1]:2" },
      log: { format: "json", level: "warning" },
    }),
    PATH,
  );
  assert.equal(config.dataDir, "/var/lib/atoll");
  assert.equal(config.genesisFile, "/srv/genesis.json");
  assert.deepEqual(config.operator, { host: "127.0.0.1", port: 9100 });
  assert.deepEqual([...config.addresses], [[principalFromText(ID), "[fd00::7]:4100"]]);
  assert.deepEqual([...config.subnets], [[principalFromText(ID), ["http://127.0.0.1:1", "http://[::1]:2"]]]);
  assert.deepEqual(config.log, { format: "json", level: "warning" });
});

test("what is wrong is named, in one sentence, without its value", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [[], "it must be a JSON object"],
    [{ http: { port: 1 } }, '"p2p" is missing'],
    [{ ...SMALLEST, p2p: {} }, '"p2p.port" is missing'],
    [{ ...SMALLEST, p2p: 4100 }, '"p2p" must be an object'],
    [{ ...SMALLEST, http: { port: 70_000 } }, '"http.port" must be a whole number from 0 to 65535'],
    [{ ...SMALLEST, http: { port: "SECRET" } }, '"http.port" must be a whole number from 0 to 65535'],
    [{ ...SMALLEST, datadir: "SECRET" }, '"datadir" is not known there; known are'],
    [{ ...SMALLEST, http: { port: 1, tls: "SECRET" } }, '"http.tls" is not known there; known are host, port'],
    [{ ...SMALLEST, dataDir: "" }, '"dataDir" must be a text that is not empty'],
    [{ ...SMALLEST, dataDir: null }, '"dataDir" must be a text that is not empty'],
    [{ ...SMALLEST, passphrase: {} }, '"passphrase" needs either "env" or "file"'],
    [{ ...SMALLEST, passphrase: { env: "A", file: "b" } }, '"passphrase" needs either "env" or "file"'],
    [{ ...SMALLEST, passphrase: "SECRET" }, '"passphrase" must be an object'],
    [{ ...SMALLEST, log: { format: "xml" } }, '"log.format" must be one of text, json'],
    [{ ...SMALLEST, subnets: { SECRE: "1.2.3.4:5" } }, '"subnets.SECRE" is not the id of a subnet'],
    [{ ...SMALLEST, subnets: { [ID]: "1.2.3.4:5  6" } }, `"subnets.${ID}" must be addresses such as 127.0.0.1:8081`],
    [{ ...SMALLEST, addresses: { SECRE: "1.2.3.4:5" } }, '"addresses.SECRE" is not the id of a node'],
    [{ ...SMALLEST, addresses: { [ID]: "SECRET" } }, `"addresses.${ID}" must be an address such as 10.0.0.7:4100`],
  ];
  for (const [config, what] of cases) {
    const message = refusal(JSON.stringify(config));
    assert.ok(message.startsWith(`The configuration ${PATH}: ${what}`), `${message} says ${what}`);
    assert.match(message, /^[^\n]+\.$/);
    assert.ok(!message.includes("SECRET"), message);
  }
  assert.match(refusal("{"), /is not JSON/);
});

test("addresses are a host and a port", () => {
  assert.deepEqual(parseAddress("10.0.0.7:4100"), { host: "10.0.0.7", port: 4100 });
  assert.deepEqual(parseAddress("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(parseAddress("node-1.example:80"), { host: "node-1.example", port: 80 });
  for (const text of ["", "host", "host:", ":80", "::1:80", "host:99999", "a b:80", "host:80/x"]) {
    assert.equal(parseAddress(text), undefined, text);
  }
});

test("only loopback addresses are this machine's own", () => {
  for (const host of ["127.0.0.1", "127.3.2.1", "::1", "localhost"]) assert.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com"])
    assert.ok(!isLoopback(host), host);
});

function refusal(text: string): string {
  try {
    parseNodeConfig(text, PATH);
  } catch (error) {
    assert.ok(error instanceof EnvironmentError && error.code === "CONFIG", String(error));
    return error.message;
  }
  throw new Error(`was not refused: ${text}`);
}
