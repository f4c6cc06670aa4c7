// Every endpoint that gives out a certificate, asked with requests made by hand, and every certificate checked by the
// client library: signature, age, what it proves to be there, to be absent, and what it says nothing about.
// Interface specification, "Certificate", "Request: Read state"; checklist sections 1.1 and 2.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { lookupPath } from "@atoll/crypto";
import { decodeHashTree, type HashTree } from "@atoll/types";
import { Cbor, Certificate, type HttpAgent, lookup_path, type NodePath, requestIdOf } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { sha256 } from "@noble/hashes/sha2.js";
import { canister } from "../../execution/test/canisters/build.ts";
import { withCustomSection } from "../../execution/test/canisters/custom-section.ts";
import { createCanister, deploy, startNetwork, type TestNetwork } from "./network.ts";

let network: TestNetwork;
let agent: HttpAgent;
let counter: Principal;
let certified: Principal;
let subnet: Principal;
let wasm: Uint8Array;

before(async () => {
  network = await startNetwork();
  agent = await network.agent();
  wasm = withCustomSection((await canister("counter")).wasm, "icp:private notes", Buffer.from("only for me"));
  counter = await deploy(agent, wasm);
  certified = await deploy(agent, (await canister("certified")).wasm);
  subnet = Principal.selfAuthenticating(network.rootKey);
});
after(() => network.stop());

const text = (label: string): Uint8Array => new TextEncoder().encode(label);
const ANONYMOUS = Uint8Array.of(4);
let nonce = 0;

function contentOf(fields: Record<string, unknown>): Record<string, unknown> {
  const expiry = BigInt(Date.now() + 60_000) * 1_000_000n;
  return { sender: ANONYMOUS, ingress_expiry: expiry, nonce: text(`nonce ${nonce++}`), ...fields };
}

function callContent(id: Principal, methodName: string, requestType = "call"): Record<string, unknown> {
  const arg = IDL.encode([], []);
  return contentOf({ request_type: requestType, canister_id: id.toUint8Array(), method_name: methodName, arg });
}

async function post(path: string, content: Record<string, unknown>): Promise<Response> {
  const body = Cbor.encode({ content });
  const headers = { "content-type": "application/cbor" };
  return network.fetch(new URL(path, "http://localhost:8000"), { method: "POST", headers, body });
}

async function fields<T>(answer: Response): Promise<T> {
  assert.equal(answer.status, 200, answer.status === 200 ? "" : await answer.text());
  assert.equal(answer.headers.get("content-type"), "application/cbor");
  return Cbor.decode<T>(await answer.bytes());
}

type Target = { canisterId: Principal } | { subnetId: Principal };

async function readState(version: 2 | 3, target: Target, paths: NodePath[]): Promise<Certificate> {
  const [kind, id] = "canisterId" in target ? ["canister", target.canisterId] : ["subnet", target.subnetId];
  const bytes = paths.map((path) => path.map((label) => (typeof label === "string" ? text(label) : label)));
  const content = contentOf({ request_type: "read_state", paths: bytes });
  const answer = await post(`/api/v${version}/${kind}/${id}/read_state`, content);
  return verified((await fields<{ certificate: Uint8Array }>(answer)).certificate, target);
}

function verified(certificate: Uint8Array, principal: Target, rootKey = network.rootKey): Promise<Certificate> {
  return Certificate.create({ certificate, rootKey, principal });
}

function treeOf({ cert }: Certificate): HashTree {
  return decodeHashTree(Cbor.encode(cert.tree));
}

function found(certificate: Certificate, path: NodePath): Uint8Array {
  const result = certificate.lookup_path(path);
  assert.equal(result.status, "Found", path.map(String).join("/"));
  return "value" in result ? result.value : new Uint8Array();
}

