// The contract as the Rust client sees it, over real sockets: the shapes that it sends and decodes, for every route.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import {
  ANONYMOUS,
  base64,
  candid,
  EMPTY,
  type Fields,
  fromBase64,
  MANAGEMENT,
  postJson,
  principalBase64,
  principalOf,
  Rejected,
  RustClient,
  rustInstance,
  send,
} from "./rest-client.ts";
import { endAll, type Server, startServer } from "./server-process.ts";

const START = 1_620_328_630_000_000_000n;
/** What a fresh instance shows: its subnets have had their first round. */
const FRESH = START + 1n;
const FREE = { cost_schedule: "Free" };
const UNHOSTED = Principal.fromUint8Array(Uint8Array.of(0, 0, 0, 255, 255, 255, 255, 255, 1, 1));
let server: Server;
let counter: Uint8Array;
before(async () => {
  counter = (await canister("counter")).wasm;
  server = await startServer();
});
after(endAll);

const nat = (bytes: Uint8Array): bigint => IDL.decode([IDL.Nat], bytes)[0] as unknown as bigint;

async function withCounter(): Promise<{ pic: RustClient; id: Principal }> {
  const pic = await RustClient.create(server.url);
  const id = await pic.createCanister();
  await pic.install(id, counter);
  return { pic, id };
}

