// A first test: a canister on a network of its own, in the process of the test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createNetwork, expectReject } from "@atoll/test-kit";
import type { IDL } from "@icp-sdk/core/candid";
import { compileMotoko } from "../../../tools/motoko/compile.ts";

const source = fileURLToPath(new URL("../../first-canister/counter.mo", import.meta.url));
const { wasm } = await compileMotoko({ source, width: 64 });

// What `didc bind` writes.
interface Counter {
  increment(): Promise<bigint>;
  get(): Promise<bigint>;
}
const candid: IDL.InterfaceFactory = ({ IDL }) =>
  IDL.Service({ increment: IDL.Func([], [IDL.Nat]), get: IDL.Func([], [IDL.Nat], ["query"]) });

test("counts for everybody, and goes on after an upgrade", async () => {
  const network = await createNetwork();
  const counter = await network.install<Counter>({ wasm, candid, name: "counter" });
  await counter.actor.increment();
  await counter.as(network.identity("alice")).actor.increment();

  const fork = await network.fork(); // the same network once more, in a millisecond
  await fork.canister(counter).upgrade({ wasm });
  fork.advance({ days: 30 });
  assert.equal(await fork.canister(counter).actor.increment(), 3n);

  assert.equal(await counter.actor.get(), 2n);
  await network.faults.outOfCycles(counter);
  await expectReject(counter.actor.increment(), { errorName: "CanisterOutOfCycles" });
});