describe("read_state", () => {
  for (const version of [2, 3] as const) {
    test(`version ${version} at a canister: everything public about it`, async () => {
      const base: NodePath = ["canister", counter.toUint8Array()];
      const certificate = await readState(version, { canisterId: counter }, [
        ["time"],
        [...base, "controllers"],
        [...base, "module_hash"],
        [...base, "metadata", "candid:service"],
        [...base, "metadata", "never heard of"],
        ["subnet", subnet.toUint8Array(), "public_key"],
        ["subnet", subnet.toUint8Array(), "type"],
      ]);
      assert.deepEqual(Cbor.decode(found(certificate, [...base, "controllers"])), [ANONYMOUS]);
      assert.deepEqual(new Uint8Array(found(certificate, [...base, "module_hash"])), sha256(wasm));
      const { candid } = await canister("counter");
      assert.equal(Buffer.from(found(certificate, [...base, "metadata", "candid:service"])).toString(), candid);
      const key = found(certificate, ["subnet", subnet.toUint8Array(), "public_key"]);
      assert.deepEqual(new Uint8Array(key), network.rootKey);
      assert.equal(certificate.lookup_path([...base, "metadata", "never heard of"]).status, "Absent");
      assert.equal(certificate.lookup_path([...base, "metadata", "notes"]).status, "Unknown");
    });

    test(`version ${version} at the subnet`, async () => {
      const base: NodePath = ["subnet", subnet.toUint8Array()];
      const certificate = await readState(version, { subnetId: subnet }, [["subnet"], [...base, "metrics"]]);
      const metrics = found(certificate, [...base, "metrics"]);
      assert.deepEqual(metrics.subarray(0, 4), Uint8Array.of(0xd9, 0xd9, 0xf7, 0xa4), "a map of four, self-described");
      assert.ok(found(certificate, [...base, "canister_ranges"]).length > 0);
    });
  }

  test("the whole tree of a subnet lists its nodes with their keys", async () => {
    const certificate = await readState(3, { subnetId: subnet }, [["subnet"]]);
    const keys = await agent.fetchSubnetKeys({ canisterId: counter });
    for (const [nodeId, key] of keys) {
      const path = ["subnet", subnet.toUint8Array(), "node", Principal.fromText(nodeId).toUint8Array(), "public_key"];
      assert.deepEqual(found(certificate, path as NodePath), new Uint8Array(key));
    }
    assert.equal(keys.size, 1);
  });

  test("ranges of canisters, flat and in shards", async () => {
    const flat = await readState(3, { subnetId: subnet }, [["subnet", subnet.toUint8Array(), "canister_ranges"]]);
    const sharded = await readState(3, { subnetId: subnet }, [["canister_ranges", subnet.toUint8Array()]]);
    const ranges = Cbor.decode<[Uint8Array, Uint8Array][]>(
      found(flat, ["subnet", subnet.toUint8Array(), "canister_ranges"]),
    );
    const [first] = ranges[0] as [Uint8Array, Uint8Array];
    assert.deepEqual(Cbor.decode(found(sharded, ["canister_ranges", subnet.toUint8Array(), first])), ranges);
  });

  test("the time is there without being asked for, and is now", async () => {
    const certificate = await readState(3, { canisterId: counter }, []);
    let time = 0n;
    for (const byte of [...found(certificate, ["time"])].reverse()) time = (time << 7n) | BigInt(byte & 127);
    assert.ok(Math.abs(Number(time / 1_000_000n) - Date.now()) < 5_000);
  });

  test("absent is proven, and told apart from what was not asked for", async () => {
    const empty = await createCanister(agent);
    const base: NodePath = ["canister", empty.toUint8Array()];
    const request = Uint8Array.from({ length: 32 }, (_, i) => i);
    const call = callContent(counter, "inc");
    await post(`/api/v4/canister/${counter}/call`, call);
    const known = requestIdOf(call);
    const certificate = await readState(3, { canisterId: empty }, [
      [...base, "module_hash"],
      ["request_status", request],
    ]);
    assert.equal(certificate.lookup_path([...base, "module_hash"]).status, "Absent");
    assert.equal(certificate.lookup_path(["canister", counter.toUint8Array(), "module_hash"]).status, "Unknown");
    // The library compares labels in an order of its own; between labels like these it cannot tell.
    const statusOf = (id: Uint8Array) => lookupPath(treeOf(certificate), [text("request_status"), id]).status;
    assert.equal(statusOf(request), "absent");
    assert.equal(statusOf(known), "unknown");
    const missing = Principal.fromUint8Array(Uint8Array.of(0, 0, 0, 0, 0, 15, 0, 0, 1, 1));
    const hash: NodePath = ["canister", missing.toUint8Array(), "module_hash"];
    assert.equal((await readState(3, { canisterId: missing }, [hash])).lookup_path(hash).status, "Absent");
  });

  test("what is not for everybody is refused", async () => {
    const refuse = async (version: 2 | 3, target: Target, path: NodePath, message: RegExp) =>
      assert.rejects(readState(version, target, [path]), message);
    const base: NodePath = ["canister", counter.toUint8Array()];
    await refuse(3, { canisterId: counter }, [...base, "certified_data"], /404 !== 200|Invalid path/);
    await refuse(3, { canisterId: counter }, base, /404 !== 200|Invalid path/);
    await refuse(3, { subnetId: subnet }, [...base, "module_hash"], /404 !== 200|Invalid path/);
    await refuse(3, { canisterId: certified }, [...base, "module_hash"], /does not match the effective canister/);
    await refuse(2, { subnetId: subnet }, ["request_status", new Uint8Array(32)], /Invalid path/);
  });
});

