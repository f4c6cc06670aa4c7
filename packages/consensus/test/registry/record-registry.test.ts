// Versions of the registry as signed records: which are taken, what survives a crash, what nodes tell each other.
// Consensus and chain-key facts, sections 4 and 12; records by the operator stand in for the registry canister.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type AddedRecord, RecordRegistry, signRegistryRecord } from "@atoll/consensus";
import { createUniversalCrypto } from "@atoll/crypto/universal-port";
import { MemoryStorage } from "@atoll/state/store/memory-storage";
import { DEFAULT_CONSENSUS_SETTINGS, type NodeRecord, type PrincipalId, type RegistryRecord } from "@atoll/types";

const crypto = createUniversalCrypto();
const OPERATOR = new Uint8Array(32).fill(1);
const SUBNET = "5302" as PrincipalId;

function node(name: string, fill = 1): NodeRecord {
  return {
    nodeId: name as PrincipalId,
    signingKey: new Uint8Array(32).fill(fill),
    committeeKey: new Uint8Array(96).fill(fill),
    committeeKeyProof: new Uint8Array(48).fill(fill),
    dealingKey: new Uint8Array(48).fill(fill),
    dealingKeyProof: new Uint8Array(80).fill(fill),
    address: "10.0.0.1:4100",
    httpAddress: "",
  };
}

function record(version: number, change: Partial<RegistryRecord> = {}): RegistryRecord {
  return {
    version,
    subnetId: SUBNET,
    nodes: [node("aa"), node("bb"), node("cc"), node("dd")],
    unassigned: [],
    settings: DEFAULT_CONSENSUS_SETTINGS,
    protocolVersion: "0.1.0",
    haltAtCupHeight: false,
    isHalted: false,
    ...change,
  };
}

const signed = (content: RegistryRecord, secret = OPERATOR) => signRegistryRecord(crypto, secret, content);

let storage: MemoryStorage;
let clock = 0n;
beforeEach(() => {
  storage = new MemoryStorage();
  clock = 100n;
});

function open(disk = storage, operatorKey = crypto.ed25519PublicKey(OPERATOR)): RecordRegistry {
  const checkNode = ({ signingKey }: NodeRecord) => signingKey[0] !== 66;
  return new RecordRegistry({ subnetId: SUBNET, operatorKey, checkNode }, { storage: disk, crypto, now: () => clock });
}

function refusal(added: AddedRecord): string {
  assert.ok(added.kind === "refused", "it was taken");
  return added.why;
}

