// Small clients that follow the official ones request by request: the Rust client's loop over 200, 202, 409 with
// read_graph and prune_graph, and plain requests for all else. Bodies are written out, so that every byte is a choice.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type Json, readJson, writeJson } from "../src/json.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, without loss; undefined when it is none. */
  readonly json: Json | undefined;
}

export type Fields = { readonly [name: string]: Json };

export async function send(
  url: string,
  init: { method?: string; body?: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  let json: Json | undefined;
  try {
    json = readJson(text);
  } catch {}
  return { status: response.status, headers: response.headers, text, json };
}

export function postJson(url: string, body: Json, headers: Record<string, string> = {}): Promise<Answer> {
  const all = { "content-type": "application/json", ...headers };
  return send(url, { method: "POST", body: writeJson(body), headers: all });
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const fromBase64 = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, "base64"));
export const principalBase64 = (id: Principal): string => base64(id.toUint8Array());
export const principalOf = (text: unknown): Principal => Principal.fromUint8Array(fromBase64(text));

export const ANONYMOUS = principalBase64(Principal.anonymous());
const NEW = { state_config: "New", instruction_config: "Production" };

/** What the Rust client sends for an instance: every field, most of them null. */
export function rustInstance(set: Fields = { application: [NEW] }, more: Fields = {}): Fields {
  const none = { nns: null, sns: null, ii: null, fiduciary: null, bitcoin: null, test_threshold_keys: null };
  const many = { system: [], application: [], cloud_engine: [], verified_application: [] };
  const spec = (value: Json): Json =>
    Array.isArray(value)
      ? value.map(spec)
      : {
          state_config: "New",
          instruction_config: "Production",
          subnet_admins: null,
          cost_schedule: "Normal",
          ...(value as Fields),
        };
  return {
    subnet_config_set: { ...none, ...many, ...Object.fromEntries(Object.entries(set).map(([k, v]) => [k, spec(v)])) },
    http_gateway_config: null,
    state_dir: null,
    icp_config: { beta_features: null, function_name_length_limits: null, canister_execution_rate_limiting: null },
    log_level: null,
    bitcoind_addr: null,
    dogecoind_addr: null,
    icp_features: Object.fromEntries(FEATURES.map((name) => [name, null])),
    incomplete_state: null,
    initial_time: null,
    mainnet_nns_subnet_id: null,
    disable_ingress_validation: null,
    ...more,
  };
}

const FEATURES = [
  ...["registry", "cycles_minting", "icp_token", "cycles_token", "nns_governance", "sns"],
  ...["ii", "nns_ui", "bitcoin", "dogecoin", "canister_migration"],
];

export interface Topology {
  readonly subnet_configs: Readonly<Record<string, Fields & { readonly canister_ranges: readonly Fields[] }>>;
  readonly default_effective_canister_id: { readonly canister_id: string };
}

/** An instance as the Rust client drives it. */
export class RustClient {
  readonly url: string;
  readonly server: string;
  readonly topology: Topology;
  readonly created: Fields;

  private constructor(server: string, created: Fields) {
    this.server = server;
    this.created = created;
    this.url = `${server}/instances/${String(created.instance_id)}`;
    this.topology = created.topology as unknown as Topology;
  }

  static async create(server: string, config: Fields = rustInstance()): Promise<RustClient> {
    const { status, json } = await postJson(`${server}/instances`, config);
    assert.equal(
      status,
      201,
      JSON.stringify(json, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    );
    return new RustClient(server, (json as Fields).Created as Fields);
  }

  get(endpoint: string): Promise<Json> {
    return this.#request(endpoint, undefined);
  }

  post(endpoint: string, body: Json, headers: Record<string, string> = {}): Promise<Json> {
    return this.#request(endpoint, body, headers);
  }

  async #request(endpoint: string, body: Json | undefined, headers: Record<string, string> = {}): Promise<Json> {
    const url = `${this.url}/${endpoint}`;
    for (;;) {
      const { status, json, text } = await (body === undefined ? send(url) : postJson(url, body, headers));
      if (status === 200) return json as Json;
      const { state_label, op_id } = (json ?? {}) as Fields;
      if (status === 202) return this.#poll(`${String(state_label)}/${String(op_id)}`);
      if (status !== 409) throw new Error(`${status} ${text}`);
      await pause(10);
    }
  }

