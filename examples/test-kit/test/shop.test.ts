// How to test a dapp: a shop and a ledger on two subnets, prepared once, and a fork of that network for each test.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  createNetwork,
  expectBudget,
  expectReject,
  expectReply,
  type TestCanister,
  type TestNetwork,
} from "@atoll/test-kit";
import { compileMotoko } from "../../../tools/motoko/compile.ts";
import { type Ledger, ledgerIdl, type Shop, shopIdl, shopInit } from "../interfaces.ts";

let prepared: TestNetwork;
let network: TestNetwork;
let ledger: TestCanister<Ledger>;
let shop: TestCanister<Shop>;

before(async () => {
  prepared = await createNetwork({ subnets: [{ kind: "application" }, { kind: "application" }] });
  const [here, there] = prepared.subnets;
  assert.ok(here && there);
  ledger = await prepared.install({ name: "ledger", wasm: await build("ledger"), candid: ledgerIdl, subnet: there });
  shop = await prepared.install({
    name: "shop",
    wasm: await build("shop"),
    candid: shopIdl,
    init: shopInit,
    args: [ledger.id],
    subnet: here,
  });
  await ledger.actor.deposit(prepared.identity("alice").principal, 5_000n);
  await ledger.actor.deposit(prepared.identity("bob").principal, 5_000n);
});
after(() => prepared.close());

beforeEach(async () => {
  network = await prepared.fork();
  [ledger, shop] = [network.canister(ledger), network.canister(shop)];
});
afterEach(() => network.close());

test("a ticket is paid through the ledger, which is on another subnet", async () => {
  const alice = network.identity("alice");
  await expectReply(shop.as(alice).submit("buy"), { sold: null });
  assert.equal(await shop.actor.left(), 0n);
  assert.equal(await ledger.actor.balance(alice.principal), 3_000n);
});

test("who cannot pay gets nothing, and the failure tells where it happened", async () => {
  const carol = network.identity("carol");
  await ledger.actor.deposit(carol.principal, 10n);
  const reject = await expectReject(shop.as(carol).submit("buy"), { message: "only 10 cents are left" });
  assert.match(reject.message, /└─ ledger\.take\(principal carol, 2_000\) -> ✗ CANISTER_ERROR/);
  assert.equal(await shop.actor.left(), 1n);
});

test("new tickets come every day", async () => {
  network.advance({ hours: 23 });
  await network.tick();
  assert.equal(await shop.actor.left(), 1n);
  network.advance({ hours: 1 });
  await network.tick(2);
  assert.equal(await shop.actor.left(), 3n);
});

test("the last ticket is sold once, whoever's payment comes back first", async () => {
  const [alice, bob] = [network.identity("alice"), network.identity("bob")];
  const hold = await network.hold({ to: shop, kind: "response" });
  const first = await shop.as(alice).submit("buy");
  const second = await shop.as(bob).submit("buy");
  const [toAlice, toBob] = [await hold.next(), await hold.next()];
  await network.release([toBob, toAlice]);
  await hold.end();
  await expectReply(second, { sold: null });
  await expectReply(first, { soldOut: null });
  assert.equal(await ledger.actor.balance(alice.principal), 5_000n);
  assert.equal(await ledger.actor.balance(bob.principal), 3_000n);
});

test("all nodes agree on the price, whatever else the web tells each of them", async () => {
  const call = await shop.submit("updatePrice");
  const outcall = await network.nextOutcall();
  assert.equal(outcall.url, "https://tickets.example/price");
  const date = (node: number) => ({ headers: { date: `node ${node}` }, body: "2500" });
  await outcall.replyEach(Array.from({ length: outcall.nodes }, (_, node) => date(node)));
  await expectReply(call, 2_500n);
});

test("buying stays cheap", async () => {
  const call = shop.as(network.identity("alice")).submit("buy");
  await expectBudget(call, { instructions: 200_000, cycles: 60_000_000n, messages: 2 });
});

async function build(name: string): Promise<Uint8Array> {
  const source = fileURLToPath(new URL(`../${name}.mo`, import.meta.url));
  return (await compileMotoko({ source, width: 64 })).wasm;
}
