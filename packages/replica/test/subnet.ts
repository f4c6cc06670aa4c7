// A subnet without a node around it: an executor that batches are given to, with the root hash after each; and random
// batches of messages to a few canisters that call each other, snapshot themselves, trap and are upgraded.
import { sha256 } from "@atoll/host-node";
import { type ExecutedRound, InlineExecutor, type InlineExecutorOptions } from "@atoll/replica";
import {
  applyChanges,
  EMPTY_TREE,
  Fifo,
  type Labels,
  ModuleStore,
  OpenOutcalls,
  PagedMemory,
  rootHash,
  type SubnetConfig,
  TimerIndex,
} from "@atoll/state";
import {
  ANONYMOUS,
  type Batch,
  type CanisterId,
  canisterIdFromIndex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  principalToBytes,
  type StoragePort,
  toHex,
} from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import { candid, NO_SETTINGS, principal, universal } from "../../execution/test/semantics/machine.ts";

const SECOND_NS = 1_000_000_000n;
const START = 1_800_000_000n * SECOND_NS;
export const IDS: readonly CanisterId[] = [0n, 1n, 2n].map(canisterIdFromIndex);

export const CONFIG: SubnetConfig = {
  subnetId: `${"5b".repeat(28)}02` as PrincipalId,
  type: "application",
  publicKey: new Uint8Array(133).fill(9),
  nodes: [],
  canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(1000n)]],
  feeNodes: 13,
  provisional: true,
};
const ROOT_KEY = new Uint8Array(133).fill(7);
const PORTS = { crypto: { sha256 }, log: { log: () => undefined } };

export interface Subnet {
  readonly executor: InlineExecutor;
  /** The whole state as it was told at the start. */
  readonly whole: ExecutedRound;
  tree: Labels;
  /** Gives the root hash after it, hex. */
  execute(batch: Batch): Promise<string>;
}

export async function newSubnet({
  storage,
  ...options
}: Partial<InlineExecutorOptions> & { storage?: StoragePort } = {}): Promise<Subnet> {
  const executor = new InlineExecutor(
    { config: CONFIG, rootKey: ROOT_KEY, ...options },
    { ...PORTS, ...(storage && { storage }) },
  );
  const whole = await executor.start();
  executor.advance(whole.height);
  return subnetOf(executor, whole);
}

export function subnetOf(
  executor: InlineExecutor,
  whole: ExecutedRound,
  tree = applyChanges(EMPTY_TREE, whole.treeChanges),
): Subnet {
  const subnet: Subnet = {
    executor,
    whole,
    tree,
    execute: async (batch) => {
      const round = await executor.execute(batch);
      executor.advance(round.height);
      subnet.tree = applyChanges(subnet.tree, round.treeChanges);
      return hashOf(subnet.tree);
    },
  };
  return subnet;
}

/** All that the state is made of but what its root hash covers: equal texts for equal states. */
export function fingerprint({ executor }: Subnet): string {
  const { pages: _, config: __, ingressHistory: ___, ...parts } = executor.durable.machine.state;
  return Object.entries(parts)
    .map(([name, part]) => `${name} ${shown(part)}`)
    .join("\n");
}

export function shown(value: unknown): string {
  if (value instanceof Uint8Array) return toHex(sha256(value));
  if (value instanceof PagedMemory) {
    const pages = [...value.pages()].map(([page, bytes]) => `${page}:${shown(bytes)}`);
    return `memory ${value.id} ${value.wasmPages} ${pages}`;
  }
  if (value instanceof TimerIndex) return shown([...value.keys()].map((key) => [key, value.get(key)]));
  if (value instanceof ModuleStore) return shown([...value.all()].map(({ hash }) => hash));
  if (value instanceof OpenOutcalls) return shown([value.next, ...value.contexts()]);
  if (value instanceof Map || value instanceof Set || value instanceof Fifo || Array.isArray(value))
    return `[${[...value].map(shown).join()}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value).map(([name, item]) => `${name}:${shown(item)}`)}}`;
}

const hashOf = (tree: Labels): string => toHex(rootHash(tree, sha256));

// --- batches ---

export type Random = (below: number) => number;

