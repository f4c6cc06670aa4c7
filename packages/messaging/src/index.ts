// Messaging: batches in, rounds run, outputs routed. The deterministic heart of a replica.
// `processBatch` is where to start reading.
export { forkMachine } from "./fork-machine.ts";
export {
  type AccessChanges,
  describeWholeState,
  processBatch,
  type RoundOutput,
  replayBatch,
  type StateMachine,
  type StreamPosition,
} from "./process-batch.ts";
