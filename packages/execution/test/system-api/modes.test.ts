// Which System API function may be called where: the column of contexts in the specification's "Overview of imports",
// every function in every context. Calling elsewhere is IC0504 with the name of the function and of the context.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { filterCanisterIngress } from "@atoll/execution";
import type { UserError } from "@atoll/types";
import { type Ic0Function, ic0Functions } from "../canisters/ic0-functions.ts";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "../semantics/machine.ts";

const ALL = "I G U RQ NRQ CQ Ry Rt CRy CRt C CC F T";
const REPLYING = "U RQ NRQ CQ Ry Rt CRy CRt";
const CALLING = "U CQ Ry Rt CRy CRt T";
const CALLER_INFO = "U RQ NRQ CQ Ry Rt CRy CRt C CC F";
const CHANGING = "I G U Ry Rt T";

/** From the specification; "s" is the start function. */
const CONTEXTS: readonly (readonly [RegExp, string])[] = [
  [/^msg_arg_data_/, "I U RQ NRQ CQ Ry CRy F"],
  [/^msg_caller_info_/, CALLER_INFO],
  [/^msg_reject_code$/, "Ry Rt CRy CRt C"],
  [/^msg_reject_msg_/, "Rt CRt"],
  [/^msg_deadline$/, REPLYING],
  [/^msg_(reply_data_append|reply|reject)$/, REPLYING],
  [/^msg_cycles_(available|accept)(128)?$/, "U RQ Ry Rt"],
  [/^msg_cycles_refunded(128)?$/, "Ry Rt"],
  [/^cycles_burn128$/, "I G U RQ Ry Rt C T"],
  [/^(msg_method_name_|accept_message)/, "F"],
  [/^call_cycles_add(128)?$/, "U Ry Rt T"],
  [/^call_/, CALLING],
  [/^stable/, `${ALL} s`],
  [/^root_key_/, "I G U RQ Ry Rt C T"],
  [/^certified_data_set$/, CHANGING],
  [/^data_certificate_(size|copy)$/, "NRQ CQ"],
  [/^global_timer_set$/, `${CHANGING} C`],
  [/^(performance_counter|is_controller|in_replicated_execution|cost_.*|debug_print|trap)$/, `${ALL} s`],
  // msg_caller, canister_self, subnet_self, balances, status, version, time, environment variables, certificate present.
  [/./, ALL],
];

const MODE_NAMES: Readonly<Record<string, string>> = {
  I: "init",
  G: "pre upgrade",
  U: "update",
  RQ: "replicated query",
  NRQ: "non replicated query",
  CQ: "composite query",
  Ry: "reply callback",
  Rt: "reject callback",
  CRy: "composite reply callback",
  CRt: "composite reject callback",
  C: "cleanup",
  CC: "composite cleanup",
  F: "inspect message",
  T: "global timer",
  P: "init",
  H: "heartbeat",
  s: "start",
};

/** As the refusal spells them: two with a dot. */
const spelled = (name: string): string => (/^(root_key|subnet_self)_copy$/.test(name) ? `ic0.${name}` : `ic0_${name}`);
/** Kinds of execution that the specification does not tell apart. */
const SAME: Readonly<Record<string, string>> = { P: "I", H: "T" };
const isAllowed = (name: string, context: string): boolean => {
  const row = CONTEXTS.find(([pattern]) => pattern.test(name));
  return row?.[1].split(" ").includes(SAME[context] ?? context) === true;
};

/** The function with zeros for its parameters, its result dropped. */
function bare({ name, params, result }: Ic0Function): u.Code {
  const called = u.ic0(name, ...params.map(() => 0));
  return result === null ? called : u.seq(called, u.op("drop"));
}

type Attempt = (program: u.Code) => string;

const told = (error: UserError | undefined): string => error?.message ?? "";
const ofStatus = (status: ReturnType<typeof s.send>): string => (status.state === "rejected" ? told(status.error) : "");
const ofQuery = (result: ReturnType<typeof s.query>): string => (result.kind === "rejected" ? told(result.error) : "");
const certificate = Uint8Array.of(1);

