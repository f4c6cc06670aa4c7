// Subnets that speak with each other as in a real network: each is a state machine with a key of its own, every state is
// certified, and messages travel as certified slices that are made of one tree and verified against the other topology.
import assert from "node:assert/strict";
import { dealThresholdKey, selfAuthenticatingId, signStateRoot, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto, sha256 } from "@atoll/host-node";
import { describeWholeState, processBatch, type RoundOutput, type StreamPosition } from "@atoll/messaging";
import { type CertifiedState, certifiedSlice, type SliceLimits, sliceExpectations, verifySlice } from "@atoll/replica";
import { certifiedState, NO_STATE, nextTree, type TreeAtHeight } from "@atoll/replica/certified-tree";
import { CanonicalTree, CheckpointStore, Checkpoints, MemoryStorage, rootHash, type SubnetConfig } from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  canisterIdFromIndex,
  decodeState,
  encodeState,
  type IngressMessage,
  type Intervention,
  type NetworkTopology,
  type PrincipalId,
  type StreamMessage,
  type StreamSlice,
  type SubnetRecord,
  type SubnetType,
  toHex,
} from "@atoll/types";
import * as s from "../../execution/test/semantics/machine.ts";
import { cyclesIn } from "./cycles-in.ts";

const crypto: CryptoPort = await createNodeCrypto();

export interface Subnet {
  m: s.Machine;
  readonly record: SubnetRecord;
  readonly secret: Uint8Array;
  readonly config: Partial<SubnetConfig>;
  tree: TreeAtHeight;
  certified: CertifiedState;
  readonly positions: Map<PrincipalId, StreamPosition>;
  readonly storage: MemoryStorage;
  checkpoints: Checkpoints;
  /** Since the last checkpoint. */
  log: Batch[];
  /** Whatever rounds dropped. */
  readonly dropped: RoundOutput["dropped"][number][];
}

export interface Network {
  readonly topology: NetworkTopology;
  readonly subnets: readonly Subnet[];
  /** How much of a stream one slice shows. */
  limits: SliceLimits;
}

/** Every execution ends in the round in which it begins. */
const UNSLICED: s.Pools = { long: { slices: { slice: 4e10, operation: 4e10 } } };

/** 0x1000 canister ids for each subnet, in order. */
function recordOf(index: number, type: SubnetType): { record: SubnetRecord; secret: Uint8Array } {
  let calls = 0;
  const randomBytes = (length: number): Uint8Array => {
    const seed = sha256(new TextEncoder().encode(`subnet ${index} ${calls++}`));
    return Uint8Array.from({ length }, (_, i) => (i < 32 ? (seed[i] as number) & (i === 0 ? 0x3f : 0xff) : 0));
  };
  const key = dealThresholdKey(1, 1, { randomBytes }, crypto.bls);
  const publicKey = subnetKeyToDer(key.publicKey);
  const first = BigInt(index + 1) * 0x1000n;
  const canisterRanges = [[canisterIdFromIndex(first), canisterIdFromIndex(first + 0xfffn)]] as const;
  const secret = key.shares[0]?.secret as Uint8Array;
  return {
    record: { subnetId: selfAuthenticatingId(publicKey, crypto.sha224), type, publicKey, canisterRanges },
    secret,
  };
}

/** The first subnet is the root. `setUp` gives each its canisters before the network begins. */
export function newNetwork(
  types: readonly SubnetType[],
  setUp: (m: s.Machine, index: number) => void = () => undefined,
  config: Partial<SubnetConfig> = {},
): Network {
  const made = types.map((type, index) => recordOf(index, type));
  const subnets = made.map(({ record }) => record).sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1));
  const topology = { version: 1, rootSubnetId: made[0]?.record.subnetId as PrincipalId, subnets };
  const all = made.map(({ record, secret }, index): Subnet => {
    const { subnetId, publicKey, canisterRanges, type } = record;
    const own = { ...config, subnetId, publicKey, canisterRanges, type, topology } as Partial<SubnetConfig>;
    const m = s.newMachine(own, UNSLICED, { isEmpty: true });
    const storage = new MemoryStorage();
    const checkpoints = new Checkpoints(CheckpointStore.open(storage));
    const rest = { tree: NO_STATE, certified: undefined as never, positions: new Map(), log: [], dropped: [] };
    const subnet: Subnet = { m, record, secret, config: own, storage, checkpoints, ...rest };
    setUp(m, index);
    describeAnew(subnet);
    checkpoints.save(m.machine.state);
    return subnet;
  });
  return { topology, subnets: all, limits: {} };
}

/** Forgets what the tree was, and makes it of the whole state, as a start does. */
function describeAnew(subnet: Subnet): void {
  subnet.m = { ...subnet.m, machine: { ...subnet.m.machine, tree: new CanonicalTree() } };
  const whole = describeWholeState(subnet.m.machine);
  subnet.m.queries.apply(whole.delta);
  subnet.tree = NO_STATE;
  take(subnet, whole);
}

function take(subnet: Subnet, output: RoundOutput): void {
  subnet.m.last = output;
  subnet.tree = nextTree(subnet.tree, output);
  const sign = (root: Uint8Array): Uint8Array => signStateRoot(root, subnet.secret, crypto.bls);
  subnet.certified = certifiedState(subnet.tree, sign, () => undefined, sha256);
  for (const position of output.streams) subnet.positions.set(position.subnet, position);
  subnet.dropped.push(...output.dropped);
}

