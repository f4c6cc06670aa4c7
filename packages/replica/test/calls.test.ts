// Calls between canisters as Motoko makes them: reply, reject, trap, missing canister, cycles, cleanup, many at once.
// Interface specification, "Inter-canister calls"; both widths of the compiler.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { deploy, query, startNetwork, type TestNetwork, update } from "./network.ts";

let network: TestNetwork;
let agent: HttpAgent;
before(async () => {
  network = await startNetwork();
  agent = await network.agent();
});
after(() => network.stop());

const OUTCOME = IDL.Variant({ ok: IDL.Vec(IDL.Nat8), err: IDL.Tuple(IDL.Text, IDL.Text) });
type Outcome = { ok: Uint8Array } | { err: [string, string] };

for (const width of [32, 64] as const) {
  describe(`${width} bits`, () => {
    let a: Principal;
    let b: Principal;
    before(async () => {
      const { wasm } = await canister("calls", { width });
      a = await deploy(agent, wasm);
      b = await deploy(agent, wasm);
    });

    const outcome = (callee: Principal, method: string, text: string) =>
      update<Outcome>(
        agent,
        a,
        "call",
        [
          [IDL.Principal, IDL.Text, IDL.Vec(IDL.Nat8)],
          [callee, method, IDL.encode([IDL.Text], [text])],
        ],
        [OUTCOME],
      );

    test("a reply comes back", async () => {
      const text = await update(
        agent,
        a,
        "callEcho",
        [
          [IDL.Principal, IDL.Text],
          [b, "hello"],
        ],
        [IDL.Text],
      );
      assert.equal(text, "hello");
    });

    test("a reject comes back with code 4 and its text", async () => {
      assert.deepEqual(await outcome(b, "fail", "no!"), { err: ["#canister_reject", "no!"] });
    });

    test("a trap of the callee is an error of the callee", async () => {
      const result = await outcome(b, "trap", "ouch");
      assert.ok("err" in result);
      assert.match(result.err[1], /^IC0503: Error from Canister .*Canister called `ic0.trap` with message: '.*ouch/);
    });

    test("a missing method and a missing canister", async () => {
      const method = await outcome(b, "nowhere", "");
      assert.ok("err" in method);
      assert.match(method.err[1], /IC0536: .*has no update method 'nowhere'/);
      const missing = await outcome(Principal.fromText("uxrrr-q7777-77774-qaaaq-cai"), "echo", "");
      assert.ok("err" in missing);
      assert.match(missing.err[1], /not found/);
      const code = await update<string>(
        agent,
        a,
        "codeOf",
        [[IDL.Principal], [Principal.fromText("uxrrr-q7777-77774-qaaaq-cai")]],
        [IDL.Text],
      );
      assert.equal(code, "#destination_invalid");
    });

    test("cycles: what the callee does not accept comes back", async () => {
      const [accepted, refunded] = await update<[bigint, bigint]>(
        agent,
        a,
        "sendCycles",
        [
          [IDL.Principal, IDL.Nat, IDL.Nat],
          [b, 1_000_000_000n, 400_000_000n],
        ],
        [IDL.Nat, IDL.Nat],
      );
      assert.equal(accepted, 400_000_000n);
      assert.equal(refunded, 600_000_000n);
    });

    test("a best-effort call shows its deadline to the callee", async () => {
      const deadline = await update<[] | [bigint]>(
        agent,
        a,
        "callWithTimeout",
        [
          [IDL.Principal, IDL.Nat32],
          [b, 60],
        ],
        [IDL.Opt(IDL.Nat)],
      );
      assert.equal(deadline.length, 1);
      const inNs = Number((deadline[0] ?? 0n) / 1_000_000n) - Date.now();
      assert.ok(inNs > 50_000 && inNs < 61_000, `the deadline is ${inNs} ms away`);
    });

    test("try, catch and finally; a trap in a callback runs the cleanup", async () => {
      const log = await update(
        agent,
        a,
        "tryCatchFinally",
        [
          [IDL.Principal, IDL.Text],
          [b, "trap"],
        ],
        [IDL.Text],
      );
      assert.equal(log, "try catch:#canister_reject finally");
      await assert.rejects(update(agent, a, "trapThenCleanup"), /trapped after the await/);
      assert.equal(await query(agent, a, "getLog", undefined, [IDL.Text]), "cleanup");
    });

    test("a hundred calls in flight, and calls nested in calls", async () => {
      assert.deepEqual(await update(agent, a, "parallel", [[IDL.Nat], [100]], [IDL.Nat, IDL.Nat]), [100n, 100n]);
      assert.equal(await update(agent, a, "recurse", [[IDL.Nat], [20]], [IDL.Nat]), 20n);
    });

    test("500 calls to one receiver fit into its queue, not one more", async () => {
      const started = await update(
        agent,
        a,
        "fillQueue",
        [
          [IDL.Principal, IDL.Nat],
          [b, 600],
        ],
        [IDL.Nat],
      );
      assert.equal(started, 500n);
    });

    test("a composite query asks another canister", async () => {
      const balance = await query<bigint>(agent, a, "queryEcho", [[IDL.Principal], [b]], [IDL.Nat]);
      assert.ok(balance > 90_000_000_000_000n);
    });
  });
}
