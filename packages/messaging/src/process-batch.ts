// The centre of a replica: one batch in, the next state and everything that follows from it out. Deterministic:
// same state + same batch = same outputs, on every machine. Induct, run a round, tell what changed.
import {
  admitsAnyIngress,
  answerRandomness,
  applyInterventions,
  chargeAllocations,
  continueLongExecution,
  decayDebits,
  deliverInitialDkgs,
  deliverOutcallResponses,
  deliverQueryStats,
  executeRound,
  expireCalls,
  expireHeldIngress,
  expireOutcalls,
  expireStopCalls,
  type FeeSchedule,
  type LongExecutions,
  measureUsage,
  nextDeadline,
  nextHeldExpiry,
  nextOutcallTimeout,
  nextStopTimeout,
  OVERHEAD_INSTRUCTIONS,
  observeBlockmaker,
  type Round,
  type RoundEvent,
  refuseInterventions,
  type StateDelta,
  shedMessages,
  type TraceEvent,
  takeStateDelta,
} from "@atoll/execution";
import { type CanonicalTree, endOf, type SubnetState } from "@atoll/state";
import {
  type Batch,
  type CanisterId,
  type CryptoPort,
  type Height,
  type InitialDkgRequest,
  type InterventionResult,
  InvariantViolation,
  MAX_INGRESS_ANSWER_BYTES,
  type OutcallChanges,
  type PrincipalId,
  type RequestId,
  type Time,
  type TreeChange,
} from "@atoll/types";
import { inductIngress } from "./induct-ingress.ts";
import {
  buildStreams,
  canBuildStreams,
  expireWaitingMessages,
  nextWaitingCheck,
  rerouteWaitingMessages,
} from "./stream-builder.ts";
import { processStreamSlices } from "./stream-handler.ts";

/** A subnet's state with what is needed to execute on it. */
export interface StateMachine {
  readonly state: SubnetState;
  readonly pool: Round["pool"];
  readonly fees: FeeSchedule;
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly rootKey: Uint8Array;
  readonly long: LongExecutions;
  readonly tree: CanonicalTree;
  /** What happens to each message is told, too. */
  readonly trace?: boolean;
}

/** Who may read what on the HTTP interface, as far as this round changed it. Not part of the certified tree. */
export interface AccessChanges {
  readonly canisters: readonly {
    readonly id: CanisterId;
    /** undefined: the canister is gone. */
    readonly controllers: readonly PrincipalId[] | undefined;
    readonly privateSections: readonly string[];
    /** True when `filterIngress` lets every message in: then nobody has to ask it. */
    readonly admitsAnyIngress: boolean;
  }[];
  readonly requests: readonly {
    readonly id: RequestId;
    /** undefined: forgotten. */
    readonly origin: { readonly sender: PrincipalId; readonly receiver: CanisterId } | undefined;
    readonly isFinal: boolean;
  }[];
}

/** Where the stream to another subnet stands. */
export interface StreamPosition {
  readonly subnet: PrincipalId;
  /** Messages that the other subnet has not told that it took. */
  readonly begin: number;
  readonly end: number;
  /** The next message of the reverse stream. */
  readonly signalsEnd: number;
}

export interface RoundOutput {
  readonly height: Height;
  readonly time: Time;
  readonly treeChanges: readonly TreeChange[];
  readonly delta: StateDelta;
  readonly access: AccessChanges;
  readonly events: readonly RoundEvent[];
  /** Of the batch's interventions, in their order. */
  readonly interventionResults: readonly InterventionResult[];
  /** HTTPS outcalls that began and ended. */
  readonly outcalls: OutcallChanges;
  /** All keys for other subnets that are asked for and not made yet, in the order in which they were asked for. */
  readonly remoteDkgs: readonly InitialDkgRequest[];
  /** Where the state machine was asked for it. */
  readonly trace?: readonly TraceEvent[];
  /** What the executions took, without what a round counts for each beside. */
  readonly instructions: number;
  readonly executions: number;
  /** Executions suspended between two slices. */
  readonly pausedExecutions: number;
  /** The next round has something to do at once: messages that ran out of this round's instructions, say. */
  readonly hasMoreWork: boolean;
  /** The earliest time at which the state has something to do by itself; undefined: never. */
  readonly wakeAt: Time | undefined;
  /** The streams that changed: somebody may want to know, or has something for us. */
  readonly streams: readonly StreamPosition[];
  /** Messages from other subnets that could not be what they said. */
  readonly dropped: NonNullable<Round["dropped"]>;
}

