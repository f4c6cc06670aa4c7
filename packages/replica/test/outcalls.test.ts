// What the nodes of a subnet got from outside becomes one answer: transformed by the canister, agreed on by n-f nodes or
// rejected with what each proposed. Limits and texts of the replica (client.rs, payload_builder.rs); checklist 4.6.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { executeQuery, type QueryCall } from "@atoll/execution";
import { sha256 } from "@atoll/host-node";
import { MemoryStorage } from "@atoll/state";
import {
  type Batch,
  type CanisterId,
  type OutcallAnswer,
  type OutcallReply,
  type OutcallRequest,
  type OutcallResponse,
  type PrincipalId,
  RejectCode,
  type ResponsePayload,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { canister as testCanister } from "../../execution/test/canisters/build.ts";
import * as u from "../../execution/test/canisters/universal.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { Outcalls } from "../src/outcalls.ts";
import { batches, IDS, ingress, newSubnet } from "./subnet.ts";

const nodesOf = (count: number): PrincipalId[] =>
  Array.from({ length: count }, (_, i) => (i + 1).toString(16).padStart(2, "0").repeat(28).concat("02") as PrincipalId);

const ok = (body: string, headers: OutcallReply["headers"] = []): OutcallAnswer => ({
  kind: "reply",
  reply: { status: 200n, headers, body: new TextEncoder().encode(body) },
});
const no = (message: string): OutcallAnswer => ({ kind: "reject", code: RejectCode.SYS_TRANSIENT, message });

const m = s.newMachine();
const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });
const Result = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(Header), body: IDL.Vec(IDL.Nat8) });

interface Case extends Partial<OutcallRequest> {
  readonly nodes?: number;
}

/** The outcalls of a subnet with one open, and how often its canister was asked to transform. */
function open({ nodes = 4, ...over }: Case = {}) {
  const asked: string[] = [];
  const outcalls = new Outcalls(
    { nodes: nodesOf(nodes) },
    {
      crypto: { sha256 },
      executor: {
        query: async (call) => {
          asked.push(call.methodName);
          return executeQuery(m.queries, call);
        },
      },
    },
  );
  const request: OutcallRequest = {
    ...{ outcall: 5, canister: "00" as CanisterId, url: "https://example.com", method: "get", headers: [] },
    ...{ body: undefined, maxResponseBytes: undefined, transform: undefined, node: undefined, time: 1n },
    ...over,
  };
  outcalls.note({ began: [request], ended: [] });
  return { outcalls, asked };
}

async function agreed(over: Case, ...answers: OutcallAnswer[]): Promise<ResponsePayload> {
  const outcome = await open(over).outcalls.answer(5, answers);
  assert.ok(outcome.kind === "agreed");
  assert.equal(outcome.response.outcall, 5);
  return outcome.response.result;
}

const shown = (payload: ResponsePayload): string =>
  payload.kind === "reject" ? `${payload.code} ${payload.message}` : s.textOf(bodyOf(payload.data));

const bodyOf = (data: Uint8Array): Uint8Array =>
  (IDL.decode([Result], data)[0] as unknown as { body: Uint8Array }).body;

const DIVERGENCE =
  "2 No consensus could be reached. Replicas had different responses. Details: request_id: 5, hashes: ";