describe("certificates of answers", () => {
  for (const version of [3, 4]) {
    test(`a call of version ${version}`, async () => {
      const content = callContent(counter, "inc");
      const requestId = requestIdOf(content);
      const answer = await post(`/api/v${version}/canister/${counter}/call`, content);
      const { status, certificate } = await fields<{ status: string; certificate: Uint8Array }>(answer);
      assert.equal(status, "replied");
      const proof = await verified(certificate, { canisterId: counter });
      assert.equal(Buffer.from(found(proof, ["request_status", requestId, "status"])).toString(), "replied");
      assert.ok(found(proof, ["request_status", requestId, "reply"]).length > 6);
      assert.equal(proof.lookup_path(["request_status", requestId, "reject_code"]).status, "Absent");
      assert.ok(found(proof, ["time"]).length > 0);
    });
  }

  test("a call of version 4 to the subnet, which has no canister yet", async () => {
    const arg = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [] }]);
    const content = { ...callContent(Principal.managementCanister(), "provisional_create_canister_with_cycles"), arg };
    const answer = await post(`/api/v4/subnet/${subnet}/call`, content);
    const { certificate } = await fields<{ certificate: Uint8Array }>(answer);
    const proof = await verified(certificate, { subnetId: subnet });
    const reply = found(proof, ["request_status", requestIdOf(content), "reply"]);
    const [created] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
      { canister_id: Principal },
    ];
    await readState(3, { canisterId: created.canister_id }, []);
  });

  test("a trap: status and three fields", async () => {
    const content = callContent(counter, "trapAfterChange");
    const path = ["request_status", requestIdOf(content)] as NodePath;
    const answer = await post(`/api/v4/canister/${counter}/call`, content);
    const body = await fields<{ status: string; certificate: Uint8Array }>(answer);
    assert.equal(body.status, "replied");
    const proof = await verified(body.certificate, { canisterId: counter });
    assert.equal(Buffer.from(found(proof, [...path, "status"])).toString(), "rejected");
    assert.deepEqual([...found(proof, [...path, "reject_code"])], [5]);
    assert.equal(Buffer.from(found(proof, [...path, "error_code"])).toString(), "IC0503");
    assert.match(Buffer.from(found(proof, [...path, "reject_message"])).toString(), /trapped after the change/);
    assert.equal(proof.lookup_path([...path, "reply"]).status, "Absent");
  });

  for (const version of [2, 3]) {
    test(`certified data in a query of version ${version}`, async () => {
      const value = Uint8Array.from({ length: 32 }, (_, i) => i * version);
      const arg = IDL.encode([IDL.Vec(IDL.Nat8)], [value]);
      await agent.update(certified, { methodName: "set", arg });
      const answer = await post(`/api/v${version}/canister/${certified}/query`, callContent(certified, "get", "query"));
      const { reply } = await fields<{ reply: { arg: Uint8Array } }>(answer);
      const type = IDL.Record({ certificate: IDL.Opt(IDL.Vec(IDL.Nat8)) });
      const [{ certificate }] = IDL.decode([type], reply.arg) as unknown as [{ certificate: [Uint8Array] }];
      const proof = await verified(Uint8Array.from(certificate[0]), { canisterId: certified });
      const path: NodePath = ["canister", certified.toUint8Array(), "certified_data"];
      assert.deepEqual(new Uint8Array(found(proof, path)), value);
      assert.equal(proof.lookup_path(["canister", certified.toUint8Array(), "controllers"]).status, "Unknown");
    });
  }

  test("none survives a changed bit or another root key", async () => {
    const answer = await post(`/api/v4/canister/${counter}/call`, callContent(counter, "inc"));
    const { certificate } = await fields<{ certificate: Uint8Array }>(answer);
    await verified(certificate, { canisterId: counter });
    const reply = Buffer.from(certificate).indexOf("DIDL");
    assert.ok(reply > 0);
    const { signature } = Cbor.decode<{ signature: Uint8Array }>(certificate);
    const signed = Buffer.from(certificate).indexOf(Buffer.from(signature));
    for (const at of [reply + 6, signed + 10, signed + 47]) {
      const changed = certificate.slice();
      changed[at] = (changed[at] as number) ^ 1;
      await assert.rejects(verified(changed, { canisterId: counter }), /[Ss]ignature|verif/, `byte ${at}`);
    }
    const otherKey = network.rootKey.slice();
    otherKey.set(network.rootKey.subarray(60, 61), 61);
    await assert.rejects(verified(certificate, { canisterId: counter }, otherKey));
    const { tree } = Cbor.decode<{ tree: Parameters<typeof lookup_path>[1] }>(certificate);
    assert.equal(lookup_path(["time"], tree).status, "Found");
  });
});