export function processBatch(machine: StateMachine, batch: Batch): RoundOutput {
  return takeOutput(machine, runBatch(machine, batch));
}

type RoundWork = Pick<RoundOutput, "instructions" | "executions">;

/** Executes a batch again after a restart: nobody is told before the last one. Gives the work that it was. */
export function replayBatch(machine: StateMachine, batch: Batch): RoundWork {
  return workOf(machine, runBatch(machine, batch));
}

function workOf(
  { fees }: Pick<StateMachine, "fees">,
  { instructionsLeft, executions = 0 }: Pick<Round, "instructionsLeft" | "executions">,
): RoundWork {
  return { instructions: fees.limits.round - instructionsLeft - executions * OVERHEAD_INSTRUCTIONS, executions };
}

function runBatch(machine: StateMachine, batch: Batch): Round {
  const { state } = machine;
  if (batch.height !== state.height + 1)
    throw new InvariantViolation(`batch ${batch.height} does not follow state ${state.height}`);
  if (batch.time <= state.time) throw new InvariantViolation(`the time of batch ${batch.height} does not move on`);
  const { time: before } = state;
  state.height = batch.height;
  state.time = batch.time;
  state.randomness = batch.randomness;
  state.prevStateHash = batch.prevStateHash;
  if (batch.nodes !== undefined) state.nodes = batch.nodes;
  const round = roundOf(machine);
  round.events = [];
  round.eventBytes = 0;
  round.traceEvents = machine.trace === true ? [] : undefined;
  round.instructionsLeft = machine.fees.limits.round;
  round.executions = 0;
  round.maxExecutions = batch.maxExecutions;
  round.interventionResults = [];
  round.dropped = [];
  if (batch.topology !== undefined) {
    state.topology = batch.topology;
    rerouteWaitingMessages(round);
  }
  if (batch.blockmaker !== undefined) observeBlockmaker(state, batch.blockmaker);
  deliverQueryStats(state, batch.queryStats ?? []);
  if (intervene(round, batch)) buildStreams(round);
  else runRound(round, batch, before);
  if (batch.isCheckpoint === true) machine.long.abortAll();
  state.pages.reclaim();
  return round;
}

/** True when the batch is one that changes the state by interventions, none perhaps, and does nothing else. */
function intervene(round: Round, { interventions }: Batch): boolean {
  if (interventions === undefined) return false;
  const isTaken = round.state.config.provisional;
  round.interventionResults = isTaken ? applyInterventions(round, interventions) : refuseInterventions(interventions);
  return isTaken;
}

/** `before`: the time of the last round. */
function runRound(round: Round, batch: Batch, before: Time): void {
  const { state } = round;
  continueLongExecution(round);
  answerRandomness(round);
  expireOutcalls(round);
  deliverOutcallResponses(round, batch.outcallResponses ?? []);
  deliverInitialDkgs(round, batch.remoteDkgs ?? []);
  expireStopCalls(round);
  expireCalls(round);
  expireHeldIngress(round);
  expireWaitingMessages(round, before);
  round.dropped = processStreamSlices(round, batch.slices ?? []);
  for (const message of batch.ingress) inductIngress(round, message);
  executeRound(round);
  buildStreams(round);
  shedMessages(round);
  decayDebits(round);
  chargeAllocations(round);
  state.ingressHistory.prune(state.time);
  state.ingressHistory.dropAnswersAbove(MAX_INGRESS_ANSWER_BYTES);
}

const rounds = new WeakMap<StateMachine, Round>();

