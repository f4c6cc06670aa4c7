// setup_initial_dkg in rounds: the registry canister asks for the keys of a new subnet, which is in the state until a batch
// brings them. Consensus and chain-key facts, sections 12.2 and 15; texts of the replica (execution_environment.rs).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CheckpointStore, Checkpoints, MemoryStorage, ModuleStore, newSubnetState, PageStore } from "@atoll/state";
import {
  type CanisterId,
  canisterIdFromIndex,
  type InitialDkgResponse,
  type PrincipalId,
  principalToText,
  RejectCode,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const NODES = ["e102", "e202", "e302"] as PrincipalId[];
const PAID = 1_000_000n;
const Arg = IDL.Record({
  node_ids: IDL.Vec(IDL.Principal),
  registry_version: IDL.Nat64,
  subnet_id: IDL.Opt(IDL.Principal),
});

const argument = (nodes: readonly PrincipalId[] = NODES, version = 7n): Uint8Array =>
  IDL.encode([Arg], [{ node_ids: nodes.map(s.principal), registry_version: version, subnet_id: [] }]);

/** A root subnet whose first canister is the registry, and another canister there. */
function start() {
  const m = s.newMachine({ canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(0xffn)]] });
  const registry = s.newUniversal(m);
  assert.equal(principalToText(registry), "rwlgt-iiaaa-aaaaa-aaaaa-cai");
  return { m, registry, other: s.newUniversal(m) };
}

function ask(m: s.Machine, from: CanisterId, arg = argument()) {
  const told = (answer: u.Code): u.Code => u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), answer));
  const program = u.call({
    ...{ callee: s.MANAGEMENT, method: "setup_initial_dkg", arg: u.bytes(arg), cycles: PAID },
    onReply: told(u.argData()),
    onReject: told(u.rejectMessage()),
  });
  const sent = s.message(m, from, "update", program);
  s.round(m, [sent]);
  return sent;
}

function told(m: s.Machine, sent: Parameters<typeof s.statusOf>[1]): { code: bigint; refund: bigint; text: string } {
  const bytes = s.replyOf(s.statusOf(m, sent));
  const [code, refund] = [s.numberOf(bytes.subarray(0, 8)), s.numberOf(bytes.subarray(8, 24))];
  return { code, refund, text: s.textOf(bytes.subarray(24)) };
}

const keys = (target: Uint8Array, text: string): InitialDkgResponse => ({
  target,
  result: { kind: "reply", data: new TextEncoder().encode(text) },
});

describe("a request for the keys of a new subnet", () => {
  test("waits in the state, as who asked and for whom, until a batch brings the keys", () => {
    const { m, registry } = start();
    const sent = ask(m, registry, argument([...NODES].reverse()));
    const [request, ...more] = m.last.remoteDkgs;
    assert.ok(request !== undefined && more.length === 0);
    assert.deepEqual([request.receivers, request.registryVersion, request.target.length], [NODES, 7, 32]);
    assert.equal(m.last.hasMoreWork, false, "it waits for other nodes, not for rounds");
    s.round(m);
    assert.deepEqual(m.last.remoteDkgs, [request]);
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    s.roundWith(m, {
      remoteDkgs: [keys(new Uint8Array(32), "another's"), keys(request.target, "keys"), keys(request.target, "again")],
    });
    assert.deepEqual(told(m, sent), { code: 0n, refund: PAID, text: "keys" });
    assert.deepEqual(m.last.remoteDkgs, []);
  });

  test("is told when its keys could not be made", () => {
    const { m, registry } = start();
    const sent = ask(m, registry);
    const target = m.last.remoteDkgs[0]?.target as Uint8Array;
    const result = { kind: "reject", code: RejectCode.CANISTER_REJECT, message: "given up" } as const;
    s.roundWith(m, { remoteDkgs: [{ target, result }] });
    assert.deepEqual(told(m, sent), { code: 4n, refund: PAID, text: "given up" });
  });

  test("has a name of its own, and those that wait keep the order in which they came", () => {
    const { m, registry } = start();
    const first = ask(m, registry);
    const second = ask(m, registry, argument(NODES.slice(1)));
    const [a, b] = m.last.remoteDkgs;
    assert.ok(a !== undefined && b !== undefined);
    assert.notDeepEqual(a.target, b.target);
    assert.deepEqual([a.receivers.length, b.receivers.length], [3, 2]);
    s.roundWith(m, { remoteDkgs: [keys(b.target, "second")] });
    assert.equal(told(m, second).text, "second");
    assert.equal(s.statusOf(m, first)?.state, "processing");
  });

  test("is taken from nobody but the registry canister of the root subnet", () => {
    const { m, other } = start();
    const sentence = `setup_initial_dkg is called by ${principalToText(other)}. It can only be called by NNS.`;
    assert.match(told(m, ask(m, other)).text, new RegExp(sentence.replaceAll(".", "\\.")));
    assert.deepEqual(m.last.remoteDkgs, []);
  });

  test("names each node once, and there are only so many at a time", () => {
    const { m, registry } = start();
    const repeated = told(m, ask(m, registry, argument([...NODES, "e102" as PrincipalId])));
    assert.match(repeated.text, /Expected a set of NodeIds\. The NodeId .* is repeated/);
    assert.equal(repeated.refund, PAID);
    for (let i = 0; i < 16; i++) ask(m, registry);
    assert.match(told(m, ask(m, registry)).text, /Too many subnets/);
    assert.equal(m.last.remoteDkgs.length, 16);
  });

  test("is in a checkpoint and in what the state says that is under way", () => {
    const { m, registry } = start();
    ask(m, registry);
    const storage = new MemoryStorage();
    const store = CheckpointStore.open(storage, {});
    new Checkpoints(store).save(m.machine.state);
    const { config } = m.machine.state;
    const loaded = newSubnetState(config, new ModuleStore(), new PageStore({ shared: false }));
    new Checkpoints(CheckpointStore.open(storage, {})).load(loaded);
    assert.deepEqual(loaded.initialDkgs, m.machine.state.initialDkgs);
    assert.equal(loaded.initialDkgs.length, 1);
  });
});
