// Requests made by hand, so that any part of one can be wrong, and their answers taken apart. No signatures of
// certificates are checked here: that is done where the official agent is the client.

import { decodeCbor, encodeCbor } from "@atoll/types";
import type { CborInput, CborMap } from "@atoll/types/cbor";
import type { HashTree } from "@atoll/types/hash-tree";
import { decodeCertificate } from "@atoll/types/hash-tree-codec";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

export interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

export async function post(url: string, body: Uint8Array, contentType = "application/cbor"): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": contentType },
    body: body as Uint8Array<ArrayBuffer>,
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, bytes, text: new TextDecoder().decode(bytes) };
}

export type Content = Readonly<Record<string, CborInput>>;
export type RequestKind = "call" | "query" | "read_state";

const ANONYMOUS_SENDER = Uint8Array.of(4);
export const MANAGEMENT = Principal.managementCanister();

let nonces = 0;

export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** The fields of a good request; `changes` replace some, undefined removes one. */
export function content(kind: RequestKind, changes: Content = {}): Content {
  return {
    request_type: kind,
    sender: ANONYMOUS_SENDER,
    ingress_expiry: nowNs() + 120_000_000_000n,
    nonce: new TextEncoder().encode(`hostile ${process.pid} ${nonces++}`),
    ...(kind === "read_state" ? { paths: [[new TextEncoder().encode("time")]] } : {}),
    ...changes,
  };
}

export function envelope(fields: CborInput, authentication: Content = {}): Uint8Array {
  return encodeCbor({ content: fields, ...authentication }, { selfDescribed: true });
}

export type Outcome =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly code: number; readonly error: string; readonly message: string };

/** An update to its end, by an anonymous user: through the synchronous endpoint, then by polling. */
export async function update(
  url: string,
  canister: Principal,
  method: string,
  arg: Uint8Array,
  options: { readonly effective?: Principal; readonly timeoutMs?: number } = {},
): Promise<Outcome> {
  const fields = content("call", { canister_id: canister.toUint8Array(), method_name: method, arg });
  return certified(url, options.effective ?? canister, envelope(fields), options.timeoutMs ?? 60_000);
}

async function certified(url: string, effective: Principal, body: Uint8Array, timeoutMs: number): Promise<Outcome> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    // The same request again: it is not executed again, and answered once there is an answer.
    const answer = await post(`${url}/api/v4/canister/${effective}/call`, body);
    if (answer.status === 200) return outcomeOfCall(decodeCbor(answer.bytes) as CborMap);
    if (answer.status !== 202 || Date.now() > end)
      throw new Error(`call answered with ${answer.status}: ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function outcomeOfCall(answer: CborMap): Outcome {
  if (answer.get("status") === "non_replicated_rejection") return rejection(answer);
  const { tree } = decodeCertificate(answer.get("certificate") as Uint8Array);
  const status = subtree(subtree(tree, "request_status"), undefined);
  if (leaf(status, "status") === "replied") return { kind: "reply", data: leafBytes(status, "reply") as Uint8Array };
  return {
    kind: "reject",
    code: Number(leafBytes(status, "reject_code")?.[0]),
    error: leaf(status, "error_code"),
    message: leaf(status, "reject_message"),
  };
}

function rejection(answer: CborMap): Outcome {
  const [code, error, message] = ["reject_code", "error_code", "reject_message"].map((name) => answer.get(name));
  return { kind: "reject", code: code as number, error: error as string, message: message as string };
}

function subtree(tree: HashTree | undefined, label: string | undefined): HashTree | undefined {
  if (tree?.kind === "fork") return subtree(tree.left, label) ?? subtree(tree.right, label);
  if (tree?.kind !== "labeled") return undefined;
  return label === undefined || new TextDecoder().decode(tree.label) === label ? tree.child : undefined;
}

function leafBytes(tree: HashTree | undefined, label: string): Uint8Array | undefined {
  const found = subtree(tree, label);
  return found?.kind === "leaf" ? found.value : undefined;
}

function leaf(tree: HashTree | undefined, label: string): string {
  return new TextDecoder().decode(leafBytes(tree, label));
}

export async function query(url: string, canister: Principal, method: string, arg: Uint8Array): Promise<Outcome> {
  const fields = content("query", { canister_id: canister.toUint8Array(), method_name: method, arg });
  const answer = await post(`${url}/api/v3/canister/${canister}/query`, envelope(fields));
  if (answer.status !== 200) throw new Error(`query answered with ${answer.status}: ${answer.text}`);
  const decoded = decodeCbor(answer.bytes) as CborMap;
  if (decoded.get("status") !== "replied") return rejection(decoded);
  return { kind: "reply", data: (decoded.get("reply") as CborMap).get("arg") as Uint8Array };
}

const CREATE = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const INSTALL = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

export async function createCanister(url: string, amount?: bigint): Promise<Principal> {
  const arg = IDL.encode([CREATE], [{ amount: amount === undefined ? [] : [amount] }]);
  const outcome = await update(url, MANAGEMENT, "provisional_create_canister_with_cycles", arg);
  if (outcome.kind === "reject") throw new Error(`no canister: ${outcome.message}`);
  const [{ canister_id }] = IDL.decode(
    [IDL.Record({ canister_id: IDL.Principal })],
    outcome.data.slice(),
  ) as unknown as [{ canister_id: Principal }];
  return canister_id;
}

export function install(
  url: string,
  id: Principal,
  wasm: Uint8Array,
  options: { readonly mode?: "install" | "reinstall"; readonly arg?: Uint8Array; readonly timeoutMs?: number } = {},
): Promise<Outcome> {
  const { mode = "install", arg = new Uint8Array(), ...rest } = options;
  const request = IDL.encode([INSTALL], [{ mode: { [mode]: null }, canister_id: id, wasm_module: wasm, arg }]);
  return update(url, MANAGEMENT, "install_code", request, { effective: id, ...rest });
}

export async function deploy(
  url: string,
  wasm: Uint8Array,
  options: { readonly arg?: Uint8Array; readonly cycles?: bigint } = {},
): Promise<Principal> {
  const id = await createCanister(url, options.cycles);
  const outcome = await install(url, id, wasm, options.arg === undefined ? {} : { arg: options.arg });
  if (outcome.kind === "reject") throw new Error(`not installed: ${outcome.message}`);
  return id;
}
