// Certificates that we sign are accepted by the agent and by us; every way to be wrong is refused by both.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CborInput,
  canisterIdFromIndex,
  decodeCertificate,
  encodeCbor,
  encodeCertificate,
  type PrincipalId,
  principalFromBytes,
  principalToBytes,
} from "@atoll/types";
import { Certificate as AgentCertificate } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { type CertificateCheck, SignatureCache, timeOf, verifyCertificate } from "../src/certificate.ts";
import { selfAuthenticatingId } from "../src/subnet-key.ts";
import { bytes, certify, crypto, type Entry, keyOf } from "./certified-tree.ts";

const ROOT = 1;
const SUBNET = 2;
const rootKey = keyOf(ROOT);
const subnetId = selfAuthenticatingId(keyOf(SUBNET), crypto.sha224);
const sid = principalToBytes(subnetId);
const canister = canisterIdFromIndex(5n);
const cid = principalToBytes(canister);

const ranges = (...list: [bigint, bigint][]): Uint8Array =>
  encodeCbor(list.map((pair) => pair.map((index) => principalToBytes(canisterIdFromIndex(index)))) as CborInput, {
    selfDescribed: true,
  });

const KEY_ENTRY: Entry = [["subnet", sid, "public_key"], keyOf(SUBNET)];
const TYPE_ENTRY: Entry = [["subnet", sid, "type"], bytes("application")];
const flat = (list: Uint8Array): Entry => [["subnet", sid, "canister_ranges"], list];
const shard = (first: bigint, list: Uint8Array): Entry => [
  ["canister_ranges", sid, principalToBytes(canisterIdFromIndex(first))],
  list,
];
const DATA: Entry[] = [[["canister", cid, "certified_data"], bytes("data")]];

function delegated(entries: readonly Entry[], signer = ROOT) {
  const certificate = certify(signer, entries);
  return certify(SUBNET, DATA, { subnetId: sid, certificate });
}

async function agentAccepts(certificate: Uint8Array, principal: { canisterId: Principal } | { subnetId: Principal }) {
  try {
    await AgentCertificate.create({ certificate, rootKey, principal, disableTimeVerification: true });
    return true;
  } catch {
    return false;
  }
}

const AGENT_CANISTER = { canisterId: Principal.fromUint8Array(cid) };

function check(certificate: Uint8Array, more: Partial<CertificateCheck> = { canisterId: canister }) {
  return verifyCertificate(certificate, { crypto, rootKey, ...more });
}

test("a certificate of the root subnet", async () => {
  const certificate = certify(ROOT, DATA, undefined, 1_700_000_000_000_000_000n);
  const result = check(certificate);
  assert.ok(result.ok);
  assert.equal(result.time, 1_700_000_000_000_000_000n);
  assert.equal(result.delegation, undefined);
  assert.equal(await agentAccepts(certificate, AGENT_CANISTER), true);
});

test("the three styles of delegation", async () => {
  const styles: Entry[][] = [
    [KEY_ENTRY, TYPE_ENTRY, flat(ranges([0n, 3n], [5n, 5n]))],
    [KEY_ENTRY, TYPE_ENTRY, shard(4n, ranges([4n, 9n]))],
    [KEY_ENTRY, flat(ranges([0n, 9n])), shard(0n, ranges([0n, 9n]))],
  ];
  for (const entries of styles) {
    const certificate = delegated(entries);
    const result = check(certificate);
    assert.ok(result.ok, result.ok ? "" : result.error);
    assert.equal(result.delegation?.subnetId, subnetId);
    assert.equal(result.delegation?.subnetType, entries.includes(TYPE_ENTRY) ? "application" : undefined);
    assert.equal(await agentAccepts(certificate, AGENT_CANISTER), true);
  }
  const withoutRanges = delegated([KEY_ENTRY, TYPE_ENTRY]);
  assert.ok(check(withoutRanges, { subnetId }).ok);
  assert.equal(await agentAccepts(withoutRanges, { subnetId: Principal.fromUint8Array(sid) }), true);
});

test("of several shards, the one that could hold the canister counts", () => {
  const shards = (middle: Uint8Array) => [
    KEY_ENTRY,
    shard(0n, ranges([0n, 3n])),
    shard(4n, middle),
    shard(20n, ranges([5n, 5n])),
  ];
  assert.equal(check(delegated(shards(ranges([4n, 9n])))).ok, true);
  assert.equal(check(delegated(shards(ranges([6n, 9n])))).ok, false);
});

