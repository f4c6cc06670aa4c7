// A test as the user of any runner writes it: `test`, `beforeAll` and `afterAll` are globals of Vitest and Jest, and of
// node:test with `--import ./node-globals.mjs`. Jest also runs it as CommonJS.
import { CanisterReject, createNetwork, expectBudget, expectReject, expectReply, wasmFile } from "@atoll/test-kit";

const candid = ({ IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    trap_after_change: IDL.Func([], [], []),
    whoami: IDL.Func([], [IDL.Principal], ["query"]),
  });
const init = ({ IDL }) => [IDL.Opt(IDL.Text)];

let prepared;
let counter;
beforeAll(async () => {
  prepared = await createNetwork({ subnets: [{ kind: "nns" }, { kind: "application" }] });
  const wasm = wasmFile("counter.wasm");
  counter = await prepared.install({ wasm, candid, init, args: [[]], name: "counter" });
}, 20_000);
afterAll(() => prepared.close());

test("calls and queries", async () => {
  const network = await prepared.fork();
  const { actor } = network.canister(counter);
  await expectReply(actor.inc(), 1n);
  await expectReply(actor.get(), 1n);
  const alice = network.identity("alice");
  await expectReply(network.canister(counter).as(alice).actor.whoami(), alice.principal);
  await network.close();
});

test("forks are apart, failures tell what happened, costs have a budget", async () => {
  const network = await prepared.fork();
  const its = network.canister(counter);
  await expectReply(its.actor.get(), 0n);
  const reject = await expectReject(its.actor.trap_after_change(), { code: "CANISTER_ERROR" });
  if (!(reject instanceof CanisterReject) || !reject.tree.includes("counter.trap_after_change()")) throw reject;
  await expectBudget(its.submit("inc"), { instructions: 1_000_000, messages: 1 });
  await network.close();
});

test("a module for 64-bit memories runs, or is refused in words", async () => {
  const network = await prepared.fork();
  try {
    const canister = await network.install({ wasm: wasmFile("counter64.wasm"), candid });
    await expectReply(canister.actor.inc(), 1n);
  } catch (error) {
    if (!/WebAssembly has no (memories|tables) with 64-bit/.test(error.message)) throw error;
  }
  await network.close();
});