  async #poll(place: string): Promise<Json> {
    for (;;) {
      await pause(10);
      const { status, json, text } = await send(`${this.server}/read_graph/${place}`);
      if (status === 404) continue;
      const pruned = await send(`${this.server}/prune_graph/${place}`, { method: "DELETE" });
      assert.deepEqual([pruned.status, pruned.json], [200, null]);
      if (status !== 200) throw new Error(`${status} ${text}`);
      return json as Json;
    }
  }

  drop(): Promise<Answer> {
    return send(this.url, { method: "DELETE" });
  }

  subnets(kind: string): string[] {
    return Object.entries(this.topology.subnet_configs)
      .filter(([, config]) => config.subnet_kind === kind)
      .map(([id]) => id);
  }

  call(canister: Principal, method: string, arg: Uint8Array, more: Fields = {}): Fields {
    const raw = { sender: ANONYMOUS, canister_id: principalBase64(canister), effective_principal: "None", method };
    return { ...raw, payload: base64(arg), ...more };
  }

  /** Submit, then await, as `update_call` does. */
  async update(canister: Principal, method: string, arg: Uint8Array, more: Fields = {}): Promise<Uint8Array> {
    const submitted = (await this.post(
      "update/submit_ingress_message",
      this.call(canister, method, arg, more),
    )) as Fields;
    if (submitted.Err !== undefined) throw new Rejected(submitted.Err as Fields);
    return okOf(await this.post("update/await_ingress_message", submitted.Ok as Fields));
  }

  async query(canister: Principal, method: string, arg: Uint8Array, more: Fields = {}): Promise<Uint8Array> {
    return okOf(await this.post("read/query", this.call(canister, method, arg, more)));
  }

  async createCanister(subnet?: string, specified?: Principal): Promise<Principal> {
    const effective = subnet === undefined ? "None" : { SubnetId: principalBase64(Principal.fromText(subnet)) };
    const arg = candid([CreateRecord], {
      settings: [],
      amount: [10n ** 18n],
      specified_id: specified ? [specified] : [],
    });
    const reply = await this.update(MANAGEMENT, "provisional_create_canister_with_cycles", arg, {
      effective_principal: specified === undefined ? effective : { CanisterId: principalBase64(specified) },
    });
    const [created] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
      { canister_id: Principal },
    ];
    return created.canister_id;
  }

  async install(canister: Principal, wasm: Uint8Array, arg = EMPTY): Promise<void> {
    const record = { mode: { install: null }, canister_id: canister, wasm_module: wasm, arg };
    await this.manage(canister, "install_code", InstallRecord, record);
  }

  manage(canister: Principal, method: string, type: IDL.Type, arg: unknown): Promise<Uint8Array> {
    const effective_principal = { CanisterId: principalBase64(canister) };
    return this.update(MANAGEMENT, method, candid([type], arg), { effective_principal });
  }
}

export class Rejected extends Error {
  override name = "Rejected";
  readonly reject: Fields;
  constructor(reject: Fields) {
    super(String(reject.reject_message));
    this.reject = reject;
  }
}

function okOf(result: Json): Uint8Array {
  const { Ok, Err } = result as Fields;
  if (Err !== undefined) throw new Rejected(Err as Fields);
  return fromBase64(Ok);
}

export const MANAGEMENT = Principal.managementCanister();
export const EMPTY = candid([]);
const CreateRecord = IDL.Record({
  settings: IDL.Opt(IDL.Record({})),
  amount: IDL.Opt(IDL.Nat),
  specified_id: IDL.Opt(IDL.Principal),
});
const InstallRecord = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

export function candid(types: IDL.Type[], ...values: unknown[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(IDL.encode(types, values));
}
