// A node asks nodes of another subnet for slices: whoever is gone, refuses, or gave what was no good is passed over, and is
// asked again when time has passed, or when nobody else is left.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { principalFromText } from "@atoll/types";
import { createSubnetNodes } from "../src/nodes/stream-api.ts";

const OWN = principalFromText("rrkah-fqaaa-aaaaa-aaaaq-cai") ?? assert.fail();
const OTHER = principalFromText("ryjl3-tyaaa-aaaaa-aaaba-cai") ?? assert.fail();
const QUESTION = { from: 3, most: 5, signals: 2 };

test("nodes that do not answer, or wrongly, are passed over for half a minute", async () => {
  const asked: string[] = [];
  const servers = [200, 500, 200].map((status, i) =>
    createServer((request, response) => {
      asked.push(`${i} ${request.url}`);
      response.writeHead(status).end(`from ${i}`);
    }),
  );
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
  const urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  let now = 0;
  // Nobody listens at the first one.
  const nodes = createSubnetNodes(OWN, new Map([[OTHER, ["http://127.0.0.1:1", ...urls]]]), () => now);
  const ask = async (): Promise<string> => {
    const answer = (await nodes.slice(OTHER, QUESTION)) ?? assert.fail("nothing new");
    const text = new TextDecoder().decode(answer.bytes);
    if (text === "from 2") answer.refuse();
    return text;
  };
  try {
    const answers: string[] = [];
    for (let i = 0; i < 8; i++) answers.push(await ask());
    assert.equal(answers.filter((text) => text === "from 2").length, 1, `${answers}`);
    assert.equal(asked.filter((line) => line.startsWith("1 ")).length, 1, "the one that fails is asked once");
    assert.equal(asked[0], `0 /_/streams/rrkah-fqaaa-aaaaa-aaaaq-cai?from=3&most=5&signals=2`);
    now += 31_000;
    for (let i = 0; i < 4; i++) await ask();
    assert.equal(asked.filter((line) => line.startsWith("1 ")).length, 2, "and again later");
    await assert.rejects(nodes.slice(OWN, QUESTION), /there is none/);
  } finally {
    nodes.stop();
    for (const server of servers) server.close();
  }
});
