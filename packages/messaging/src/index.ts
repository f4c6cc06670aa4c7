// Messaging: batches in, rounds run, outputs routed. The deterministic heart of a replica.
export { type AccessChanges, describeWholeState, processBatch, replayBatch, type RoundOutput, type StateMachine } from "./process-batch.ts";
