// HTTPS outcalls in rounds: what a canister asks is in the state until a batch brings an answer or a minute has passed;
// cycles that it did not cost come back. Specification, "IC method http_request"; limits and texts of the replica
// (execution_environment.rs, canister_http.rs, payload_builder.rs); checklist 4.6.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeWholeState, processBatch } from "@atoll/messaging";
import { CheckpointStore, Checkpoints, MemoryStorage, ModuleStore, newSubnetState, PageStore } from "@atoll/state";
import { type CanisterId, encodeState, type OutcallResponse, type PrincipalId, RejectCode } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const BILLION = 1_000_000_000n;
/** For 19 bytes of URL and 1000 bytes of answer on 13 nodes. */
const FEE = 59_638_800n;
const URL = "https://example.com";
const nodes = [1, 2, 3, 4].map((byte) => ({
  nodeId: `${byte}`.padStart(2, "0").repeat(28).concat("02") as PrincipalId,
  publicKey: new Uint8Array(44),
}));

const request = (over: object = {}): Uint8Array =>
  s.candid("http_request", {
    ...{ url: URL, max_response_bytes: [1000n], method: { get: null }, headers: [], body: [] },
    ...{ transform: [], is_replicated: [], ...over },
  });

/** Asks, and answers with the code, the text and the cycles that came back. */
function ask(over: object = {}, options: Partial<u.CallOptions> = {}): u.Code {
  const told = (answer: u.Code): u.Code => u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), answer));
  return u.call({
    ...{ callee: s.MANAGEMENT, method: "http_request", arg: u.bytes(request(over)), cycles: BILLION },
    onReply: told(u.argData()),
    onReject: told(u.rejectMessage()),
    ...options,
  });
}

function told(m: s.Machine, sent: Parameters<typeof s.statusOf>[1]): { code: bigint; refund: bigint; text: string } {
  const bytes = s.replyOf(s.statusOf(m, sent));
  const [code, refund] = [s.numberOf(bytes.subarray(0, 8)), s.numberOf(bytes.subarray(8, 24))];
  return { code, refund, text: s.textOf(bytes.subarray(24)) };
}

const start = (config: Parameters<typeof s.newMachine>[0] = {}) => {
  const m = s.newMachine({ nodes, ...config });
  const id = s.newUniversal(m);
  return { m, id, send: (program: u.Code) => sendTo(m, id, program) };
};

function sendTo(m: s.Machine, id: CanisterId, program: u.Code) {
  const sent = s.message(m, id, "update", program);
  s.round(m, [sent]);
  return sent;
}

const reply = (outcall: number, text: string): OutcallResponse => ({
  outcall,
  result: { kind: "reply", data: new TextEncoder().encode(text) },
});

const deliver = (m: s.Machine, ...outcallResponses: OutcallResponse[]) => s.roundWith(m, { outcallResponses });

