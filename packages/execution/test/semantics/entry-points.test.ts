// Entry points that no caller names: heartbeat, inspect_message; randomness; the settings a canister reads of itself.
// Specification, "Entry points"; checklist 1.8, 3.2, 6.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { filterCanisterIngress } from "@atoll/execution";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const NO_ARGUMENT = u.bytes(Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0));
const count = (slot: number): u.Code => u.setSlot(slot, u.add(u.getSlot(slot), u.int(1)));

describe("the heartbeat", () => {
  const id = s.newUniversal(m, { universal: { heartbeat: true } });

  test("runs once a round, as the management canister, and may call", () => {
    const other = s.newUniversal(m);
    const beat = u.seq(
      count(1),
      u.setSlot(2, u.ic0("msg_caller_size")),
      u.call({
        callee: s.idBytes(other),
        method: "update",
        arg: u.bytes(u.seq(count(3), u.reply())),
        onReply: count(4),
      }),
    );
    s.update(
      m,
      id,
      u.seq(u.storeProgram("heartbeat", beat), u.setSlot(1, u.int(0)), u.setSlot(4, u.int(0)), u.reply()),
    );
    s.update(m, id, u.seq(u.setSlot(1, u.int(0)), u.reply()));
    const beats = () => s.numberOf(s.queried(s.query(m, id, u.reply(u.le64(u.getSlot(1))))));
    const before = beats();
    s.round(m);
    s.round(m);
    s.round(m);
    assert.equal(beats() - before, 3n);
    assert.equal(s.updateNumber(m, id, u.getSlot(2)), 0n);
    assert.ok(s.updateNumber(m, id, u.getSlot(4)) >= 3n);
  });

  test("does not run while the canister is stopped, and its trap changes nothing", () => {
    s.update(
      m,
      id,
      u.seq(u.storeProgram("heartbeat", u.seq(count(1), u.unreachable())), u.setSlot(1, u.int(0)), u.reply()),
    );
    s.round(m);
    assert.equal(s.numberOf(s.queried(s.query(m, id, u.reply(u.le64(u.getSlot(1)))))), 0n);
    s.replyOf(s.manage(m, "stop_canister", id, s.onCanister(id)));
    const { cycles } = s.canisterOf(m, id);
    s.round(m);
    s.round(m);
    assert.equal(s.canisterOf(m, id).cycles, cycles);
  });
});

describe("inspect_message", () => {
  const id = s.newUniversal(m, { universal: { inspectMessage: true } });
  const inspect = (program: u.Code, method = "update") => {
    s.update(m, id, u.seq(u.storeProgram("inspectMessage", program), u.reply()));
    return filterCanisterIngress(m.queries, s.message(m, id, method, u.bytes("arg")));
  };

  test("lets a message in if it accepts it, once", () => {
    assert.equal(inspect(u.acceptMessage()), undefined);
    const twice = inspect(u.seq(u.acceptMessage(), u.acceptMessage()));
    assert.equal(twice?.code, s.ErrorCode.CanisterContractViolation);
    assert.match(twice?.message ?? "", /ic0\.accept_message: the function was already called/);
  });

  test("refuses with IC0406 when it returns without accepting, with its own error when it traps", () => {
    const refused = inspect(u.seq());
    assert.equal(refused?.code, s.ErrorCode.CanisterRejectedMessage);
    assert.match(refused?.message ?? "", /Canister rejected the message$/);
    assert.equal(inspect(u.trap("go away"))?.code, s.ErrorCode.CanisterCalledTrap);
  });

  test("sees method, argument and caller, and leaves no trace", () => {
    const isKnown = u.equal(u.lengthOf(u.methodName()), u.int(6));
    assert.equal(inspect(u.seq(u.setSlot(1, u.int(9)), u.ifElse(isKnown, u.acceptMessage()))), undefined);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
    assert.equal(
      inspect(u.ifElse(isKnown, u.acceptMessage()), "longer name")?.code,
      s.ErrorCode.CanisterRejectedMessage,
    );
  });

  test("a composite query cannot be called by an update (IC0527), whatever it says", () => {
    assert.equal(inspect(u.acceptMessage(), "composite_query")?.code, s.ErrorCode.CompositeQueryCalledInReplicatedMode);
  });

  test("a canister without code takes nothing, and the filter has its own words for it", () => {
    const empty = s.createCanister(m);
    assert.deepEqual(filterCanisterIngress(m.queries, s.message(m, empty, "update", u.bytes(""))), {
      code: s.ErrorCode.CanisterWasmModuleNotFound,
      message: "Requested canister has no wasm module",
    });
  });

  test("has 200 million instructions", () => {
    assert.equal(
      inspect(u.seq(u.spin(100_000_000), u.acceptMessage()))?.code,
      s.ErrorCode.CanisterInstructionLimitExceeded,
    );
  });
});