describe("agreement", () => {
  for (const [nodes, faulty] of [
    [1, 0],
    [4, 1],
    [13, 4],
  ] as const) {
    test(`of ${nodes} nodes needs all but ${faulty}`, async () => {
      const [all, enough] = [Array(nodes).fill(ok("a")), Array(nodes - faulty).fill(ok("a"))];
      assert.equal(shown(await agreed({ nodes }, ...all)), "a");
      assert.equal(shown(await agreed({ nodes }, ok("a"))), "a", "one answer counts for all");
      const others = Array.from({ length: faulty }, (_, i) => ok(`other ${i}`));
      assert.equal(shown(await agreed({ nodes }, ...others, ...enough)), "a");
      if (faulty === 0) return;
      const tooFew = await agreed({ nodes }, ok("one more"), ...others, ...enough.slice(1));
      assert.ok(shown(tooFew).startsWith(DIVERGENCE), shown(tooFew));
    });
  }

  test("that fails tells what was proposed how often, the most frequent first", async () => {
    const details = shown(await agreed({}, ok("a"), ok("b"), ok("b"), no("c"))).slice(DIVERGENCE.length);
    assert.match(details, /^\[[0-9a-f]{64}: 2\], \[[0-9a-f]{64}: 1\], \[[0-9a-f]{64}: 1\]$/);
    const [, one, other] = details.match(/[0-9a-f]{64}/g) as string[];
    assert.ok((one as string) > (other as string), "equally frequent ones in an order that all nodes have");
    assert.equal(shown(await agreed({}, no("c"), ok("b"), ok("a"), ok("b"))).slice(DIVERGENCE.length), details);
  });

  test("is on everything: status, headers, their order, reject codes and texts", async () => {
    const header = (name: string) => ({ name, value: "" });
    const status = (code: bigint): OutcallAnswer => ({
      kind: "reply",
      reply: { status: code, headers: [], body: new Uint8Array() },
    });
    for (const [one, other] of [
      [status(200n), status(201n)],
      [ok("", [header("a")]), ok("", [header("b")])],
      [ok("", [header("a"), header("b")]), ok("", [header("b"), header("a")])],
      [no("a"), no("b")],
      [no("a"), { ...no("a"), code: RejectCode.SYS_FATAL } as OutcallAnswer],
    ] as const) {
      assert.ok(shown(await agreed({}, one, one, other, other)).startsWith(DIVERGENCE));
      const most = await agreed({}, one, other, one, one);
      assert.deepEqual(most, await agreed({}, one));
    }
    assert.equal(shown(await agreed({}, no("a"), no("a"), no("a"), ok(""))), "2 a");
  });

  test("is not asked for where one node makes the outcall: its answer counts", async () => {
    const answers = ["a", "b", "c", "d"].map((text) => ok(text));
    for (const [i, node] of nodesOf(4).entries()) {
      assert.equal(shown(await agreed({ node }, ...answers)), "abcd"[i]);
    }
    assert.equal(shown(await agreed({ node: nodesOf(4)[2] }, ok("for all"))), "for all");
  });

  test("takes one answer or one of each node", async () => {
    for (const count of [0, 2, 3, 5]) {
      const outcome = await open().outcalls.answer(5, Array(count).fill(ok("")));
      assert.deepEqual(outcome, { kind: "wrong-count", nodes: 4 });
    }
  });
});