describe("an outcall", () => {
  test("is told with all that is needed to make it, and answered at the start of the round that brings the answer", () => {
    const { m, id, send } = start();
    const headers = [{ name: "a", value: "ü" }];
    const transform = [{ function: [s.principal(id), "clean"], context: Uint8Array.of(1, 2) }];
    const sent = send(ask({ headers, body: [Uint8Array.of(9)], method: { post: null }, transform }));
    assert.deepEqual(m.last.outcalls, {
      began: [
        {
          ...{ outcall: 0, canister: id, url: URL, method: "post", headers, body: Uint8Array.of(9) },
          maxResponseBytes: 1000,
          ...{ transform: { methodName: "clean", context: Uint8Array.of(1, 2) }, node: undefined, time: m.time },
        },
      ],
      ended: [],
    });
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    assert.equal(m.last.hasMoreWork, false, "it waits for the outside world, not for rounds");
    assert.equal(m.last.wakeAt, m.time + 60_000_000_001n);
    const { outcalls } = deliver(m, reply(0, "agreed"));
    assert.deepEqual(outcalls, { began: [], ended: [0] });
    assert.equal(told(m, sent).text, "agreed");
    assert.equal(m.machine.state.outcalls.size, 0);
    assert.equal(m.last.wakeAt, undefined);
  });

  test("costs its fee, which the canister's figures show; the rest comes back", () => {
    const { m, id, send } = start();
    const before = s.canisterOf(m, id).consumed.httpOutcalls;
    const sent = send(ask());
    deliver(m, reply(0, ""));
    assert.equal(told(m, sent).refund, BILLION - FEE);
    assert.equal(s.canisterOf(m, id).consumed.httpOutcalls - before, FEE);
  });

  test("costs nothing on a system subnet, and where nothing costs anything", () => {
    for (const config of [{ type: "system" }, { costSchedule: "free" }] as const) {
      const { m, id, send } = start(config);
      const sent = send(ask());
      deliver(m, reply(0, ""));
      assert.equal(told(m, sent).refund, BILLION);
      assert.equal(s.canisterOf(m, id).consumed.httpOutcalls, "costSchedule" in config ? FEE : 0n);
    }
  });

  test("that the nodes rejected is a reject with their code and text", () => {
    const { m, send } = start();
    const sent = send(ask());
    const result = { kind: "reject", code: RejectCode.SYS_FATAL, message: "no such host" } as const;
    deliver(m, { outcall: 0, result });
    assert.deepEqual(told(m, sent), { code: 1n, refund: BILLION - FEE, text: "no such host" });
  });

  test("that nobody answers for more than a minute is rejected; an answer in the same batch comes too late", () => {
    const { m, send } = start();
    const sent = send(ask());
    s.round(m, [], 60);
    assert.equal(s.statusOf(m, sent)?.state, "processing", "a minute is still in time");
    const late = s.roundWith(m, { time: m.time + 1n, outcallResponses: [reply(0, "late")] }, 0);
    assert.deepEqual(late.outcalls.ended, [0]);
    const text = "Canister http request timed out";
    assert.deepEqual(told(m, sent), { code: 2n, refund: BILLION - FEE, text });
  });

  test("has a number of its own; answers to numbers that are not open are ignored", () => {
    const { m, send } = start();
    const [first, second] = [send(ask()), send(ask())];
    deliver(m, reply(7, "?"), reply(1, "second"), reply(1, "again"), reply(-1, "?"));
    assert.equal(told(m, second).text, "second");
    assert.equal(s.statusOf(m, first)?.state, "processing");
    deliver(m, reply(1, "once more"), reply(0, "first"));
    assert.equal(told(m, first).text, "first");
    send(ask());
    assert.deepEqual(
      m.last.outcalls.began.map(({ outcall }) => outcall),
      [2],
    );
  });

  test("of one node alone names the node, another one now and then", () => {
    const { m, send } = start();
    const chosen = new Set<string | undefined>();
    for (let i = 0; i < 20; i++) {
      send(ask({ is_replicated: [false], method: { patch: null } }));
      for (const { node } of m.last.outcalls.began) chosen.add(node);
    }
    assert.deepEqual(
      [...chosen].sort(),
      nodes.map(({ nodeId }) => nodeId),
    );
  });

  test("of a canister that stops keeps it stopping", () => {
    const { m, id, send } = start();
    send(ask());
    const stop = s.message(m, "" as CanisterId, "stop_canister", s.candid("stop_canister", s.onCanister(id)), {
      effective: id,
    });
    s.round(m, [stop]);
    assert.equal(s.canisterOf(m, id).status.kind, "stopping");
    deliver(m, reply(0, ""));
    assert.equal(s.canisterOf(m, id).status.kind, "stopped");
  });

  test("whose caller has given up still gives the cycles back", () => {
    const { m, id, send } = start();
    const sent = send(ask({}, { timeoutSeconds: 5 }));
    s.round(m, [], 10);
    assert.equal(told(m, sent).code, 6n);
    const before = s.balanceOf(m, id);
    deliver(m, reply(0, ""));
    assert.ok(s.balanceOf(m, id) > before + BILLION - FEE - 10_000_000n);
  });
});