describe("raw_rand", () => {
  const id = s.newUniversal(m);
  const ask = (onReply: u.Code) => u.call({ callee: s.MANAGEMENT, method: "raw_rand", arg: NO_ARGUMENT, onReply });

  test("gives 32 bytes, other ones with each call, and not before the next round", () => {
    const sent = s.message(m, id, "update", ask(ask(u.reply(u.argData()))));
    const same = [1, 2].map(() => s.message(m, id, "update", ask(u.reply(u.argData()))));
    s.round(m, [sent, ...same]);
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    assert.ok(m.last.hasMoreWork);
    s.settleAll(m);
    const replies = [sent, ...same].map((each) => s.replyOf(s.statusOf(m, each)));
    for (const reply of replies) assert.equal(reply.length, "DIDL".length + 6 + 32);
    assert.equal(new Set(replies.map((reply) => reply.join())).size, 3);
  });
});

describe("what a canister sees of itself", () => {
  test("environment variables, in the order of their names", () => {
    const variables = [
      { name: "b", value: "2" },
      { name: "a", value: "one" },
    ];
    const id = s.newUniversal(m, { settings: { environment_variables: [variables] } });
    assert.equal(s.updateNumber(m, id, u.envVarCount()), 2n);
    assert.equal(s.updateText(m, id, u.reply(u.concat(u.envVarName(0), u.envVarValue("a"), u.envVarName(1)))), "aoneb");
    assert.equal(s.updateNumber(m, id, u.envVarNameExists("c")), 0n);
    const missing = s.failure(m, id, u.reply(u.envVarValue("c")));
    assert.equal(missing.code, s.ErrorCode.CanisterContractViolation);
    assert.match(missing.message, /Environment variable c not found\.$/);
    const outside = s.failure(m, id, u.reply(u.envVarName(2)));
    assert.match(outside.message, /index 2 is out of bounds\. The number of environment variables is 2\.$/);
  });

  test("its version rises with each message that changed something, not with queries and traps", () => {
    const id = s.newUniversal(m);
    const version = () => s.canisterOf(m, id).version;
    const start = version();
    s.update(m, id, u.reply());
    assert.equal(version(), start + 1);
    s.failure(m, id, u.unreachable());
    s.query(m, id, u.reply());
    assert.equal(version(), start + 1);
    assert.equal(s.updateNumber(m, id, u.ic0("canister_version")), BigInt(start + 1));
  });

  test("cycles_burn128 burns what is above the freezing threshold and no more", () => {
    const id = s.newUniversal(m, { cycles: 2_000_000_000_000n });
    const burned = s.numberOf(s.update(m, id, u.reply(u.cyclesBurn(1n << 100n))));
    assert.ok(burned > 1_000_000_000_000n);
    // What was prepaid and not used comes back afterwards.
    assert.ok(s.canisterOf(m, id).cycles > 40_000_000_000n - 1_000_000n);
    assert.ok(s.canisterOf(m, id).cycles < 2_000_000_000_000n - burned);
  });
});