test("a delegation that does not cover the canister or subnet", async () => {
  const cases: [Entry[], RegExp][] = [
    [[KEY_ENTRY, flat(ranges([0n, 4n], [6n, 9n]))], /range/],
    [[KEY_ENTRY, flat(ranges())], /range/],
    [[KEY_ENTRY], /doesn't have canister ranges/],
    [[KEY_ENTRY, shard(5n, ranges([6n, 9n]))], /range/],
    [[KEY_ENTRY, flat(bytes("nonsense"))], /unpack/],
    [[flat(ranges([0n, 9n]))], /public key/],
  ];
  for (const [entries, text] of cases) {
    const certificate = delegated(entries);
    const result = check(certificate);
    assert.ok(!result.ok);
    assert.match(result.error, text);
    assert.equal(await agentAccepts(certificate, AGENT_CANISTER), false);
  }
  const result = check(delegated([KEY_ENTRY]), { subnetId: principalFromBytes(Uint8Array.of(9)) as PrincipalId });
  assert.match(result.ok ? "" : result.error, /does not match/);
});

test("a shard that begins behind the canister does not count, whatever it lists", () => {
  assert.equal(check(delegated([KEY_ENTRY, shard(6n, ranges([0n, 9n]))])).ok, false);
});

test("flat and sharded ranges must agree when both are there", () => {
  const result = check(delegated([KEY_ENTRY, flat(ranges([0n, 9n])), shard(0n, ranges([0n, 3n]))]));
  assert.equal(result.ok, false);
});

test("wrong signatures, keys and delegations", async () => {
  const good = [KEY_ENTRY, flat(ranges([0n, 9n]))];
  const nested = certify(SUBNET, good, { subnetId: sid, certificate: certify(ROOT, good) });
  const parsed = decodeCertificate(certify(ROOT, DATA));
  const flipped = parsed.signature.slice();
  flipped[20] = (flipped[20] as number) ^ 1;
  const cases: [Uint8Array, RegExp][] = [
    [certify(SUBNET, DATA), /verify threshold signature/],
    [delegated(good, SUBNET), /verify threshold signature/],
    [certify(ROOT, DATA, { subnetId: sid, certificate: certify(ROOT, good) }), /verify threshold signature/],
    [certify(SUBNET, DATA, { subnetId: sid, certificate: nested }), /nested/],
    [certify(SUBNET, DATA, { subnetId: sid, certificate: bytes("x") }), /decode/],
    [certify(SUBNET, DATA, { subnetId: new Uint8Array(30), certificate: certify(ROOT, good) }), /subnet id/],
    [encodeCertificate({ ...parsed, signature: flipped }), /verify threshold signature/],
    [encodeCertificate({ ...parsed, signature: parsed.signature.subarray(1) }), /48 bytes/],
    [encodeCertificate({ ...parsed, tree: { kind: "leaf", value: bytes("x") } }), /no time/],
  ];
  for (const [certificate, text] of cases) {
    const result = check(certificate);
    assert.match(result.ok ? "accepted" : result.error, text);
    assert.equal(await agentAccepts(certificate, AGENT_CANISTER), false);
  }
});

test("a tree that is not well-formed proves nothing", () => {
  const { tree, signature } = decodeCertificate(certify(ROOT, DATA));
  assert.equal(tree.kind, "fork");
  const swapped = tree.kind === "fork" ? { ...tree, left: tree.right, right: tree.left } : tree;
  const result = check(encodeCertificate({ tree: swapped, signature }));
  assert.match(result.ok ? "accepted" : result.error, /not well-formed/);
});

test("a malformed root key is refused", () => {
  for (const key of [rootKey.subarray(1), new Uint8Array(133), new Uint8Array()]) {
    assert.equal(check(certify(ROOT, DATA), { rootKey: key }).ok, false);
  }
});

test("a cached signature is not verified again, and the cache is bounded", () => {
  let verifications = 0;
  const counting = {
    ...crypto,
    bls: {
      ...crypto.bls,
      verify: (...parameters: Parameters<typeof crypto.bls.verify>) => {
        verifications++;
        return crypto.bls.verify(...parameters);
      },
    },
  };
  const cache = new SignatureCache(2);
  const certificate = delegated([KEY_ENTRY, flat(ranges([0n, 9n]))]);
  const more = { crypto: counting, cache, canisterId: canister };
  for (let i = 0; i < 3; i++) assert.ok(check(certificate, more).ok);
  assert.equal(verifications, 2);
  // Bad ones are never remembered as good, with the same tree or another key.
  const forged = encodeCertificate({ ...decodeCertificate(certificate), signature: new Uint8Array(48) });
  assert.equal(check(forged, more).ok, false);
  assert.equal(check(certificate, { ...more, rootKey: keyOf(3) }).ok, false);
  check(certify(ROOT, [], undefined, 7n), more);
  check(certify(ROOT, [], undefined, 8n), more);
  verifications = 0;
  assert.ok(check(certificate, more).ok);
  assert.equal(verifications, 2);
});

test("certificates cut anywhere are refused with a text", () => {
  const certificate = certify(ROOT, DATA);
  for (let cut = 0; cut < certificate.length; cut++) {
    const result = check(certificate.subarray(0, cut));
    assert.match(result.ok ? "accepted" : result.error, /failed to decode certificate/);
  }
});

test("time is LEB128 in its shortest form", () => {
  assert.equal(
    timeOf({ kind: "labeled", label: bytes("time"), child: { kind: "leaf", value: Uint8Array.of(0x80, 0) } }),
    undefined,
  );
});
