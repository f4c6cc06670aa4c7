// A subnet without messages around it: real state, fees and instances, and calls to the management canister as a user
// or a canister would make them.
import { createHash } from "node:crypto";
import { InstancePool } from "@atoll/embedder";
import {
  executeQuery,
  FeeSchedule,
  filterIngress,
  LongExecutions,
  newQueryState,
  QueryExecutor,
  type Round,
  submitManagementCall,
  takeStateDelta,
} from "@atoll/execution";
import {
  type CanisterState,
  ModuleStore,
  newSubnetState,
  PageStore,
  type SubnetConfig,
  type SubnetState,
} from "@atoll/state";
import {
  type CanisterId,
  canisterIdFromIndex,
  ErrorCode,
  type IngressStatus,
  MANAGEMENT_CANISTER,
  MAX_INSTRUCTIONS_PER_ROUND,
  type PrincipalId,
  principalFromBytes,
  principalToBytes,
  type QueryResult,
  type Response,
  type UserError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type MethodName, methods, NO_SETTINGS } from "./interface.ts";

export const ALICE = "aa".repeat(28).concat("02") as PrincipalId;
export const BOB = "bb".repeat(28).concat("02") as PrincipalId;
export const SUBNET = "5a".repeat(28).concat("02") as PrincipalId;

export const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(data).digest());
export const principal = (id: PrincipalId): Principal => Principal.fromUint8Array(principalToBytes(id));

export interface TestSubnet {
  readonly state: SubnetState;
  readonly round: Round;
}

export function newSubnet(config: Partial<SubnetConfig> = {}): TestSubnet {
  const full: SubnetConfig = {
    subnetId: SUBNET,
    type: "application",
    publicKey: new Uint8Array(133),
    nodes: [],
    canisterRanges: [[canisterIdFromIndex(0x10n), canisterIdFromIndex(0xffn)]],
    feeNodes: 13,
    provisional: true,
    ...config,
  };
  const state = newSubnetState(full, new ModuleStore(), new PageStore({ shared: false }));
  state.height = 1;
  state.time = 1_700_000_000_000_000_000n;
  const round: Round = {
    state,
    pool: new InstancePool(),
    fees: new FeeSchedule(full),
    crypto: { sha256 },
    rootKey: new Uint8Array(133),
    long: new LongExecutions(),
    events: [],
    instructionsLeft: MAX_INSTRUCTIONS_PER_ROUND,
  };
  return { state, round };
}

let requests = 0;

/** Sends raw bytes as a user; the status of the message afterwards. */
export function sendRaw(subnet: TestSubnet, sender: PrincipalId, method: string, arg: Uint8Array): () => IngressStatus {
  const { state, round } = subnet;
  const requestId = (++requests).toString(16).padStart(64, "0");
  const origin = { sender, receiver: MANAGEMENT_CANISTER };
  state.ingressHistory.add(requestId, origin, { state: "processing" }, state.time + 300_000_000_000n);
  const caller = { kind: "ingress", requestId, sender, effectiveCanisterId: MANAGEMENT_CANISTER } as const;
  submitManagementCall(round, caller, method, arg);
  return () => state.ingressHistory.get(requestId)?.status as IngressStatus;
}

export function encode(method: MethodName, arg?: unknown): Uint8Array {
  return IDL.encode([...methods[method].arg], arg === undefined ? [] : [arg]);
}

/** Calls as a user, who gets an answer at once: the decoded result or the error. */
// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
export function call(subnet: TestSubnet, sender: PrincipalId, method: MethodName, arg?: unknown): any {
  const status = sendRaw(subnet, sender, method, encode(method, arg))();
  if (status.state === "rejected") return status.error;
  if (status.state !== "replied") throw new Error(`the message is ${status.state}`);
  return IDL.decode([...methods[method].result], status.reply)[0];
}

/** The error of a call that must fail. */
export function callError(subnet: TestSubnet, sender: PrincipalId, method: MethodName, arg?: unknown): UserError {
  const result = call(subnet, sender, method, arg);
  if (typeof result?.code !== "number") throw new Error(`${method} did not fail`);
  return result;
}

/** A request by a canister: the responses that are in its queue afterwards come from `responses`. */
export function callAsCanister(
  subnet: TestSubnet,
  sender: CanisterState,
  method: MethodName,
  arg: unknown,
  payment = 0n,
): void {
  const request = {
    kind: "request",
    sender: sender.id,
    receiver: MANAGEMENT_CANISTER,
    callbackId: 1,
    payment,
    methodName: method,
    arg: encode(method, arg),
    deadlineSeconds: 0,
    senderVersion: sender.version,
  } as const;
  submitManagementCall(subnet.round, { kind: "canister", request }, method, request.arg);
}

/** The query side of the subnet as it is now. */
export function queriesOf({ state }: TestSubnet): QueryExecutor {
  for (const id of state.canisters.keys()) state.touched.add(id);
  const delta = takeStateDelta(state, state.modules.takeReaderChanges(), { whole: true });
  const executor = new QueryExecutor(
    newQueryState(state.config, new Uint8Array(133), state.pages),
    new FeeSchedule(state.config),
  );
  executor.apply(delta);
  return executor;
}

/** A query to the management canister on the state as it is now. */
export function queryRaw(subnet: TestSubnet, sender: PrincipalId, methodName: string, arg: Uint8Array): QueryResult {
  return executeQuery(queriesOf(subnet), { sender, receiver: MANAGEMENT_CANISTER, methodName, arg });
}

/** The decoded answer to a query, or the error. */
// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
export function query(subnet: TestSubnet, sender: PrincipalId, method: MethodName, arg?: unknown): any {
  const result = queryRaw(subnet, sender, method, encode(method, arg));
  return result.kind === "rejected" ? result.error : IDL.decode([...methods[method].result], result.reply)[0];
}

/** What the node says to a user's message before it takes it; undefined: it takes it. */
export function filter(
  subnet: TestSubnet,
  sender: PrincipalId,
  methodName: string,
  arg: Uint8Array,
): UserError | undefined {
  return filterIngress(queriesOf(subnet), {
    requestId: "00".repeat(32),
    sender,
    receiver: MANAGEMENT_CANISTER,
    effectiveCanisterId: MANAGEMENT_CANISTER,
    methodName,
    arg,
    expiry: subnet.state.time,
    byteSize: arg.length + 300,
  });
}

export function takeResponses(canister: CanisterState): Response[] {
  return canister.input
    .extract((item) => item.kind === "response")
    .map((item) => (item as { response: Response }).response);
}

export function newCanisterOf(subnet: TestSubnet, owner: PrincipalId, settings: object = {}): CanisterState {
  const result = call(subnet, owner, "provisional_create_canister_with_cycles", {
    amount: [],
    settings: [{ ...NO_SETTINGS, ...settings }],
    specified_id: [],
    sender_canister_version: [],
  });
  return canisterOf(subnet, result);
}

export function canisterOf({ state }: TestSubnet, result: { canister_id: Principal } | UserError): CanisterState {
  if (!("canister_id" in result)) throw new Error(JSON.stringify(result));
  const id: CanisterId = principalFromBytes(result.canister_id.toUint8Array());
  return state.canisters.get(id) as CanisterState;
}

export const ids = (canister: CanisterState): { canister_id: Principal } => ({ canister_id: principal(canister.id) });
export { ErrorCode, NO_SETTINGS };