export function randomFrom(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

/** Batches 1 to `count`; the first two make the canisters. */
export function* batches(seed: number, count: number): Generator<Batch> {
  const random = randomFrom(seed);
  for (let height = 1; height <= count; height++) yield batchAt(random, height);
}

/** What depends on `random` alone, so that one seed gives one history. */
export function batchAt(random: Random, height: number): Batch {
  const time = START + BigInt(height) * 2n * SECOND_NS;
  const randomness = sha256(Uint8Array.of(random(256), random(256), height & 255));
  const ingress = height === 1 ? creations(time) : height === 2 ? installations(time) : messages(random, time);
  return { height, time, randomness, ingress };
}

let nonce = 0;

export function ingress(
  time: bigint,
  receiver: CanisterId,
  methodName: string,
  arg: Uint8Array,
  about = receiver,
): IngressMessage {
  const requestId = toHex(sha256(new TextEncoder().encode(`${time} ${receiver} ${nonce++}`)));
  const expiry = time + 200n * SECOND_NS;
  const message = { requestId, sender: ANONYMOUS, receiver, effectiveCanisterId: about, methodName, arg, expiry };
  return { ...message, byteSize: 100 + arg.length };
}

function manage(time: bigint, id: CanisterId, method: Parameters<typeof candid>[0], arg: unknown): IngressMessage {
  return ingress(time, MANAGEMENT_CANISTER, method, candid(method, arg as never), id);
}

const on = (id: CanisterId) => ({ canister_id: principal(id), sender_canister_version: [] });

function creations(time: bigint): IngressMessage[] {
  return IDS.map((id) => {
    const controllers = [[ANONYMOUS, ...IDS].map(principal)];
    const settings = [{ ...NO_SETTINGS, controllers }];
    const create = {
      amount: [10n ** 15n],
      settings,
      specified_id: [principal(id)],
      sender_canister_version: [],
    };
    return manage(time, id, "provisional_create_canister_with_cycles", create);
  });
}

function install(time: bigint, id: CanisterId, mode: unknown, arg: Uint8Array): IngressMessage {
  return manage(time, id, "install_code", { ...on(id), mode, wasm_module: universal(), arg });
}

function installations(time: bigint): IngressMessage[] {
  return IDS.map((id) => install(time, id, { install: null }, new Uint8Array()));
}

/** As many pages of stable memory as it writes, and slices of work when they are small. */
export const spin = (random: Random, times = 1): u.Code =>
  u.seq(
    u.stableGrow(1),
    ...Array.from({ length: times * (1 + random(6)) }, () =>
      u.stableWrite(random(60_000), u.repeated(random(255), u.int(4000))),
    ),
  );

function program(random: Random, depth: number): u.Code {
  const steps = Array.from({ length: 1 + random(3) }, () => {
    switch (random(depth > 0 ? 8 : 5)) {
      case 0:
        return spin(random);
      case 1:
        return u.seq(u.memoryGrow(u.int(random(2))), u.op("drop"));
      case 2:
        return u.certifiedDataSet(u.bytes(Uint8Array.of(random(255))));
      case 3:
        return u.debugPrint(`line ${random(100)}`);
      case 4:
        return u.seq(u.storeProgram("globalTimer", spin(random)), u.globalTimerSet(u.add(u.time(), u.int(1))));
      default: {
        const inner = (): u.Code => program(random, depth - 1);
        const callbacks = { onReply: inner(), onReject: inner(), cycles: BigInt(random(9)) };
        const timeout = random(3) === 0 ? { timeoutSeconds: 1 + random(9) } : {};
        const callee = principalToBytes(pick(random, IDS));
        return u.call({ callee, method: "update", arg: u.bytes(inner()), ...callbacks, ...timeout });
      }
    }
  });
  return u.seq(...steps, pick(random, [u.reply(), u.reply(), u.reject("no"), u.trap("no"), u.unreachable()]));
}

function about(random: Random, time: bigint): IngressMessage {
  const id = pick(random, IDS);
  const snapshot = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, random(2), ...principalToBytes(id)]);
  switch (random(8)) {
    case 0:
      return install(time, id, { upgrade: [] }, spin(random));
    case 1:
      return install(time, id, { reinstall: null }, spin(random));
    case 2:
      return manage(time, id, "take_canister_snapshot", { ...on(id), replace_snapshot: [], uninstall_code: [] });
    case 3:
      return manage(time, id, "load_canister_snapshot", { ...on(id), snapshot_id: snapshot });
    case 4:
      return manage(time, id, "delete_canister_snapshot", { ...on(id), snapshot_id: snapshot });
    case 5:
      return manage(time, id, "stop_canister", on(id));
    case 6:
      return manage(time, id, "upload_chunk", { ...on(id), chunk: Uint8Array.of(random(3)) });
    default:
      return manage(time, id, "start_canister", on(id));
  }
}

function messages(random: Random, time: bigint): IngressMessage[] {
  return Array.from({ length: random(4) }, () =>
    random(3) === 0 ? about(random, time) : ingress(time, pick(random, IDS), "update", program(random, 2)),
  );
}