describe("an instance", () => {
  test("is created with a number, a topology and no gateway", async () => {
    const pic = await RustClient.create(server.url);
    assert.deepEqual(Object.keys(pic.created), ["instance_id", "topology", "http_gateway_info"]);
    assert.equal(pic.created.http_gateway_info, null);
    const [[id, subnet], ...more] = Object.entries(pic.topology.subnet_configs) as unknown as [[string, Fields]];
    assert.equal(more.length, 0);
    assert.equal(Principal.fromText(id).toUint8Array().length, 29);
    const { subnet_seed, canister_ranges, ...rest } = subnet as Fields;
    assert.deepEqual(rest, {
      subnet_kind: "Application",
      subnet_admins: null,
      cost_schedule: "Normal",
      instruction_config: "Production",
    });
    assert.equal((subnet_seed as number[]).length, 32);
    const [{ start, end }] = canister_ranges as unknown as [{ start: Fields; end: Fields }];
    assert.equal(principalOf(start.canister_id).toText(), "lxzze-o7777-77777-aaaaa-cai");
    assert.deepEqual(pic.topology.default_effective_canister_id, start);
    assert.equal(base64(fromBase64(end.canister_id)), "///////v//8BAQ==");
    assert.deepEqual(await pic.get("read/topology"), pic.created.topology);
    assert.deepEqual((await send(`${pic.url}/_/topology`)).json, pic.created.topology);
  });

  test("has subnets of every kind, with the ids and ranges of the public network where they have a name", async () => {
    const pic = await RustClient.create(
      server.url,
      rustInstance(
        {
          ...{ nns: {}, sns: {}, ii: {}, fiduciary: {}, bitcoin: {}, test_threshold_keys: {} },
          ...{ system: [{}], application: [{}, { instruction_config: "Benchmarking" }], verified_application: [{}] },
          cloud_engine: [{ ...FREE, subnet_admins: [{ principal_id: ANONYMOUS }] }],
        },
        { mainnet_nns_subnet_id: true },
      ),
    );
    const kinds = Object.values(pic.topology.subnet_configs).map(({ subnet_kind }) => subnet_kind);
    assert.deepEqual(kinds.sort(), [
      ...["Application", "Application", "Bitcoin", "CloudEngine", "Fiduciary", "II", "NNS", "SNS", "System"],
      ...["TestThresholdKeys", "VerifiedApplication"],
    ]);
    assert.deepEqual(pic.subnets("II"), ["uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe"]);
    assert.deepEqual(pic.subnets("NNS"), ["tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe"]);
    const [engine] = pic.subnets("CloudEngine");
    const config = pic.topology.subnet_configs[engine as string];
    assert.deepEqual([config?.cost_schedule, config?.subnet_admins], ["Free", [{ principal_id: ANONYMOUS }]]);
    const id = await pic.createCanister(undefined, Principal.fromText("rdmx6-jaaaa-aaaaa-aaadq-cai"));
    assert.equal(id.toText(), "rdmx6-jaaaa-aaaaa-aaadq-cai");
    await pic.drop();
  });

  test("brings up a named subnet for a canister with an id of the public network, but never the root", async () => {
    const pic = await RustClient.create(server.url);
    const id = Principal.fromText("rdmx6-jaaaa-aaaaa-aaadq-cai");
    assert.equal((await pic.createCanister(undefined, id)).toText(), id.toText());
    const { subnet_configs } = (await pic.get("read/topology")) as unknown as RustClient["topology"];
    assert.deepEqual(
      Object.values(subnet_configs)
        .map((each) => each.subnet_kind)
        .sort(),
      ["Application", "II"],
    );
    for (const [text, message] of [
      ["lxzze-o7777-77777-aaaaa-cai", /belongs to the canister allocation ranges of the test environment/],
      ["ryjl3-tyaaa-aaaaa-aaaba-cai", /belongs to the NNS subnet on the IC mainnet/],
      ["jujpo-eqaaa-aaaao-p777q-cai", /"not supported: .* application subnet of the IC mainnet/],
      ["nti35-np7aa-aaaaa-aaaaa-cai", /does not belong to an existing subnet and it is not a mainnet canister ID/],
      ["2vxsx-fae", /does not belong to an existing subnet and it is not a mainnet canister ID/],
    ] as const) {
      await assert.rejects(pic.createCanister(undefined, Principal.fromText(text)), message);
    }
  });

  test("begins at the time that is asked for, and its creation refuses what is wrong with one", async () => {
    const later = START + 1_000_000_000_000n;
    const at = (nanos_since_epoch: bigint) => ({ initial_time: { Timestamp: { nanos_since_epoch } } });
    const pic = await RustClient.create(server.url, rustInstance(undefined, at(later)));
    assert.deepEqual(await pic.get("read/get_time"), { nanos_since_epoch: later + 1n });
    const refused = await postJson(`${server.url}/instances`, rustInstance(undefined, at(START - 1n)));
    assert.equal(refused.status, 400);
    assert.match(String(((refused.json as Fields).Error as Fields).message), /must be no earlier than/);
  });

  test("is listed, deleted once and for all, and its number is not given out again", async () => {
    const pic = await RustClient.create(server.url);
    const id = Number(pic.created.instance_id);
    const states = async () => (await send(`${server.url}/instances`)).json as string[];
    assert.equal((await states())[id], "Available");
    const { status, text } = await pic.drop();
    assert.deepEqual([status, text], [200, ""]);
    assert.equal((await states())[id], "Deleted");
    assert.equal((await pic.drop()).status, 200);
    const gone = await send(`${pic.url}/read/get_time`);
    assert.deepEqual([gone.status, gone.json], [400, { message: "Instance was deleted" }]);
    assert.ok(Number((await RustClient.create(server.url)).created.instance_id) > id);
  });
});

describe("calls", () => {
  test("are submitted, awaited and queried", async () => {
    const { pic, id } = await withCounter();
    assert.equal(nat(await pic.update(id, "inc", EMPTY)), 1n);
    assert.equal(nat(await pic.update(id, "add", candid([IDL.Nat], 2n ** 70n))), 2n ** 70n + 1n);
    assert.equal(nat(await pic.query(id, "get", EMPTY)), 2n ** 70n + 1n);
    const sender = Principal.selfAuthenticating(new Uint8Array(32));
    const asked = await pic.update(id, "whoami", EMPTY, { sender: principalBase64(sender) });
    assert.equal((IDL.decode([IDL.Principal], asked)[0] as unknown as Principal).toText(), sender.toText());
  });

  test("end in rejects by name, certified or not", async () => {
    const { pic, id } = await withCounter();
    const rejectOf = async (call: Promise<unknown>): Promise<Fields> => {
      const error = await call.then(
        () => assert.fail("was not rejected"),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof Rejected, String(error));
      return error.reject;
    };
    const trapped = await rejectOf(pic.update(id, "trapAfterChange", EMPTY));
    const { reject_message, ...codes } = trapped;
    assert.match(String(reject_message), /trapped after the change/);
    assert.deepEqual(codes, { reject_code: "CanisterError", error_code: "CanisterCalledTrap", certified: true });
    const missing = await rejectOf(pic.query(id, "nothing_like_it", EMPTY));
    assert.deepEqual([missing.error_code, missing.certified], ["CanisterMethodNotFound", false]);
    const nobody = Principal.fromUint8Array(Uint8Array.of(255, 255, 255, 255, 255, 224, 0, 99, 1, 1));
    const absent = await rejectOf(pic.update(nobody, "inc", EMPTY));
    assert.deepEqual(
      [absent.reject_code, absent.error_code, absent.certified],
      ["DestinationInvalid", "CanisterNotFound", false],
    );
    const elsewhere = pic.post(
      "update/submit_ingress_message",
      pic.call(Principal.fromText("aaaaa-aa"), "raw_rand", EMPTY, {
        effective_principal: { CanisterId: base64(Uint8Array.of(1, 2, 3)) },
      }),
    );
    await assert.rejects(elsewhere, /400 .*BadIngressMessage/);
  });

  test("larger than a message may be are refused", async () => {
    const { pic, id } = await withCounter();
    await assert.rejects(pic.update(id, "inc", new Uint8Array(2_097_153)), /400 .*Request is too large/);
  });

  test("have a status that only their caller may ask for", async () => {
    const { pic, id } = await withCounter();
    const { Ok } = (await pic.post("update/submit_ingress_message", pic.call(id, "inc", EMPTY))) as { Ok: Fields };
    assert.deepEqual(Object.keys(Ok), ["effective_principal", "message_id"]);
    assert.equal(fromBase64(Ok.message_id).length, 32);
    const host = principalOf((Ok.effective_principal as Fields).SubnetId).toText();
    assert.deepEqual([host], pic.subnets("Application"));
    const status = (raw_caller: Fields | null) => pic.post("read/ingress_status", { raw_message_id: Ok, raw_caller });
    assert.equal(await status(null), null);
    await pic.post("update/tick", { blockmakers: null });
    await pic.post("update/tick", { blockmakers: null });
    assert.deepEqual(Object.keys((await status(null)) as Fields), ["Ok"]);
    assert.deepEqual(Object.keys((await status({ principal_id: ANONYMOUS })) as Fields), ["Ok"]);
    const stranger = { principal_id: principalBase64(Principal.selfAuthenticating(new Uint8Array(3))) };
    await assert.rejects(status(stranger), /^Error: 403 \{"message":"The user tries to access Request ID/);
  });

  test("that nobody has made are not answered within 100 rounds", async () => {
    const pic = await RustClient.create(server.url);
    const [subnet] = pic.subnets("Application");
    const effective_principal = { SubnetId: principalBase64(Principal.fromText(subnet as string)) };
    const unknown = { effective_principal, message_id: base64(new Uint8Array(32)) };
    await assert.rejects(pic.post("update/await_ingress_message", unknown), /after 100 rounds/);
    assert.deepEqual(await pic.get("read/get_time"), { nanos_since_epoch: FRESH + 101n });
  });

  test("may run longer than the client waits", async () => {
    const { pic, id } = await withCounter();
    const { Ok } = (await pic.post("update/submit_ingress_message", pic.call(id, "inc", EMPTY), {
      "processing-timeout-ms": "0",
    })) as { Ok: Fields };
    const awaited = (await pic.post("update/await_ingress_message", Ok, { "processing-timeout-ms": "0" })) as Fields;
    assert.equal(nat(fromBase64(awaited.Ok)), 1n);
  });

  test("go through the HTTP interface of the instance as well", async () => {
    const { pic, id } = await withCounter();
    const status = await send(`${pic.url}/api/v2/status`);
    assert.deepEqual([status.status, status.headers.get("content-type")], [200, "application/cbor"]);
    assert.equal((await send(`${pic.url}/api/v2/status/`)).status, 200);
    const body = new Uint8Array(6 * 1024 * 1024);
    const headers = { "content-type": "application/cbor" };
    const large = await send(`${pic.url}/api/v2/canister/${id.toText()}/query`, { method: "POST", body, headers });
    assert.equal(large.status, 413);
    const nobody = Principal.fromUint8Array(new Uint8Array(29).fill(42));
    for (const path of [`canister/${UNHOSTED.toText()}`, `subnet/${nobody.toText()}`]) {
      const { status: refused } = await send(`${pic.url}/api/v2/${path}/read_state`, { method: "POST", headers });
      assert.equal(refused, 400, path);
    }
  });
});

describe("time", () => {
  test("moves with rounds and when it is set, and never back", async () => {
    const pic = await RustClient.create(server.url);
    const time = async () => ((await pic.get("read/get_time")) as Fields).nanos_since_epoch as bigint;
    assert.equal(await time(), FRESH);
    assert.equal(await pic.post("update/tick", { blockmakers: null }), null);
    assert.equal(await time(), FRESH + 1n);
    const later = START + 10n ** 15n + 7n;
    assert.equal(await pic.post("update/set_time", { nanos_since_epoch: later }), null);
    assert.equal(await pic.post("update/set_time", { nanos_since_epoch: later }), null);
    assert.equal(await time(), later);
    await assert.rejects(
      pic.post("update/set_time", { nanos_since_epoch: later - 1n }),
      new RegExp(`400 .*SettingTimeIntoPast\\(\\(${later}, ${later - 1n}\\)\\)`),
    );
    assert.equal(await pic.post("update/set_certified_time", { nanos_since_epoch: later + 1n }), null);
    assert.equal(await time(), later + 1n);
  });

  test("a round can be given its block makers", async () => {
    const pic = await RustClient.create(server.url);
    const subnet = { subnet_id: principalBase64(Principal.fromText(pic.subnets("Application")[0] as string)) };
    const node = (bytes: Uint8Array) => ({ node_id: base64(bytes) });
    const unknown = { subnet, blockmaker: node(new Uint8Array(29)), failed_blockmakers: [] };
    await assert.rejects(pic.post("update/tick", { blockmakers: [unknown] }), /BlockmakerNotFound/);
    const other = { ...unknown, subnet: { subnet_id: base64(Uint8Array.of(1)) } };
    await assert.rejects(pic.post("update/tick", { blockmakers: [other] }), /SubnetNotFound/);
    assert.equal(await pic.post("update/tick", { blockmakers: [] }), null);
  });

  test("follows the clock while automatic progress is on", async () => {
    const pic = await RustClient.create(server.url);
    assert.equal(await pic.get("auto_progress"), false);
    assert.equal(await pic.post("auto_progress", { artificial_delay_ms: null }), null);
    assert.equal(await pic.get("auto_progress"), true);
    await assert.rejects(pic.post("auto_progress", { artificial_delay_ms: 10 }), /already been enabled/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { nanos_since_epoch } = (await pic.get("read/get_time")) as { nanos_since_epoch: bigint };
    const behindMs = Date.now() - Number(nanos_since_epoch / 1_000_000n);
    assert.ok(Math.abs(behindMs) < 2_000, String(behindMs));
    assert.equal(await pic.post("stop_progress", null), null);
    assert.equal(await pic.get("auto_progress"), false);
    assert.equal((await pic.drop()).status, 200);
  });

  test("can begin with automatic progress", async () => {
    const initial_time = { AutoProgress: { artificial_delay_ms: 200 } };
    const pic = await RustClient.create(server.url, rustInstance(undefined, { initial_time }));
    assert.equal(await pic.get("auto_progress"), true);
    const { nanos_since_epoch } = (await pic.get("read/get_time")) as { nanos_since_epoch: bigint };
    assert.ok(nanos_since_epoch > 1_700_000_000_000_000_000n);
    await pic.drop();
  });
});

describe("canisters", () => {
  test("have cycles, controllers, a subnet; and nobody's are nobody's", async () => {
    const { pic, id } = await withCounter();
    const canister_id = principalBase64(id);
    const { cycles } = (await pic.post("read/get_cycles", { canister_id })) as { cycles: bigint };
    assert.ok(cycles > 9n * 10n ** 17n && cycles <= 10n ** 18n, String(cycles));
    const amount = 2n ** 100n;
    assert.deepEqual(await pic.post("update/add_cycles", { canister_id, amount }), { cycles: cycles + amount });
    assert.deepEqual(await pic.post("read/get_cycles", { canister_id }), { cycles: cycles + amount });
    assert.deepEqual(await pic.post("read/get_controllers", { canister_id }), [{ principal_id: ANONYMOUS }]);
    const subnet_id = principalBase64(Principal.fromText(pic.subnets("Application")[0] as string));
    assert.deepEqual(await pic.post("read/get_subnet", { canister_id }), { subnet_id });
    const nobody = { canister_id: base64(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9, 1, 1)) };
    assert.equal(await pic.post("read/get_subnet", nobody), null);
    for (const route of ["read/get_cycles", "read/get_controllers", "read/get_stable_memory"]) {
      await assert.rejects(pic.post(route, nobody), /400 .*CanisterNotFound/);
    }
    await assert.rejects(pic.post("update/add_cycles", { ...nobody, amount: 1 }), /CanisterNotFound/);
  });

  test("have a stable memory that comes from a blob, packed or not", async () => {
    const { pic, id } = await withCounter();
    const canister_id = principalBase64(id);
    const data = new Uint8Array(70_000).map((_, i) => i % 251);
    for (const packed of [false, true]) {
      const body = packed ? new Uint8Array(gzipSync(data)) : data;
      const headers: Record<string, string> = packed ? { "content-encoding": "gzip" } : {};
      const uploaded = await send(`${server.url}/blobstore/`, { method: "POST", body, headers });
      assert.equal(uploaded.status, 200);
      assert.equal(uploaded.text, createHash("sha256").update(body).digest("hex"));
      const blob_id = base64(new Uint8Array(Buffer.from(uploaded.text, "hex")));
      assert.equal(await pic.post("update/set_stable_memory", { canister_id, blob_id }), null);
      const { blob } = (await pic.post("read/get_stable_memory", { canister_id })) as Fields;
      const stable = fromBase64(blob);
      assert.equal(stable.length % 65_536, 0);
      assert.deepEqual(stable.subarray(0, data.length), data);
      const kept = await fetch(`${server.url}/blobstore/${uploaded.text}`);
      assert.equal(kept.headers.get("content-encoding"), packed ? "gzip" : null);
      assert.deepEqual(new Uint8Array(await kept.arrayBuffer()), data);
    }
    const empty = await pic.createCanister();
    await assert.rejects(
      pic.post("read/get_stable_memory", { canister_id: principalBase64(empty) }),
      /CanisterIsEmpty/,
    );
    const unknown = { canister_id, blob_id: base64(new Uint8Array(32)) };
    await assert.rejects(pic.post("update/set_stable_memory", unknown), /no blob/);
  });

  test("belong to a subnet whose key is given", async () => {
    const pic = await RustClient.create(server.url, rustInstance({ nns: {}, application: [{}] }));
    const keys = [];
    for (const subnet of Object.keys(pic.topology.subnet_configs)) {
      const key = await pic.post("read/pub_key", { subnet_id: principalBase64(Principal.fromText(subnet)) });
      assert.equal((key as number[]).length, 133);
      assert.equal(Principal.selfAuthenticating(Uint8Array.from(key as number[])).toText(), subnet);
      keys.push(key);
    }
    assert.equal(keys.length, 2);
    await assert.rejects(pic.post("read/pub_key", { subnet_id: ANONYMOUS }), /SubnetNotFound/);
    assert.equal(MANAGEMENT.toText(), "aaaaa-aa");
  });
});
