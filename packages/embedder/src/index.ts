// Wasm on the Internet Computer: which modules are accepted, how they are rewritten, how one entry point runs.
// The state is not touched here: what an execution did comes back as values (`RunResult`).
export * from "./execution-error.ts";
export * from "./execution-input.ts";
export { InstanceBudget, type InstanceLimits } from "./instance-budget.ts";
export { InstancePool, type InstancePoolOptions, type InstanceSource } from "./instance-pool.ts";
export type { LiveInstance, SliceLimits } from "./live-instance.ts";
export { LOG_RECORD_BYTES } from "./log-delta.ts";
export { LongRun } from "./long-run.ts";
export * from "./modes.ts";
export * from "./prepared-module.ts";
export { commitMemories, type EntryPoint, type RunResult, rollBack, runFunction } from "./run-function.ts";
export { type MemoryPages, StableMemory, type StablePages } from "./stable-memory.ts";
export { lackOf } from "./wasm/index.ts";
