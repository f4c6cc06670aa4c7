// Who gets to see where in its code a canister trapped: its log always has it, answers only for those who may read
// that log. Instruction costs, section 9; checklist 4.2 (log_visibility).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canisterIdFromIndex } from "@atoll/types";
import { wat } from "../canisters/wat.ts";
import * as s from "./machine.ts";

const wasm = wat(
  `(module (func $inner (unreachable)) (func $outer (call $inner))
    (func $go (export "canister_update go") (call $outer)) (func $look (export "canister_query look") (call $outer))
    (func $start (export "canister_post_upgrade") (call $outer)))`,
  { names: true },
);
const backtrace = (entry: string) => `Canister trapped: unreachable\nCanister Backtrace:\ninner\nouter\n${entry}\n.\n`;

function told(settings: object, sender: typeof s.ALICE): { update: string; query: string; log: string | undefined } {
  const m = s.newMachine();
  const id = s.newUniversal(m, { wasm, settings });
  const update = s.errorOf(s.send(m, id, new Uint8Array(), { method: "go", sender })).message;
  const log = s.logsOf(m, id).at(-1);
  const query = s.queryError(s.query(m, id, new Uint8Array(), { method: "look", sender })).message;
  return { update, query, log };
}

describe("a backtrace is shown", () => {
  const LOGGED = "[TRAP]: unreachable\nCanister Backtrace:\ninner\nouter\ngo\n";
  const seen = (settings: object, sender: typeof s.ALICE) => {
    const { update, query, log } = told(settings, sender);
    assert.equal(log, LOGGED);
    assert.equal(query.includes(backtrace("look")), update.includes(backtrace("go")));
    assert.equal(update.includes("Backtrace"), update.includes(backtrace("go")));
    return update.includes("Backtrace");
  };

  test("to controllers", () => {
    assert.equal(seen({}, s.ALICE), true);
    assert.equal(seen({}, s.BOB), false);
  });

  test("to those whom the canister shows its log", () => {
    assert.equal(seen({ log_visibility: [{ public: null }] }, s.BOB), true);
    const viewers = (id: typeof s.ALICE) => ({ log_visibility: [{ allowed_viewers: [s.principal(id)] }] });
    assert.equal(seen(viewers(s.BOB), s.BOB), true);
    assert.equal(seen(viewers(canisterIdFromIndex(7n)), s.BOB), false);
  });

  test("to whom installs the code", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m);
    const { message } = s.errorOf(s.install(m, id, wasm, { mode: { upgrade: [] } }));
    assert.ok(message.includes(backtrace("start")), message);
  });
});
