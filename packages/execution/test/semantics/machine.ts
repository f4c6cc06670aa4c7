// A subnet in this process: batches in, request statuses and query answers out. `processBatch` is the only way in, so
// that rounds, queues and rollback are the real ones; queries see the state as of the last batch.
import { InstancePool, type InstancePoolOptions } from "@atoll/embedder";
import {
  executeQuery,
  FeeSchedule,
  LongExecutions,
  newQueryState,
  QueryExecutor,
  type QueryOutcome,
} from "@atoll/execution";
import { processBatch, type RoundOutput, type StateMachine } from "@atoll/messaging";
import {
  type CanisterState,
  CanonicalTree,
  ModuleStore,
  newSubnetState,
  PageStore,
  payCharges,
  type SubnetConfig,
  touch,
} from "@atoll/state";
import {
  type Batch,
  type CanisterId,
  canisterIdFromIndex,
  ErrorCode,
  type IngressMessage,
  type IngressStatus,
  type Intervention,
  type InterventionResult,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  principalFromBytes,
  principalToBytes,
  type QueryResult,
  type UserError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import * as u from "../canisters/universal.ts";
import { type MethodName, methods, NO_SETTINGS } from "../management/interface.ts";
import { ALICE, sha256 } from "../management/subnet.ts";

export { ALICE, BOB } from "../management/subnet.ts";
export { ErrorCode, NO_SETTINGS };

const SECOND_NS = 1_000_000_000n;

export interface Machine {
  readonly machine: StateMachine;
  readonly queries: QueryExecutor;
  height: number;
  time: bigint;
  last: RoundOutput;
}

/** How much either side may keep alive. */
export interface Pools {
  readonly execution?: InstancePoolOptions;
  readonly queries?: InstancePoolOptions;
  readonly long?: ConstructorParameters<typeof LongExecutions>[0];
}

export function newMachine(
  config: Partial<SubnetConfig> = {},
  pools: Pools = {},
  { isEmpty = false, trace = false } = {},
): Machine {
  const full: SubnetConfig = {
    subnetId: "5a".repeat(28).concat("02") as PrincipalId,
    type: "application",
    publicKey: new Uint8Array(133),
    nodes: [],
    canisterRanges: [[canisterIdFromIndex(0x10n), canisterIdFromIndex(0xffn)]],
    feeNodes: 13,
    provisional: true,
    ...config,
  };
  const pages = new PageStore({ shared: false });
  const fees = new FeeSchedule(full);
  const machine: StateMachine = {
    state: newSubnetState(full, new ModuleStore(), pages),
    pool: new InstancePool(pools.execution),
    fees,
    crypto: { sha256 },
    rootKey: new Uint8Array(133).fill(7),
    long: new LongExecutions(pools.long),
    tree: new CanonicalTree(),
    trace,
  };
  const queries = new QueryExecutor(newQueryState(full, machine.rootKey, pages), fees, pools.queries);
  const made: Machine = { machine, queries, height: 0, time: 1_700_000_000n * SECOND_NS, last: undefined as never };
  if (!isEmpty) round(made);
  return made;
}

/** One batch; `seconds` of subnet time pass before it. */
export function round(m: Machine, ingress: readonly IngressMessage[] = [], seconds = 1): RoundOutput {
  return roundWith(m, { ingress: [...ingress] }, seconds);
}

/** A batch of which more is said than its messages. */
export function roundWith(m: Machine, rest: Partial<Batch>, seconds = 1): RoundOutput {
  m.time += BigInt(seconds) * SECOND_NS;
  m.height++;
  const randomness = sha256(new TextEncoder().encode(`round ${m.height}`));
  m.last = processBatch(m.machine, { height: m.height, time: m.time, randomness, ingress: [], ...rest });
  m.queries.apply(m.last.delta);
  return m.last;
}

/** What became of each. */
export function intervene(m: Machine, ...interventions: readonly Intervention[]): readonly InterventionResult[] {
  return roundWith(m, { interventions }).interventionResults;
}

/** One batch after the slice that comes before it, for executions that take many rounds. */
export async function roundAfterSlice(m: Machine, ingress: readonly IngressMessage[] = []): Promise<RoundOutput> {
  await m.machine.long.runSlice();
  return round(m, ingress);
}

/** Rounds until nothing is left to do. */
export function settleAll(m: Machine, atMost = 20): void {
  for (let i = 0; i < atMost; i++) if (!round(m).hasMoreWork) return;
}

let requests = 0;

export function message(
  m: Machine,
  receiver: CanisterId,
  methodName: string,
  arg: Uint8Array,
  options: { sender?: PrincipalId; effective?: CanisterId; expiry?: bigint } = {},
): IngressMessage {
  return {
    requestId: (++requests).toString(16).padStart(64, "0"),
    sender: options.sender ?? ALICE,
    receiver,
    effectiveCanisterId: options.effective ?? receiver,
    methodName,
    arg,
    expiry: options.expiry ?? m.time + 240n * SECOND_NS,
    byteSize: arg.length + 200,
  };
}

export function statusOf(m: Machine, { requestId }: IngressMessage): IngressStatus | undefined {
  return m.machine.state.ingressHistory.get(requestId)?.status;
}

/** Sends an update and runs rounds until it is answered. */
export function send(
  m: Machine,
  receiver: CanisterId,
  arg: Uint8Array,
  options: { method?: string; sender?: PrincipalId } = {},
): IngressStatus {
  const sent = message(m, receiver, options.method ?? "update", arg, options);
  round(m, [sent]);
  for (let i = 0; i < 20 && !isFinal(statusOf(m, sent)); i++) round(m);
  return statusOf(m, sent) as IngressStatus;
}

function isFinal(status: IngressStatus | undefined): boolean {
  return status?.state === "replied" || status?.state === "rejected";
}

export function replyOf(status: IngressStatus | undefined): Uint8Array {
  if (status?.state !== "replied") throw new Error(`no reply: ${show(status)}`);
  return status.reply;
}

export function errorOf(status: IngressStatus | undefined): UserError {
  if (status?.state !== "rejected") throw new Error(`no error: ${show(status)}`);
  return status.error;
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}` : each));
}

export const update = (m: Machine, id: CanisterId, program: u.Code): Uint8Array => replyOf(send(m, id, program));
export const failure = (m: Machine, id: CanisterId, program: u.Code): UserError => errorOf(send(m, id, program));
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const updateText = (m: Machine, id: CanisterId, program: u.Code): string => textOf(update(m, id, program));

export function updateNumber(m: Machine, id: CanisterId, number: u.Code): bigint {
  return numberOf(update(m, id, u.reply(u.le64(number))));
}

/** Little-endian, of any length. */
export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

export function query(
  m: Machine,
  id: CanisterId,
  program: Uint8Array,
  options: { method?: string; certificate?: Uint8Array; sender?: PrincipalId } = {},
): QueryOutcome {
  return executeQuery(m.queries, {
    sender: options.sender ?? ALICE,
    receiver: id,
    methodName: options.method ?? "query",
    arg: program,
    dataCertificate: options.certificate,
  });
}

export function queried(result: QueryResult): Uint8Array {
  if (result.kind !== "replied") throw new Error(`no reply: ${show(result)}`);
  return result.reply;
}

export function queryError(result: QueryResult): UserError {
  if (result.kind !== "rejected") throw new Error(`no error: ${show(result)}`);
  return result.error;
}

// --- the management canister ---

export const principal = (id: PrincipalId): Principal => Principal.fromUint8Array(principalToBytes(id));
export const idBytes = (id: PrincipalId): u.Code => u.bytes(principalToBytes(id));
export const MANAGEMENT = u.bytes("");

export function candid(method: MethodName, arg?: unknown): Uint8Array {
  return IDL.encode([...methods[method].arg], arg === undefined ? [] : [arg]);
}

// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
export function decode(method: MethodName, reply: Uint8Array): any {
  return IDL.decode([...methods[method].result], reply)[0];
}

/** A management call by a user, answered within the round or a few. */
export function manage(m: Machine, method: MethodName, id: CanisterId, arg: object, sender = ALICE): IngressStatus {
  const sent = message(m, MANAGEMENT_CANISTER, method, candid(method, arg), { sender, effective: id });
  round(m, [sent]);
  for (let i = 0; i < 20 && !isFinal(statusOf(m, sent)); i++) round(m);
  return statusOf(m, sent) as IngressStatus;
}

/** The status of a canister as its controller is told. */
// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
export function canisterStatus(m: Machine, id: CanisterId, sender = ALICE): any {
  return decode("canister_status", replyOf(manage(m, "canister_status", id, onCanister(id), sender)));
}

/** What the canister has at this moment: what it owes for storage and compute is paid. */
export function balanceOf(m: Machine, id: CanisterId): bigint {
  const canister = canisterOf(m, id);
  payCharges(m.machine.state, canister);
  return canister.cycles;
}

/** Gives a canister another balance, as if it had always had it. */
export function setBalance(m: Machine, id: CanisterId, cycles: bigint, reserved = 0n): void {
  const canister = canisterOf(m, id);
  payCharges(m.machine.state, canister);
  Object.assign(canister, { cycles, reservedCycles: reserved });
  touch(m.machine.state, canister);
}

export const onCanister = (id: CanisterId): { canister_id: Principal } => ({ canister_id: principal(id) });

export function createCanister(m: Machine, options: { cycles?: bigint; settings?: object; id?: CanisterId } = {}) {
  const arg = {
    amount: [options.cycles ?? 100_000_000_000_000n],
    settings: [{ ...NO_SETTINGS, ...options.settings }],
    specified_id: options.id === undefined ? [] : [principal(options.id)],
    sender_canister_version: [],
  };
  const status = manage(m, "provisional_create_canister_with_cycles", canisterIdFromIndex(0x10n), arg);
  const made = decode("provisional_create_canister_with_cycles", replyOf(status)) as { canister_id: Principal };
  return principalFromBytes(made.canister_id.toUint8Array()) as CanisterId;
}

export type InstallModeArg = { install: null } | { reinstall: null } | { upgrade: [] | [object] };

export function install(
  m: Machine,
  id: CanisterId,
  wasm: Uint8Array,
  options: { mode?: InstallModeArg; arg?: Uint8Array } = {},
): IngressStatus {
  return manage(m, "install_code", id, {
    mode: options.mode ?? { install: null },
    canister_id: principal(id),
    wasm_module: wasm,
    arg: options.arg ?? new Uint8Array(),
    sender_canister_version: [],
  });
}

const modules = new Map<string, Uint8Array>();

export function universal(options: u.UniversalOptions = {}): Uint8Array {
  const key = JSON.stringify(options);
  const wasm = modules.get(key) ?? u.universalModule(options);
  modules.set(key, wasm);
  return wasm;
}

/** A canister with the universal module, or another one, installed. */
export function newUniversal(
  m: Machine,
  options: {
    wasm?: Uint8Array;
    cycles?: bigint;
    settings?: object;
    init?: u.Code;
    universal?: u.UniversalOptions;
  } = {},
): CanisterId {
  const id = createCanister(m, options);
  replyOf(install(m, id, options.wasm ?? universal(options.universal), { arg: options.init ?? new Uint8Array() }));
  return id;
}

export function canisterOf(m: Machine, id: CanisterId): CanisterState {
  const canister = m.machine.state.canisters.get(id);
  if (canister === undefined) throw new Error(`there is no canister ${id}`);
  return canister;
}

export const logsOf = (m: Machine, id: CanisterId): string[] => {
  return canisterOf(m, id).logs.records.map(({ content }) => textOf(content));
};
