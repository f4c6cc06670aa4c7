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

/** Nodes of the other subnet, each answering with a status that may change. */
async function withNodes(
  statuses: number[],
  body: (ask: (times: number) => Promise<number[]>, pass: (ms: number) => void) => Promise<void>,
): Promise<void> {
  let asked: number[] = [];
  const servers = statuses.map((_, i) =>
    createServer((_request, response) => {
      asked.push(i);
      response.writeHead(statuses[i] as number).end(statuses[i] === 204 ? undefined : "a slice");
    }),
  );
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
  const urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  let now = 0;
  const nodes = createSubnetNodes(OWN, new Map([[OTHER, urls]]), () => now);
  const ask = async (times: number): Promise<number[]> => {
    asked = [];
    for (let i = 0; i < times; i++) await nodes.slice(OTHER, QUESTION);
    return asked;
  };
  try {
    await body(ask, (ms) => {
      now += ms;
    });
  } finally {
    nodes.stop();
    for (const server of servers) server.close();
  }
}

test("a node that fails again and again is passed over longer and longer, until it answers", async () => {
  const statuses = [500, 200];
  await withNodes(statuses, async (ask, pass) => {
    const isAsked = async (afterMs: number): Promise<boolean> => {
      pass(afterMs);
      return (await ask(2)).includes(0);
    };
    assert.ok(await isAsked(0));
    assert.ok(await isAsked(31_000));
    assert.ok(!(await isAsked(31_000)), "twice as long the second time");
    assert.ok(await isAsked(30_000));
    for (let i = 0; i < 8; i++) assert.ok(await isAsked(301_000), "never longer than five minutes");
    statuses[0] = 200;
    assert.ok(await isAsked(301_000));
    statuses[0] = 500;
    assert.ok(await isAsked(0));
    assert.ok(await isAsked(31_000), "it begins anew");
  });
});

test("a node that has no news where another one has them at once is passed over for half a minute", async () => {
  const statuses = [204, 200, 200];
  await withNodes(statuses, async (ask, pass) => {
    assert.deepEqual(
      (await ask(9)).filter((i) => i === 0),
      [0],
    );
    pass(31_000);
    assert.deepEqual(
      (await ask(9)).filter((i) => i === 0),
      [0],
    );
    statuses.fill(204);
    pass(31_000);
    assert.equal((await ask(9)).filter((i) => i === 0).length, 3, "where nobody has news nobody is passed over");
  });
});