/** The round object of a machine: executions that take many rounds keep it. */
function roundOf(machine: StateMachine): Round {
  let round = rounds.get(machine);
  if (round === undefined) {
    const { state, pool, fees, crypto, rootKey, long } = machine;
    round = { state, pool, fees, crypto, rootKey, long, events: [], instructionsLeft: 0 };
    rounds.set(machine, round);
  }
  return round;
}

/** Output of a state that was just loaded: everything, as if it had changed. */
export function describeWholeState(machine: StateMachine): RoundOutput {
  const { state } = machine;
  for (const id of state.canisters.keys()) state.touched.add(id);
  for (const id of state.streams.keys()) state.touchedStreams.add(id);
  state.ingressHistory.noteAll();
  state.outcalls.noteAll();
  return takeOutput(machine, { events: [], instructionsLeft: machine.fees.limits.round }, { whole: true });
}

function takeOutput(
  machine: StateMachine,
  round: Pick<Round, "events" | "instructionsLeft" | "executions" | "interventionResults" | "traceEvents" | "dropped">,
  { whole } = { whole: false },
): RoundOutput {
  const { state } = machine;
  measureUsage(machine);
  const requests = state.ingressHistory.takeChanges();
  const output: RoundOutput = {
    height: state.height,
    time: state.time,
    treeChanges: machine.tree.changes(state, requests),
    access: accessChanges(machine, requests),
    delta: takeStateDelta(state, state.modules.takeReaderChanges(), { whole }),
    events: round.events,
    interventionResults: round.interventionResults ?? [],
    outcalls: state.outcalls.takeChanges(),
    remoteDkgs: state.initialDkgs.map(({ target, receivers, registryVersion }) => ({
      target,
      receivers,
      registryVersion,
    })),
    ...(round.traceEvents === undefined ? {} : { trace: round.traceEvents }),
    ...workOf(machine, round),
    pausedExecutions: machine.long.size,
    hasMoreWork:
      state.withInput.size > 0 ||
      state.withLowMemoryHook.size > 0 ||
      state.pendingRandomness.length > 0 ||
      state.withPending.size > 0 ||
      state.managementQueue.length > 0 ||
      canBuildStreams(state),
    wakeAt: wakeTime(state),
    streams: [...state.touchedStreams].sort().map((id) => positionOf(state, id)),
    dropped: round.dropped ?? [],
  };
  state.touched.clear();
  state.touchedStreams.clear();
  return output;
}

function accessChanges({ state, fees }: StateMachine, requests: Iterable<RequestId>): AccessChanges {
  return {
    canisters: [...state.touched].map((id) => {
      const canister = state.canisters.get(id);
      const module = canister?.execution && state.modules.info(canister.execution.moduleHash);
      return {
        id,
        controllers: canister?.settings.controllers,
        privateSections: module?.metadata.filter((section) => !section.isPublic).map((section) => section.name) ?? [],
        admitsAnyIngress: canister !== undefined && admitsAnyIngress({ state, fees }, canister),
      };
    }),
    requests: [...requests].map((id) => {
      const record = state.ingressHistory.get(id);
      const isFinal =
        record !== undefined && record.status.state !== "received" && record.status.state !== "processing";
      return { id, origin: record && { sender: record.sender, receiver: record.receiver }, isFinal };
    }),
  };
}

function positionOf({ streams }: SubnetState, subnet: PrincipalId): StreamPosition {
  const stream = streams.get(subnet);
  if (stream === undefined) return { subnet, begin: 0, end: 0, signalsEnd: 0 };
  return { subnet, begin: stream.begin, end: endOf(stream), signalsEnd: stream.signalsEnd };
}

function earlier(one: Time | undefined, other: Time | undefined): Time | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one < other ? one : other;
}

function wakeTime(state: SubnetState): Time | undefined {
  if (state.withHeartbeat.size > 0) return state.time;
  const expiries = [nextDeadline({ state }), nextStopTimeout({ state }), nextHeldExpiry(state)];
  return [...expiries, nextOutcallTimeout(state), nextWaitingCheck(state), state.withTimer.earliest].reduce(earlier);
}