/** What the others have for a subnet, verified as it would be before it enters a block. */
function pull(network: Network, subnet: Subnet): StreamSlice[] {
  const slices: StreamSlice[] = [];
  for (const source of network.subnets) {
    if (source === subnet) continue;
    const types = {
      own: subnet.record.type,
      source: source.record.type,
      ownIsRoot: subnet.record.subnetId === network.topology.rootSubnetId,
    };
    const expected = sliceExpectations(types, subnet.positions.get(source.record.subnetId));
    const limits = { ...network.limits, messages: Math.min(network.limits.messages ?? 1e9, expected.messageLimit) };
    const bytes = certifiedSlice(source.certified, subnet.record.subnetId, expected.messageIndex, limits);
    if (bytes === undefined) continue;
    const check = { source: source.record, own: subnet.record.subnetId, expected, crypto };
    const result = verifySlice(bytes, check);
    if (result.ok) slices.push(result.slice);
    else assert.equal(result.reason, "it brings nothing new");
  }
  return slices;
}

export interface StepOptions {
  readonly seconds?: number;
  readonly slices?: readonly StreamSlice[];
  readonly isCheckpoint?: boolean;
  readonly topology?: NetworkTopology;
  readonly interventions?: readonly Intervention[];
  readonly maxExecutions?: number;
}

/** A batch of one subnet, with all that the others have for it. */
export function step(
  network: Network,
  subnet: Subnet,
  ingress: readonly IngressMessage[] = [],
  options: StepOptions = {},
) {
  const { m } = subnet;
  const slices = options.slices ?? pull(network, subnet);
  const batch: Batch = {
    height: m.machine.state.height + 1,
    time: m.machine.state.time + BigInt(options.seconds ?? 1) * 1_000_000_000n,
    randomness: sha256(new TextEncoder().encode(`${subnet.record.subnetId} ${m.machine.state.height}`)),
    ingress,
    ...(slices.length > 0 && { slices }),
    ...(options.isCheckpoint === true && { isCheckpoint: true }),
    ...(options.topology !== undefined && { topology: options.topology }),
    ...(options.interventions !== undefined && { interventions: options.interventions }),
    ...(options.maxExecutions !== undefined && { maxExecutions: options.maxExecutions }),
  };
  return execute(subnet, batch);
}

function execute(subnet: Subnet, batch: Batch): RoundOutput {
  const { m } = subnet;
  const output = processBatch(m.machine, batch);
  Object.assign(m, { height: batch.height, time: batch.time });
  m.queries.apply(output.delta);
  take(subnet, output);
  subnet.log.push(batch);
  if (batch.isCheckpoint === true) {
    subnet.checkpoints.save(m.machine.state);
    subnet.log = [];
  }
  return output;
}

/** The process of a subnet ends; another one loads the checkpoint and executes what came since. */
export function restart(subnet: Subnet): void {
  const { log } = subnet;
  const before = rootOf(subnet);
  const m = s.newMachine(subnet.config, UNSLICED, { isEmpty: true });
  Object.assign(subnet, { m, log: [] });
  subnet.checkpoints = new Checkpoints(CheckpointStore.open(subnet.storage));
  subnet.checkpoints.load(m.machine.state);
  const dropped = subnet.dropped.length;
  subnet.m.time = m.machine.state.time;
  describeAnew(subnet);
  for (const batch of log) execute(subnet, decodeState(encodeState(batch)) as Batch);
  subnet.dropped.length = dropped;
  assert.equal(rootOf(subnet), before, "the root after a restart");
}

const rootOf = ({ tree }: Subnet): string => toHex(rootHash(tree.tree, sha256));

/** All cycles of the network: those on the subnets, and those on the way between two of them. */
export function cyclesInNetwork({ subnets }: Network): bigint {
  let sum = 0n;
  for (const { m, record } of subnets) {
    sum += cyclesIn(m);
    for (const [to, { begin, messages, waiting }] of m.machine.state.streams) {
      for (const { message } of waiting) sum += cyclesWith(message);
      const there = subnets.find((each) => each.record.subnetId === to)?.m.machine.state.streams.get(record.subnetId);
      const rejected = new Set(there?.rejectSignals.map(({ index }) => index));
      let index = begin;
      for (const message of messages) {
        if (index >= (there?.signalsEnd ?? 0) || rejected.has(index)) sum += cyclesWith(message);
        index++;
      }
    }
  }
  return sum;
}

function cyclesWith(message: StreamMessage): bigint {
  if (message.kind === "request") return message.payment;
  return message.kind === "response" ? message.refund : message.cycles;
}

/** Rounds of all subnets in turn until nobody has anything to do or to say. */
export function settle(network: Network, atMost = 60): void {
  for (let i = 0; i < atMost; i++) {
    let isQuiet = true;
    for (const subnet of network.subnets) {
      const slices = pull(network, subnet);
      const output = step(network, subnet, [], { slices });
      if (slices.length > 0 || output.hasMoreWork || output.streams.length > 0) isQuiet = false;
    }
    if (isQuiet) return;
  }
  assert.fail(`the network does not come to rest in ${atMost} turns`);
}

/** Sends an update and lets the network come to rest. */
export function call(network: Network, subnet: Subnet, id: PrincipalId, program: Uint8Array, method = "update") {
  const sent = s.message(subnet.m, id, method, program);
  step(network, subnet, [sent]);
  settle(network);
  return s.statusOf(subnet.m, sent);
}