describe("a transform function", async () => {
  const { wasm } = await testCanister("outcalls");
  const canister = s.newUniversal(m, { wasm });
  const by = (methodName: string, over: Case = {}): Case => ({
    ...{ canister, transform: { methodName, context: new TextEncoder().encode("context") } },
    ...over,
  });
  const text = s.principal(canister).toText();

  test("makes different answers the same; the management canister asks it", async () => {
    const answers = [1, 2, 3, 4].map((i) => ok(`body ${i}`, [{ name: "date", value: `${i}` }]));
    assert.equal(shown(await agreed(by("clean"), ...answers)), "context");
    assert.ok(shown(await agreed({ canister }, ...answers)).startsWith(DIVERGENCE), "and without it there is none");
  });

  test("is asked once for each different answer, and never for a reject", async () => {
    const { outcalls, asked } = open(by("clean", { nodes: 13 }));
    await outcalls.answer(5, [...Array(9).fill(ok("a")), ok("b"), ok("b"), no("c"), no("c")]);
    assert.deepEqual(asked, ["clean", "clean"]);
  });

  test("that fails is a reject with the replica's words", async () => {
    const failing: [string, RegExp][] = [
      ["broken", /^5 IC0503: Error from Canister \S+: .*cannot transform/],
      ["refusing", /^4 I refuse$/],
      ["missing", /^5 IC0536: Error from Canister \S+: Canister has no query method 'missing'/],
      ["fetch", /^5 IC0536: Error from Canister \S+: Canister has no query method 'fetch'/],
      ["composed", /^5 IC0527: Composite query cannot be used as transform in canister http outcalls\.$/],
    ];
    for (const [method, expected] of failing) {
      const payload = shown(await agreed(by(method), ok("a")));
      assert.match(payload, expected);
      if (payload.includes("from Canister")) assert.ok(payload.includes(text));
    }
    const gone = by("clean", { canister: "0000000000ffffff0101" as CanisterId });
    assert.match(shown(await agreed(gone, ok("a"))), /^3 IC0301: Canister \S+ not found$/);
  });

  test("is told of to who listens to its network, and not to that of which it is a fork", async () => {
    const told: string[] = [];
    const listener = (name: string) => ({ onQueryEvents: () => void told.push(name) });
    const query = async (call: QueryCall) => executeQuery(m.queries, call);
    const ports = { crypto: { sha256 }, executor: { query } };
    const outcalls = new Outcalls({ nodes: nodesOf(1), ...listener("parent") }, ports);
    outcalls.note({ began: open(by("broken")).outcalls.pending(), ended: [] });
    const fork = outcalls.fork(listener("fork"), ports);
    await fork.answer(5, [ok("a")]);
    assert.deepEqual(told, ["fork"]);
    await outcalls.answer(5, [ok("a")]);
    assert.deepEqual(told, ["fork", "parent"]);
  });

  test("that never ends uses up the instructions of a query", async () => {
    const { queries } = s.newMachine({ resources: {} });
    assert.equal(queries.fees.limits.query, 5_000_000_000);
    const instructions = { ...queries.fees.limits, query: 20_000_000 };
    const small = s.newMachine({ resources: { instructions } });
    const id = s.newUniversal(small, { wasm });
    const outcalls = new Outcalls(
      { nodes: nodesOf(1) },
      { crypto: { sha256 }, executor: { query: async (call) => executeQuery(small.queries, call) } },
    );
    const [request] = open(by("slow", { canister: id })).outcalls.pending();
    outcalls.note({ began: [request as OutcallRequest], ended: [] });
    const outcome = await outcalls.answer(5, [ok("a")]);
    assert.ok(outcome.kind === "agreed");
    assert.match(shown(outcome.response.result), /^5 IC0522: Error from Canister \S+: Canister exceeded the limit of/);
  });

  test("may answer as much as the canister said, Candid and all", async () => {
    const size = 3_000 + 50;
    const exact = await agreed(by("many", { maxResponseBytes: size }), ok("a"));
    assert.ok(exact.kind === "reply" && exact.data.length <= size);
    const bytes = exact.data.length;
    assert.equal((await agreed(by("many", { maxResponseBytes: bytes }), ok("a"))).kind, "reply");
    const less = await agreed(by("many", { maxResponseBytes: bytes - 1 }), ok("a"));
    assert.equal(shown(less), `1 Transformed http response exceeds limit: ${bytes - 1}`);
    const reject = await agreed(by("refusing", { maxResponseBytes: 4 }), ok("a"));
    assert.equal(shown(reject), "1 Transformed http response exceeds limit: 4", "a reject is measured too");
  });
});