describe("a record registry", () => {
  test("takes versions one after the other and says since when it knows them", () => {
    const registry = open();
    assert.deepEqual([registry.latestVersion(), registry.record(0), registry.record(1)], [0, undefined, undefined]);
    assert.deepEqual(registry.add(signed(record(1))), { kind: "added" });
    clock = 200n;
    assert.deepEqual(registry.add(signed(record(2, { isHalted: true }))), { kind: "added" });
    assert.deepEqual(registry.add(signed(record(1))), { kind: "known" });
    assert.equal(registry.latestVersion(), 2);
    assert.deepEqual(registry.record(1), record(1));
    assert.equal(registry.record(2)?.isHalted, true);
    assert.deepEqual([registry.knownSince(1), registry.knownSince(2), registry.knownSince(3)], [100n, 200n, undefined]);
  });

  test("refuses a version that is not the next, or is known as something else", () => {
    const registry = open();
    assert.match(refusal(registry.add(signed(record(2)))), /version 1 is next/);
    registry.add(signed(record(1)));
    assert.match(refusal(registry.add(signed(record(3)))), /version 2 is next/);
    assert.match(refusal(registry.add(signed(record(1, { isHalted: true })))), /known already, as something else/);
  });

  test("refuses what the operator has not signed as it is", () => {
    const registry = open();
    assert.match(refusal(registry.add(signed(record(1), new Uint8Array(32).fill(2)))), /has not signed/);
    const { signature } = signed(record(1));
    assert.match(refusal(registry.add({ record: record(1, { isHalted: true }), signature })), /has not signed/);
    assert.equal(registry.latestVersion(), 0);
  });

  test("refuses records that would break the subnet, even when the operator signed them", () => {
    const registry = open();
    registry.add(signed(record(1)));
    const refused = (change: Partial<RegistryRecord>, why: RegExp) =>
      assert.match(refusal(registry.add(signed(record(2, change)))), why);
    refused({ subnetId: "5402" as PrincipalId }, /another subnet/);
    refused({ nodes: [] }, /no nodes/);
    refused({ nodes: [node("bb"), node("aa")] }, /not in order/);
    refused({ nodes: [node("aa"), node("aa")] }, /not in order, or one is there twice/);
    refused({ unassigned: [node("aa")] }, /both of the subnet and of none/);
    refused({ nodes: [node("aa", 2), node("bb")] }, /other keys than before/);
    refused({ nodes: [node("aa"), node("ee", 66)] }, /not proven/);
    refused({ unassigned: [node("ee", 66)] }, /not proven/);
    refused({ settings: { ...DEFAULT_CONSENSUS_SETTINGS, dkgIntervalLength: 0 } }, /dkgIntervalLength/);
    refused({ settings: { ...DEFAULT_CONSENSUS_SETTINGS, unitDelay: 0n } }, /unitDelay/);
    refused({ protocolVersion: "" }, /version of the protocol/);
    assert.equal(registry.latestVersion(), 1);
  });

  test("has on the disk what it knows, whenever it stops", () => {
    const registry = open();
    registry.add(signed(record(1)));
    registry.add(signed(record(2, { unassigned: [node("ee", 5)] })));
    storage.append("registry.log", [Uint8Array.of(0, 0, 0, 9, 1, 2)]);
    const again = open();
    assert.equal(again.latestVersion(), 2);
    assert.deepEqual(again.record(2), record(2, { unassigned: [node("ee", 5)] }));
    assert.deepEqual(again.add(signed(record(3))), { kind: "added" });
    assert.equal(open().latestVersion(), 3);
  });

  test("forgets what is damaged on the disk, and all behind it, and can have it again", () => {
    const registry = open();
    for (const version of [1, 2, 3]) registry.add(signed(record(version)));
    const whole = storage.read("registry.log", 0, storage.size("registry.log") ?? 0);
    for (let at = 0; at < whole.length; at += 97) {
      const disk = new MemoryStorage();
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      disk.replace("registry.log", damaged);
      const again = open(disk);
      assert.ok(again.latestVersion() < 3);
      for (let version = again.latestVersion() + 1; version <= 3; version++)
        assert.deepEqual(again.add(signed(record(version))), { kind: "added" });
      assert.deepEqual(disk.read("registry.log", 0, whole.length + 1), whole);
    }
  });

  test("tells a node that lacks versions which they are, as often as it asks", () => {
    const registry = open();
    const nodes = Array.from({ length: 200 }, (_, i) => node(`${1000 + i}`));
    for (let version = 1; version <= 40; version++) registry.add(signed(record(version, { nodes })));
    const late = open(new MemoryStorage());
    let answers = 0;
    while (late.latestVersion() < 40) {
      const answer = registry.answer(late.question());
      assert.ok(answer !== undefined && answer.length < 2 * 1024 * 1024);
      assert.deepEqual(late.takeAnswer(answer), { kind: "added" });
      answers++;
    }
    assert.ok(answers > 1, "one answer had them all");
    assert.deepEqual(late.record(40), registry.record(40));
    assert.deepEqual(late.takeAnswer(registry.answer(late.question()) as Uint8Array), { kind: "known" });
  });

  test("takes nothing from peers that the operator has not signed, and no bytes make it fail", () => {
    const registry = open();
    registry.add(signed(record(1)));
    const other = open(new MemoryStorage(), crypto.ed25519PublicKey(new Uint8Array(32).fill(2)));
    other.add(signed(record(1), new Uint8Array(32).fill(2)));
    other.add(signed(record(2), new Uint8Array(32).fill(2)));
    assert.match(refusal(registry.takeAnswer(other.answer(registry.question()) as Uint8Array)), /has not signed/);
    for (const bytes of [new Uint8Array(), Uint8Array.of(255, 255, 255), new Uint8Array(1000)]) {
      assert.equal(registry.takeAnswer(bytes).kind === "added", false);
      assert.ok((registry.answer(bytes)?.length ?? 0) < 1024 * 1024);
    }
    assert.equal(registry.answer(Uint8Array.of(255, 255, 255)), undefined);
    assert.equal(registry.latestVersion(), 1);
  });
});
