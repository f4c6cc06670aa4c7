// The protocol of operations on one instance: one at a time, in order, 200, 202 and 409, results that wait at
// read_graph, clients that vanish, an instance that goes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { done, type Outcome, Refusal } from "../src/answers.ts";
import { OperationGraph, OperationQueue } from "../src/operations.ts";

interface Place {
  readonly state_label: string;
  readonly op_id: string;
}

/** Work that ends when the test says so. */
function held(): { work: () => Promise<Outcome>; end: (outcome?: Outcome) => void; hasBegun: () => boolean } {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let hasBegun = false;
  const work = (): Promise<Outcome> => {
    hasBegun = true;
    return promise;
  };
  return { work, end: (outcome = done("held")) => resolve(outcome), hasBegun: () => hasBegun };
}

const patient = { timeoutMs: 60_000 };
const hasty = { timeoutMs: 10 };

describe("operations on an instance", () => {
  test("run one after the other, in the order in which they came", async () => {
    const queue = new OperationQueue(new OperationGraph());
    const order: string[] = [];
    const noted = (name: string) => async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`${name} ends`);
      return done(name);
    };
    const answers = await Promise.all(["a", "b", "c"].map((name) => queue.run(name, noted(name), patient)));
    assert.deepEqual(
      answers,
      ["a", "b", "c"].map((name) => done(name)),
    );
    assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
    assert.equal(queue.state, "Available");
  });

  test("that run longer than the client waits are asked for, and forgotten when told to", async () => {
    const graph = new OperationGraph();
    const queue = new OperationQueue(graph);
    const long = held();
    const { status, body } = await queue.run("tick", long.work, hasty);
    const { state_label, op_id } = body as unknown as Place;
    assert.equal(status, 202);
    assert.match(state_label, /^[A-Za-z0-9_-]{22}==$/);
    assert.equal(queue.state, `Busy(${state_label}, ${op_id})`);
    assert.equal(graph.read(state_label, op_id).status, 404);
    assert.equal(graph.prune(state_label, op_id).status, 404);
    long.end();
    await queue.run("next", async () => done(), patient);
    assert.deepEqual(graph.read(state_label, op_id), done("held"));
    assert.deepEqual(graph.read(state_label, op_id), done("held"));
    assert.deepEqual(graph.prune(state_label, op_id), done(null));
    assert.equal(graph.read(state_label, op_id).status, 404);
  });

  test("that did not begin in time are told what runs, and never begin", async () => {
    const queue = new OperationQueue(new OperationGraph());
    const long = held();
    const late = held();
    const first = queue.run("long", long.work, patient);
    const { status, body } = await queue.run("late", late.work, hasty);
    assert.equal(status, 409);
    assert.match((body as unknown as Place).op_id, /^long-/);
    long.end();
    assert.deepEqual(await first, done("held"));
    await queue.run("after", async () => done(), patient);
    assert.equal(late.hasBegun(), false);
  });

  test("a refusal is an answer, also one that is asked for later; a failure of ours is not told", async () => {
    const graph = new OperationGraph();
    const queue = new OperationQueue(graph);
    const refusing = async () => {
      throw new Refusal(403, "not you");
    };
    assert.deepEqual(await queue.run("a", refusing, patient), { status: 403, body: { message: "not you" } });
    await assert.rejects(
      queue.run("b", () => Promise.reject(new TypeError("broken")), patient),
      TypeError,
    );
    const slow = () => new Promise<Outcome>((_, reject) => setTimeout(() => reject(new TypeError("late")), 40));
    const { body } = await queue.run("c", slow, hasty);
    const { state_label, op_id } = body as unknown as Place;
    await queue.run("d", async () => done(), patient);
    assert.equal(graph.read(state_label, op_id).status, 500);
    assert.equal(queue.state, "Available");
  });

  test("of clients that have gone are not begun; what runs goes on", async () => {
    const queue = new OperationQueue(new OperationGraph());
    const long = held();
    const abandoned = held();
    const leave: (() => void)[] = [];
    const onDisconnect = (callback: () => void) => {
      leave.push(callback);
      return () => undefined;
    };
    const first = queue.run("long", long.work, { ...patient, onDisconnect });
    const second = queue.run("abandoned", abandoned.work, { ...patient, onDisconnect });
    for (const each of leave) each();
    await Promise.all([first, second]);
    assert.match(queue.state, /^Busy/);
    long.end();
    await queue.run("after", async () => done(), patient);
    assert.equal(abandoned.hasBegun(), false);
  });

  test("end with the instance: what runs is waited for, what waits is refused", async () => {
    const queue = new OperationQueue(new OperationGraph());
    const long = held();
    const first = queue.run("long", long.work, patient);
    const second = queue.run("second", async () => done(), patient);
    const closed = queue.close();
    const gone = { status: 400, body: { message: "Instance was deleted" } };
    assert.deepEqual(await second, gone);
    assert.deepEqual(await queue.run("third", async () => done(), patient), gone);
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(isClosed, false);
    long.end();
    assert.deepEqual(await first, done("held"));
    await closed;
    assert.equal(queue.state, "Deleted");
  });

  test("leave no more results than a server can hold", async () => {
    const graph = new OperationGraph();
    const label = Buffer.alloc(16).toString("base64url");
    for (let i = 0; i < 3_000; i++) graph.keep(`${label} ${i}`, done(i));
    assert.equal(graph.read(label, "0").status, 404);
    assert.deepEqual(graph.read(label, "2999"), done(2_999));
    assert.throws(() => graph.read("short", "1"), /Malformed state label/);
  });
});
