// An execution of more than one slice in the network of a page: a canister that counts for a while and tells how many
// instructions that took. Called as anybody, round by round, so that the rounds it takes are those of the protocol.
import assert from "node:assert/strict";
import { ANONYMOUS, MANAGEMENT_CANISTER, principalFromText, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import type { Page } from "playwright-core";
import { wat } from "../../../packages/execution/test/canisters/wat.ts";

/** Twelve instructions a turn: more than a slice, less than two. */
const LONG = wat(`
  (module
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
    (memory 1)
    (func (export "canister_update count")
      (local $left i32)
      (local.set $left (i32.const 45000000))
      (loop $again
        (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.extend_i32_u (local.get $left))))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i64.store (i32.const 0) (call $counter (i32.const 0)))
      (call $append (i32.const 0) (i32.const 16))
      (call $reply)))`);

interface Call {
  readonly sender: string;
  readonly receiver: string;
  readonly methodName: string;
  /** Bytes. */
  readonly arg: readonly number[];
  readonly effective?: string;
}

interface Console {
  readonly network: {
    status(): Promise<{ subnets: { id: string; height: number }[] }>;
    stopProgress(): Promise<unknown>;
    call(call: object): Promise<{ state: string; reply: Uint8Array; error?: { message: string } }>;
  };
}

export interface LongOutcome {
  readonly instructions: bigint;
  readonly sum: bigint;
  readonly rounds: number;
}

export async function runLong(page: Page): Promise<LongOutcome> {
  const status = await page.evaluate(async () => {
    const { network } = globalThis as unknown as Console;
    await network.stopProgress();
    return network.status();
  });
  const subnet = principalFromText(status.subnets[0]?.id ?? "");
  assert.ok(subnet !== undefined);
  const management = { sender: ANONYMOUS, receiver: MANAGEMENT_CANISTER };
  const create = { ...management, methodName: "provisional_create_canister_with_cycles", effective: subnet };
  const { reply: created } = await call(page, { ...create, arg: encode(Create, { amount: [10n ** 15n] }) });
  const [{ canister_id }] = IDL.decode([Created], created) as unknown as [{ canister_id: Principal }];
  const id = toHex(canister_id.toUint8Array());
  const code = { mode: { install: null }, canister_id, wasm_module: LONG, arg: [] };
  await call(page, { ...management, methodName: "install_code", effective: id, arg: encode(Install, code) });
  const { reply, rounds } = await call(page, { sender: ANONYMOUS, receiver: id, methodName: "count", arg: [] });
  const view = new DataView(reply.buffer);
  return { instructions: view.getBigUint64(0, true), sum: view.getBigUint64(8, true), rounds };
}

async function call(page: Page, call: Call): Promise<{ reply: Uint8Array; rounds: number }> {
  const { status, rounds } = await page.evaluate(async (call) => {
    const { network } = globalThis as unknown as Console;
    const height = async () => (await network.status()).subnets[0]?.height ?? 0;
    const before = await height();
    const { reply, ...status } = await network.call({ ...call, arg: Uint8Array.from(call.arg) });
    return { status: { ...status, reply: [...(reply ?? [])] }, rounds: (await height()) - before };
  }, call);
  assert.equal(status.state, "replied", status.error?.message ?? status.state);
  return { reply: Uint8Array.from(status.reply), rounds };
}

const Create = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const Created = IDL.Record({ canister_id: IDL.Principal });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function encode(type: IDL.Type, value: object): number[] {
  return [...IDL.encode([type], [value])];
}