test("the whole way of an outcall in Motoko: asked, made, transformed, delivered", async () => {
  const { wasm } = await testCanister("outcalls");
  const id = s.newUniversal(m, { wasm });
  const outcalls = new Outcalls(
    { nodes: nodesOf(4) },
    { crypto: { sha256 }, executor: { query: async (call) => executeQuery(m.queries, call) } },
  );
  const fetch = (transform: string) =>
    IDL.encode([IDL.Text, IDL.Text, IDL.Opt(IDL.Nat64)], ["https://example.com", transform, [2000n]]);
  outcalls.serve(async ({ url }) => ok(`for ${url.replace("https://", "")}`, [{ name: "a", value: "b" }]));
  for (const [transform, expected] of [
    ["clean", "200 0 headers: context"],
    ["none", "200 1 headers: for example.com"],
  ] as const) {
    const sent = s.message(m, id, "fetch", fetch(transform));
    s.round(m, [sent]);
    const isReady = new Promise<void>((resolve) => {
      outcalls.onReady = resolve;
    });
    outcalls.note(m.last.outcalls);
    await isReady;
    outcalls.note(s.roundWith(m, { outcallResponses: outcalls.ready() }).outcalls);
    assert.deepEqual(IDL.decode([IDL.Text], s.replyOf(s.statusOf(m, sent))), [expected]);
    assert.deepEqual([outcalls.ready(), outcalls.pending()], [[], []]);
  }
});

describe("answers that nobody can use", () => {
  const header = (name: number, value: number) => ({ name: "n".repeat(name), value: "v".repeat(value) });
  const cases: [string, OutcallAnswer, string][] = [
    ["65 headers", ok("", Array(65).fill(header(1, 1))), "1 number of all http headers 65 exceeds 64"],
    [
      "a header name",
      ok("", [header(8193, 0)]),
      "1 number of bytes to represent some http header name 8193 exceeds 8192",
    ],
    [
      "a header value",
      ok("", [header(1, 8193)]),
      "1 number of bytes to represent some http header value 8193 exceeds 8192",
    ],
    [
      "headers of more than 48 KiB",
      ok("", Array(7).fill(header(1, 8000))),
      "1 total number of bytes to represent all http header names and values 56007 exceeds 49152",
    ],
    [
      "a body of more than 2 MB",
      ok("b".repeat(2_000_001)),
      "1 total number of bytes to represent all http header names and values and http body 2000001 exceeds 2000000",
    ],
    [
      "a status below zero",
      { kind: "reply", reply: { status: -1n, headers: [], body: new Uint8Array() } },
      "1 Failed to parse adapter http response to 'http_response' candid",
    ],
    ["half a character", no("\ud800"), "2 \ufffd"],
  ];
  for (const [name, answer, expected] of cases) {
    test(name, async () => assert.equal(shown(await agreed({}, answer)), expected));
  }
  test("half a character in a header", async () => {
    const result = await agreed({}, ok("", [{ name: "\udc00", value: "\ud800" }]));
    assert.ok(result.kind === "reply");
    const decoded = IDL.decode([Result], result.data)[0] as unknown as { headers: object };
    assert.deepEqual(decoded.headers, [{ name: "\ufffd", value: "\ufffd" }]);
  });
  test("the largest answers are none of them", async () => {
    const headers = Array(64).fill(header(10, 700));
    assert.equal((await agreed({}, ok("b".repeat(2_000_000 - 64 * 710), headers))).kind, "reply");
  });
});

