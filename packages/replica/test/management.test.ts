// The management canister over HTTP, by the official agent and with real execution behind: queries to it, the two
// endpoints of a subnet, and query statistics on their way through blocks into the state.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { principalFromBytes } from "@atoll/types";
import { type ApiQueryResponse, Certificate, type HttpAgent, LookupPathStatus } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../execution/test/canisters/build.ts";
import { type MethodName, methods } from "../../execution/test/management/interface.ts";
import { encode, NO_SETTINGS } from "../../execution/test/management/subnet.ts";
import { createCanister, deploy, query, startNetwork, type TestNetwork, until } from "./network.ts";

const owner = Ed25519KeyIdentity.generate();
const admin = Ed25519KeyIdentity.generate();
let network: TestNetwork;
let agent: HttpAgent;
let stranger: HttpAgent;
let subnetId: Principal;
const subnetAdmins = [principalFromBytes(admin.getPrincipal().toUint8Array())];
const options = { queryStatsEpoch: 2, config: { subnetAdmins } };
const management = Principal.managementCanister();

before(async () => {
  network = await startNetwork(options);
  agent = await network.agent(owner);
  stranger = await network.agent(Ed25519KeyIdentity.generate());
  subnetId = Principal.fromHex(network.replica.backend.subnet.subnetId);
});
after(() => network.stop());

// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
function decoded(method: MethodName, answer: ApiQueryResponse): any {
  assert.equal(answer.status, "replied", (answer as { reject_message?: string }).reject_message ?? "");
  return IDL.decode([...methods[method].result], (answer as { reply: { arg: Uint8Array } }).reply.arg)[0];
}

const ask = (by: HttpAgent, method: MethodName, id: Principal, more: object = {}): Promise<ApiQueryResponse> =>
  by.query(management, {
    methodName: method,
    arg: encode(method, { canister_id: id, ...more }),
    effectiveCanisterId: id,
  });

const rejection = async (answer: Promise<ApiQueryResponse>) => {
  const response = await answer;
  assert.equal(response.status, "rejected");
  const { error_code, reject_message } = response as { error_code: string; reject_message: string };
  return `${error_code} ${reject_message}`;
};

describe("queries to the management canister", () => {
  test("canister_status, canister_metrics and logs, with the signature of the node", async () => {
    const id = await createCanister(agent, 5_000_000_000_000n);
    const status = decoded("canister_status", await ask(agent, "canister_status", id));
    assert.equal(status.cycles, 5_000_000_000_000n);
    assert.deepEqual(status.settings.controllers, [await agent.getPrincipal()]);
    assert.equal(decoded("canister_metrics", await ask(agent, "canister_metrics", id)).cycles_consumed.uninstall, 0n);
    const logs = decoded("fetch_canister_logs", await ask(agent, "fetch_canister_logs", id, { filter: [] }));
    assert.deepEqual(logs, { canister_log_records: [] });
    assert.match(await rejection(ask(stranger, "canister_status", id)), /^IC0541 Only the controllers of the canister/);
    assert.match(
      await rejection(ask(stranger, "fetch_canister_logs", id, { filter: [] })),
      /^IC0406 Caller \S+ is not allowed to access canister logs/,
    );
  });

  test("unknown methods, and a canister other than that of the URL", async () => {
    const [one, other] = [await createCanister(agent), await createCanister(agent)];
    assert.match(await rejection(ask(agent, "stop_canister", one)), /^IC0536 Query method stop_canister not found\./);
    const arg = encode("canister_status", { canister_id: other });
    const misplaced = agent.query(management, { methodName: "canister_status", arg, effectiveCanisterId: one });
    await assert.rejects(misplaced, /does not match effective canister ID in URL/);
  });
});

describe("the endpoints of a subnet", () => {
  const effectiveTarget = () => ({ subnetId });

  test("an admin lists the canisters; others may not", async () => {
    const id = await createCanister(agent);
    const asAdmin = await network.agent(admin);
    const request = { methodName: "list_canisters", arg: encode("list_canisters"), effectiveTarget: effectiveTarget() };
    const { canisters } = decoded("list_canisters", await asAdmin.query(management, request));
    assert.equal(canisters.at(-1).end.toText(), id.toText());
    assert.match(await rejection(agent.query(management, request)), /^IC0410 Only the subnet admins/);
  });

  test("an admin creates canisters without paying; others may not", async () => {
    const asAdmin = await network.agent(admin);
    const settings = { ...NO_SETTINGS, controllers: [[await agent.getPrincipal()]] };
    const request = {
      methodName: "create_canister",
      arg: encode("create_canister", { settings: [settings], sender_canister_version: [] }),
      effectiveTarget: effectiveTarget(),
    };
    const { requestId, response } = await asAdmin.call(management, request);
    const body = response.body as { certificate: Uint8Array };
    const certificate = await Certificate.create({
      certificate: body.certificate,
      rootKey: network.rootKey,
      principal: { subnetId } as never,
    });
    const found = certificate.lookup_path(["request_status", requestId, "reply"]);
    assert.equal(found.status, LookupPathStatus.Found);
    const [made] = IDL.decode([...methods.create_canister.result], (found as { value: Uint8Array }).value);
    const id = (made as unknown as { canister_id: Principal }).canister_id;
    assert.equal(decoded("canister_status", await ask(agent, "canister_status", id)).cycles, 0n);
    await assert.rejects(agent.call(management, request).then(refusalOf), /IC0410|Only the subnet admins/);
  });

  async function refusalOf({ response }: Awaited<ReturnType<HttpAgent["call"]>>): Promise<never> {
    throw new Error(JSON.stringify(response.body));
  }
});

test("what queries took is in the status after an epoch, and after a restart", async () => {
  const { wasm } = await canister("counter", { width: 32 });
  const id = await deploy(agent, wasm);
  for (let i = 0; i < 3; i++) await query(agent, id, "get", undefined, [IDL.Nat]);
  const figures = async (by: HttpAgent) =>
    decoded("canister_status", await ask(by, "canister_status", id)).query_stats as Record<string, bigint>;
  await until(async () => (await figures(agent)).num_calls_total === 3n);
  const seen = await figures(agent);
  assert.ok((seen.num_instructions_total as bigint) > 1000n);
  assert.equal(seen.request_payload_bytes_total, 18n);
  assert.equal(seen.response_payload_bytes_total, 3n * 8n);
  await network.stop();
  network = await startNetwork({ ...options, storage: network.storage, secrets: network.secrets });
  assert.deepEqual(await figures(await network.agent(owner)), seen);
});