test("3000 outcalls may be open at a time", () => {
  const { m, id, send } = start();
  send(ask());
  const context = m.machine.state.outcalls.get(0);
  assert.ok(context !== undefined);
  for (let outcall = 1; outcall < 3000; outcall++) {
    m.machine.state.outcalls.add({ ...context, outcall: { ...context.outcall, outcall } });
  }
  const text = "max number (3000) of http requests in-flight reached.";
  assert.deepEqual(told(m, send(ask())), { code: 4n, refund: BILLION, text });
  deliver(m, reply(0, ""));
  assert.equal(s.statusOf(m, send(ask()))?.state, "processing");
  assert.equal(m.last.outcalls.began[0]?.canister, id);
});

test("the requests that are open may hold 512 MiB", () => {
  const { m, send } = start();
  send(ask());
  const context = m.machine.state.outcalls.get(0);
  assert.ok(context !== undefined);
  const body = new Uint8Array(2_000_000);
  for (let outcall = 1; outcall < 269; outcall++) {
    m.machine.state.outcalls.add({ ...context, outcall: { ...context.outcall, outcall, body } });
  }
  const large = ask({ body: [new Uint8Array(1_900_000)] }, { cycles: 20n * BILLION });
  assert.equal(told(m, send(large)).text, "max size (536870912 bytes) of http requests in-flight reached.");
  assert.equal(s.statusOf(m, send(ask()))?.state, "processing", "there is room for a small one");
});

/** The state as a node has it that was started again. */
function reloaded(m: s.Machine, checkpoints: Checkpoints): s.Machine {
  checkpoints.save(m.machine.state);
  const state = newSubnetState(m.machine.state.config, new ModuleStore(), new PageStore({ shared: false }));
  checkpoints.load(state);
  const fresh = s.newMachine(state.config, {}, { isEmpty: true });
  const machine = { ...fresh.machine, state };
  return { ...m, machine, last: describeWholeState(machine) };
}

test("a node that starts again tells all open outcalls, and goes on as if it had not stopped", () => {
  const { m, send } = start();
  const [first, second, third] = [send(ask()), send(ask({ is_replicated: [false] })), send(ask())];
  deliver(m, reply(1, "second"));
  const checkpoints = new Checkpoints(CheckpointStore.open(new MemoryStorage(), {}));
  checkpoints.save(m.machine.state);
  deliver(m, reply(0, "first"));
  const fourth = send(ask({ body: [Uint8Array.of(1)] }));
  const again = reloaded(m, checkpoints);
  assert.deepEqual(
    again.last.outcalls.began.map(({ outcall }) => outcall),
    [2, 3],
  );
  assert.deepEqual([...again.machine.state.outcalls.contexts()], [...m.machine.state.outcalls.contexts()]);
  assert.equal(again.last.wakeAt, m.last.wakeAt);
  const batch = (each: s.Machine, over: object) =>
    processBatch(each.machine, {
      height: m.height + 1,
      time: m.time + 1n,
      randomness: new Uint8Array(32),
      ingress: [],
      ...over,
    });
  for (const each of [m, again]) {
    const { began, ended } = batch(each, { outcallResponses: [reply(2, "third"), reply(3, "fourth")] }).outcalls;
    assert.deepEqual([began, ended], [[], [2, 3]]);
    const texts = [first, second, third, fourth].map((sent) => told(each, sent).text);
    assert.deepEqual(texts, ["first", "second", "third", "fourth"]);
    assert.equal(each.machine.state.outcalls.next, 4);
  }
  const figures = ({ machine }: s.Machine) => encodeState(machine.state.metrics.consumedCycles);
  assert.deepEqual(figures(again), figures(m));
});