describe("the queue", () => {
  const numbered = (outcall: number): OutcallRequest => ({
    ...(open().outcalls.pending()[0] as OutcallRequest),
    outcall,
  });
  const several = (count: number): Outcalls => {
    const { outcalls } = open();
    outcalls.note({ began: Array.from({ length: count }, (_, i) => numbered(i + 10)), ended: [5] });
    return outcalls;
  };
  const numbers = (list: readonly { readonly outcall: number }[]) => list.map(({ outcall }) => outcall);

  test("holds an answer until a round says that the outcall has ended", async () => {
    const outcalls = several(3);
    let told = 0;
    outcalls.onReady = () => told++;
    await outcalls.answer(11, [ok("a")]);
    assert.deepEqual([numbers(outcalls.ready()), numbers(outcalls.pending())], [[11], [10, 12]]);
    assert.deepEqual(await outcalls.answer(11, [ok("b")]), { kind: "unknown" });
    assert.deepEqual(numbers(outcalls.ready()), [11], "the batch may have failed");
    outcalls.note({ began: [], ended: [11] });
    assert.deepEqual([outcalls.ready(), told], [[], 1]);
    assert.deepEqual(await outcalls.answer(11, [ok("b")]), { kind: "unknown" });
  });

  test("takes no answer to an outcall that ended while its transform function ran", async () => {
    const outcalls = several(1);
    const answered = outcalls.answer(10, [ok("a")]);
    outcalls.note({ began: [], ended: [10] });
    assert.deepEqual([await answered, outcalls.ready()], [{ kind: "unknown" }, []]);
  });

  test("gives a batch no more than 500 answers and 2 MiB, and at least one", async () => {
    const many = several(501);
    for (const { outcall } of many.take()) await many.answer(outcall, [no("")]);
    assert.equal(many.ready().length, 500);
    const large = several(3);
    for (const { outcall } of large.take()) await large.answer(outcall, [ok("b".repeat(1_100_000))]);
    assert.deepEqual(numbers(large.ready()), [10]);
  });

  test("lets no more than 200 outcalls be made at a time, none of them twice", async () => {
    const outcalls = several(201);
    const made: number[] = [];
    const gate = Promise.withResolvers<void>();
    const client = async ({ outcall }: OutcallRequest) => {
      made.push(outcall);
      await gate.promise;
      if (outcall === 11) throw new Error("a client that fails");
      return ok("a");
    };
    outcalls.serve(client);
    outcalls.serve(client);
    outcalls.note({ began: [numbered(300)], ended: [] });
    assert.equal(made.length, 200);
    gate.resolve();
    while (made.length < 202 || outcalls.ready().length < 201) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(made, [...numbers(several(201).pending()), 300]);
    assert.ok(!numbers(outcalls.ready()).includes(11), "it was not answered");
    outcalls.serve(undefined);
    outcalls.note({ began: [numbered(301)], ended: [] });
    assert.deepEqual(numbers(outcalls.pending()), [301], "and nobody makes what comes now");
  });
});

/** What a canister asks, and the text that it gets. */
const asking = s.candid("http_request", {
  ...{ url: "https://example.com", max_response_bytes: [1000n], method: { get: null }, headers: [], body: [] },
  ...{ transform: [], is_replicated: [] },
});

for (const [how, checkpointBatches] of [
  ["from a checkpoint", 1],
  ["from the log", 1000],
] as const) {
  test(`a node that ended in the midst of outcalls goes on with them, ${how}`, async () => {
    const storage = new MemoryStorage();
    const first = await newSubnet({ storage, checkpointBatches });
    for (const batch of batches(1, 2)) await first.execute(batch);
    const canister = IDS[0] as CanisterId;
    const program = u.call({ callee: s.MANAGEMENT, method: "http_request", arg: u.bytes(asking), cycles: 10n ** 9n });
    const batch = (height: number, rest: Partial<Batch>): Batch => {
      const time = 1_800_000_000_000_000_000n + BigInt(height) * 2_000_000_000n;
      return { height, time, randomness: new Uint8Array(32), ingress: [], ...rest };
    };
    const ask = (height: number) =>
      batch(height, { ingress: [1, 2].map(() => ingress(batch(height, {}).time, canister, "update", program)) });
    const answer = (outcall: number, text: string): OutcallResponse => ({
      outcall,
      result: { kind: "reply", data: new TextEncoder().encode(text) },
    });
    await first.execute(ask(3));
    await first.execute(batch(4, { outcallResponses: [answer(1, "one")] }));
    const again = await newSubnet({ storage: storage.clone(), checkpointBatches });
    assert.deepEqual(again.whole.outcalls.ended, []);
    const [open] = again.whole.outcalls.began;
    assert.deepEqual([again.whole.height, open?.outcall, open?.url], [4, 0, "https://example.com"]);
    assert.equal(again.whole.wakeAt, 60_000_000_001n + batch(3, {}).time);
    const last = batch(5, { outcallResponses: [answer(0, "zero")] });
    assert.equal(await again.execute(last), await first.execute(last));
    assert.equal(again.executor.durable.machine.state.outcalls.size, 0);
  });
}
