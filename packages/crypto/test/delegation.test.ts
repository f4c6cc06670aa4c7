// Chains of delegations made by the agent: accepted when whole, and refused for each of the reasons.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MANAGEMENT_CANISTER } from "@atoll/types";
import type { SignIdentity } from "@icp-sdk/core/agent";
import { DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { bodyOf, CANISTER, MINUTE, NOW, receive, textOf } from "./agent-requests.ts";

const identity = (n: number) => Ed25519KeyIdentity.generate(new Uint8Array(32).fill(n));
const LATER = new Date(Number((NOW + 10n * MINUTE) / 1_000_000n));
const OTHER = Principal.fromHex("00000000000000060101");

interface Link {
  readonly expiration?: Date;
  readonly targets?: Principal[];
  readonly permissions?: string;
}

async function chainOf(links: readonly Link[], keys: readonly SignIdentity[]): Promise<DelegationChain> {
  let chain: DelegationChain | undefined;
  for (const [i, { expiration = LATER, ...options }] of links.entries()) {
    const [from, to] = [keys[i] as SignIdentity, (keys[i + 1] as SignIdentity).getPublicKey()];
    chain = await DelegationChain.create(from, to, expiration, chain ? { previous: chain, ...options } : options);
  }
  return chain as DelegationChain;
}

async function delegated(
  links: readonly Link[],
  keys: readonly SignIdentity[] = links.concat({}).map((_, i) => identity(i + 1)),
) {
  return DelegationIdentity.fromDelegation(keys.at(-1) as SignIdentity, await chainOf(links, keys));
}

test("one link, many links, and other kinds of keys in the chain", async () => {
  for (const count of [1, 2, 20]) {
    const user = await delegated(Array(count).fill({}));
    const result = receive(await bodyOf(user));
    assert.ok(result.ok, textOf(result));
    assert.equal(result.sender, identity(1).getPrincipal().toHex().toLowerCase());
  }
  const user = await delegated([{}, {}], [identity(1), await ECDSAKeyIdentity.generate(), identity(2)]);
  assert.ok(receive(await bodyOf(user)).ok);
});

test("more than 20 links", async () => {
  const body = await bodyOf(await delegated(Array(21).fill({})));
  assert.equal(
    textOf(receive(body)),
    "Invalid delegation: Chain of delegations is too long: got 21 delegations, but at most 20 are allowed.",
  );
});

test("expired links, at any place", async () => {
  const expired = { expiration: new Date(Number(NOW / 1_000_000n) - 1) };
  const now = { expiration: new Date(Number(NOW / 1_000_000n)) };
  assert.ok(receive(await bodyOf(await delegated([now]))).ok);
  for (const links of [[expired], [{}, expired], [expired, {}]]) {
    const text = textOf(receive(await bodyOf(await delegated(links))));
    assert.match(
      text,
      /^Invalid delegation expiry: Specified sender delegation has expired:\nProvided expiry: {4}2023-/,
    );
  }
});

test("a key that repeats, also the sender's own", async () => {
  for (const keys of [
    [identity(1), identity(1)],
    [identity(1), identity(2), identity(1)],
    [identity(1), identity(2), identity(2)],
  ]) {
    const body = await bodyOf(await delegated(Array(keys.length - 1).fill({}), keys));
    assert.match(
      textOf(receive(body)),
      /^Invalid delegation: Chain of delegations contains at least one cycle: first rep/,
    );
  }
});

test("targets: the intersection of all links, checked against the canister of a call", async () => {
  const cases: [Link[], boolean][] = [
    [[{ targets: [CANISTER] }], true],
    [[{ targets: [OTHER] }], false],
    [[{ targets: [OTHER, CANISTER] }, { targets: [CANISTER] }], true],
    [[{ targets: [CANISTER] }, {}], true],
    [[{}, { targets: [CANISTER] }], true],
    [[{ targets: [CANISTER] }, { targets: [OTHER] }], false],
    [[{ targets: [] }], false],
  ];
  for (const [links, allowed] of cases) {
    for (const kind of ["call", "query"] as const) {
      const text = textOf(receive(await bodyOf(await delegated(links), kind), kind));
      const refused = `Canister '${CANISTER.toText()}' is not one of the delegation targets.`;
      assert.equal(text, allowed ? "accepted" : refused);
    }
  }
  const result = receive(await bodyOf(await delegated([{ targets: [OTHER] }]), "read_state"), "read_state");
  assert.ok(result.ok);
  assert.deepEqual([...(result.targets ?? [])], [OTHER.toHex().toLowerCase()]);
});

test("the management canister must be listed by itself", async () => {
  const toManagement = { canister_id: new Uint8Array() };
  const without = await bodyOf(await delegated([{ targets: [CANISTER] }]), "call", toManagement);
  assert.equal(textOf(receive(without)), "Canister 'aaaaa-aa' is not one of the delegation targets.");
  const user = await delegated([{ targets: [CANISTER, Principal.managementCanister()] }]);
  const result = receive(await bodyOf(user, "call", toManagement));
  assert.ok(result.ok && result.targets?.has(MANAGEMENT_CANISTER));
});

test("at most 1000 targets in a link", async () => {
  const many = (count: number) => [{ targets: Array(count).fill(CANISTER) }];
  assert.ok(receive(await bodyOf(await delegated(many(1000)))).ok);
  assert.equal(
    textOf(receive(await bodyOf(await delegated(many(1001))))),
    "Invalid delegation: Delegation target error: expected at most 1000 targets per delegation, but got 1001",
  );
});

test("permissions: queries bars calls, what we do not know bars everything", async () => {
  const kinds = ["call", "query", "read_state"] as const;
  const accepted = async (links: Link[]) => {
    const user = await delegated(links);
    const results = await Promise.all(kinds.map(async (kind) => receive(await bodyOf(user, kind), kind)));
    return results.map((result) => result.ok);
  };
  assert.deepEqual(await accepted([{ permissions: "all" }]), [true, true, true]);
  assert.deepEqual(await accepted([{ permissions: "queries" }]), [false, true, true]);
  assert.deepEqual(await accepted([{}, { permissions: "queries" }, { permissions: "all" }]), [false, true, true]);
  assert.deepEqual(await accepted([{ permissions: "updates" }]), [false, false, false]);
  assert.deepEqual(await accepted([{ permissions: "" }]), [false, false, false]);
});

test("a link signed by another key, changed after signing, left out or in another order", async () => {
  const body = await bodyOf(await delegated([{}, {}, {}]));
  type Signed = { delegation: { expiration: bigint; pubkey: Uint8Array }; signature: Uint8Array };
  const links = body.sender_delegation as Signed[];
  const [first, second, third] = links as [Signed, Signed, Signed];
  const { pubkey } = first.delegation;
  const cases: object[][] = [
    [second, first, third],
    [second, third],
    [first, third],
    [{ ...first, signature: second.signature }, second, third],
    [{ ...first, signature: first.signature.slice(1) }, second, third],
    [{ ...first, delegation: { pubkey, expiration: first.delegation.expiration + 1n } }, second, third],
    [{ ...first, delegation: { pubkey, expiration: first.delegation.expiration, targets: [] } }, second, third],
    [{ ...first, delegation: { pubkey, expiration: first.delegation.expiration, permissions: "all" } }, second, third],
  ];
  for (const sender_delegation of cases) {
    assert.match(textOf(receive({ ...body, sender_delegation })), /^Invalid delegation: Invalid basic signature: /);
  }
  assert.match(textOf(receive({ ...body, sender_delegation: [first, second] })), /^Invalid signature: /);
  assert.match(textOf(receive({ ...body, sender_delegation: [] })), /^Invalid signature: /);
});
