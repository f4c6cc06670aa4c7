// One subnet's replicated state, its canonical tree, and what keeps it on disk.
// `SubnetState` is the whole of it; execution changes it, checkpoints keep it.
export * from "./canister-snapshot.ts";
export * from "./canister-state.ts";
export * from "./canonical-tree.ts";
export * from "./checkpoint.ts";
export * from "./cycles-account.ts";
export * from "./fifo.ts";
export { forkState } from "./fork-state.ts";
export * from "./hash-tree.ts";
export * from "./ingress-history.ts";
export * from "./message-memory.ts";
export * from "./module-store.ts";
export { OpenOutcalls, type OutcallContext, outcallBytes } from "./open-outcalls.ts";
export { copyBytes, copyRange } from "./page-copy.ts";
export * from "./page-store.ts";
export { PageTable } from "./page-table.ts";
export * from "./paged-memory.ts";
export * from "./standing-interventions.ts";
export { BatchLog } from "./store/batch-log.ts";
export { CheckpointStore } from "./store/checkpoint-store.ts";
export { MemoryStorage } from "./store/memory-storage.ts";
export * from "./stream.ts";
export * from "./subnet-state.ts";
export { TimerIndex } from "./timer-index.ts";