/** Runs a program in each context of a machine of its own, and tells what went wrong with it. */
function attempts(width: 32 | 64): Readonly<Record<string, Attempt>> {
  const m = s.newMachine();
  const a = s.newUniversal(m, { universal: { width } });
  const other = s.newUniversal(m);
  const inspecting = s.newUniversal(m, { universal: { width, inspectMessage: true } });
  const timed = s.newUniversal(m, { universal: { width } });
  const beating = s.newUniversal(m, { universal: { width, heartbeat: true } });
  const code = s.universal({ width });
  const replies = u.reply();
  const rejects = u.reject("no");
  const lookup = (on: { onReply?: u.Code; onReject?: u.Code; onCleanup?: u.Code }, callee: u.Code) =>
    u.call({ callee: s.idBytes(other), method: "query", arg: u.bytes(callee), ...on });
  const composite = (program: u.Code) => ofQuery(s.query(m, a, program, { method: "composite_query", certificate }));
  const failures = (events: typeof m.last.events) =>
    events.map((event) => (event.kind === "failed" ? event.message : "")).join();
  return {
    I: (program) => ofStatus(s.install(m, timed, code, { mode: { reinstall: null }, arg: program })),
    P: (program) => {
      s.install(m, timed, code, { mode: { reinstall: null } });
      return ofStatus(s.install(m, timed, code, { mode: { upgrade: [] }, arg: program }));
    },
    G: (program) => {
      s.install(m, timed, code, { mode: { reinstall: null }, arg: u.storeProgram("preUpgrade", program) });
      return ofStatus(s.install(m, timed, code, { mode: { upgrade: [] } }));
    },
    U: (program) => ofStatus(s.send(m, a, program)),
    RQ: (program) => ofStatus(s.send(m, a, program, { method: "query" })),
    NRQ: (program) => ofQuery(s.query(m, a, program, { certificate })),
    CQ: composite,
    Ry: (program) => ofStatus(s.send(m, a, lookup({ onReply: program }, replies))),
    Rt: (program) => ofStatus(s.send(m, a, lookup({ onReject: program }, rejects))),
    CRy: (program) => composite(lookup({ onReply: program }, replies)),
    CRt: (program) => composite(lookup({ onReject: program }, rejects)),
    C: (program) => ofStatus(s.send(m, a, lookup({ onReply: u.unreachable(), onCleanup: program }, replies))),
    CC: (program) => composite(lookup({ onReply: u.unreachable(), onCleanup: program }, replies)),
    F: (program) => {
      s.send(m, inspecting, u.seq(u.storeProgram("inspectMessage", program), u.reply()));
      return told(filterCanisterIngress(m.queries, s.message(m, inspecting, "update", new Uint8Array())));
    },
    T: (program) => {
      s.send(m, timed, u.seq(u.storeProgram("globalTimer", program), u.globalTimerSet(u.int(1)), u.reply()));
      return failures([...m.last.events, ...s.round(m).events]);
    },
    H: (program) => {
      s.send(m, beating, u.seq(u.storeProgram("heartbeat", program), u.reply()));
      return failures([...m.last.events, ...s.round(m).events]);
    },
  };
}

for (const width of [32, 64] as const) {
  describe(`${width}-bit`, () => {
    for (const [context, attempt] of Object.entries(attempts(width))) {
      test(`exactly the functions of context ${context} may be called in ${MODE_NAMES[context]} mode`, () => {
        for (const candidate of ic0Functions(width)) {
          const refusal = `"${spelled(candidate.name)}" cannot be executed in ${MODE_NAMES[context]} mode`;
          const message = attempt(bare(candidate));
          assert.equal(!message.includes(refusal), isAllowed(candidate.name, context), `${candidate.name}: ${message}`);
        }
      });
    }

    test("exactly the functions of context s may be called in start mode", () => {
      const m = s.newMachine();
      const id = s.createCanister(m);
      const wasmType = (type: string): string => (type === "P" ? `i${width}` : type);
      const zero = (type: string): string => `(${wasmType(type)}.const 0)`;
      for (const { name, params, result } of ic0Functions(width)) {
        const signature = `(param ${params.map(wasmType).join(" ")})${result === null ? "" : ` (result ${wasmType(result)})`}`;
        const called = `(call $f ${params.map(zero).join(" ")})`;
        const wasm =
          wat(`(module (import "ic0" "${name}" (func $f ${signature})) (memory ${width === 64 ? "i64" : ""} 1)
          (func $start ${result === null ? called : `(drop ${called})`}) (start $start))`);
        const message = ofStatus(s.install(m, id, wasm, { mode: { reinstall: null } }));
        const refusal = `"${spelled(name)}" cannot be executed in start mode`;
        assert.equal(!message.includes(refusal), isAllowed(name, "s"), `${name}: ${message}`);
      }
    });
  });
}

test("a wrong mode is a contract violation with the advice of the replica", () => {
  const m = s.newMachine();
  const error = s.failure(m, s.newUniversal(m), bare({ name: "accept_message", params: [], result: null }));
  assert.equal(error.code, s.ErrorCode.CanisterContractViolation);
  assert.match(error.message, /Canister violated contract: "ic0_accept_message" cannot be executed in update mode\./);
});
