// One node of a subnet: where consensus, messaging, execution and state meet, and the HTTP interface on top.
// `Replica` is the node, `createHttpHandler` its face to clients, an `Executor` its hands.
export * from "./backend.ts";
export type { DelegationSource } from "./certified-tree.ts";
export { delegationSource } from "./delegation.ts";
export { DurableState, type DurableStateOptions, type DurableStatePorts } from "./durable-state.ts";
export * from "./executor.ts";
export * from "./genesis.ts";
export * from "./http/index.ts";
export { InlineExecutor, type InlineExecutorOptions } from "./inline-executor.ts";
export * from "./message-tree.ts";
export { agreeOn } from "./outcall-proposals.ts";
export { type AnswerOutcome, Outcalls, type OutcallsOptions, type OutcallsPorts } from "./outcalls.ts";
export { Recorder } from "./recording.ts";
export type { RecordingSource } from "./recording-file.ts";
export { type ReplayOutcome, replayRecording } from "./replay-recording.ts";
export { Replica, type ReplicaOptions } from "./replica.ts";
export type { BatchContent } from "./solo-sequencer.ts";
export * from "./state-sync/fetch-steps.ts";
export {
  StateSync,
  type StateSyncOptions,
  type StateSyncPorts,
  type StateSyncStatus,
} from "./state-sync/state-sync.ts";
export * from "./xnet/certified-slice.ts";
export * from "./xnet/expectations.ts";
export type { StreamNews, SubnetPeers } from "./xnet/incoming-streams.ts";
export * from "./xnet/slice-peers.ts";
export * from "./xnet/verify-slice.ts";
